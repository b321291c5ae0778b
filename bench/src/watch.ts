/**
 * What watches cost commits that none of them wants: nanoseconds of processor time for a `set`, without
 * watches and with many, alternated in one process. `npm run bench:watch [rounds]`.
 */
import { open, type RangeOptions, type Store } from "fulmar";
import { keyAt, median, valuePool } from "./measure.js";

const WATCHERS = 10_000;
const KEYS = 1000;
const SETS = 20_000;
const WARM_UPS = 3;

type Watched = (index: number) => string | RangeOptions;

/** Near the keys that are written, so that nothing is decided by the first bytes. */
const CASES: readonly (readonly [string, number, Watched])[] = [
  ["no watch", 0, () => ""],
  ["1 key", 1, (index) => `${keyAt(index)}!`],
  ["10,000 keys", WATCHERS, (index) => `${keyAt(index)}!`],
  ["10,000 prefixes", WATCHERS, (index) => ({ prefix: `${keyAt(index)}:` })],
  ["10,000 ranges", WATCHERS, (index) => ({ gte: `${keyAt(index)}a`, lt: `${keyAt(index)}m` })],
];

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 25);
  const value = valuePool(100);
  // One store for all: two of the same contents are not equally fast.
  const db = await open<Uint8Array>(undefined, { codec: "bytes" });
  const results = CASES.map(([name]) => ({ name, ns: [] as number[] }));
  for (let round = 0; round < rounds + WARM_UPS; round++) {
    for (const [i, [name, count, watched]] of CASES.entries()) {
      let shown = 0;
      const watches = Array.from({ length: count }, (_, index) => db.watch(watched(index), () => shown++));
      globalThis.gc?.();
      await set(db, value);
      const startMicroseconds = process.cpuUsage().user;
      await set(db, value);
      const ns = ((process.cpuUsage().user - startMicroseconds) * 1000) / SETS;
      if (round >= WARM_UPS) results[i].ns.push(ns);
      if (shown > 0) throw new Error(`${name}: a watch was shown something`);
      for (const watch of watches) watch.close();
    }
  }
  const [baseline] = results;
  console.log(
    "| watches, none of which wants it | ns a set | set/s | more than without |\n|---|--:|--:|--:|",
  );
  for (const { name, ns } of results) {
    // Against the run of the same round: the machine is not the same from one second to the next.
    const more = median(ns.map((one, i) => one / baseline.ns[i] - 1));
    const perSecond = Math.round(1e9 / median(ns)).toLocaleString("en");
    console.log(`| ${name} | ${median(ns).toFixed(0)} | ${perSecond} | ${(100 * more).toFixed(1)} % |`);
  }
  await db.close();
}

async function set(db: Store<Uint8Array>, value: (index: number) => Uint8Array): Promise<void> {
  for (let i = 0; i < SETS; i++) {
    const done = db.set(keyAt(i % KEYS), value(i));
    if (i % 100 === 99) await done;
  }
}

await main();
