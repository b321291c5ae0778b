/**
 * `npm run mutation -- PART [PART ...] [--workers N] [--files GLOB,GLOB] [--tests PATH,PATH]`: changes the code
 * of a part of the library in many small ways, runs its tests against each change, and prints the share that
 * they noticed and every change that they did not. A part takes minutes to an hour on two cores; single files
 * judged by unit tests alone (`--tests packages/fulmar/test/durability/unit`) take a minute or two.
 * Known survivors, each with the reason why no test can or should notice it, stand in survivors.json; others
 * make the exit code 1.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleChanged } from "../scripts/build/bundles.mjs";
import { argumentsOf } from "../scripts/test/arguments.mjs";
import { PARTS } from "./parts.mjs";
import { report } from "./report.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..");
const REPORT = join(root, ".cache/mutation-report.json");

const { values, positionals } = argumentsOf({
  options: {
    workers: { type: "string", default: "2" },
    files: { type: "string" },
    tests: { type: "string" },
  },
  allowPositionals: true,
});

function fail(message) {
  console.error(`${message}\nparts: ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}

function install() {
  if (existsSync(join(here, "node_modules/@stryker-mutator/core"))) return;
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  execFileSync(npm, ["install", "--no-workspaces", "--no-save"], { cwd: here, stdio: "inherit" });
}

/** A path that does not exist would leave the changes to the other tests, and look like a low score. */
function checkPaths(paths) {
  const missing = paths.filter((path) => !path.includes("*") && !existsSync(join(root, path)));
  if (missing.length > 0) fail(`there is no ${missing.join(", ")}`);
}

function mutate(part) {
  rmSync(REPORT, { force: true });
  const environment = {
    ...process.env,
    FULMAR_MUTATION_FILES: values.files ?? part.files.join(","),
    FULMAR_MUTATION_TESTS: values.tests ?? part.tests.join(","),
    FULMAR_MUTATION_WORKERS: values.workers,
  };
  const program = join(here, "node_modules/@stryker-mutator/core/bin/stryker.js");
  const args = [program, "run", "mutation/stryker.config.mjs"];
  const { status } = spawnSync(process.execPath, args, { cwd: root, env: environment, stdio: "inherit" });
  rmSync(join(root, ".cache/mutation"), { recursive: true, force: true });
  if (status !== 0 || !existsSync(REPORT)) process.exit(status || 1);
  const result = JSON.parse(readFileSync(REPORT, "utf8"));
  // Nothing noticed of nothing would look like a full score.
  if (Object.keys(result.files).length === 0) fail("no file has one of these paths");
  return result;
}

if (positionals.length === 0) fail("name a part");
for (const name of positionals) if (PARTS[name] === undefined) fail(`there is no part ${name}`);
checkPaths([values.files, values.tests].flatMap((paths) => paths?.split(",") ?? []));
install();
await bundleChanged();
const known = JSON.parse(readFileSync(join(here, "survivors.json"), "utf8"));
let unknown = 0;
for (const name of positionals) unknown += report(name, mutate(PARTS[name]), known);
process.exitCode = unknown === 0 ? 0 : 1;
