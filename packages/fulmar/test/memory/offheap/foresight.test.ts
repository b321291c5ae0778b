import { describe, expect, it } from "vitest";
import { LATEST, type MemoryEngine, NONE } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { ascii, entry, quickHash, read } from "../fixtures.js";
import { SMALL, SMALLEST } from "./shapes.js";

/** As many entries as are looked at together, and around that. */
const SIZES = [1, 2, 31, 32, 33, 64, 65, 100];
/** The same numbers in each run. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * limit);
  };
}

function join(entries: readonly Uint8Array[]): { readonly bytes: Uint8Array; readonly at: number } {
  // Not at the beginning, as in a log: what stands before and behind is no entry.
  const at = 5;
  const bytes = new Uint8Array(at + entries.reduce((sum, { length }) => sum + length, 0) + 7).fill(0xee);
  let next = at;
  for (const one of entries) {
    bytes.set(one, next);
    next += one.length;
  }
  return { bytes, at };
}

function putAll(engine: MemoryEngine, version: number, entries: readonly Uint8Array[]): void {
  const { bytes, at } = join(entries);
  engine.putAll(version, bytes, at, bytes.length - 7);
}

describe("entries that are put together", () => {
  for (const [name, shape] of Object.entries({ SMALL, SMALLEST })) {
    it(`come to the same as one by one: new keys, old ones, twice the same, deletions (${name})`, () => {
      const below = numbers(name.length);
      const engine = createEngine({ hash: quickHash, shape });
      const plain = createPlainEngine({ hash: quickHash });
      const keys = new Set<number>();
      for (let version = 1; version <= 20; version++) {
        const entries = Array.from({ length: SIZES[below(SIZES.length)] }, () => {
          const key = below(300);
          keys.add(key);
          const name = ascii(`${"common ".repeat(key % 3)}${key % 5 === 0 ? key : `k${key}`}`);
          if (below(6) === 0) return entry(name);
          const value = new Uint8Array(below(40)).fill(version);
          return below(9) === 0 ? entry(name, { value, deadline: 1 + version }) : entry(name, { value });
        });
        putAll(engine, version, entries);
        for (const one of entries) plain.put(version, one, 0, one.length);
        const isSettled = below(2) === 0;
        for (const one of [engine, plain]) if (isSettled) one.settle(version);
        if (below(5) === 0 && engine.settled === engine.version) engine.vacuum(64);
        engine.verify();
        compare(engine, plain);
      }
      expect(keys.size).toBeGreaterThan(200);
    });
  }

  it("are all there, however many", () => {
    for (const size of SIZES) {
      const engine = createEngine({ hash: quickHash, shape: SMALL });
      putAll(
        engine,
        1,
        Array.from({ length: size }, (_, i) => entry(ascii(`key ${i}`), { value: Uint8Array.of(i) })),
      );
      expect(engine.usage().entries).toBe(size);
      for (let i = 0; i < size; i++) expect(engine.find(ascii(`key ${i}`), LATEST)).not.toBe(NONE);
      engine.rollback(0);
      expect(engine.usage().entries).toBe(0);
      engine.verify();
    }
  });
});

function compare(engine: MemoryEngine, plain: MemoryEngine): void {
  const [a, b] = [engine, plain].map((one) => {
    const cursor = one.scan({ from: new Uint8Array(0), to: undefined }, LATEST, false);
    const all: Uint8Array[] = [];
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) all.push(read(one, ref));
    return all;
  });
  expect(a).toEqual(b);
}
