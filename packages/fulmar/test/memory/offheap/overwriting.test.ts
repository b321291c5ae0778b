import { describe, expect, it } from "vitest";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { LATEST, type MemoryEngine, type Ref } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { entryLength } from "../../../src/record/entry.js";
import { ascii, bytesOf, drain, entry, hash, ordered, put } from "../fixtures.js";

const KEY = ascii("key");
const OTHERS = Array.from({ length: 200 }, (_, i) => ascii(`other ${i}`));

function written(value: number, extra: { deadline?: number; size?: number } = {}): Uint8Array {
  const { size = 8, ...fields } = extra;
  return entry(KEY, { value: new Uint8Array(size).fill(value), ...fields });
}

/** An engine with one settled key among others. */
function settledEngine(): MemoryEngine {
  const engine = createEngine({ hash });
  for (const key of OTHERS) put(engine, 1, entry(key, { value: bytesOf(1) }));
  put(engine, 1, written(1));
  engine.settle(1);
  return engine;
}

function find(engine: MemoryEngine): Ref {
  return engine.find(KEY, LATEST);
}

/** Whether writing the key once more leaves its newest record where it is. */
function staysFor(engine: MemoryEngine, bytes: Uint8Array): boolean {
  const before = find(engine);
  put(engine, engine.version + 1, bytes);
  engine.verify();
  return find(engine) === before;
}

describe("an overwrite of the same size", () => {
  it("takes the place of what it replaces, which is still there until it is settled", () => {
    const engine = settledEngine();
    const ref = find(engine);
    expect(staysFor(engine, written(2))).toBe(true);
    expect(engine.slab(ref)[engine.offset(ref) + 28 + KEY.length]).toBe(2);
    const old = engine.find(KEY, 1);
    expect(old).not.toBe(ref);
    expect(engine.slab(old)[engine.offset(old) + 28 + KEY.length]).toBe(1);
    expect(engine.usage().oldVersions).toBe(1);
    engine.settle(2);
    engine.verify();
    expect(engine.usage().oldVersions).toBe(0);
  });

  it("gives the place back when it is rolled back, to what moved", () => {
    const engine = settledEngine();
    const shown = drain(engine, engine.scan(ALL_KEYS, LATEST, false));
    expect(staysFor(engine, written(2))).toBe(true);
    engine.rollback(1);
    engine.verify();
    expect(drain(engine, engine.scan(ALL_KEYS, LATEST, false))).toEqual(shown);
    expect(staysFor(engine, written(3))).toBe(true);
  });

  it("stays where it is again and again, one commit after the other, and needs no more memory", () => {
    const engine = settledEngine();
    expect(staysFor(engine, written(2))).toBe(true);
    engine.settle(2);
    const { usedBytes } = engine;
    for (let i = 0; i < 100; i++) {
      expect(staysFor(engine, written(i))).toBe(true);
      engine.settle(engine.version);
    }
    expect(engine.usedBytes).toBe(usedBytes);
  });

  it("moves nothing that a pin sees", () => {
    const engine = settledEngine();
    const pin = engine.pin(1);
    const before = find(engine);
    expect(staysFor(engine, written(2))).toBe(false);
    expect(engine.find(KEY, 1)).toBe(before);
    engine.settle(2);
    // What came after the pin, nobody sees who could notice.
    expect(staysFor(engine, written(3))).toBe(false);
    pin.release();
    engine.settle(3);
    while (engine.vacuum(100));
    expect(staysFor(engine, written(4))).toBe(true);
  });

  it("takes the place of what no pin sees, though there are pins", () => {
    const engine = createEngine({ hash });
    put(engine, 1, entry(OTHERS[0], { value: bytesOf(1) }));
    engine.settle(1);
    engine.pin(1);
    put(engine, 2, written(2));
    engine.settle(2);
    expect(staysFor(engine, written(3))).toBe(true);
  });

  it("moves nothing that is not settled", () => {
    const engine = settledEngine();
    expect(staysFor(engine, written(2))).toBe(true);
    expect(staysFor(engine, written(3))).toBe(false);
  });

  it("is one only if both have the same size, a value and no deadline", () => {
    for (const bytes of [written(2, { size: 300 }), written(2, { deadline: 9 }), entry(KEY)]) {
      const engine = settledEngine();
      expect(staysFor(engine, bytes)).toBe(false);
      engine.settle(2);
      expect(staysFor(engine, written(3))).toBe(false);
      engine.settle(3);
      expect(staysFor(engine, written(4))).toBe(true);
    }
  });

  it("is none if only the cells have the same size", () => {
    const plain = (): Uint8Array => written(2, { size: 1 });
    // Deadline and value together are as long as a value alone; a tombstone is one byte shorter.
    for (const bytes of [written(3, { size: 1, deadline: 9 }), entry(KEY)]) {
      const engine = settledEngine();
      engine.keepTombstones = true;
      put(engine, 2, bytes.length === plain().length - 1 ? plain() : written(2));
      engine.settle(2);
      expect(engine.bytesFor(bytes.length)).toBe(engine.bytesOf(find(engine)));
      const before = engine.slab(find(engine)).slice(engine.offset(find(engine)));
      expect(staysFor(engine, bytes)).toBe(false);
      engine.settle(3);
      expect(staysFor(engine, before.subarray(0, entryLength(before, 0)))).toBe(false);
    }
  });

  it("is none in memory that other threads can read", () => {
    const engine = createEngine({ hash, sharing: new Sharing() });
    put(engine, 1, written(1));
    engine.settle(1);
    expect(staysFor(engine, written(2))).toBe(false);
  });

  it("copies no large values twice", () => {
    const engine = settledEngine();
    put(engine, 2, written(2, { size: 1100 }));
    engine.settle(2);
    expect(staysFor(engine, written(3, { size: 1100 }))).toBe(false);
  });

  it("leaves digests right that were never asked for before, and goes its way once they are", () => {
    const engine = settledEngine();
    expect(staysFor(engine, written(2))).toBe(true);
    engine.settle(2);
    const fresh = (): MemoryEngine => {
      const other = createEngine({ hash });
      for (const key of OTHERS) put(other, 1, entry(key, { value: bytesOf(1) }));
      return other;
    };
    for (let i = 3; i < 5; i++) {
      const expected = fresh();
      put(expected, 1, written(i - 1));
      expect(engine.digest(ALL_KEYS, LATEST)).toEqual(expected.digest(ALL_KEYS, LATEST));
      expect(staysFor(engine, written(i))).toBe(false);
      engine.settle(i);
    }
  });

  it("goes its way, too, once a part of a digest was prepared", () => {
    const engine = settledEngine();
    engine.prepareDigest(KEY, undefined, 1);
    expect(staysFor(engine, written(2))).toBe(false);
  });

  it("goes its way in an engine that keeps its records in the order by origin", () => {
    const engine = ordered(settledEngine());
    expect(staysFor(engine, written(2))).toBe(false);
    expect(drain(engine, engine.byOrigin(1, 0, LATEST, LATEST))).toHaveLength(OTHERS.length + 1);
  });
});
