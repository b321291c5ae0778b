import { expect, test } from "vitest";
import { ALL_KEYS, type KeyRange } from "../../../src/keys/range.js";
import { type EntryHash, LATEST, type MemoryEngine } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { ascii, entry, put, quickHash } from "../fixtures.js";

const KEYS = 50_000;
/** Keys of one leaf at most. */
const LEAF_KEYS_MAX = 256;

const name = (index: number): Uint8Array => ascii(`key ${String(index).padStart(6, "0")}`);

/** An engine with many keys, and how many entries it hashes for a digest. */
function filled(): { engine: MemoryEngine; hashedBy: (ask: () => unknown) => number } {
  let hashed = 0;
  const hash: EntryHash = (bytes, at, into) => {
    hashed++;
    quickHash(bytes, at, into);
  };
  const engine = createEngine({ hash });
  for (let i = 0; i < KEYS; i++) put(engine, i + 1, entry(name(i), { value: ascii("v") }));
  engine.settle(KEYS);
  const hashedBy = (ask: () => unknown): number => {
    hashed = 0;
    ask();
    return hashed;
  };
  return { engine, hashedBy };
}

test("T-PERF-01: a digest that is asked for again costs what changed since, however many keys there are", () => {
  const { engine, hashedBy } = filled();
  const digest = (): unknown => engine.digest(ALL_KEYS, LATEST);
  expect(hashedBy(digest)).toBe(KEYS);
  expect(hashedBy(digest)).toBe(0);
  const changes = [
    entry(name(777), { value: ascii("w") }),
    entry(name(25_000)),
    entry(ascii("key 3"), { value: ascii("new") }),
  ];
  for (const [i, change] of changes.entries()) {
    put(engine, KEYS + 1 + i, change);
    engine.settle(KEYS + 1 + i);
    expect(hashedBy(digest)).toBeLessThanOrEqual(LEAF_KEYS_MAX);
    expect(hashedBy(digest)).toBe(0);
  }
  // Of a range only the leaves at its ends are looked at.
  const range = { from: name(10_000), to: name(40_000) };
  expect(hashedBy(() => engine.digest(range, LATEST))).toBeLessThanOrEqual(2 * LEAF_KEYS_MAX);
  engine.verify();
});

test("what a digest needs can be hashed a few leaves at a time, and of a range no more than its leaves", () => {
  const { engine, hashedBy } = filled();
  const range = { from: name(10_000), to: name(40_000) };
  const prepared = ({ from, to }: KeyRange): { hashed: number; steps: number } => {
    let [hashed, steps] = [0, 0];
    let next: Uint8Array | undefined = from;
    while (next !== undefined) {
      const start: Uint8Array = next;
      const inStep = hashedBy(() => {
        next = engine.prepareDigest(start, to, 3);
      });
      expect(inStep).toBeLessThanOrEqual(3 * LEAF_KEYS_MAX);
      hashed += inStep;
      steps++;
    }
    return { hashed, steps };
  };
  const part = prepared(range);
  expect(part.steps).toBeGreaterThan(30_000 / (3 * LEAF_KEYS_MAX));
  expect(part.hashed).toBeGreaterThanOrEqual(30_000);
  expect(part.hashed).toBeLessThanOrEqual(30_000 + 2 * LEAF_KEYS_MAX);
  // What is remembered is told of a change, though nobody has asked for a digest yet.
  put(engine, KEYS + 1, entry(name(30_000), { value: ascii("w") }));
  engine.settle(KEYS + 1);
  engine.verify();
  const rest = prepared(ALL_KEYS).hashed - (KEYS - part.hashed);
  expect([rest > 0, rest <= LEAF_KEYS_MAX]).toEqual([true, true]);
  expect(hashedBy(() => engine.digest(ALL_KEYS, LATEST))).toBe(0);
  expect(prepared(ALL_KEYS)).toEqual({ hashed: 0, steps: 1 });

  put(engine, KEYS + 2, entry(name(20_000), { value: ascii("w") }));
  engine.settle(KEYS + 2);
  const again = prepared(ALL_KEYS);
  expect([again.steps, again.hashed > 0, again.hashed <= LEAF_KEYS_MAX]).toEqual([1, true, true]);
  expect(hashedBy(() => engine.digest(ALL_KEYS, LATEST))).toBe(0);
  engine.verify();
});
