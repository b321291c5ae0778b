import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { overwriting } from "./amplification.js";
import { checkpointing } from "./checkpointing.js";
import { contending } from "./contention.js";
import { diskRate } from "./disk.js";
import { growth } from "./growth.js";
import { holding } from "./holding.js";
import { KEY_BYTES, type Measurement, type Run } from "./measure.js";
import { opening } from "./opening.js";
import { getHit, getMiss, listAll, listHundred } from "./reading.js";
import { replicationThroughput, writeToVisible } from "./replication.js";
import { stalls } from "./stalls.js";
import { readingThreads } from "./threads.js";
import { batches, setting } from "./writing.js";

/** Something to measure, in a process of its own with an empty directory. */
export interface Workload {
  readonly measure: (run: Run) => Promise<Measurement>;
  /** How often it writes all keys besides what it measures: what makes it take longer at larger sizes. */
  readonly loads: number;
  /** Whether it is run for each number of keys and size of values, or once. */
  readonly sized: boolean;
}

function sized(measure: Workload["measure"], loads = 0): Workload {
  return { measure, loads, sized: true };
}

function once(measure: Workload["measure"]): Workload {
  return { measure, loads: 1, sized: false };
}

/** Every workload by name, in the order in which the tables show them. */
export const WORKLOADS: ReadonlyMap<string, Workload> = new Map<string, Workload>([
  ["disk-inline", once(diskRate("inline", true))],
  ["disk-background", once(diskRate("background", true))],
  ["disk-growing", once(diskRate("background", false))],
  ...(["memory", "relaxed", "full"] as const).flatMap((durability) =>
    [1, 100, 1000].map(
      (writers) => [`set-${durability}-${writers}`, sized(setting(durability, writers))] as const,
    ),
  ),
  ["batch-relaxed", sized(batches("relaxed"))],
  ["batch-full", sized(batches("full"))],
  ...(["low", "high", "readers", "increments"] as const).map(
    (kind) => [`contention-${kind}`, sized(contending(kind), 2)] as const,
  ),
  ["get-hit", sized(getHit, 1)],
  ["get-miss", sized(getMiss, 1)],
  ["list-100", sized(listHundred, 1)],
  ["list-all", sized(listAll, 1)],
  ["threads-1", sized(readingThreads(1), 1)],
  ["threads-2", sized(readingThreads(2), 1)],
  ["replication", once(replicationThroughput)],
  ["write-to-visible", once(writeToVisible)],
  ["open-log", sized(opening("log"), 2)],
  ["open-checkpoint", sized(opening("checkpoint"), 2)],
  ["memory", sized(holding, 1)],
  ["overwrite", sized(overwriting, 5)],
  ["growth", sized(growth, 3)],
  ["stalls", sized(stalls, 4)],
  ["checkpoint", sized(checkpointing, 2)],
]);

/** Keys that a store takes in a second, for the estimate of how long all will take. */
const KEYS_PER_SECOND = 120_000;
const START_SECONDS = 0.5;

/** About how long one run takes, in seconds. */
export function estimatedSeconds(name: string, run: Omit<Run, "directory">): number {
  const loads = (find(name).loads * run.keys) / KEYS_PER_SECOND;
  return START_SECONDS + (run.warmUpMs + run.measureMs) / 1000 + loads * (1 + run.valueBytes / 2000);
}

/** What one run may have in memory at once, in bytes: some workloads hold every key twice. */
export function estimatedBytes(run: Omit<Run, "directory">): number {
  return 2.5 * run.keys * (KEY_BYTES + run.valueBytes + 100);
}

/** Runs one workload in an empty directory that is removed afterwards. */
export async function runWorkload(name: string, run: Omit<Run, "directory">): Promise<Measurement> {
  const { measure } = find(name);
  const directory = await mkdtemp(join(tmpdir(), "fulmar-bench-"));
  try {
    return await measure({ ...run, directory: join(directory, "data") });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** @throws Error with the names that there are. */
export function find(name: string): Workload {
  const workload = WORKLOADS.get(name);
  if (workload !== undefined) return workload;
  throw new Error(`no workload "${name}"; known: ${[...WORKLOADS.keys()].join(", ")}`);
}
