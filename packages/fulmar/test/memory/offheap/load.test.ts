import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, concatBytes, toHex } from "../../../src/base/bytes.js";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { equalDigests } from "../../../src/memory/digest.js";
import { LATEST, type MemoryEngine, NONE } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { sortByKey } from "../../../src/memory/offheap/key-sorter.js";
import { Records } from "../../../src/memory/offheap/records.js";
import { DEFAULT_SHAPE, type EngineShape } from "../../../src/memory/offheap/shape.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { keyOf } from "../../../src/record/entry.js";
import { ascii, bytesOf, drain, entry, load, put, quickHash } from "../fixtures.js";
import { SMALL, SMALLEST } from "./shapes.js";

/** Keys of which many agree in their first bytes, some in ten and more, and some end where others go on with zeros. */
const keys = fc.oneof(
  fc.tuple(fc.nat(3), fc.nat(60)).map(([table, id]) => bytesOf(table, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, id)),
  fc.nat(20).map((zeros) => concatBytes(bytesOf(1), new Uint8Array(zeros))),
  fc.uint8Array({ maxLength: 3 }),
);
/** How an engine that is loaded differs from any other. */
interface LoadedShape {
  readonly shape?: Partial<EngineShape>;
  readonly tracked?: boolean;
  readonly shared?: boolean;
}

const writes = fc.record({
  key: keys,
  // Many of one size: those that follow each other are copied together.
  size: fc.option(fc.oneof(fc.nat(90), fc.constantFrom(4, 4, 13)), { nil: undefined, freq: 8 }),
  origin: fc.integer({ min: 1, max: 3 }),
  deadline: fc.option(fc.nat(50), { nil: undefined }),
});
type Write = typeof writes extends fc.Arbitrary<infer T> ? T : never;

function entryOf({ key, size, origin, deadline }: Write, seq: number): Uint8Array {
  const value = size === undefined ? undefined : new Uint8Array(size).fill(seq);
  const fields = { origin, seq, hlc: seq, ...(value === undefined ? {} : { value }) };
  return entry(key, deadline === undefined || value === undefined ? fields : { ...fields, deadline });
}

function expectSame(engine: MemoryEngine, expected: MemoryEngine): void {
  engine.verify();
  const cursor = engine.scan(ALL_KEYS, LATEST, false);
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) expect(engine.slot(ref)).toBe(0);
  for (const reverse of [false, true]) {
    expect(drain(engine, engine.scan(ALL_KEYS, LATEST, reverse))).toEqual(
      drain(expected, expected.scan(ALL_KEYS, LATEST, reverse)),
    );
  }
  for (const of of [engine, expected]) while (!of.orderByOrigin());
  for (const origin of [1, 2, 3]) {
    const all = (of: MemoryEngine): string[] => drain(of, of.byOrigin(origin, 0, LATEST, LATEST)).sort();
    expect(all(engine)).toEqual(all(expected));
  }
  const due = (of: MemoryEngine): string[] => drain(of, of.byDeadline(LATEST)).sort();
  expect(due(engine)).toEqual(due(expected));
  expect(engine.nextDeadline()).toBe(expected.nextDeadline());
  expect(
    equalDigests(engine.digest(ALL_KEYS, LATEST), expected.digest(ALL_KEYS, LATEST)),
    "digests agree",
  ).toBe(true);
  const { entries, tombstones, oldVersions, recordBytes } = expected.usage();
  expect(engine.usage()).toMatchObject({ entries, tombstones, oldVersions, recordBytes });
  expect([engine.version, engine.settled]).toEqual([expected.version, expected.settled]);
}

describe.each([
  ["small", { shape: SMALL }],
  ["smallest", { shape: SMALLEST }],
  ["real sizes, tracked", { tracked: true }],
  ["small, shared", { shape: SMALL, shared: true }],
] as [string, LoadedShape][])("a load, %s", (_, { shared, ...options }) => {
  it("of entries in order and of commits leaves what the same commits leave in the plain engine", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(writes, { maxLength: 120 }),
        fc.array(fc.array(writes, { maxLength: 8 }), { maxLength: 60 }),
        fc.boolean(),
        fc.array(writes, { maxLength: 10 }),
        fc.constantFrom(0, 100, 3000),
        (keepTombstones, base, commits, inPlain, after, expected) => {
          const sharing = shared === true ? { sharing: new Sharing() } : {};
          const engine = createEngine({ hash: quickHash, ...options, ...sharing });
          const plain = createPlainEngine({ hash: quickHash });
          const loaded = createPlainEngine({ hash: quickHash });
          for (const each of [engine, plain, loaded]) each.keepTombstones = keepTombstones;
          let [seq, version] = [1, 1];
          const byKey = new Map(base.map((write) => [toHex(write.key), write]));
          const items = [...byKey.values()]
            .sort((a, b) => compareBytes(a.key, b.key))
            .map((write): [number, Uint8Array] => [version++, entryOf(write, seq++)]);
          const loaders = [engine.load(), loaded.load()];
          for (const loader of loaders) loader.announce(items.length);
          const half = items.length >>> 1;
          for (const loader of loaders) {
            load(loader, ...items.slice(0, half));
            load(loader, ...items.slice(half));
          }
          for (const [at, bytes] of items) put(plain, at, bytes);
          for (const loader of loaders) loader.expect(expected);
          for (const commit of commits) {
            version++;
            for (const write of commit) {
              const bytes = entryOf(write, seq++);
              for (const loader of loaders) loader.put(version, bytes, 0, bytes.length);
              put(plain, version, bytes);
            }
            plain.settle(version);
          }
          version++;
          for (const loader of loaders) loader.finish(version);
          plain.settle(version);
          expectSame(engine, plain);
          if (inPlain) expectSame(loaded, plain);
          for (const write of after) {
            const bytes = entryOf(write, seq++);
            for (const each of [engine, plain]) {
              put(each, version + seq, bytes);
              each.settle(version + seq);
            }
          }
          expectSame(engine, plain);
        },
      ),
      { numRuns: 80 },
    );
  });
});

describe("the work of a load", () => {
  it("ends with tables that fit, whatever was expected", () => {
    const used = [undefined, 10, 3000, 300_000].map((expected) => {
      const engine = createEngine({ hash: quickHash });
      const loader = engine.load();
      if (expected !== undefined) loader.expect(expected);
      for (let i = 0; i < 6000; i++) {
        const bytes = entry(ascii(`key ${i % 3000}`), { value: bytesOf(1), seq: i + 1 });
        loader.put(i + 1, bytes, 0, bytes.length);
      }
      loader.finish(6000);
      engine.verify();
      expect(engine.usage().entries).toBe(3000);
      return engine.usedBytes;
    });
    expect(Math.max(...used)).toBeLessThan(Math.min(...used) + 8 * 3000);
  });

  it("holds no more than a few records that were replaced, however often they are", () => {
    const engine = createEngine({ hash: quickHash, shape: SMALL });
    const loader = engine.load();
    const key = (i: number): Uint8Array => ascii(`key ${String(i).padStart(4, "0")}`);
    load(
      loader,
      ...Array.from({ length: 100 }, (_, i): [number, Uint8Array] => [
        1,
        entry(key(i), { value: bytesOf(i) }),
      ]),
    );
    const usedBytes: number[] = [];
    for (let version = 2; version < 6000; version++) {
      // Each time of another size, so that no cell is used in place.
      const bytes = entry(key((version * 7) % 200), {
        value: new Uint8Array(20 + 8 * (version % 9)),
        seq: version,
      });
      loader.put(version, bytes, 0, bytes.length);
      usedBytes.push(engine.usedBytes);
    }
    const early = Math.max(...usedBytes.slice(1000, 2000));
    expect(Math.max(...usedBytes.slice(2000))).toBeLessThanOrEqual(1.3 * early);
    loader.finish(6000);
    engine.verify();
    expect(engine.usage()).toMatchObject({ entries: 200, oldVersions: 0 });
  });

  it("is finished in many steps, after which nothing is left", () => {
    const engine = createEngine({ hash: quickHash });
    const loader = engine.load();
    for (let i = 0; i < 50_000; i++) {
      const bytes = entry(ascii(`tenant/${(i * 7919) % 50_000}`), { value: bytesOf(1), seq: i + 1 });
      loader.put(i + 1, bytes, 0, bytes.length);
    }
    let steps = 0;
    while (!loader.step()) steps++;
    expect(steps).toBeGreaterThan(50);
    expect(loader.step()).toBe(true);
    loader.finish(50_000);
    engine.verify();
    expect(engine.usage().entries).toBe(50_000);
  });
});

describe("records sorted by key", () => {
  it.each([3, 25, 400, 20_000])("%i of them stand in the order of their keys", (count) => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(0xffff)), fc.constantFrom(1, 30, 5000), (random, spread) => {
        const records = new Records(DEFAULT_SHAPE);
        const next = (): number => random.next().value as number;
        const made = new Map<string, Uint8Array>();
        for (let i = 0; i < count; i++) {
          const key = concatBytes(
            ascii(`common/${next() % spread}/`.padEnd(next() % 3 === 0 ? 20 : 8, "x")),
            new Uint8Array(next() % 12),
            next() % 2 === 0 ? bytesOf(next() & 255, next() & 255) : bytesOf(),
          );
          made.set(toHex(key), key);
        }
        const unsorted = [...made.values()];
        const refs = Uint32Array.from(unsorted, (key) => {
          const bytes = entry(key);
          return records.add(1, 0, bytes, 0, bytes.length);
        });
        for (const _ of sortByKey(records, refs));
        const sorted = [...refs].map((ref) => toHex(keyOf(records.slab(ref), records.offset(ref))));
        expect(sorted).toEqual(unsorted.sort(compareBytes).map(toHex));
      }),
      { numRuns: count > 1000 ? 5 : 40 },
    );
  });
});

describe("one record among many that begins otherwise", () => {
  it.each([0, 7, 4999])("stands in its place, wherever it came: at %i", (place) => {
    const records = new Records(DEFAULT_SHAPE);
    const keys = Array.from({ length: 5000 }, (_, i) => ascii(`the same beginning ${(i * 4001) % 5000}`));
    keys[place] = ascii("the sane");
    const refs = Uint32Array.from(keys, (key) => {
      const bytes = entry(key);
      return records.add(1, 0, bytes, 0, bytes.length);
    });
    for (const _ of sortByKey(records, refs));
    const sorted = [...refs].map((ref) => toHex(keyOf(records.slab(ref), records.offset(ref))));
    expect(sorted).toEqual(keys.sort(compareBytes).map(toHex));
  });
});
