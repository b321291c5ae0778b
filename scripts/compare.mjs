// `npm run bench:compare`: installs the other stores beside the comparison, which nothing else needs, builds
// it, and runs it with the options given. See bench/compare/README.md.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build/build.mjs";
import { provideRedis } from "./compare/redis.mjs";
import { runCommand } from "./test/command.mjs";
import { installLocked, staleInstallation } from "./test/install.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const comparison = join(root, "bench", "compare");
const RUN_TIMEOUT_MS = 24 * 3_600_000;

async function main() {
  const reason = staleInstallation(comparison);
  if (reason !== undefined) {
    console.error(`installing the stores to compare with, because ${reason}; this takes some minutes`);
    if (!(await installLocked(comparison))) return 1;
  }
  console.error(provideRedis());
  const built = await build([comparison]);
  if (built !== 0) return built;
  const program = [process.execPath, join(comparison, "dist/main.js"), ...process.argv.slice(2)];
  return runCommand(program, { cwd: root, timeoutMs: RUN_TIMEOUT_MS });
}

process.exitCode = await main();
