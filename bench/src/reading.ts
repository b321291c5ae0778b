import { type ByteStore, fill, openBytes } from "./fill.js";
import { keyAt, type Measurement, type Run, shuffled } from "./measure.js";

/** Reads something about `order`, from its beginning on, and tells how much it saw. */
type Read = (db: ByteStore, order: Uint32Array) => number;

/** Reads go through so many keys between two looks at the clock. */
const BLOCK = 10_000;

/** Times a synchronous reader over a store in memory, first until V8 has compiled it. */
function reading(workload: string, read: Read, blocks: boolean): (run: Run) => Promise<Measurement> {
  return async ({ keys, valueBytes, warmUpMs, measureMs }) => {
    const order = shuffled(keys);
    const db = await openBytes(undefined, "memory");
    await fill(db, order, valueBytes);
    // Not in the order of the load: it is the one in which the records lie in memory.
    const other = shuffled(keys).map((index) => keys - 1 - index);
    const block = blocks ? BLOCK : keys;
    repeatedly(db, read, other, block, warmUpMs);
    const { operations, ms } = repeatedly(db, read, other, block, measureMs);
    await db.close();
    return { workload, keys, valueBytes, operations, perSecond: (operations * 1000) / ms };
  };
}

function repeatedly(
  db: ByteStore,
  read: Read,
  order: Uint32Array,
  block: number,
  timeMs: number,
): { operations: number; ms: number } {
  const begin = performance.now();
  let operations = 0;
  for (let at = 0; ; at = at + block < order.length ? at + block : 0) {
    operations += read(db, order.subarray(at, at + block));
    const ms = performance.now() - begin;
    if (ms > timeMs) return { operations, ms };
  }
}

export const getHit = reading(
  "get, random hit",
  (db, order) => {
    for (const index of order) if (db.get(keyAt(index)) === undefined) throw new Error(`lost ${index}`);
    return order.length;
  },
  true,
);

export const getMiss = reading(
  "get, miss",
  (db, order) => {
    for (const index of order) if (db.get(`none:${index}`) !== undefined) throw new Error("not written");
    return order.length;
  },
  true,
);

export const listHundred = reading(
  "list, ranges of 100 (entries)",
  (db, order) => {
    let seen = 0;
    for (let i = 0; i < order.length; i += 100) {
      for (const _ of db.list({ gte: keyAt(order[i]), limit: 100 })) seen++;
    }
    return seen;
  },
  true,
);

export const listAll = reading(
  "list, full scan (entries)",
  (db) => {
    let seen = 0;
    for (const _ of db.list()) seen++;
    return seen;
  },
  false,
);
