// `npm start`: installs and builds what is missing, then runs the demonstration; see --help for its arguments.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build/build.mjs";
import { installLocked, staleInstallation } from "./test/install.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

async function prepare() {
  const stale = staleInstallation(root);
  if (stale !== undefined) {
    console.log(`installing (npm ci), because ${stale}`);
    if (!(await installLocked(root))) return 1;
  }
  return build(["packages/filesync"]);
}

/** Signals are passed on, so that the demonstration clears up before either of the two ends. */
function demonstrate(args) {
  const program = join(root, "packages/filesync/dist/demo/main.js");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: "inherit" });
    // A terminal sends its signals to both; the demonstration does not mind to hear of one twice.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? (signal === null ? 1 : 130)));
  });
}

const prepared = await prepare();
process.exitCode = prepared === 0 ? await demonstrate(process.argv.slice(2)) : prepared;
