// `npm run build`: type-checks and compiles (tsc -b) the projects that are named, or all, and then makes the
// bundles that the packages publish, as far as their sources have changed.
import { build } from "./build/build.mjs";

process.exitCode = await build(process.argv.slice(2));
