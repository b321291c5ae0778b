// `npm test`: everything that must hold before a change is accepted, from a fresh clone on.
//
//   node scripts/test.mjs                  all steps
//   node scripts/test.mjs --only vitest    some steps (repeat, or separate by commas); --list names them
//
// The last line is always "N passed, N failed, N skipped": the tests of vitest, and one for each other step.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { argumentsOf } from "./test/arguments.mjs";
import { runCommand } from "./test/command.mjs";
import { installLocked, staleInstallation, unlockedDependency } from "./test/install.mjs";
import { seconds, summarize } from "./test/summary.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const scratch = mkdtempSync(join(tmpdir(), "fulmar-test-"));
const vitestReport = join(scratch, "vitest.json");

/** A script of an installed package, run by this very Node, so that no shell or PATH takes part. */
const installed = (path, ...args) => [process.execPath, join(root, "node_modules", path), ...args];
const script = (path, ...args) => [process.execPath, join(root, path), ...args];

/** In order: each step may use what earlier ones made. `report` names a file with counts instead of one for all. */
const STEPS = [
  {
    name: "biome",
    title: "format and lint",
    command: installed("@biomejs/biome/bin/biome", "ci", "--error-on-warnings"),
  },
  { name: "build", title: "type-check, compile and bundle", command: script("scripts/build.mjs") },
  {
    name: "types",
    title: "type-check the tests",
    command: installed("typescript/bin/tsc", "--project", "tsconfig.tests.json"),
  },
  {
    name: "vitest",
    title: "unit, property, scenario and tidy tests",
    command: script("scripts/test/vitest.mjs", vitestReport),
    report: vitestReport,
  },
  {
    name: "simulator",
    title: "simulated clusters, a sample",
    command: script("simulator/dist/main.js", "--sample"),
  },
  {
    name: "package",
    title: "contents and types of the packed packages",
    command: script("scripts/package/check.mjs"),
  },
  {
    name: "knip",
    title: "unused files, exports and dependencies",
    command: installed("knip/bin/knip.js", "--no-progress"),
  },
  {
    name: "tarball",
    title: "the packed packages in an empty project",
    command: script("scripts/package/consume.mjs"),
  },
  {
    name: "examples",
    title: "examples and the code in the documentation",
    command: script("scripts/examples/run.mjs"),
  },
  {
    name: "demo",
    title: "three nodes, one killed, every byte compared",
    command: script("scripts/start.mjs", "--once"),
  },
];
/** A step that takes longer hangs, also on a machine that does many other things. */
const STEP_TIMEOUT_MS = 90 * 60_000;

const { values: options } = argumentsOf({
  options: { only: { type: "string", multiple: true }, list: { type: "boolean" } },
});

async function install() {
  const reason = staleInstallation(root);
  if (reason === undefined) return true;
  heading("dependencies", `npm ci, because ${reason}`);
  const unlocked = unlockedDependency(root);
  if (unlocked !== undefined) {
    console.error(`${unlocked}, which package-lock.json does not: run npm install and commit the lock`);
    return false;
  }
  return installLocked(root);
}

async function runStep(step) {
  heading(step.name, step.title);
  const startedMs = performance.now();
  const code = await runCommand(step.command, { cwd: root, timeoutMs: STEP_TIMEOUT_MS }).catch((error) => {
    console.error(String(error));
    return 1;
  });
  const durationMs = performance.now() - startedMs;
  console.log(
    `--- ${step.name}: ${code === 0 ? "ok" : `FAILED (exit code ${code})`} in ${seconds(durationMs)}`,
  );
  return { name: step.name, durationMs, ...countsOf(step, code) };
}

function countsOf(step, code) {
  const plain = { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [] };
  if (step.report === undefined) return plain;
  // Without a report the runner itself broke down, whatever its exit code says.
  if (!existsSync(step.report)) return { passed: 0, failed: 1, skipped: [] };
  const counts = JSON.parse(readFileSync(step.report, "utf8"));
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

function heading(name, title) {
  console.log(`\n=== ${name}: ${title}`);
}

function chosenSteps() {
  const names = (options.only ?? []).flatMap((list) => list.split(","));
  const unknown = names.filter((name) => !STEPS.some((step) => step.name === name));
  if (unknown.length > 0) {
    console.error(
      `no step named ${unknown.join(", ")}; there are ${STEPS.map((step) => step.name).join(", ")}`,
    );
    process.exit(2);
  }
  return names.length === 0 ? STEPS : STEPS.filter((step) => names.includes(step.name));
}

async function main() {
  if (options.list) {
    for (const step of STEPS) console.log(`${step.name.padEnd(10)} ${step.title}`);
    return;
  }
  const steps = chosenSteps();
  const results = [];
  if (await install()) {
    for (const step of steps) results.push(await runStep(step));
  } else {
    results.push({ name: "dependencies", durationMs: 0, passed: 0, failed: 1, skipped: [] });
  }
  console.log(`\n=== summary\n${summarize(results)}`);
  process.exitCode = results.some((result) => result.failed > 0) ? 1 : 0;
}

try {
  await main();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
