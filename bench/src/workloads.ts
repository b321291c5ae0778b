import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Durability, open, type Store } from "fulmar";
import { concurrently, KEY_COUNT, keyAt, type Measurement, quantile, shuffled, valueAt } from "./measure.js";
import { replicationThroughput, writeToVisible } from "./replication.js";

const WRITE_MS_MAX = 4000;

export type Workload = (directory: string) => Promise<Measurement>;

function setting(durability: Durability, writers: number): Workload {
  return async (directory) => {
    const db = await open<Uint8Array>(directory, { codec: "bytes", durability });
    const order = shuffled(KEY_COUNT);
    const run = await concurrently(writers, KEY_COUNT, WRITE_MS_MAX, (i) =>
      db.set(keyAt(order[i]), valueAt(i)),
    );
    await db.close();
    const { operations, latencies } = run;
    const [p50Ms, p99Ms] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
    const workload = `set, ${durability}, ${writers} in flight`;
    return { workload, operations, perSecond: operations / run.seconds, p50Ms, p99Ms };
  };
}

async function filled(directory: string | undefined): Promise<Store<Uint8Array>> {
  const db = await open<Uint8Array>(directory, { codec: "bytes", durability: "relaxed" });
  const order = shuffled(KEY_COUNT);
  for (let i = 0; i < KEY_COUNT; i += 1000) {
    await Promise.all(
      Array.from({ length: 1000 }, (_, j) => db.set(keyAt(order[i + j]), valueAt(order[i + j]))),
    );
  }
  await db.flush();
  return db;
}

/** Times a synchronous reader over the whole key set, twice: once to warm up. */
function reading(workload: string, read: (db: Store<Uint8Array>, order: Uint32Array) => number): Workload {
  return async () => {
    const db = await filled(undefined);
    const order = shuffled(KEY_COUNT);
    read(db, order);
    const begin = performance.now();
    const operations = read(db, order);
    const perSecond = (operations * 1000) / (performance.now() - begin);
    await db.close();
    return { workload, operations, perSecond };
  };
}

function batches(durability: Durability): Workload {
  return async (directory) => {
    const db = await open<Uint8Array>(directory, { codec: "bytes", durability });
    const order = shuffled(KEY_COUNT);
    const run = await concurrently(1, KEY_COUNT / 100, WRITE_MS_MAX, (i) =>
      db.batch(
        Array.from({ length: 100 }, (_, j) => {
          const index = order[i * 100 + j];
          return { type: "set", key: keyAt(index), value: valueAt(index) } as const;
        }),
      ),
    );
    await db.close();
    const operations = run.operations * 100;
    return {
      workload: `batch of 100, ${durability} (entries)`,
      operations,
      perSecond: operations / run.seconds,
    };
  };
}

function opening(checkpointed: boolean): Workload {
  return async (directory) => {
    const before = await filled(directory);
    if (checkpointed) await before.checkpoint();
    await before.close();
    const begin = performance.now();
    const db = await open(directory, { codec: "bytes" });
    const ms = performance.now() - begin;
    if (db.count() !== KEY_COUNT) throw new Error("the store did not come back whole");
    await db.close();
    const from = checkpointed ? "checkpoint" : "log";
    const note = `${ms.toFixed(0)} ms for ${KEY_COUNT} keys`;
    return {
      workload: `open from ${from} (keys)`,
      operations: KEY_COUNT,
      perSecond: (KEY_COUNT * 1000) / ms,
      note,
    };
  };
}

/** Every workload by name; each runs in a process of its own with an empty directory. */
export const WORKLOADS: ReadonlyMap<string, Workload> = new Map<string, Workload>([
  ...(["memory", "relaxed", "full"] as const).flatMap((durability) =>
    [1, 100, 1000].map((writers) => [`set-${durability}-${writers}`, setting(durability, writers)] as const),
  ),
  ["batch-relaxed", batches("relaxed")],
  ["batch-full", batches("full")],
  [
    "get-hit",
    reading("get, random hit", (db, order) => {
      let found = 0;
      for (const index of order) if (db.get(keyAt(index)) !== undefined) found++;
      return found;
    }),
  ],
  [
    "get-miss",
    reading("get, miss", (db, order) => {
      let missed = 0;
      for (const index of order) if (db.get(`none:${index}`) === undefined) missed++;
      return missed;
    }),
  ],
  [
    "list-100",
    reading("list, ranges of 100 (entries)", (db, order) => {
      let seen = 0;
      for (let i = 0; i < 1000; i++) for (const _ of db.list({ gte: keyAt(order[i]), limit: 100 })) seen++;
      return seen;
    }),
  ],
  [
    "list-all",
    reading("list, full scan (entries)", (db) => {
      let seen = 0;
      for (const _ of db.list()) seen++;
      return seen;
    }),
  ],
  ["open-log", opening(false)],
  ["open-checkpoint", opening(true)],
  ["replication", replicationThroughput],
  ["write-to-visible", writeToVisible],
]);

/** Runs one workload in an empty directory that is removed afterwards. */
export async function runWorkload(name: string): Promise<Measurement> {
  const workload = WORKLOADS.get(name);
  if (workload === undefined)
    throw new Error(`no workload "${name}"; known: ${[...WORKLOADS.keys()].join(", ")}`);
  const directory = await mkdtemp(join(tmpdir(), "fulmar-bench-"));
  try {
    return await workload(join(directory, "data"));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
