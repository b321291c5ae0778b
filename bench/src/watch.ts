/**
 * What watches cost commits that none of them wants: nanoseconds of processor time for a `set`, without
 * watches and with many, alternated in one process. `npm run bench:watch [rounds]`.
 */
import { open, type RangeOptions, type Store } from "fulmar";
import { keyAt, median, valuePool } from "./measure.js";

const MANY = 10_000;
const MOST = 100_000;
const KEYS = 1000;
const SETS = 20_000;
const WARM_UPS = 3;

type Watched = (index: number) => string | RangeOptions;

const aKey: Watched = (index) => `${keyAt(index)}!`;
const aPrefix: Watched = (index) => ({ prefix: `${keyAt(index)}:` });
const aRange: Watched = (index) => ({ gte: `${keyAt(index)}a`, lt: `${keyAt(index)}m` });
const manyKeys: Watched = (index) => ({ gte: keyAt(KEYS + index), lt: keyAt(KEYS + index + 5000) });

/** Near the keys that are written, so that nothing is decided by the first bytes. */
const CASES: readonly (readonly [string, number, Watched])[] = [
  ["none", 0, () => ""],
  ["1 key", 1, aKey],
  ["10,000 keys", MANY, aKey],
  ["10,000 prefixes", MANY, aPrefix],
  ["10,000 ranges", MANY, aRange],
  ["10,000 ranges, one over the other", MANY, manyKeys],
  ["100,000 keys", MOST, aKey],
  ["100,000 prefixes", MOST, aPrefix],
  ["100,000 ranges", MOST, aRange],
];

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 15);
  const value = valuePool(100);
  // One store for all: two of the same contents are not equally fast.
  const db = await open<Uint8Array>(undefined, { codec: "bytes" });
  const results = CASES.map(([name]) => ({ name, without: [] as number[], watched: [] as number[] }));
  for (let round = 0; round < rounds + WARM_UPS; round++) {
    for (const [i, [name, count, watched]] of CASES.entries()) {
      const without = await measured(db, value);
      let shown = 0;
      const watches = Array.from({ length: count }, (_, index) => db.watch(watched(index), () => shown++));
      const ns = await measured(db, value);
      for (const watch of watches) watch.close();
      if (shown > 0) throw new Error(`${name}: a watch was shown something`);
      if (round < WARM_UPS) continue;
      results[i].without.push(without);
      results[i].watched.push(ns);
    }
  }
  console.log("| watches, none of which wants it | ns a set without | ns a set | more |\n|---|--:|--:|--:|");
  for (const { name, without, watched } of results) {
    // Against the run directly before: the machine is not the same from one second to the next.
    const more = median(watched.map((one, i) => one / without[i] - 1));
    const figures = [without, watched].map((all) => median(all).toFixed(0)).join(" | ");
    console.log(`| ${name} | ${figures} | ${(100 * more).toFixed(1)} % |`);
  }
  await db.close();
}

/** Nanoseconds of processor time for a `set`, after as many that warm up. */
async function measured(db: Store<Uint8Array>, value: (index: number) => Uint8Array): Promise<number> {
  globalThis.gc?.();
  await set(db, value);
  const startMicroseconds = process.cpuUsage().user;
  await set(db, value);
  return ((process.cpuUsage().user - startMicroseconds) * 1000) / SETS;
}

async function set(db: Store<Uint8Array>, value: (index: number) => Uint8Array): Promise<void> {
  for (let i = 0; i < SETS; i++) {
    const done = db.set(keyAt(i % KEYS), value(i));
    if (i % 100 === 99) await done;
  }
}

await main();
