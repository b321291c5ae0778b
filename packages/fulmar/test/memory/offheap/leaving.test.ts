import { expect, it } from "vitest";
import { LATEST, type MemoryEngine, NONE } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { ascii, bytesOf, entry, put, quickHash } from "../fixtures.js";
import { SteppedReader } from "../shared/fixture.js";
import { SMALL } from "./shapes.js";

const KEY = ascii("key");
const value = (byte: number): Uint8Array => entry(KEY, { value: bytesOf(byte) });
const tombstone = entry(KEY);

/** An engine in which the key was set at version 1, for good. */
function settledEngine(sharing?: Sharing): MemoryEngine {
  const options = { hash: quickHash, shape: SMALL };
  const engine = createEngine(sharing === undefined ? options : { ...options, sharing });
  put(engine, 1, value(1));
  engine.settle(1);
  return engine;
}

/** What the newest version of the key takes. */
function newestBytes(engine: MemoryEngine): number {
  const ref = engine.find(KEY, LATEST);
  return ref === NONE ? 0 : engine.bytesOf(ref);
}

/** What leaves once all is settled, and what only others than users keep, in a sound engine. */
function going(engine: MemoryEngine): number[] {
  engine.verify();
  return [engine.leavingBytes, engine.keptBytes];
}

it("counts what was replaced as leaving until the commit is settled, or taken back", () => {
  const engine = settledEngine();
  const bytes = newestBytes(engine);
  expect(going(engine)).toEqual([0, 0]);
  put(engine, 2, value(2));
  expect(going(engine)).toEqual([bytes, 0]);
  put(engine, 3, value(3));
  expect(going(engine)).toEqual([2 * bytes, 0]);
  engine.rollback(2);
  expect(going(engine)).toEqual([bytes, 0]);
  put(engine, 4, value(4));
  // What the settled one replaced is gone; it was replaced itself.
  engine.settle(2);
  expect(going(engine)).toEqual([bytes, 0]);
  engine.settle(4);
  expect(going(engine)).toEqual([0, 0]);
});

it("counts what a later entry of the same commit replaced, until then as well", () => {
  for (const end of [
    (engine: MemoryEngine) => engine.settle(2),
    (engine: MemoryEngine) => engine.rollback(1),
  ]) {
    const engine = settledEngine();
    const bytes = newestBytes(engine);
    for (let i = 0; i < 3; i++) put(engine, 2, value(i));
    expect(going(engine)).toEqual([3 * bytes, 0]);
    end(engine);
    expect(going(engine)).toEqual([0, 0]);
  }
});

it("counts a tombstone with what it deletes, unless tombstones are kept", () => {
  for (const isKept of [false, true]) {
    const engine = settledEngine();
    engine.keepTombstones = isKept;
    const bytes = newestBytes(engine);
    put(engine, 2, tombstone);
    const own = isKept ? 0 : newestBytes(engine);
    expect(going(engine)).toEqual([bytes + own, 0]);
    engine.rollback(1);
    expect(going(engine)).toEqual([0, 0]);
    put(engine, 2, tombstone);
    engine.settle(2);
    expect(going(engine)).toEqual([0, 0]);
    expect(engine.usage().tombstones).toBe(isKept ? 1 : 0);
  }
});

it("goes on counting a tombstone as leaving when what replaced it is taken back", () => {
  const engine = createEngine({ hash: quickHash, shape: SMALL });
  put(engine, 1, tombstone);
  const bytes = newestBytes(engine);
  put(engine, 2, value(2));
  engine.rollback(1);
  expect(going(engine)).toEqual([bytes, 0]);
  engine.keepTombstones = true;
  put(engine, 2, value(2));
  engine.rollback(1);
  expect(going(engine)).toEqual([0, 0]);
});

it("does not wait for what a user sees", () => {
  const engine = settledEngine();
  const pins = [engine.pin(1, "store"), engine.pin(1, "user")];
  put(engine, 2, tombstone);
  const own = newestBytes(engine);
  expect(going(engine)).toEqual([own, 0]);
  engine.settle(2);
  expect(going(engine)).toEqual([0, 0]);
  // Now it is the store that holds it.
  pins[1].release();
  expect(going(engine)[0]).toBe(0);
  expect(engine.keptBytes).toBeGreaterThan(own);
  pins[0].release();
  expect(going(engine)).toEqual([0, 0]);
  expect(engine.usage().recordBytes).toBe(0);
});

it.each(["store", "reader"] as const)(
  "counts what only a pin of a %s sees as kept, with its tombstone",
  (owner) => {
    for (const isKept of [false, true]) {
      const engine = settledEngine();
      engine.keepTombstones = isKept;
      const bytes = newestBytes(engine);
      const pin = engine.pin(1, owner);
      put(engine, 2, tombstone);
      const own = isKept ? 0 : newestBytes(engine);
      expect(going(engine)).toEqual([own, bytes]);
      engine.rollback(1);
      expect(going(engine)).toEqual([0, 0]);
      put(engine, 2, tombstone);
      engine.settle(2);
      expect(going(engine)).toEqual([0, bytes + own]);
      // The tombstone is kept no longer for what it hides when something is in its place, or again when that is gone.
      put(engine, 3, value(3));
      expect(going(engine)).toEqual([isKept ? newestTombstone(engine) : 0, bytes + own]);
      engine.rollback(2);
      expect(going(engine)).toEqual([0, bytes + own]);
      pin.release();
      expect(going(engine)).toEqual([0, 0]);
      expect(engine.usage()).toMatchObject({ oldVersions: 0, tombstones: isKept ? 1 : 0 });
    }
  },
);

it("counts what a store's pin sees as kept, and not what replaced it", () => {
  for (const isKept of [false, true]) {
    const engine = settledEngine();
    engine.keepTombstones = isKept;
    const bytes = newestBytes(engine);
    const pins = [engine.pin(1, "store")];
    put(engine, 2, value(2));
    engine.settle(2);
    expect(going(engine)).toEqual([0, bytes]);
    pins.push(engine.pin(2, "store"));
    put(engine, 3, isKept ? tombstone : value(3));
    expect(going(engine)).toEqual([0, 2 * bytes]);
    engine.settle(3);
    pins.push(engine.pin(3, "store"));
    put(engine, 4, value(4));
    expect(going(engine)).toEqual([0, 2 * bytes + engine.bytesOf(engine.find(KEY, 3))]);
    engine.rollback(3);
    expect(going(engine)).toEqual([0, 2 * bytes]);
    for (const pin of pins) pin.release();
    expect(going(engine)).toEqual([0, 0]);
  }
});

it("goes on counting a tombstone as kept that a store's pin holds when what replaced it is taken back", () => {
  const engine = createEngine({ hash: quickHash, shape: SMALL });
  put(engine, 1, tombstone);
  const bytes = newestBytes(engine);
  engine.pin(1, "store");
  engine.settle(1);
  expect(going(engine)).toEqual([0, bytes]);
  put(engine, 2, value(2));
  expect(going(engine)).toEqual([0, bytes]);
  engine.rollback(1);
  expect(going(engine)).toEqual([0, bytes]);
});

it("counts a tombstone as kept no longer when it is the newest again, and hides what a user sees", () => {
  const engine = settledEngine();
  engine.pin(1);
  put(engine, 2, tombstone);
  const bytes = newestBytes(engine);
  engine.settle(2);
  engine.pin(2, "store");
  put(engine, 3, value(3));
  expect(going(engine)).toEqual([0, bytes]);
  engine.rollback(2);
  expect(going(engine)).toEqual([0, 0]);
});

it("counts no tombstone as kept that was replaced, and that a user sees", () => {
  const engine = settledEngine();
  const bytes = newestBytes(engine);
  engine.pin(1, "store");
  const pin = engine.pin(1);
  put(engine, 2, tombstone);
  engine.settle(2);
  engine.pin(2);
  put(engine, 3, value(3));
  pin.release();
  expect(going(engine)).toEqual([0, bytes]);
});

/** What the tombstone of version 2 takes, of which the newest is not. */
function newestTombstone(engine: MemoryEngine): number {
  return engine.bytesOf(engine.find(KEY, 2));
}

it("counts as kept what a reader on another thread stays at, before the owner knows of it", () => {
  const sharing = new Sharing({ stepBytes: 1 });
  const engine = settledEngine(sharing);
  const bytes = newestBytes(engine);
  put(engine, 2, value(2));
  // Nobody reads: it goes with the commit.
  expect(going(engine)).toEqual([bytes, 0]);
  engine.settle(2);
  const reader = new SteppedReader(sharing);
  expect(reader.version).toBe(2);
  put(engine, 3, value(3));
  expect(going(engine)).toEqual([0, bytes]);
  // What the reader cannot come to goes.
  put(engine, 4, value(4));
  expect(going(engine)).toEqual([bytes, bytes]);
  engine.settle(4);
  expect(going(engine)).toEqual([0, bytes]);
  reader.refresh();
  put(engine, 5, value(5));
  engine.settle(5);
  expect(going(engine)).toEqual([0, bytes]);
  expect(engine.usage().oldVersions).toBe(1);
});
