import { expect, it } from "vitest";
import { type MemoryEngine, NONE } from "../../../src/memory/engine.js";
import { DeadlineVictims } from "../../../src/memory/eviction/deadlines.js";
import type { Spared } from "../../../src/memory/eviction/victims.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { deadlineOf } from "../../../src/record/entry.js";
import { ascii, entry, put, quickHash } from "../fixtures.js";

function write(engine: MemoryEngine, name: string, deadline: number): void {
  put(engine, engine.version + 1, entry(ascii(name), { value: new Uint8Array(8), deadline }));
  engine.settle(engine.version);
}

/** Deadlines of what a round offers. */
function round(engine: MemoryEngine, victims: DeadlineVictims, spared: Spared): number[] {
  const found: number[] = [];
  victims.begin(spared);
  for (let ref = victims.next(); ref !== NONE; ref = victims.next()) {
    found.push(deadlineOf(engine.slab(ref), engine.offset(ref)));
  }
  return found;
}

it("comes past any number of keys that a pin sees, a round at a time, and round to the nearest", () => {
  const engine = createEngine({ hash: quickHash });
  const victims = new DeadlineVictims(engine);
  // More of one deadline than one round passes, and then some of others.
  for (let i = 0; i < 10_500; i++) write(engine, `a${i}`, 1000);
  for (let i = 0; i < 10_500; i++) write(engine, `b${i}`, 2000 + i);
  const pin = engine.pin(engine.version);
  write(engine, "first", 1);
  write(engine, "last", 50_000);
  const rounds = Array.from({ length: 4 }, () => round(engine, victims, "pinned"));
  expect(rounds).toEqual([[1], [], [], [50_000, 1]]);
  expect(round(engine, victims, "nothing").length).toBe(21_002);
  pin.release();
  expect(round(engine, victims, "pinned").slice(0, 2)).toEqual([1, 1000]);
});

it("offers each key once in a round that comes round", () => {
  const engine = createEngine({ hash: quickHash });
  const victims = new DeadlineVictims(engine);
  for (let i = 0; i < 10; i++) write(engine, `pinned ${i}`, 100);
  const pin = engine.pin(engine.version);
  for (const deadline of [50, 100, 150]) write(engine, `new ${deadline}`, deadline);
  expect(round(engine, victims, "pinned")).toEqual([50, 100, 150]);
  expect(round(engine, victims, "pinned").sort()).toEqual([100, 150, 50]);
  pin.release();
});
