import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { KeyRange } from "../../../src/keys/range.js";
import { type Cursor, LATEST, LIVING, type MemoryEngine, NONE } from "../../../src/memory/engine.js";
import { BareLeaves } from "../../../src/memory/offheap/bare-leaves.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { NEXT } from "../../../src/memory/offheap/key-node-layout.js";
import { KeyTree } from "../../../src/memory/offheap/key-tree.js";
import { Records } from "../../../src/memory/offheap/records.js";
import { DEFAULT_SHAPE, type EngineShape } from "../../../src/memory/offheap/shape.js";
import { isTombstone } from "../../../src/record/entry.js";
import { ascii, entry, put, quickHash, shown } from "../fixtures.js";
import { SMALL, SMALLEST } from "./shapes.js";

const ALL: KeyRange = { from: ascii(""), to: undefined };
const keyAt = (index: number): Uint8Array => ascii(`queue/${String(index).padStart(6, "0")}`);

class Queue {
  readonly engine: MemoryEngine;
  #version = 0;
  #seq = 0;

  constructor(shape: Partial<EngineShape> = DEFAULT_SHAPE) {
    this.engine = createEngine({ hash: quickHash, shape });
    this.engine.keepTombstones = true;
  }

  change(index: number, isLive: boolean): void {
    const value = isLive ? { value: ascii("work") } : {};
    put(this.engine, ++this.#version, entry(keyAt(index), { seq: ++this.#seq, ...value }));
  }

  settle(): void {
    this.engine.settle(this.#version);
  }

  fill(from: number, to: number, isLive: boolean): void {
    for (let i = from; i < to; i++) {
      this.change(i, isLive);
      this.settle();
    }
  }

  /** Everything that a scan for values gives, tombstones too. */
  given(range = ALL, reverse = false, at = LATEST): { all: number; living: string[] } {
    return given(this.engine, this.engine.scan(range, at, reverse, LIVING));
  }
}

function given(engine: MemoryEngine, cursor: Cursor): { all: number; living: string[] } {
  const living: string[] = [];
  let all = 0;
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
    all++;
    if (!isTombstone(engine.slab(ref), engine.offset(ref))) living.push(shown(engine, ref));
  }
  return { all, living };
}

/** The same by a scan that leaves nothing out. */
function living(engine: MemoryEngine, range: KeyRange, reverse: boolean, at: number): string[] {
  return given(engine, engine.scan(range, at, reverse)).living;
}

describe("leaves of deleted keys", () => {
  it("are passed by whoever comes after the first", () => {
    const queue = new Queue();
    queue.fill(0, 20_000, true);
    queue.fill(0, 19_990, false);
    const first = queue.given();
    expect(first.living.length).toBe(10);
    expect(first.all).toBe(20_000);
    const second = queue.given();
    expect(second.living).toEqual(first.living);
    expect(second.all).toBeLessThan(100);
    expect(queue.given(ALL, true).all).toBeLessThan(100);
    expect(queue.given({ from: keyAt(7000), to: keyAt(19_000) })).toMatchObject({ living: [] });
    expect(queue.given({ from: keyAt(7000), to: keyAt(19_000) }).all).toBeLessThan(100);
    // Digests and checkpoints are of everything.
    for (const reverse of [false, true]) {
      expect(given(queue.engine, queue.engine.scan(ALL, LATEST, reverse)).all).toBe(20_000);
    }
    queue.engine.verify();
  });

  it("take the same few steps to pass however many they are", () => {
    const shape = { ...DEFAULT_SHAPE, ...SMALL };
    const stepsFor = (count: number): number => {
      const records = new Records(shape);
      const tree = new KeyTree(records, shape);
      const bare = new BareLeaves(tree, records);
      for (let i = 0; i < count; i++) {
        const key = keyAt(i);
        const bytes = entry(key);
        tree.insert(key, 0, key.length, records.add(1, 0, bytes, 0, bytes.length));
      }
      const first = tree.outermost(false);
      const last = tree.outermost(true);
      for (let leaf = first; leaf !== last; leaf = tree.nodes.get(leaf, NEXT)) bare.mark(leaf);
      expect(bare.beyond(first, false)).toBe(last);
      const looked = vi.spyOn(tree.nodes, "get");
      expect(bare.beyond(first, false)).toBe(last);
      return looked.mock.calls.length;
    };
    expect(stepsFor(20_000)).toBeLessThan(3 * stepsFor(200));
  });

  it("stay passed but for those that change", () => {
    const queue = new Queue();
    queue.fill(0, 10_000, true);
    queue.fill(0, 10_000, false);
    expect(queue.given()).toEqual({ all: 10_000, living: [] });
    expect(queue.given()).toEqual({ all: 0, living: [] });
    queue.fill(5000, 5001, true);
    const back = queue.given();
    expect(back.living.length).toBe(1);
    expect(back.all).toBeLessThan(100);
    // What was given this time is marked again, but for what still lives.
    queue.fill(5000, 5001, false);
    expect(queue.given().living).toEqual([]);
    expect(queue.given()).toEqual({ all: 0, living: [] });
    expect(queue.given(ALL, true)).toEqual({ all: 0, living: [] });
    queue.engine.verify();
  });

  it("are looked at as long as somebody sees what was deleted", () => {
    const queue = new Queue();
    queue.fill(0, 2000, true);
    const pin = queue.engine.pin(2000);
    const before = queue.given();
    queue.fill(0, 2000, false);
    expect(queue.given()).toEqual({ all: 2000, living: [] });
    expect(queue.given(ALL, false, 2000)).toEqual(before);
    expect(queue.given(ALL, true, 2000).living).toEqual(before.living.toReversed());
    pin.release();
    while (queue.engine.vacuum(1000));
    expect(queue.given()).toEqual({ all: 2000, living: [] });
    expect(queue.given()).toEqual({ all: 0, living: [] });
  });

  it("are looked at again after a commit that was taken back", () => {
    const queue = new Queue(SMALL);
    queue.fill(0, 500, true);
    queue.fill(0, 500, false);
    queue.given();
    const { version } = queue.engine;
    // Tombstones of keys that are not there, as peers send them.
    for (let i = 500; i < 600; i++) queue.change(i, false);
    expect(queue.given().living).toEqual([]);
    queue.change(300, true);
    expect(queue.given().living.length).toBe(1);
    queue.engine.rollback(version);
    queue.engine.verify();
    expect(queue.given()).toMatchObject({ living: [] });
    queue.engine.verify();
  });

  it("end a scan where its range ends, whoever marks the last of them meanwhile", () => {
    const queue = new Queue(SMALLEST);
    queue.fill(0, 300, true);
    queue.fill(20, 280, false);
    for (const reverse of [false, true]) {
      const range = { from: keyAt(10), to: keyAt(150) };
      const whole = { from: keyAt(0), to: keyAt(290) };
      const fresh = new Queue(SMALLEST);
      fresh.fill(0, 300, true);
      fresh.fill(20, 280, false);
      const cursor = fresh.engine.scan(range, LATEST, reverse, LIVING);
      const [first] = [cursor.next()];
      expect(first).not.toBe(NONE);
      const before = shown(fresh.engine, first);
      fresh.given(whole);
      fresh.given(whole);
      const { living: rest } = given(fresh.engine, cursor);
      const expected = living(fresh.engine, range, reverse, LATEST);
      const isLive = !isTombstone(fresh.engine.slab(first), fresh.engine.offset(first));
      expect([...(isLive ? [before] : []), ...rest]).toEqual(expected);
    }
  });

  it("hide no value from a pinned scan that goes on while keys come and go (property)", () => {
    const change = fc.record({ from: fc.nat(120), length: fc.nat(60), isLive: fc.boolean() });
    const step = fc.record({ change, steps: fc.nat(12), reverse: fc.boolean(), isOpened: fc.boolean() });
    fc.assert(
      fc.property(
        fc.constantFrom(SMALL, SMALLEST),
        fc.array(step, { minLength: 2, maxLength: 25 }),
        (shape, steps) => {
          const queue = new Queue(shape);
          const { engine } = queue;
          const open: { cursor: Cursor; seen: string[]; expected: string[]; release: () => void }[] = [];
          for (const { change: made, steps: taken, reverse, isOpened } of steps) {
            queue.fill(made.from, Math.min(121, made.from + made.length), made.isLive);
            if (isOpened) {
              const pin = engine.pin(engine.settled);
              const range = { from: keyAt(5), to: keyAt(110) };
              const expected = living(engine, range, reverse, pin.version);
              const cursor = engine.scan(range, pin.version, reverse, LIVING);
              open.push({ cursor, seen: [], expected, release: () => pin.release() });
            }
            for (const { cursor, seen } of open) take(engine, cursor, seen, taken);
            queue.given(ALL, reverse);
            engine.verify();
          }
          for (const { cursor, seen, expected, release } of open) {
            take(engine, cursor, seen, Number.POSITIVE_INFINITY);
            expect(seen).toEqual(expected);
            release();
          }
        },
      ),
      { numRuns: 80 },
    );
  });

  it("hide no value from any scan, whatever changes in whatever order (property)", () => {
    const index = fc.nat(120);
    const run = fc.record({ from: index, length: fc.nat(60), isLive: fc.boolean(), isSettled: fc.boolean() });
    const scans = fc.array(fc.record({ a: index, b: index, reverse: fc.boolean(), steps: fc.nat(40) }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(
        fc.constantFrom(SMALL, SMALLEST),
        fc.array(fc.record({ run, scans, pins: fc.nat(3) }), { minLength: 1, maxLength: 25 }),
        (shape, steps) => {
          const queue = new Queue(shape);
          const { engine } = queue;
          const pins = [];
          for (const { run: change, scans: wanted, pins: kept } of steps) {
            const end = Math.min(121, change.from + change.length);
            for (let i = change.from; i < end; i++) queue.change(i, change.isLive);
            if (change.isSettled) queue.settle();
            // Scans of the same state take turns, so that each meets marks of the others half-way.
            const open = wanted.map(({ a, b, reverse, steps: taken }) => {
              const range = { from: keyAt(Math.min(a, b)), to: keyAt(Math.max(a, b)) };
              const cursor = engine.scan(range, LATEST, reverse, LIVING);
              return {
                cursor,
                seen: [] as string[],
                expected: living(engine, range, reverse, LATEST),
                taken,
              };
            });
            for (const { cursor, seen, taken } of open) take(engine, cursor, seen, taken);
            for (const { cursor, seen, expected } of open) {
              take(engine, cursor, seen, Number.POSITIVE_INFINITY);
              expect(seen).toEqual(expected);
            }
            for (const { version } of pins) {
              expect(given(engine, engine.scan(ALL, version, false, LIVING)).living).toEqual(
                living(engine, ALL, false, version),
              );
            }
            engine.verify();
            if (kept === 1 && change.isSettled) pins.push(engine.pin(engine.settled));
            if (kept === 2) pins.shift()?.release();
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

function take(engine: MemoryEngine, cursor: Cursor, seen: string[], most: number): void {
  for (let i = 0; i < most; i++) {
    const ref = cursor.next();
    if (ref === NONE) return;
    if (!isTombstone(engine.slab(ref), engine.offset(ref))) seen.push(shown(engine, ref));
  }
}
