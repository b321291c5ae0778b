/**
 * Where a read's time goes: the same reads with one step more each, in nanoseconds of processor time (all
 * threads, the collector among them) for an entry. `npm run build && node bench/dist/reads.js [keys]`.
 */
import { type Codec, open, type Store } from "fulmar";
import { KEY_COUNT, keyAt, median, shuffled, valuePool } from "./measure.js";

const VALUE_BYTES = 100;
const RUNS = 9;
const SHORT_LIST = 10;

type Read = (db: Store<Uint8Array>, keys: readonly string[]) => number;

/** Node's own copies of short arrays share chunks of 8 KiB. */
const pooled: Codec<Uint8Array> = {
  name: "pooled",
  encode: (value) => value,
  decode: (bytes) => Buffer.from(bytes),
};
/** For whoever takes apart what is stored right away: no copy at all. */
const looking: Codec<Uint8Array> = { name: "looking", encode: (value) => value, decode: (bytes) => bytes };

const POINT_READS: readonly (readonly [string, Read])[] = [
  ["has: encode the key, find the record", (db, keys) => total(keys, (key) => (db.has(key) ? 1 : 0))],
  ["get: and copy the value", (db, keys) => total(keys, (key) => (db.get(key) === undefined ? 0 : 1))],
  ["getMany, 100 at a time", many],
  ["entry", (db, keys) => total(keys, (key) => (db.entry(key) === undefined ? 0 : 1))],
];
const LISTINGS: readonly (readonly [string, Read])[] = [
  ["count: walk the leaves", (db) => db.count()],
  ["keys: and decode the key", (db) => walk(db.keys())],
  ["values: instead copy the value", (db) => walk(db.values())],
  ["list: all that, with stamp and version", (db) => walk(db.list())],
  [
    `list of ${SHORT_LIST}: and begin and end`,
    (db, keys) => total(keys.slice(0, 5000), (gte) => walk(db.list({ gte, limit: SHORT_LIST }))),
  ],
];

async function main(): Promise<void> {
  const count = Number(process.argv[2] ?? KEY_COUNT);
  const mixed = shuffled(count);
  const ascending = Uint32Array.from(mixed).sort();
  console.log("| read | written in random order: ns | in the order of the keys: ns |\n|---|--:|--:|");
  const stores = [await filled(mixed, "bytes"), await filled(ascending, "bytes")];
  const keys = Array.from(shuffled(count), (index) => keyAt(count - 1 - index));
  for (const [name, read] of [...POINT_READS, ...LISTINGS]) print(name, stores, read, keys);
  for (const [name, codec] of [
    ["get, copied into a pool by the codec", pooled],
    ["get, looked at by the codec", looking],
  ] as const) {
    print(name, [await filled(mixed, codec), await filled(ascending, codec)], POINT_READS[1][1], keys);
  }
}

function print(
  name: string,
  stores: readonly Store<Uint8Array>[],
  read: Read,
  keys: readonly string[],
): void {
  const cells = stores.map((db) => nanoseconds(() => read(db, keys)).toFixed(0));
  console.log(`| ${[name, ...cells].join(" | ")} |`);
}

async function filled(order: Uint32Array, codec: "bytes" | Codec<Uint8Array>): Promise<Store<Uint8Array>> {
  const db = await open<Uint8Array>(undefined, { codec });
  const values = valuePool(VALUE_BYTES);
  for (let at = 0; at < order.length; at += 1000) {
    for (const index of order.subarray(at, at + 1000)) void db.set(keyAt(index), values(index));
    await db.flush();
  }
  return db;
}

function nanoseconds(work: () => number): number {
  work();
  work();
  const times = Array.from({ length: RUNS }, () => {
    const before = process.cpuUsage();
    const entries = work();
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / entries;
  });
  return median(times);
}

function total(keys: readonly string[], read: (key: string) => number): number {
  let sum = 0;
  for (const key of keys) sum += read(key);
  return sum;
}

function many(db: Store<Uint8Array>, keys: readonly string[]): number {
  let sum = 0;
  for (let at = 0; at < keys.length; at += 100) sum += db.getMany(keys.slice(at, at + 100)).length;
  return sum;
}

function walk(items: Iterable<unknown>): number {
  let count = 0;
  for (const _ of items) count++;
  return count;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
