import { afterEach, describe, expect, it, vi } from "vitest";
import { LATEST, type MemoryEngine, NONE, type Ref } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { HashIndex } from "../../../src/memory/offheap/hash-index.js";
import { KeyTree } from "../../../src/memory/offheap/key-tree.js";
import { isTombstone } from "../../../src/record/entry.js";
import { ascii, bytesOf, drain, entry, load, ordered, put, quickHash, shown } from "../fixtures.js";
import { SMALL } from "./shapes.js";

const KEY = ascii("key");
const tombstone = entry(KEY);
const value = (byte: number, deadline?: number): Uint8Array =>
  entry(KEY, { value: bytesOf(byte), ...(deadline === undefined ? {} : { deadline }) });
const others = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => ascii(`other ${i}`));

afterEach(() => {
  vi.restoreAllMocks();
});

describe("who follows the keys", () => {
  /** An engine, and what it told since that was asked last, by versions. */
  function followed(): { engine: MemoryEngine; told: () => string[] } {
    const engine = createEngine({ hash: quickHash, shape: SMALL, tracked: true });
    const told: string[] = [];
    const version = (ref: Ref): number => engine.versionOf(ref);
    engine.track({
      makeRoom: () => undefined,
      entered: (ref, isBack) => {
        told.push(`${version(ref)} ${isBack ? "is back" : "entered"}`);
        engine.setSlot(ref, 7);
      },
      replaced: (before, ref) => {
        told.push(`${version(ref)} replaced ${version(before)}`);
        expect(engine.slot(ref)).toBe(7);
      },
      moved: (ref) => told.push(`${version(ref)} moved`),
      left: (ref) => {
        told.push(`${version(ref)} left`);
        expect(engine.slot(ref)).toBe(7);
      },
    });
    return {
      engine,
      told: () => {
        engine.verify();
        return told.splice(0);
      },
    };
  }

  it("is told of values that come, are replaced and go, and of nothing else", () => {
    const { engine, told } = followed();
    const steps: [number, Uint8Array, string[]][] = [
      [1, tombstone, []],
      [2, value(1), ["2 entered"]],
      [3, value(2), ["3 replaced 2"]],
      [3, value(3), ["3 replaced 3"]],
      [4, tombstone, ["3 left"]],
      [4, tombstone, []],
      [4, value(4), ["4 entered"]],
      [5, tombstone, ["4 left"]],
      [6, tombstone, []],
    ];
    for (const [version, bytes, expected] of steps) {
      put(engine, version, bytes);
      expect(told(), `version ${version}`).toEqual(expected);
    }
    const back = [[], ["4 is back"], ["3 replaced 4"], ["2 replaced 3"], ["2 left"], []];
    for (const [i, expected] of back.entries()) {
      engine.rollback(5 - i);
      expect(told(), `back at ${5 - i}`).toEqual(expected);
    }
    expect(engine.find(KEY, LATEST)).toBe(NONE);
  });

  it("is told when a version takes the place of another in memory, and when that is taken back", () => {
    const { engine, told } = followed();
    put(engine, 1, value(1));
    engine.settle(1);
    const ref = engine.find(KEY, LATEST);
    put(engine, 2, value(2));
    expect([engine.find(KEY, LATEST), ...told()]).toEqual([ref, "1 entered", "2 replaced 1"]);
    engine.rollback(1);
    expect(told()).toEqual(["1 replaced 2"]);
  });

  it("is told of values that are loaded, and of one that is taken back with its key", () => {
    const { engine, told } = followed();
    engine.keepTombstones = true;
    const loader = engine.load();
    const [first, second, third] = others(3);
    load(loader, [1, entry(first, { value: bytesOf(1), deadline: 2 ** 33 + 1 })]);
    load(loader, [2, entry(second, { value: bytesOf(2) })], [3, entry(third)]);
    loader.finish(3);
    expect(told()).toEqual(["1 entered", "2 entered"]);
    expect([engine.nextDeadline(), engine.usage().entries]).toEqual([2 ** 33 + 1, 2]);
    put(engine, 4, value(4));
    engine.rollback(3);
    expect(told()).toEqual(["4 entered", "4 left"]);
  });
});

it("leads everybody to records that were moved to give memory back", () => {
  const engine = createEngine({ hash: quickHash, shape: SMALL, tracked: true });
  const moved: unknown[] = [];
  engine.track({
    makeRoom: () => undefined,
    entered: (ref) => engine.setSlot(ref, 7),
    replaced: () => undefined,
    moved: (ref) => moved.push([engine.slot(ref), isTombstone(engine.slab(ref), engine.offset(ref))]),
    left: () => undefined,
  });
  engine.keepTombstones = true;
  const keys = others(150);
  const write = (version: number, indexes: readonly number[], size: number): void => {
    for (const i of indexes) {
      const fields = size === 0 ? {} : { value: new Uint8Array(size).fill(i) };
      put(
        engine,
        version,
        entry(keys[i], { ...fields, seq: i + 1, ...(i % 20 === 0 ? {} : { deadline: i }) }),
      );
    }
    engine.settle(version);
  };
  const all = keys.map((_, i) => i);
  write(1, all, 400);
  ordered(engine);
  // Every tenth stays, and one of these becomes a tombstone first, of which nobody is told that it moved.
  write(2, [70], 0);
  write(
    3,
    all.filter((i) => i % 10 !== 0),
    8,
  );
  const listed = drain(engine, engine.byDeadline(LATEST));
  const before = engine.usage().overheadBytes;
  while (engine.vacuum(100)) engine.verify();
  engine.verify();
  expect(engine.usage().overheadBytes).toBeLessThan(before);
  expect(moved.length).toBeGreaterThan(5);
  for (const told of moved) expect(told).toEqual([7, false]);
  expect(drain(engine, engine.byDeadline(LATEST))).toEqual(listed);
  expect(drain(engine, engine.byOrigin(1, 0, LATEST, LATEST)).length).toBe(keys.length);
});

it("lists newest values by deadline, of more than 32 bits too, whatever replaces them and is taken back", () => {
  const engine = createEngine({ hash: quickHash, shape: SMALL });
  const late = 2 ** 33 + 5;
  const due = (): number[] => {
    engine.verify();
    const cursor = engine.byDeadline(LATEST);
    const found = drain(engine, cursor).length;
    return [engine.nextDeadline(), found];
  };
  put(engine, 1, value(1, late));
  put(engine, 1, entry(ascii("another"), { value: bytesOf(1), deadline: late + 2 ** 32 }));
  expect(due()).toEqual([late, 2]);
  put(engine, 2, value(2, late - 2 ** 32));
  expect(due()).toEqual([late - 2 ** 32, 2]);
  put(engine, 2, value(3));
  expect(due()).toEqual([late + 2 ** 32, 1]);
  put(engine, 3, value(4, 8));
  put(engine, 4, tombstone);
  expect(due()).toEqual([late + 2 ** 32, 1]);
  engine.rollback(3);
  expect(due()).toEqual([8, 2]);
  engine.rollback(1);
  expect(due()).toEqual([late, 2]);
  engine.rollback(0);
  expect(due()).toEqual([Number.POSITIVE_INFINITY, 0]);
});

describe("where there is no memory to list a key", () => {
  const noMemory = new RangeError("Array buffer allocation failed");

  const fail = (): never => {
    throw noMemory;
  };

  it.each([
    ["by its hash", () => vi.spyOn(HashIndex.prototype, "add").mockImplementation(fail)],
    ["in the order of keys", () => vi.spyOn(KeyTree.prototype, "insert").mockImplementation(fail)],
  ])("%s, it is listed nowhere", (_, starve) => {
    const engine = createEngine({ hash: quickHash, shape: SMALL });
    for (const key of others(3)) put(engine, 1, entry(key, { value: bytesOf(1) }));
    starve();
    const { usedBytes } = engine;
    expect(() => put(engine, 1, value(1))).toThrow(noMemory);
    vi.restoreAllMocks();
    engine.verify();
    expect([engine.find(KEY, LATEST), engine.usage().entries, engine.usedBytes]).toEqual([
      NONE,
      3,
      usedBytes,
    ]);
    put(engine, 1, value(1));
    engine.verify();
    expect(shown(engine, engine.find(KEY, LATEST))).not.toBe("none");
  });
});

describe("memory", () => {
  it("is counted for whatever it is taken", () => {
    const engine = createEngine({ hash: quickHash, shape: SMALL });
    const taken = (): number => engine.usage().recordBytes + engine.usage().overheadBytes;
    const grows = (step: () => unknown): void => {
      const before = [taken(), engine.usedBytes];
      step();
      expect(taken()).toBeGreaterThan(before[0]);
      expect(engine.usedBytes).toBeGreaterThan(before[1]);
      expect(taken()).toBeGreaterThan(engine.usedBytes);
    };
    const keys = others(100);
    const write = (version: number, deadline?: number): void => {
      const fields = { value: bytesOf(version), ...(deadline === undefined ? {} : { deadline }) };
      for (const key of keys) put(engine, version, entry(key, fields));
      engine.settle(version);
    };
    write(1);
    // Deadlines, the order by origin, and what a pin sees each take memory of their own.
    grows(() => write(2, 5));
    grows(() => ordered(engine));
    const pin = engine.pin(2);
    grows(() => write(3, 6));
    const { usedBytes } = engine;
    pin.release();
    engine.verify();
    expect(engine.usedBytes).toBeLessThan(usedBytes);
  });

  it("is taken for more keys up to what was foretold, beside their records", () => {
    for (const count of [1, 2, 10, 100, 1000]) {
      const engine = ordered(createEngine({ hash: quickHash }));
      const foretold = engine.indexGrowthBytes(count);
      const before = engine.usedBytes;
      let cells = 0;
      for (const [i, key] of others(count).entries()) {
        const bytes = entry(key, { value: bytesOf(1), deadline: i + 1 });
        put(engine, 1, bytes);
        cells += engine.bytesFor(bytes.length);
      }
      const taken = engine.usedBytes - before - cells;
      expect(taken, `${count} keys`).toBeLessThanOrEqual(foretold);
      expect(foretold).toBeGreaterThan(0);
    }
  });
});
