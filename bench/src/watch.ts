/**
 * What watches cost commits that none of them wants: processor time of a `set` with many watches and without
 * any, in turn, in the same store of the same process, and that in several processes, as V8 does not compile the same
 * twice; of a store with a directory, at `relaxed`, and of one in memory, whose commits cost less.
 * `npm run bench:watch [processes] [rounds]`.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { open, type RangeOptions, type Store } from "fulmar";
import { keyAt, median, valuePool } from "./measure.js";

const MANY = 10_000;
const MOST = 100_000;
const KEYS = 100_000;
/** From one key that is written to the next: each comes once, and none is near the one before. */
const STRIDE = 48_271;
/**
 * Of several blocks the median counts. A block is shorter than the turn of a process, so that what other processes do
 * to the processor's caches is in few of them; and so are collections of garbage, which fall on any of them by chance.
 */
const BLOCKS = 20;
const BLOCK_SETS = 1000;
/**
 * Before each measurement: they make new what is searched, bring what they need into the processor's caches, and pay
 * for what V8 puts off at a collection that was asked for.
 */
const FIRST_SETS = 20_000;
/** Where and what is written, as it is called in the output. */
const DURABLE = "with a directory, at relaxed, 100,000 keys in random order";
const IN_MEMORY = "in memory, 100,000 keys in random order";
const HOT = "in memory, a thousand keys again and again";
const HOT_KEYS = 1000;
/** Rounds that are not counted. */
const WARM_UPS = 2;

type Watched = (index: number) => string | RangeOptions;

const aKey: Watched = (index) => `${keyAt(index)}!`;
const aPrefix: Watched = (index) => ({ prefix: `${keyAt(index)}:` });
const aRange: Watched = (index) => ({ gte: `${keyAt(index)}a`, lt: `${keyAt(index)}m` });
const manyKeys: Watched = (index) => ({ gte: keyAt(KEYS + index), lt: keyAt(KEYS + index + 5000) });

/** Near the keys that are written, so that nothing is decided by the first bytes; none: what a figure may be off by. */
const CASES: readonly (readonly [string, number, Watched])[] = [
  ["none", 0, aKey],
  ["1 key", 1, aKey],
  ["1 range", 1, aRange],
  ["10,000 keys", MANY, aKey],
  ["10,000 keys of the same length", MANY, (index) => keyAt(KEYS + index)],
  ["10,000 prefixes", MANY, aPrefix],
  ["10,000 ranges", MANY, aRange],
  ["10,000 ranges, one over the other", MANY, manyKeys],
  ["100,000 keys", MOST, aKey],
  ["100,000 ranges", MOST, aRange],
];

/** What is written, and where: each of `keys` in turn. */
interface Written {
  readonly db: Store<Uint8Array>;
  readonly value: (index: number) => Uint8Array;
  readonly keys: number;
}

/** Nanoseconds for a `set`. */
interface Pair {
  readonly without: number;
  readonly watched: number;
}

/** All pairs of one process, by case. */
async function measuredPairs(rounds: number, where: string, directory?: string): Promise<Pair[][]> {
  // One store for all: two of the same contents are not equally fast.
  const durability = directory === undefined ? "memory" : "relaxed";
  const db = await open<Uint8Array>(directory, { codec: "bytes", durability });
  const all = { db, value: valuePool(100), keys: KEYS };
  await set(all, KEYS);
  const written = where === HOT ? { ...all, keys: HOT_KEYS } : all;
  const pairs: Pair[][] = CASES.map(() => []);
  for (let round = -WARM_UPS; round < rounds; round++) {
    for (const [i, one] of CASES.entries()) {
      const pair = await measuredPair(written, one);
      if (round >= 0) pairs[i].push(pair);
    }
  }
  await db.close();
  return pairs;
}

/** Without, with, with, without: what the machine drifts by meanwhile is in both alike. */
async function measuredPair(written: Written, [name, count, watched]: (typeof CASES)[number]): Promise<Pair> {
  let shown = 0;
  const first = await measured(written);
  const watches = Array.from({ length: count }, (_, index) =>
    written.db.watch(watched(Math.floor((index * KEYS) / count)), () => shown++),
  );
  const both = (await measured(written)) + (await measured(written));
  for (const watch of watches) watch.close();
  const last = await measured(written);
  if (shown > 0) throw new Error(`${name}: a watch was shown something`);
  return { without: (first + last) / 2, watched: both / 2 };
}

/** Nanoseconds of processor time for a `set`. */
async function measured(written: Written): Promise<number> {
  // What opened and closed watches left behind is no part of it.
  globalThis.gc?.();
  await set(written, FIRST_SETS);
  const blocks: number[] = [];
  while (blocks.length < BLOCKS) {
    const start = process.cpuUsage();
    await set(written, BLOCK_SETS);
    const { user, system } = process.cpuUsage(start);
    blocks.push(((user + system) * 1000) / BLOCK_SETS);
  }
  return median(blocks);
}

async function set({ db, value, keys }: Written, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const done = db.set(keyAt((i * STRIDE) % keys), value(i));
    if (i % 100 === 99) await done;
  }
}

function quantile(values: readonly number[], share: number): number {
  const inOrder = [...values].sort((a, b) => a - b);
  return inOrder[Math.round(share * (inOrder.length - 1))];
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(1)} %`;
}

function print(pairs: readonly (readonly Pair[])[]): void {
  console.log("| watches, none of which wants it | ns a set without | ns more | more | half of the pairs |");
  console.log("|---|--:|--:|--:|--:|");
  for (const [i, [name]] of CASES.entries()) {
    const without = median(pairs[i].map((pair) => pair.without));
    const ratios = pairs[i].map((pair) => pair.watched / pair.without - 1);
    const more = median(ratios);
    const spread = `${percent(quantile(ratios, 0.25))} to ${percent(quantile(ratios, 0.75))}`;
    const ns = [without, more * without].map((one) => one.toFixed(0)).join(" | ");
    console.log(`| ${name} | ${ns} | ${percent(more)} | ${spread} |`);
  }
}

/** The same program again, told so by the first argument. */
function pairsOfProcess(rounds: number, where: string): Pair[][] {
  const args = ["--expose-gc", fileURLToPath(import.meta.url), "pairs", String(rounds), where];
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`a process that measures ended with ${status}`);
  return JSON.parse(stdout) as Pair[][];
}

async function measureAlone(rounds: number, where: string): Promise<void> {
  const directory = where === DURABLE ? mkdtempSync(join(tmpdir(), "fulmar-bench-watch-")) : undefined;
  try {
    console.log(JSON.stringify(await measuredPairs(rounds, where, directory)));
  } finally {
    if (directory !== undefined) rmSync(directory, { recursive: true });
  }
}

const [first, second, third] = process.argv.slice(2);
if (first === "pairs") await measureAlone(Number(second), third);
else
  for (const where of [DURABLE, IN_MEMORY, HOT]) {
    const all = Array.from({ length: Number(first ?? 3) }, () => pairsOfProcess(Number(second ?? 6), where));
    console.log(`\n${where}:\n`);
    print(CASES.map((_, i) => all.flatMap((pairs) => pairs[i])));
  }
