import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../test/command.mjs";
import { bundleChanged } from "./bundles.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const COMPILE_TIMEOUT_MS = 30 * 60_000;

/** Compiles some projects of the workspace, or all, and makes the bundles anew. Resolves to an exit code. */
export async function build(projects = []) {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const command = [process.execPath, compiler, "-b", ...projects];
  const code = await runCommand(command, { cwd: root, timeoutMs: COMPILE_TIMEOUT_MS });
  if (code !== 0) return code;
  for (const directory of await bundleChanged()) console.log(`bundled ${directory}`);
  return 0;
}
