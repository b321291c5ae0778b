import { afterEach, describe, expect, it, vi } from "vitest";
import { LATEST, type MemoryEngine, NONE } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { OffHeapIndexes } from "../../../src/memory/offheap/indexes.js";
import { ascii, bytesOf, entry, put, quickHash } from "../fixtures.js";
import { SLICED, SLICED_FINEST, SMALL } from "./shapes.js";

const KEYS = Array.from({ length: 10 }, (_, i) => ascii(`key ${i}`));

/** An engine with ten settled keys. */
function settledEngine(shape = SMALL): MemoryEngine {
  const engine = createEngine({ hash: quickHash, shape });
  write(engine, 1);
  engine.settle(1);
  while (engine.vacuum(100));
  return engine;
}

function write(engine: MemoryEngine, version: number, keys = KEYS): void {
  for (const key of keys) put(engine, version, entry(key, { value: bytesOf(version) }));
}

function erase(engine: MemoryEngine, version: number): void {
  for (const key of KEYS) put(engine, version, entry(key));
}

/** Old versions and tombstones that are there, in a sound engine. */
function garbage(engine: MemoryEngine): number[] {
  engine.verify();
  const { oldVersions, tombstones } = engine.usage();
  return [oldVersions, tombstones];
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("what nobody needs any more", () => {
  it("goes at once up to a number of records, and then as many at a time as vacuum is given", () => {
    const engine = settledEngine(SLICED);
    write(engine, 2);
    expect(engine.vacuum(100)).toBe(false);
    engine.settle(2);
    expect(garbage(engine)).toEqual([7, 0]);
    expect([engine.vacuum(0), ...garbage(engine)]).toEqual([true, 7, 0]);
    expect([engine.vacuum(5), ...garbage(engine)]).toEqual([true, 2, 0]);
    expect([engine.vacuum(2), ...garbage(engine)]).toEqual([false, 0, 0]);
  });

  it("goes with what is written, faster than that makes more", () => {
    const engine = settledEngine(SLICED_FINEST);
    const pin = engine.pin(1);
    write(engine, 2);
    engine.settle(2);
    expect(engine.vacuum(100)).toBe(false);
    pin.release();
    erase(engine, 3);
    // Each write let go of two of the ten that the pin held.
    expect(garbage(engine)).toEqual([10, 10]);
    engine.settle(3);
    expect([engine.vacuum(4), ...garbage(engine)]).toEqual([true, 6, 6]);
    expect([engine.vacuum(6), ...garbage(engine)]).toEqual([false, 0, 0]);
    expect(engine.vacuum(1)).toBe(false);
  });

  it("counts together, whether it was settled or let go of", () => {
    const engine = settledEngine(SLICED_FINEST);
    const pin = engine.pin(1);
    write(engine, 2);
    engine.settle(2);
    while (engine.vacuum(100));
    write(engine, 3);
    engine.settle(3);
    pin.release();
    expect(garbage(engine)).toEqual([20, 0]);
    expect([engine.vacuum(15), ...garbage(engine)]).toEqual([true, 5, 0]);
    expect([engine.vacuum(5), ...garbage(engine)]).toEqual([false, 0, 0]);
  });

  it("is nothing of a commit that is not settled", () => {
    const engine = settledEngine();
    write(engine, 2);
    write(engine, 3);
    engine.settle(2);
    expect([engine.vacuum(100), ...garbage(engine)]).toEqual([false, 10, 0]);
    engine.rollback(2);
    expect(garbage(engine)).toEqual([0, 0]);
  });

  it("goes from one pin that sees it to the next, and with the last", () => {
    const engine = settledEngine();
    write(engine, 2, KEYS.slice(0, 1));
    engine.settle(2);
    const pins = [engine.pin(2, "reader"), engine.pin(2, "store"), engine.pin(2)];
    write(engine, 3);
    engine.settle(3);
    for (const pin of pins.reverse()) {
      expect(garbage(engine)).toEqual([10, 0]);
      pin.release();
    }
    expect(garbage(engine)).toEqual([0, 0]);
  });

  it("is no tombstone that a pin sees which keeps records where they are, though nothing is below", () => {
    for (const owner of ["user", "store"] as const) {
      const engine = settledEngine();
      erase(engine, 2);
      const pin = engine.pin(2, owner);
      engine.settle(2);
      expect(garbage(engine), owner).toEqual([0, 10]);
      write(engine, 3);
      engine.rollback(2);
      expect(garbage(engine), owner).toEqual([0, 10]);
      write(engine, 3);
      engine.settle(3);
      expect(garbage(engine), owner).toEqual([10, 0]);
      pin.release();
      expect(garbage(engine), owner).toEqual([0, 0]);
      expect(engine.find(KEYS[0], LATEST)).not.toBe(NONE);
      erase(engine, 4);
      const last = engine.pin(4, owner);
      engine.settle(4);
      expect(garbage(engine), owner).toEqual([0, 10]);
      last.release();
      expect(garbage(engine), owner).toEqual([0, 0]);
      expect(engine.find(KEYS[0], LATEST)).toBe(NONE);
    }
    const engine = settledEngine();
    erase(engine, 2);
    engine.pin(2, "reader");
    engine.settle(2);
    expect(garbage(engine)).toEqual([0, 0]);
  });
});

describe("where there is no memory to list records with", () => {
  /** From now on there is none. */
  function starve(error: Error): void {
    vi.spyOn(OffHeapIndexes.prototype, "makeRoomToVacuum").mockImplementation(() => {
      throw error;
    });
  }
  const noMemory = new RangeError("Array buffer allocation failed");

  it("settling leaves them to vacuum, which says so, and loses none", () => {
    const engine = settledEngine();
    write(engine, 2);
    starve(noMemory);
    engine.settle(2);
    expect(garbage(engine)).toEqual([10, 0]);
    expect(() => engine.vacuum(1)).toThrow(noMemory);
    expect([engine.vacuum(0), ...garbage(engine)]).toEqual([true, 10, 0]);
    vi.restoreAllMocks();
    expect([engine.vacuum(10), ...garbage(engine)]).toEqual([false, 0, 0]);
  });

  it("releasing leaves them to vacuum, which says so, and loses none", () => {
    const engine = settledEngine();
    const pin = engine.pin(1);
    write(engine, 2);
    engine.settle(2);
    starve(noMemory);
    pin.release();
    expect(garbage(engine)).toEqual([10, 0]);
    expect(() => engine.vacuum(1)).toThrow(noMemory);
    vi.restoreAllMocks();
    expect([engine.vacuum(9), ...garbage(engine)]).toEqual([true, 1, 0]);
    expect([engine.vacuum(1), ...garbage(engine)]).toEqual([false, 0, 0]);
  });

  it("nothing else that goes wrong is taken for that", () => {
    const other = new TypeError("another failure");
    const engine = settledEngine();
    const pin = engine.pin(1);
    write(engine, 2);
    starve(other);
    expect(() => engine.settle(2)).toThrow(other);
    vi.restoreAllMocks();
    engine.settle(3);
    starve(other);
    expect(() => pin.release()).toThrow(other);
  });
});
