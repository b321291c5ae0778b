import { type ByteStore, fill, openBytes } from "./fill.js";
import { keyAt, type Measurement, type Run, shuffled, valueAt, warmUp } from "./measure.js";
import { collect } from "./observe.js";

/** Reads and scans go through so many keys at most: more would only take longer. */
const PROBES_MAX = 1_000_000;
/** Keys of the stores that are used to warm up. */
const WARM_KEYS = 50_000;

/**
 * One store that is loaded, read, overwritten, checkpointed: what each operation costs, in microseconds, to be
 * compared between sizes.
 */
export async function growth(run: Run): Promise<Measurement> {
  const { keys, valueBytes } = run;
  await warmUp(run, (directory, timeMs) => doAll(directory, valueBytes, timeMs));
  const order = shuffled(keys);
  await collect();
  const db = await openBytes(run.directory, "relaxed");
  const load = await timeOf(() => fill(db, order, valueBytes));
  const reads = readCosts(db, order);
  const overwrite = await timeOf(() => fill(db, order, valueBytes));
  const checkpoint = await checkpointTime(db, order);
  await db.close();
  return {
    workload: "growth, relaxed, 1000 in flight",
    keys,
    valueBytes,
    operations: keys,
    perSecond: (keys * 1000) / load,
    figures: {
      "load us": (load * 1000) / keys,
      "overwrite us": (overwrite * 1000) / keys,
      ...reads,
      "checkpoint us": (checkpoint * 1000) / keys,
    },
  };
}

/** One checkpoint, and not also what is left of one that the load of a large store began by itself. */
async function checkpointTime(db: ByteStore, order: Uint32Array): Promise<number> {
  await db.checkpoint();
  await db.set(keyAt(order[0]), valueAt(0));
  return timeOf(() => db.checkpoint());
}

/** All that is measured later, in a small store, until the time is over. */
async function doAll(directory: string, valueBytes: number, timeMs: number): Promise<void> {
  const order = shuffled(WARM_KEYS);
  const begin = performance.now();
  const db = await openBytes(directory, "relaxed");
  while (performance.now() - begin < timeMs) {
    await fill(db, order, valueBytes);
    readCosts(db, order);
    await db.checkpoint();
  }
  await db.close();
}

/** Microseconds of each read, in random order but for the scan. */
function readCosts(db: ByteStore, order: Uint32Array): Record<string, number> {
  const count = Math.min(order.length, PROBES_MAX);
  // Before the clock starts: to pick one from so large an array is another wait for memory.
  const probes = Uint32Array.from({ length: count }, (_, i) => order[(i * 7919) % order.length]);
  const timed = (work: () => number): number => {
    const begin = performance.now();
    const operations = work();
    return ((performance.now() - begin) * 1000) / operations;
  };
  const hit = timed(() => {
    for (const key of probes) if (db.get(keyAt(key)) === undefined) throw new Error("a lost key");
    return count;
  });
  const miss = timed(() => {
    for (const key of probes) if (db.get(`none:${key}`) !== undefined) throw new Error("not written");
    return count;
  });
  const range = timed(() => {
    let seen = 0;
    for (let i = 0; i < count; i += 100) {
      for (const _ of db.list({ gte: keyAt(probes[i]), limit: 100 })) seen++;
    }
    return seen;
  });
  const scan = timed(() => {
    let seen = 0;
    for (const _ of db.list({ limit: count })) seen++;
    return seen;
  });
  return { "hit us": hit, "miss us": miss, "range us": range, "scan us": scan };
}

/** How long some work takes, in ms. */
async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}
