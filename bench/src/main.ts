/**
 * `npm run bench`: every workload in a fresh process, several runs, medians. `-- --runs N`,
 * `-- --only NAME[,NAME]`, `-- --json`.
 */
import { execFile } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { type Measurement, median } from "./measure.js";
import { runWorkload, WORKLOADS } from "./workloads.js";

const SELF = fileURLToPath(import.meta.url);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "5" },
      only: { type: "string" },
      json: { type: "boolean", default: false },
      one: { type: "string" },
    },
  });
  if (values.one !== undefined) {
    console.log(JSON.stringify(await runWorkload(values.one)));
    return;
  }
  const names = values.only?.split(",") ?? [...WORKLOADS.keys()];
  const results = await measureAll(names, Number(values.runs));
  if (values.json) console.log(JSON.stringify(results, undefined, 2));
  else printTable(results);
}

async function measureAll(names: readonly string[], runs: number): Promise<Measurement[]> {
  const all = new Map<string, Measurement[]>(names.map((name) => [name, []]));
  for (let run = 0; run < runs; run++) {
    // Every other round goes backwards, so that no workload always follows the same one.
    for (const name of run % 2 === 0 ? names : [...names].reverse()) {
      const { stdout } = await promisify(execFile)(process.execPath, [SELF, "--one", name]);
      all.get(name)?.push(JSON.parse(stdout) as Measurement);
      process.stderr.write(".");
    }
  }
  process.stderr.write("\n");
  return [...all.values()].map(middle);
}

/** The run with the median rate stands for all. */
function middle(runs: readonly Measurement[]): Measurement {
  const rate = median(runs.map((run) => run.perSecond));
  return runs.find((run) => run.perSecond === rate) as Measurement;
}

function printTable(results: readonly Measurement[]): void {
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"}\n`);
  console.log("| workload | per second | p50 ms | p99 ms | note |\n|---|--:|--:|--:|---|");
  for (const { workload, perSecond, p50Ms, p99Ms, note } of results) {
    const cells = [
      workload,
      rateText(perSecond),
      p50Ms?.toFixed(3) ?? "",
      p99Ms?.toFixed(3) ?? "",
      note ?? "",
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function rateText(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M`;
  return perSecond >= 1e4 ? `${(perSecond / 1e3).toFixed(0)} k` : `${(perSecond / 1e3).toFixed(1)} k`;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
