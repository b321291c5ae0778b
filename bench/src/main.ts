/**
 * `npm run bench`: every workload in a fresh process, several runs in alternated order, of each number
 * the median. `--help` lists the options.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, freemem } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import type { Measurement, Run } from "./measure.js";
import { middle } from "./middle.js";
import { drawLatencies } from "./plot.js";
import { numberList, positiveInteger, runProgram, workloadNames } from "./settings.js";
import { growthTable, tables } from "./tables.js";
import { estimatedBytes, estimatedSeconds, find, runWorkload, WORKLOADS } from "./workloads.js";

const SELF = fileURLToPath(import.meta.url);
const USAGE = `usage: npm run bench -- [options]

  --runs N               of each number the median of so many runs (5)
  --only NAME[,NAME]     these workloads alone
  --keys N[,N]           sizes of the store, in keys of 16 bytes (100000)
  --value-bytes N[,N]    sizes of the values (100)
  --warm-up-ms N         the same work before measuring (2000)
  --measure-ms N         how long is measured at most (4000)
  --plot FILE            the latencies of durable writes as SVG
  --json                 everything as JSON
  --list                 the names of the workloads
  --help                 this text`;

interface Task {
  readonly name: string;
  readonly run: Omit<Run, "directory">;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "5" },
      only: { type: "string" },
      keys: { type: "string", default: "100000" },
      "value-bytes": { type: "string", default: "100" },
      "warm-up-ms": { type: "string", default: "2000" },
      "measure-ms": { type: "string", default: "4000" },
      plot: { type: "string" },
      json: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      one: { type: "string" },
    },
  });
  if (values.list) return console.log([...WORKLOADS.keys()].join("\n"));
  if (values.one !== undefined) {
    const { name, run } = JSON.parse(values.one) as Task;
    return console.log(JSON.stringify(await runWorkload(name, run)));
  }
  const timing = {
    warmUpMs: positiveInteger(values["warm-up-ms"], "warm-up-ms"),
    measureMs: positiveInteger(values["measure-ms"], "measure-ms"),
  };
  const names = workloadNames(values.only, [...WORKLOADS.keys()]);
  const sizes = numberList(values.keys, "keys").flatMap((keys) =>
    numberList(values["value-bytes"], "value-bytes").map((valueBytes) => ({ keys, valueBytes, ...timing })),
  );
  const tasks = sizes.flatMap((run, index) =>
    names.filter((name) => find(name).sized || index === 0).map((name) => ({ name, run })),
  );
  const results = await measureAll(tasks, positiveInteger(values.runs, "runs"));
  if (values.plot !== undefined) writeFileSync(values.plot, drawLatencies(results));
  if (values.json) console.log(JSON.stringify(results, undefined, 2));
  else print(results, Number(values.runs), timing);
}

async function measureAll(tasks: readonly Task[], runs: number): Promise<Measurement[]> {
  const seconds = runs * tasks.reduce((sum, { name, run }) => sum + estimatedSeconds(name, run), 0);
  process.stderr.write(`${runs * tasks.length} runs, about ${Math.ceil(seconds / 60)} minutes\n`);
  const bytes = Math.max(...tasks.map(({ run }) => estimatedBytes(run)));
  if (bytes > freemem())
    process.stderr.write(
      `the largest size needs about ${Math.ceil(bytes / 1e9)} GB of memory; ${(freemem() / 1e9).toFixed(1)} are free\n`,
    );
  const all = new Map<Task, Measurement[]>(tasks.map((task) => [task, []]));
  for (let run = 0; run < runs; run++) {
    // Every other round goes backwards, so that no workload always follows the same one.
    for (const task of run % 2 === 0 ? tasks : tasks.toReversed()) {
      const { stdout } = await promisify(execFile)(process.execPath, [SELF, "--one", JSON.stringify(task)]);
      all.get(task)?.push(JSON.parse(stdout) as Measurement);
      process.stderr.write(".");
    }
  }
  process.stderr.write("\n");
  return [...all.values()].map(middle);
}

function print(
  results: readonly Measurement[],
  runs: number,
  timing: Pick<Run, "warmUpMs" | "measureMs">,
): void {
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"};`);
  console.log(
    `medians of ${runs} runs; each warmed up for ${timing.warmUpMs} ms, measured for at most ${timing.measureMs} ms`,
  );
  for (const table of tables(results)) console.log(`\n${table}`);
  const ratios = growthTable(results);
  if (ratios !== undefined) console.log(`\n${ratios}`);
}

await runProgram(USAGE, main);
