/**
 * Fulmar beside other stores, each engine and workload in a fresh process, in alternated order, of each
 * number the median. Usually started by `npm run bench:compare`; the README beside lists the options.
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { numberList, positiveInteger, runProgram, workloadNames } from "../../dist/settings.js";
import { ENGINES } from "./engines.js";
import { type Cells, measureAll } from "./schedule.js";
import { comparisonTable, latencyTable } from "./tables.js";
import { WORKLOADS } from "./workloads.js";

const USAGE = `usage: npm run bench:compare -- [options]

  --runs N                 of each number the median of so many runs (5)
  --only NAME[,NAME]       these workloads alone
  --engines NAME[,NAME]    these engines alone
  --keys N[,N]             sizes of the stores, in keys of 16 bytes (100000)
  --value-bytes N[,N]      sizes of the values (100)
  --warm-up-ms N           the same work before measuring (600)
  --measure-ms N           how long is measured, mostly (800)
  --out FILE               results as JSON
  --json                   JSON instead of tables
  --list                   the names of engines and workloads
  --help                   this text`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "5" },
      only: { type: "string" },
      engines: { type: "string" },
      keys: { type: "string", default: "100000" },
      "value-bytes": { type: "string", default: "100" },
      "warm-up-ms": { type: "string", default: "600" },
      "measure-ms": { type: "string", default: "800" },
      out: { type: "string" },
      json: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
    },
  });
  if (values.list) {
    console.log(`engines: ${ENGINES.map(({ name }) => name).join(", ")}`);
    console.log(`workloads: ${WORKLOADS.map(({ name }) => name).join(", ")}`);
    return;
  }
  const timing = {
    warmUpMs: positiveInteger(values["warm-up-ms"], "warm-up-ms"),
    measureMs: positiveInteger(values["measure-ms"], "measure-ms"),
  };
  const engines = workloadNames(
    values.engines,
    ENGINES.map(({ name }) => name),
  );
  const workloads = workloadNames(
    values.only,
    WORKLOADS.map(({ name }) => name),
  );
  const sizes = numberList(values.keys, "keys").flatMap((keys) =>
    numberList(values["value-bytes"], "value-bytes").map((valueBytes) => ({ keys, valueBytes })),
  );
  const runs = positiveInteger(values.runs, "runs");
  const results = await measureAll({ engines, workloads, sizes, runs, ...timing });
  const report = { node: process.version, processors: processors(), runs, ...timing, ...results };
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(report, undefined, 2)}\n`);
  if (values.json) console.log(JSON.stringify(report, undefined, 2));
  else
    print(results, `medians of ${runs} runs, ${timing.warmUpMs} ms warm-up, ${timing.measureMs} ms measured`);
}

function processors(): string {
  return `${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"}`;
}

function print({ sizes, disk, skipped }: Cells, how: string): void {
  console.log(`Node ${process.version}, ${processors()}; ${how}.`);
  console.log("Higher is better for rates, lower for the rest; a ratio under 1.3 is a tie.");
  for (const { keys, valueBytes, cells } of sizes) {
    console.log(`\n${keys.toLocaleString("en")} keys of 16 bytes, values of ${valueBytes} bytes:\n`);
    console.log(comparisonTable(cells));
    console.log(`\nLatencies of the same writes, p50 / p99 / p99.9 in ms:\n\n${latencyTable(cells)}`);
  }
  console.log("\nThe disk in the same session, 4 KiB written and synced by one writer, a second:\n");
  for (const { name, perSecond } of disk) console.log(`- ${name}: ${Math.round(perSecond)}`);
  if (skipped.length > 0) console.log("\nLeft out:\n");
  for (const { what, reason } of skipped) console.log(`- ${what}: ${reason}`);
}

await runProgram(USAGE, main);
