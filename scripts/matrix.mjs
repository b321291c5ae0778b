// `npm run matrix`: what `npm test` runs of the library, run by each runtime that it is made for.
//
//   npm run matrix                              all runtimes, one after the other: about a quarter of an hour each
//   npm run matrix -- bun deno                  some of them; --list names them
//   npm run matrix -- node-24 --only vitest     some steps of `npm test`
//   npm run matrix -- bun --tests packages/fulmar/test/store,packages/cli
//
// Runtimes are installed by npm into .cache/matrix, some 100 MB each.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installed, RUNTIMES } from "./matrix/runtimes.mjs";
import { argumentsOf } from "./test/arguments.mjs";
import { runCommand } from "./test/command.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const CACHE = join(root, ".cache", "matrix");
/** Formatting, types and packaging are the same wherever they are looked at. */
const STEPS = "vitest,simulator,tarball,examples,demo";
const TIMEOUT_MS = 3 * 60 * 60_000;

const { values, positionals } = argumentsOf({
  options: {
    list: { type: "boolean" },
    only: { type: "string", default: STEPS },
    tests: { type: "string" },
  },
  allowPositionals: true,
});

function chosen() {
  const unknown = positionals.filter((wanted) => !RUNTIMES.some(({ name }) => name === wanted));
  if (unknown.length > 0) {
    console.error(
      `no runtime ${unknown.join(", ")}; there are ${RUNTIMES.map(({ name }) => name).join(", ")}`,
    );
    process.exit(2);
  }
  return RUNTIMES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
}

function task() {
  if (values.tests === undefined) return [join(root, "scripts/test.mjs"), "--only", values.only];
  return [join(root, "node_modules/vitest/vitest.mjs"), "run", ...values.tests.split(",")];
}

async function runWith(runtime) {
  console.log(`\n##### ${runtime.name}: ${runtime.delivery}`);
  const command = [...installed(runtime, CACHE), ...task()];
  return { name: runtime.name, code: await runCommand(command, { cwd: root, timeoutMs: TIMEOUT_MS }) };
}

if (values.list) {
  for (const { name, delivery } of RUNTIMES) console.log(`${name.padEnd(11)} ${delivery}`);
} else {
  const results = [];
  for (const runtime of chosen()) results.push(await runWith(runtime));
  console.log("\n##### the matrix");
  for (const { name, code } of results)
    console.log(`${name.padEnd(11)} ${code === 0 ? "ok" : `FAILED (exit code ${code})`}`);
  process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;
}
