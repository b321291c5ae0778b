import { type ByteStore, CALLS_PER_TURN, fill, forEach, openBytes } from "./fill.js";
import { keyAt, type Measurement, type Run, shuffled, turn, valuePool, warmUp } from "./measure.js";
import { collect, type Stalls, watched } from "./observe.js";

/** So many keys at most are kept by a snapshot, expire in the same moment, or are deleted. */
const PART_MAX = 1_000_000;
/** Keys of the stores that are used to warm up. */
const WARM_KEYS = 50_000;
/** Keys that are set with a deadline in a ms at the least, on a machine that does other things. */
const SET_PER_MS = 20;

/**
 * One store that is loaded, overwritten, relieved of an old snapshot, checkpointed, swept, emptied, closed: the most
 * processor time that the main thread takes in one turn of the event loop in each. A turn has a hundred calls in it.
 */
export async function stalls(run: Run): Promise<Measurement> {
  const { keys, valueBytes } = run;
  await warmUp(run, (directory, timeMs) => doAll(directory, valueBytes, timeMs));
  const order = shuffled(keys);
  const part = order.subarray(0, PART_MAX);
  await collect();
  const db = await openBytes(run.directory, "relaxed");
  const load = await watched(() => fill(db, order, valueBytes, CALLS_PER_TURN));
  const parts: Readonly<Record<string, Stalls>> = {
    load,
    overwrite: await watched(() => fill(db, part, valueBytes, CALLS_PER_TURN)),
    release: await releaseSnapshot(db, part, valueBytes),
    checkpoint: await watched(() => db.checkpoint()),
    expiry: await expire(db, part, valueBytes),
    delete: await watched(() =>
      forEach(order.subarray(-PART_MAX), CALLS_PER_TURN, (key) => db.delete(keyAt(key))),
    ),
    close: await watched(() => db.close()),
  };
  const all = Object.entries(parts);
  return {
    workload: "longest turn of the event loop, processor time, relaxed",
    keys,
    valueBytes,
    operations: keys,
    perSecond: (keys * 1000) / load.ms,
    figures: {
      ...Object.fromEntries(all.map(([name, { longestBusyMs }]) => [`${name} ms`, longestBusyMs])),
      "longest by the clock ms": Math.max(...all.map(([, { longestStallMs }]) => longestStallMs)),
      "longest GC ms": Math.max(...all.map(([, { longestGcMs }]) => longestGcMs)),
    },
  };
}

async function doAll(directory: string, valueBytes: number, timeMs: number): Promise<void> {
  const order = shuffled(WARM_KEYS);
  const begin = performance.now();
  const db = await openBytes(directory, "relaxed");
  while (performance.now() - begin < timeMs) {
    await fill(db, order, valueBytes, CALLS_PER_TURN);
    await db.checkpoint();
    await forEach(order, CALLS_PER_TURN, (key) => db.delete(keyAt(key)));
  }
  await db.close();
}

/** Overwrites keys while a listing keeps the old state, and watches how that is let go. */
async function releaseSnapshot(db: ByteStore, order: Uint32Array, valueBytes: number): Promise<Stalls> {
  const held = db.list()[Symbol.iterator]();
  held.next();
  await fill(db, order, valueBytes, CALLS_PER_TURN);
  return watched(async () => {
    held.return?.();
    // Another commit may be what lets old versions go.
    await fill(db, order.subarray(0, CALLS_PER_TURN), valueBytes);
    while (db.status().memory.oldVersions > 0) await turn();
  });
}

/** Gives keys the same deadline, and watches how they are swept. */
async function expire(db: ByteStore, order: Uint32Array, valueBytes: number): Promise<Stalls> {
  const valueFor = valuePool(valueBytes);
  const deadlineMs = Date.now() + 1000 + order.length / SET_PER_MS;
  const left = db.status().entries - order.length;
  await forEach(order, CALLS_PER_TURN, (key) =>
    db.set(keyAt(key), valueFor(key), { ttl: Math.max(1, deadlineMs - Date.now()) }),
  );
  return watched(async () => {
    while (db.status().entries > left) await turn();
  });
}
