/**
 * The plain memory engine against the off-heap one, without log, codec or promises:
 * `npm run bench:engine`. `--help` lists the options.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { writeU56 } from "../../packages/fulmar/dist/base/bytes.js";
import type { MemoryEngine } from "../../packages/fulmar/dist/memory/engine.js";
import { createEngine } from "../../packages/fulmar/dist/memory/offheap/engine.js";
import { createPlainEngine } from "../../packages/fulmar/dist/memory/plain/engine.js";
import { ENTRY_HEADER_BYTES, entryBytes, writeEntry } from "../../packages/fulmar/dist/record/entry.js";
import { keyAt, median, shuffled, VALUE_BYTES } from "./measure.js";
import { runProgram } from "./settings.js";

/** Where an entry has its hybrid time and sequence number. */
const HLC_AT = 14;
const SEQ_AT = HLC_AT + 7;
const SELF = fileURLToPath(import.meta.url);
const USAGE = `usage: npm run bench:engine -- [options]

  --keys N[,N]           sizes (100000,1000000); ten million take minutes and 3 GB
  --runs N               of each number the median of so many runs (3)
  --engines NAME[,NAME]  plain, offheap or both
  --json                 everything as JSON
  --help                 this text`;
const LATEST = Number.MAX_SAFE_INTEGER;
const LOOKUPS = 1_000_000;
/** Operations between two looks at the clock for the longest one would cost more than they do. */
const BLOCK = 64;

interface Result {
  readonly engine: string;
  readonly keys: number;
  /** Rates per second, milliseconds, bytes a key: by the name of the column. */
  readonly numbers: Readonly<Record<string, number>>;
}

const ENGINES: Readonly<Record<string, () => MemoryEngine>> = {
  plain: () => createPlainEngine({ hash }),
  offheap: () => createEngine({ hash, secret: [0x12345678, 0x9abcdef0] }),
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      keys: { type: "string", default: "100000,1000000" },
      runs: { type: "string", default: "3" },
      engines: { type: "string", default: "plain,offheap" },
      json: { type: "boolean", default: false },
      one: { type: "boolean", default: false },
    },
  });
  const engines = values.engines.split(",");
  if (values.one) {
    console.log(JSON.stringify(measure(engines[0], Number(values.keys))));
    return;
  }
  const results: Result[] = [];
  for (const keys of values.keys.split(",").map(Number)) {
    const all = new Map<string, Result[]>(engines.map((engine) => [engine, []]));
    for (let run = 0; run < Number(values.runs); run++) {
      for (const engine of run % 2 === 0 ? engines : engines.toReversed()) {
        const flags = ["--expose-gc", SELF, "--one", "--engines", engine, "--keys", String(keys)];
        const { stdout } = await promisify(execFile)(process.execPath, flags);
        all.get(engine)?.push(JSON.parse(stdout) as Result);
      }
    }
    for (const runs of all.values()) results.push(middle(runs));
  }
  if (values.json) console.log(JSON.stringify(results, undefined, 2));
  else printTable(results);
}

/** Of each number its median. */
function middle(runs: readonly Result[]): Result {
  const numbers = Object.fromEntries(
    Object.keys(runs[0].numbers).map((name) => [name, median(runs.map((run) => run.numbers[name]))]),
  );
  return { ...runs[0], numbers };
}

function printTable(results: readonly Result[]): void {
  const names = Object.keys(results[0].numbers);
  console.log(`| engine | keys | ${names.join(" | ")} |\n|---|--:|${names.map(() => "--:|").join("")}`);
  for (const { engine, keys, numbers } of results) {
    const cells = names.map((name) =>
      numbers[name] < 1000 ? numbers[name].toFixed(2) : `${(numbers[name] / 1000).toFixed(0)} k`,
    );
    console.log(`| ${engine} | ${keys} | ${cells.join(" | ")} |`);
  }
}

function hash(bytes: Uint8Array, at: number, into: Uint32Array): void {
  const sum = createHash("sha256")
    .update(bytes.subarray(at, at + ENTRY_HEADER_BYTES))
    .digest();
  for (let i = 0; i < into.length; i++) into[i] = sum.readUInt32LE(4 * i);
}

function measure(name: string, keys: number): Result {
  const order = shuffled(keys);
  const writer = new EntryWriter();
  collect();
  const before = process.memoryUsage();
  const engine = ENGINES[name]();
  const load = put(engine, writer, order, 0);
  const overwrite = put(engine, writer, order, keys);
  collect();
  const after = process.memoryUsage();
  const usage = engine.usage();
  const hit = lookUp(engine, writer, order, 0);
  const miss = lookUp(engine, writer, order, keys);
  const scan = scanAll(engine);
  return {
    engine: name,
    keys,
    numbers: {
      "load/s": load.perSecond,
      "overwrite/s": overwrite.perSecond,
      "hit/s": hit,
      "miss/s": miss,
      "scan/s": scan,
      "longest 64 puts ms": Math.max(load.longestMs, overwrite.longestMs),
      "RSS over payload B/key": (after.rss - before.rss) / keys - VALUE_BYTES - keyAt(0).length,
      "overhead by usage B/key":
        (usage.overheadBytes + usage.recordBytes) / keys - VALUE_BYTES - keyAt(0).length,
      "JS heap MB": (after.heapUsed - before.heapUsed) / 1e6,
      "bulk load/s": bulkLoad(name, engine, keys),
    },
  };
}

function collect(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/**
 * One encoded entry, of which key and numbers are changed in place: encoding costs more than some
 * engines, and is not what is measured.
 */
class EntryWriter {
  readonly bytes: Uint8Array;
  readonly #key = new TextEncoder().encode(keyAt(0));
  readonly #keyAt: number;

  constructor() {
    const value = new Uint8Array(VALUE_BYTES).fill(7);
    this.bytes = new Uint8Array(entryBytes(this.#key.length, VALUE_BYTES, 0));
    const fields = { flags: 0, origin: 1, hlc: 1, seq: 1, deadline: 0, valueChecksum: 1 };
    writeEntry(this.bytes, 0, { ...fields, key: this.#key, value });
    this.#keyAt = this.bytes.length - VALUE_BYTES - this.#key.length;
  }

  key(index: number): Uint8Array {
    const key = this.#key;
    let rest = index;
    for (let i = key.length - 1; i >= 5; i--) {
      key[i] = 48 + (rest % 10);
      rest = (rest / 10) | 0;
    }
    return key;
  }

  write(index: number, seq: number): number {
    const key = this.key(index);
    for (let i = 5; i < key.length; i++) this.bytes[this.#keyAt + i] = key[i];
    writeU56(this.bytes, HLC_AT, seq);
    writeU56(this.bytes, SEQ_AT, seq);
    return this.bytes.length;
  }
}

/** One commit for each key, each settled at once. */
function put(
  engine: MemoryEngine,
  writer: EntryWriter,
  order: Uint32Array,
  versions: number,
): { perSecond: number; longestMs: number } {
  const begin = performance.now();
  let longestMs = 0;
  let last = begin;
  for (let i = 0; i < order.length; i++) {
    const version = versions + i + 1;
    engine.put(version, writer.bytes, 0, writer.write(order[i], version));
    engine.settle(version);
    if (i % BLOCK !== 0) continue;
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  }
  return { perSecond: (order.length * 1000) / (performance.now() - begin), longestMs };
}

/** Finds keys in another order than that of the load; those from `base` on are not there. */
function lookUp(engine: MemoryEngine, writer: EntryWriter, order: Uint32Array, base: number): number {
  const begin = performance.now();
  let found = 0;
  for (let i = 0; i < LOOKUPS; i++) {
    const ref = engine.find(writer.key(base + order[(i * 7919) % order.length]), LATEST);
    if (ref !== 0) found += engine.slab(ref)[engine.offset(ref) + 50] > 0 ? 1 : 0;
  }
  if (found !== (base === 0 ? LOOKUPS : 0)) throw new Error(`found ${found}`);
  return (LOOKUPS * 1000) / (performance.now() - begin);
}

function scanAll(engine: MemoryEngine): number {
  const begin = performance.now();
  const cursor = engine.scan({ from: new Uint8Array(0), to: undefined }, LATEST, false);
  let count = 0;
  for (let ref = cursor.next(); ref !== 0; ref = cursor.next())
    count += engine.slab(ref)[engine.offset(ref)] > 0 ? 1 : 0;
  return (count * 1000) / (performance.now() - begin);
}

function bulkLoad(name: string, source: MemoryEngine, keys: number): number {
  const begin = performance.now();
  const loader = ENGINES[name]().load();
  const cursor = source.scan({ from: new Uint8Array(0), to: undefined }, LATEST, false);
  const length = entryBytes(keyAt(0).length, VALUE_BYTES, 0);
  const item = new Uint8Array(8 + length);
  for (let ref = cursor.next(); ref !== 0; ref = cursor.next()) {
    const at = source.offset(ref);
    new DataView(item.buffer).setBigUint64(0, BigInt(source.versionOf(ref)), true);
    item.set(source.slab(ref).subarray(at, at + length), 8);
    loader.addAll(item, 0, 1);
  }
  loader.finish(source.version);
  return (keys * 1000) / (performance.now() - begin);
}

await runProgram(USAGE, main);
