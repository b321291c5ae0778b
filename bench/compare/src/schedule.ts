import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { median, quantile } from "../../dist/measure.js";
import { findEngine } from "./engines.js";
import type { CellResult, Task } from "./task.js";
import { type CompareWorkload, WORKLOADS } from "./workloads.js";

const CELL = fileURLToPath(new URL("./cell.js", import.meta.url));
const BENCH = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const DISK = ["disk-inline", "disk-background", "disk-growing"];
/** What starts and ends a cell, and what a load takes for a store of middling speed. */
const START_SECONDS = 0.7;
const KEYS_PER_SECOND = 150_000;
/** A cell that takes longer than this many times its estimate, and a minute, hangs. */
const PATIENCE = 10;

export interface Wanted {
  readonly engines: readonly string[];
  readonly workloads: readonly string[];
  readonly sizes: readonly { readonly keys: number; readonly valueBytes: number }[];
  readonly runs: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What one engine did in one row. */
export interface Cell {
  readonly engine: string;
  readonly row: string;
  readonly median: number;
  /** Least and greatest of the runs. */
  readonly least: number;
  readonly greatest: number;
  readonly latency?: NonNullable<CellResult["latency"]>;
}

export interface Cells {
  readonly sizes: readonly {
    readonly keys: number;
    readonly valueBytes: number;
    readonly cells: readonly Cell[];
  }[];
  readonly disk: readonly { readonly name: string; readonly perSecond: number }[];
  /** Engines and cells without a number that should have one. */
  readonly skipped: readonly { readonly what: string; readonly reason: string }[];
}

type Skipped = Map<string, string>;

export async function measureAll(wanted: Wanted): Promise<Cells> {
  const skipped: Skipped = new Map();
  const engines = wanted.engines.filter((name) => {
    const reason = findEngine(name).missing?.();
    if (reason !== undefined) skipped.set(name, reason);
    return reason === undefined;
  });
  const tasks = wanted.sizes.flatMap((size) =>
    WORKLOADS.filter(({ name }) => wanted.workloads.includes(name)).flatMap((workload) =>
      engines
        .filter((engine) => isFor(engine, workload))
        .map((engine) => taskOf(wanted, size, workload, engine)),
    ),
  );
  const seconds = wanted.runs * tasks.reduce((sum, task) => sum + secondsOf(task), 0);
  process.stderr.write(
    `${wanted.runs} x ${tasks.length} processes, about ${Math.ceil(seconds / 60)} minutes\n`,
  );
  const results = new Map<Task, CellResult[]>();
  const disk = new Map<string, number[]>();
  for (let run = 0; run < wanted.runs; run++) {
    for (const name of DISK) await measureDisk(name, wanted, disk);
    for (const task of run % 2 === 0 ? tasks : tasks.toReversed()) await measureCell(task, results, skipped);
    process.stderr.write(` ${run + 1}/${wanted.runs}\n`);
  }
  return {
    sizes: wanted.sizes.map((size) => ({ ...size, cells: cellsOf(size, results) })),
    disk: [...disk].map(([name, rates]) => ({ name, perSecond: median(rates) })),
    skipped: [...skipped].map(([what, reason]) => ({ what, reason })),
  };
}

/** Whether an engine takes part in a workload at all, as far as can be told without opening it. */
function isFor(name: string, { name: workload }: CompareWorkload): boolean {
  const { only, durable } = findEngine(name);
  if (only !== undefined) return only.includes(workload);
  return durable || !/full|open|overwrite/.test(workload);
}

function taskOf(
  { warmUpMs, measureMs }: Wanted,
  size: { readonly keys: number; readonly valueBytes: number },
  workload: CompareWorkload,
  engine: string,
): Task {
  return { engine, workload: workload.name, ...size, warmUpMs, measureMs };
}

function secondsOf({ workload, keys, valueBytes, warmUpMs, measureMs }: Task): number {
  const { loads, times } = WORKLOADS.find(({ name }) => name === workload) as CompareWorkload;
  const measured = ((times === 0 ? 0 : warmUpMs) + times * measureMs) / 1000;
  return START_SECONDS + measured + (loads * keys * (1 + valueBytes / 500)) / KEYS_PER_SECOND;
}

/** One run of one cell. A library without the ability is not asked again; a failure is named and not repeated. */
async function measureCell(task: Task, results: Map<Task, CellResult[]>, skipped: Skipped): Promise<void> {
  const name = `${task.engine}, ${task.workload}, ${task.keys} keys of ${task.valueBytes} bytes`;
  if (skipped.has(name) || results.get(task)?.some(({ rows }) => rows === undefined)) return;
  try {
    const timeoutMs = 60_000 + PATIENCE * 1000 * secondsOf(task);
    const text = await outputOf([CELL, JSON.stringify(task)], timeoutMs);
    results.set(task, [...(results.get(task) ?? []), JSON.parse(text) as CellResult]);
    process.stderr.write(".");
  } catch (error) {
    skipped.set(name, error instanceof Error ? error.message : String(error));
    process.stderr.write("!");
  }
}

async function measureDisk(name: string, wanted: Wanted, disk: Map<string, number[]>): Promise<void> {
  const run = { keys: 1, valueBytes: 100, warmUpMs: wanted.warmUpMs, measureMs: wanted.measureMs };
  const text = await outputOf([BENCH, "--one", JSON.stringify({ name, run })], 120_000);
  const { workload, perSecond } = JSON.parse(text) as { workload: string; perSecond: number };
  disk.set(workload, [...(disk.get(workload) ?? []), perSecond]);
}

/** What a Node program prints. It and all that it started are killed when it takes too long. */
function outputOf(parameters: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, parameters, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    let output = "";
    let errors = "";
    child.stdout.on("data", (data: Buffer) => {
      output += data.toString();
    });
    child.stderr.on("data", (data: Buffer) => {
      errors = (errors + data.toString()).slice(-2000);
    });
    const killAll = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    };
    const timer = setTimeout(killAll, timeoutMs);
    process.once("SIGINT", killAll);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      process.off("SIGINT", killAll);
      if (code === 0) resolve(output);
      else reject(new Error(code === null ? `killed after ${timeoutMs} ms` : errors.trim().split("\n")[0]));
    });
  });
}

function cellsOf(
  size: { readonly keys: number; readonly valueBytes: number },
  results: ReadonlyMap<Task, readonly CellResult[]>,
): Cell[] {
  const cells: Cell[] = [];
  for (const [task, runs] of results) {
    if (task.keys !== size.keys || task.valueBytes !== size.valueBytes) continue;
    for (const [index, row] of Object.keys(runs[0].rows ?? {}).entries()) {
      const values = runs.map(({ rows }) => rows?.[row] ?? 0).sort((a, b) => a - b);
      // What a workload measures besides has no latencies of its own.
      const latency = index === 0 ? middleLatency(runs) : undefined;
      cells.push({
        engine: task.engine,
        row,
        median: quantile(values, 0.5),
        least: values[0],
        greatest: values[values.length - 1],
        ...(latency === undefined ? {} : { latency }),
      });
    }
  }
  return cells;
}

function middleLatency(runs: readonly CellResult[]): Cell["latency"] {
  const latencies = runs.map(({ latency }) => latency).filter((latency) => latency !== undefined);
  if (latencies.length === 0) return undefined;
  return {
    p50Ms: median(latencies.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(latencies.map(({ p99Ms }) => p99Ms)),
    p999Ms: median(latencies.map(({ p999Ms }) => p999Ms)),
  };
}
