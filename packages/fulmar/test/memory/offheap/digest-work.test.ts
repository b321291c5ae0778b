import { expect, test } from "vitest";
import { ALL_KEYS } from "../../../src/keys/range.js";
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
