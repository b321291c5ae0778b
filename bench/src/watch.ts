/**
 * What watches cost commits that none of them wants: processor time of a `set` of a store with many watches, and of
 * one of the same contents without any, a few thousand at a time in turn, so that whatever else the machine
 * does meanwhile falls on both alike. Halfway they change places: two stores of the same contents are not equally fast.
 * And that in several processes, as V8 does not compile the same twice.
 * `--help` says how it is called.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Durability, open, type RangeOptions, type Store } from "fulmar";
import { keyAt, median, valuePool } from "./measure.js";
import { oneOf, positiveInteger, runProgram } from "./settings.js";

const USAGE = `usage: npm run bench:watch -- [processes [rounds [where]]]

  processes    that measure, one after the other (5)
  rounds       of each (100)
  where        hot, memory, relaxed or full; each of them unless given`;
const MANY = 10_000;
const KEYS = 100_000;
/** From one key that is written to the next: each comes once, and none is near the one before. */
const STRIDE = 48_271;
/** Sets of a store before its turn is measured: the processor's caches were the other store's. */
const WARM_SETS = 1000;
/**
 * In its turn the median of some blocks counts. A block is shorter than the turn of a process, so that what others do
 * to the caches is in few of them; and so are collections of garbage, which fall on any of them by chance.
 */
const BLOCKS = 5;
const BLOCK_SETS = 400;
/** Sets that are waited for at once. */
const GROUP_SETS = 100;
/** Before watches are measured: by then what is searched is made new, and V8 has compiled it. */
const FIRST_SETS = 20_000;

/** Where is written, as it is called on the command line, and how. */
interface Place {
  readonly name: string;
  readonly durability: Durability;
  /** Keys that are written in turn, of {@link KEYS} that are there. */
  readonly keys: number;
  /** What the rounds asked for are divided by, as each waits for the disk. */
  readonly slowness: number;
}

const PLACES: Readonly<Record<string, Place>> = {
  hot: { name: "in memory, a thousand keys again and again", durability: "memory", keys: 1000, slowness: 1 },
  memory: { name: "in memory, 100,000 keys in random order", durability: "memory", keys: KEYS, slowness: 1 },
  relaxed: {
    name: "with a directory, at relaxed, 100,000 keys in random order",
    durability: "relaxed",
    keys: KEYS,
    slowness: 2,
  },
  full: {
    name: "with a directory, at full, 100,000 keys in random order",
    durability: "full",
    keys: KEYS,
    slowness: 5,
  },
};

type Watched = (index: number) => string | RangeOptions;

const aKey: Watched = (index) => `${keyAt(10 * index)}!`;
const asLong: Watched = (index) => `${keyAt(10 * index).slice(0, -1)}x`;
const aPrefix: Watched = (index) => ({ prefix: `${keyAt(10 * index)}:` });
const shorter: Watched = (index) => ({ prefix: keyAt(10 * index).slice(0, -2) + "abcdefghij"[index % 10] });
const aRange: Watched = (index) => ({ gte: `${keyAt(10 * index)}a`, lt: `${keyAt(10 * index)}m` });
const manyKeys: Watched = (index) => ({ gte: keyAt(KEYS + index), lt: keyAt(KEYS + index + 5000) });

/** Between the keys that are written, but for the last, so that the first bytes decide nothing. */
const CASES: readonly (readonly [string, number, Watched])[] = [
  ["none: what the others may be off by", 0, aKey],
  ["10,000 keys", MANY, aKey],
  ["10,000 keys of the same length", MANY, asLong],
  ["10,000 prefixes longer than the keys", MANY, aPrefix],
  ["10,000 prefixes shorter than the keys", MANY, shorter],
  ["10,000 ranges", MANY, aRange],
  ["10,000 ranges, one over the other", MANY, manyKeys],
];

/** A store, and how many sets it has seen. */
interface Written {
  readonly db: Store<Uint8Array>;
  readonly place: Place;
  readonly value: (index: number) => Uint8Array;
  sets: number;
}

/** One row of one process: nanoseconds for a `set` without watches, and the share that they add. */
interface Row {
  readonly without: number;
  readonly more: number;
}

/** Each case once, in one process. */
async function measuredRows(place: Place, rounds: number, directory: string): Promise<Row[]> {
  const { durability } = place;
  const stores: Written[] = [];
  for (const name of ["a", "b"]) {
    const at = durability === "memory" ? undefined : join(directory, name);
    const db = await open<Uint8Array>(at, { codec: "bytes", durability });
    const store = { db, place: { ...place, keys: KEYS }, value: valuePool(100), sets: 0 };
    await set(store, KEYS);
    stores.push({ ...store, place });
  }
  const [a, b] = stores;
  const rows: Row[] = [];
  for (const one of CASES) {
    const half = Math.max(1, Math.round(rounds / place.slowness / 2));
    const first = await measuredRow(one, a, b, half);
    const second = await measuredRow(one, b, a, half);
    rows.push({ without: (first.without + second.without) / 2, more: (first.more + second.more) / 2 });
  }
  for (const { db } of stores) await db.close();
  return rows;
}

async function measuredRow(
  [name, count, watched]: (typeof CASES)[number],
  store: Written,
  other: Written,
  rounds: number,
): Promise<Row> {
  let shown = 0;
  const watches = Array.from({ length: count }, (_, index) => store.db.watch(watched(index), () => shown++));
  for (const one of [store, other]) await set(one, FIRST_SETS);
  // What opening them left behind is no part of it.
  globalThis.gc?.();
  const without: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // With, without, without, with: what the machine drifts by meanwhile is in both alike.
    const first = await measured(store);
    const both = (await measured(other)) + (await measured(other));
    const last = await measured(store);
    without.push(both / 2);
    ratios.push((first + last) / both - 1);
  }
  for (const watch of watches) watch.close();
  if (shown > 0) throw new Error(`${name}: a watch was shown something`);
  return { without: median(without), more: median(ratios) };
}

/** Nanoseconds of processor time for a `set`, of all threads. */
async function measured(store: Written): Promise<number> {
  await set(store, WARM_SETS);
  const blocks: number[] = [];
  while (blocks.length < BLOCKS) {
    const start = process.cpuUsage();
    await set(store, BLOCK_SETS);
    const { user, system } = process.cpuUsage(start);
    blocks.push(((user + system) * 1000) / BLOCK_SETS);
  }
  return median(blocks);
}

async function set(store: Written, count: number): Promise<void> {
  const { db, value, place } = store;
  for (let i = 1; i <= count; i++) {
    const done = db.set(keyAt((store.sets * STRIDE) % place.keys), value(store.sets));
    store.sets++;
    if (i % GROUP_SETS === 0) await done;
  }
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(1)} %`;
}

function print(processes: readonly (readonly Row[])[]): void {
  console.log(
    "| watches, none of which wants it | ns a set without | ns more | more | least and most of a process |",
  );
  console.log("|---|--:|--:|--:|--:|");
  for (const [i, [name]] of CASES.entries()) {
    const rows = processes.map((one) => one[i]);
    const without = median(rows.map((row) => row.without));
    const all = rows.map((row) => row.more).sort((x, y) => x - y);
    const more = median(all);
    const spread = `${percent(all[0])} to ${percent(all[all.length - 1])}`;
    console.log(
      `| ${name} | ${without.toFixed(0)} | ${(more * without).toFixed(0)} | ${percent(more)} | ${spread} |`,
    );
  }
}

function placeOf(where: string): Place {
  return PLACES[oneOf(where, Object.keys(PLACES))];
}

/** The same program again, told so by the first argument. */
function rowsOfProcess(rounds: number, where: string): Row[] {
  const args = ["--expose-gc", fileURLToPath(import.meta.url), "rows", String(rounds), where];
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`a process that measures ended with ${status}`);
  return JSON.parse(stdout) as Row[];
}

async function measureAlone(rounds: number, where: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "fulmar-bench-watch-"));
  try {
    console.log(JSON.stringify(await measuredRows(placeOf(where), rounds, directory)));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function main(): Promise<void> {
  const [first, second, third] = process.argv.slice(2);
  if (first === "rows") return measureAlone(Number(second), third);
  const processes = positiveInteger(first ?? "5", "processes");
  const rounds = positiveInteger(second ?? "100", "rounds");
  for (const where of third === undefined ? Object.keys(PLACES) : [third]) {
    const { name } = placeOf(where);
    const all = Array.from({ length: processes }, () => rowsOfProcess(rounds, where));
    console.log(`\n${name}:\n`);
    print(all);
  }
}

await runProgram(USAGE, main);
