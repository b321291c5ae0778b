import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LATEST, type MemoryEngine, NONE, type Ref } from "../../../src/memory/engine.js";
import { Arena } from "../../../src/memory/offheap/arena.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { ascii, entry, keyAt, put, quickHash, read } from "../fixtures.js";
import { SMALL } from "./shapes.js";

const KEYS = 1000;
const keyOf = (index: number): Uint8Array => ascii(`key ${index}`);
/** One in ten stays, so that hardly a span is without a record. */
const stays = (index: number): boolean => index % 10 === 0;

let engine: MemoryEngine;
let sharing: Sharing;
/** Of each slot the record that the engine told of last. */
let tracked: Map<number, Ref>;
let moves: number;

/** Sets up an engine in private memory, or in memory that other threads can read, and one of them does. */
function setUp(isShared: boolean, isRead: boolean): void {
  const options = { hash: quickHash, shape: SMALL, tracked: true };
  sharing = new Sharing({ stepBytes: 1 });
  engine = createEngine(isShared ? { ...options, sharing } : options);
  if (isRead) sharing.attach();
  tracked = new Map();
  moves = 0;
  let slots = 0;
  engine.track({
    makeRoom: () => undefined,
    entered: (ref) => {
      engine.setSlot(ref, ++slots);
      tracked.set(slots, ref);
    },
    replaced: (_, ref) => tracked.set(engine.slot(ref), ref),
    moved: (ref) => {
      moves++;
      tracked.set(engine.slot(ref), ref);
    },
    left: (ref) => tracked.delete(engine.slot(ref)),
  });
  for (let i = 0; i < KEYS; i++)
    write(i, entry(keyOf(i), { value: new Uint8Array(400).fill(i), deadline: i + 1 }));
}

afterEach(() => {
  vi.restoreAllMocks();
});

function write(_index: number, bytes: Uint8Array): void {
  put(engine, engine.version + 1, bytes);
  engine.settle(engine.version);
}

function deleteMost(): void {
  for (let i = 0; i < KEYS; i++) if (!stays(i)) write(i, entry(keyOf(i)));
}

function allocated(): number {
  const { recordBytes, overheadBytes } = engine.usage();
  return recordBytes + overheadBytes - sharing.buffers.idleBytes;
}

describe.each([
  ["private", false, false],
  ["shared", true, false],
  ["shared and read", true, true],
])("memory of deleted records (%s)", (_, isShared, isRead) => {
  beforeEach(() => setUp(isShared, isRead));

  it("comes back although every tenth stays, and these are where everybody finds them", () => {
    deleteMost();
    const before = allocated();
    while (engine.vacuum(100));
    expect(allocated()).toBeLessThan(before / 2);
    engine.verify();
    const kept = Array.from({ length: KEYS / 10 }, (_, i) => engine.find(keyOf(10 * i), LATEST));
    expect(kept.map((ref, i) => read(engine, ref).at(-1) === ((10 * i) & 255))).not.toContain(false);
    expect([...tracked.values()].sort()).toEqual(kept.sort());
    expect(engine.nextDeadline()).toBe(1);
  });

  it("is not taken from under a reader whose pin sees it", () => {
    const pin = engine.pin(engine.version);
    const seen = engine.find(keyOf(10), pin.version);
    const bytes = read(engine, seen);
    deleteMost();
    while (engine.vacuum(100));
    expect([moves, engine.find(keyOf(10), pin.version)]).toEqual([0, seen]);
    expect(read(engine, seen)).toEqual(bytes);
    const before = allocated();
    pin.release();
    while (engine.vacuum(100));
    expect(allocated()).toBeLessThan(before / 2);
    expect(engine.find(keyOf(10), LATEST)).not.toBe(NONE);
    engine.verify();
  });

  it("stays where there is no memory to move what stays, and comes back when there is", () => {
    deleteMost();
    const before = allocated();
    // With slabs of this size there is always some room in others.
    const take = vi.spyOn(Arena.prototype, "take").mockImplementation(() => {
      throw new RangeError("Array buffer allocation failed");
    });
    for (let slices = 0; engine.vacuum(3); slices++) {
      engine.verify();
      expect(slices).toBeLessThan(10_000);
    }
    expect([take.mock.calls.length > 0, moves]).toEqual([true, 0]);
    take.mockRestore();
    for (let i = 0; i < KEYS; i += 10)
      expect(read(engine, engine.find(keyOf(i), LATEST)).at(-1)).toBe(i & 255);
    expect(allocated()).toBeGreaterThan(before / 2);
    // It is tried again once some more could come back.
    for (let i = 0; i < KEYS; i += 20) write(i, entry(keyOf(i)));
    while (engine.vacuum(100));
    expect(allocated()).toBeLessThan(before / 2);
    engine.verify();
  });

  it("comes back however little is moved at a time, of the first leaf too", () => {
    deleteMost();
    const before = allocated();
    while (engine.vacuum(1));
    expect(allocated()).toBeLessThan(before / 2);
    engine.verify();
  });

  it("comes back if most is deleted while it is already being looked for", () => {
    const before = allocated();
    for (let i = 0; i < KEYS; i++) {
      if (stays(i)) continue;
      write(i, entry(keyOf(i)));
      // It begins as soon as there is enough to gain, and gets no further.
      engine.vacuum(0);
    }
    while (engine.vacuum(64));
    expect(allocated()).toBeLessThan(before / 2);
    engine.verify();
  });

  it("comes back in slices of bounded size, whatever is written in between", () => {
    deleteMost();
    let slices = 0;
    for (let before = 0; engine.vacuum(3); before = moves) {
      expect(moves - before).toBeLessThanOrEqual(3);
      const index = (slices++ * 7) % KEYS;
      const ref = engine.find(keyOf(index), LATEST);
      if (ref !== NONE) expect(keyAt(engine, ref)).toBe(keyAt(engine, tracked.get(engine.slot(ref)) ?? NONE));
      if (stays(index) && slices % 5 === 0)
        write(index, entry(keyOf(index), { value: new Uint8Array(400).fill(index) }));
      engine.verify();
    }
    expect(moves).toBeGreaterThan(10);
  });

  it("comes back a slab at a time, however many are emptied", () => {
    const retired = vi.spyOn(Arena.prototype, "retire");
    const restored = vi.spyOn(Arena.prototype, "restore");
    const pin = engine.pin(engine.version);
    deleteMost();
    // What the pin keeps is moved neither: so slabs are left that have to be restored.
    const later = engine.pin(engine.version);
    pin.release();
    let steps = 0;
    for (let before = 0, more = true; more; steps++) {
      expect(engine.vacuum(0)).toBe(true);
      expect(retired.mock.calls.length + restored.mock.calls.length).toBe(before);
      more = engine.vacuum(1);
      const after = retired.mock.calls.length + restored.mock.calls.length;
      expect(after - before).toBeLessThanOrEqual(1);
      before = after;
      if (steps % 50 === 0) engine.verify();
    }
    expect(retired.mock.calls.length).toBeGreaterThan(4);
    expect(restored.mock.calls.length).toBeGreaterThan(4);
    later.release();
    while (engine.vacuum(100));
    engine.verify();
  });

  it("is not looked for while a store only grows", () => {
    const shape = { ...SMALL, slabBytes: 65536 };
    const growing = createEngine({ hash: quickHash, shape });
    for (let i = 0; i < 2000; i++) {
      put(growing, i + 1, entry(keyOf(i), { value: new Uint8Array(80) }));
      growing.settle(i + 1);
      expect(growing.vacuum(64)).toBe(false);
    }
    growing.verify();
  });

  it("is not moved for as long as no slab of the largest would be gained by it", () => {
    const slabBytes = 65536;
    const retired = vi.spyOn(Arena.prototype, "retire");
    engine = createEngine({ hash: quickHash, shape: { ...SMALL, slabBytes, pageBytes: 1024 } });
    for (let i = 0; i < 3000; i++) write(i, entry(keyOf(i), { value: new Uint8Array(400).fill(i) }));
    // A fifth of each large slab is free: too little for it to be emptied. Of the first ones, which are small, more is.
    for (let i = 0; i < 3000; i++) if (i % 5 === 0 || (i < 20 && i % 2 === 0)) write(i, entry(keyOf(i)));
    expect(allocated() - engine.usedBytes).toBeGreaterThan(2 * slabBytes);
    while (engine.vacuum(100));
    expect(retired).not.toHaveBeenCalled();
    engine.verify();
  });

  it("begins in a small store before a slab and three quarters are free", () => {
    const slabBytes = 65536;
    engine = createEngine({ hash: quickHash, shape: { ...SMALL, slabBytes, pageBytes: 1024 } });
    for (let i = 0; i < 650; i++) write(i, entry(keyOf(i), { value: new Uint8Array(400).fill(i) }));
    const full = allocated();
    let wasteMax = 0;
    // Two slabs become sparse, but not empty; of the others each record stays.
    for (let i = 0; i < 400; i++) {
      if (i % 5 === 0) continue;
      write(i, entry(keyOf(i)));
      while (engine.vacuum(100));
      wasteMax = Math.max(wasteMax, allocated() - engine.usedBytes);
    }
    expect(wasteMax).toBeLessThan(1.75 * slabBytes);
    engine.verify();
    expect(allocated()).toBeLessThan(full - 2 * slabBytes);
    for (let i = 0; i < 650; i++)
      expect(engine.find(keyOf(i), LATEST) !== NONE).toBe(i >= 400 || i % 5 === 0);
  });
});
