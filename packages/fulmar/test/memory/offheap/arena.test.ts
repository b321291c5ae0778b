import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { Arena } from "../../../src/memory/offheap/arena.js";
import { DEFAULT_SHAPE } from "../../../src/memory/offheap/shape.js";
import { SizeClasses } from "../../../src/memory/offheap/size-classes.js";
import { SMALL, SMALLEST } from "./shapes.js";

interface Piece {
  readonly ref: number;
  readonly size: number;
  readonly mark: number;
}

function fill(arena: Arena, { ref, size, mark }: Piece): void {
  const slab = arena.slabs.bytes[ref >>> arena.slabs.slabShift];
  const at = arena.slabs.byteAt(ref);
  slab.fill(mark, at, at + size);
}

function isIntact(arena: Arena, { ref, size, mark }: Piece): boolean {
  const slab = arena.slabs.bytes[ref >>> arena.slabs.slabShift];
  const at = arena.slabs.byteAt(ref);
  return at + size <= slab.length && slab.subarray(at, at + size).every((byte) => byte === mark);
}

describe.each([
  ["small", SMALL],
  ["smallest", SMALLEST],
])("arena, %s sizes", (_, shape) => {
  it("hands out memory that nobody else has, and takes it all back", () => {
    const size = fc.oneof(fc.integer({ min: 12, max: 140 }), fc.integer({ min: 12, max: 6000 }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), size, fc.nat(200)), { maxLength: 200, size: "max" }),
        (steps) => {
          const arena = new Arena({ ...DEFAULT_SHAPE, ...shape });
          const pieces: Piece[] = [];
          for (const [i, [takes, bytes, index]] of steps.entries()) {
            if (takes || pieces.length === 0) {
              const piece = { ref: arena.take(bytes), size: bytes, mark: i % 256 };
              expect(piece.ref).toBeGreaterThan(0);
              fill(arena, piece);
              pieces.push(piece);
            } else {
              const [piece] = pieces.splice(index % pieces.length, 1);
              expect(isIntact(arena, piece)).toBe(true);
              arena.give(piece.ref);
            }
            expect(arena.verify()).toBe(pieces.length);
          }
          expect(pieces.every((piece) => isIntact(arena, piece) && arena.isLive(piece.ref))).toBe(true);
          for (const piece of pieces) arena.give(piece.ref);
          expect(arena.verify()).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("arena", () => {
  const shape = { ...DEFAULT_SHAPE, ...SMALL };

  it("uses the memory of one size for another", () => {
    const arena = new Arena(shape);
    const take = (size: number): number[] => Array.from({ length: 2000 }, () => arena.take(size));
    for (const ref of take(40)) arena.give(ref);
    for (const size of [48, 120, 16, 300, 40]) {
      const refs = take(size);
      const held = arena.slabs.allocatedBytes;
      expect(held).toBeLessThan(1.2 * 2000 * size + 2 * 1.2 * shape.slabBytes);
      for (const ref of refs) arena.give(ref);
    }
    expect(arena.slabs.allocatedBytes).toBeLessThan(2 * shape.slabBytes);
  });

  it("keeps the pages of what comes and goes, and gives them back when nothing else is there", () => {
    const arena = new Arena(shape);
    const stays = arena.take(40);
    const takeRun = vi.spyOn(arena.slabs, "takeRun");
    for (let round = 0; round < 100; round++) {
      for (const size of [48, 56, 64]) arena.give(arena.take(size));
      expect(arena.verify()).toBe(1);
    }
    expect(takeRun).toHaveBeenCalledTimes(3);
    const slab = arena.slabs.slabOf(arena.slabs.runOf(stays));
    expect(arena.slabs.usedPagesOf(slab)).toBeGreaterThan(4);
    arena.give(stays);
    expect([arena.verify(), arena.slabs.usedPagesOf(slab)]).toEqual([0, 0]);
  });

  it("hands out pieces in a row as far as a span goes, and single ones where one was given back", () => {
    const arena = new Arena(shape);
    const pieces: Piece[] = [];
    const takeRow = (size: number, count: number): number => {
      const first = arena.takeRow(size, count);
      const { taken } = arena;
      for (let i = 0; i < taken; i++)
        pieces.push({ ref: first + (i * arena.sizeFor(size)) / 8, size, mark: pieces.length % 256 });
      for (const piece of pieces.slice(-taken)) fill(arena, piece);
      expect(arena.verify()).toBe(pieces.length);
      return taken;
    };
    for (const size of [16, 41, 512]) {
      expect([takeRow(size, 1), takeRow(size, 2)]).toEqual([1, 2]);
      expect(takeRow(size, 1000)).toBeLessThan(1000);
      expect(takeRow(size, 1000)).toBeGreaterThan(3);
      const [gap] = pieces.splice(-2, 1);
      arena.give(gap.ref);
      expect([takeRow(size, 3), pieces.at(-1)?.ref]).toEqual([1, gap.ref]);
    }
    for (const size of [513, 1000, 5000]) expect([takeRow(size, 3), takeRow(size, 1)]).toEqual([1, 1]);
    expect(pieces.every((piece) => isIntact(arena, piece) && arena.isLive(piece.ref))).toBe(true);
    for (const { ref } of pieces) arena.give(ref);
    expect([arena.verify(), arena.usedBytes]).toEqual([0, 0]);
  });

  it("takes more memory at a time the more there is, and as much as there is at most", () => {
    const arena = new Arena(DEFAULT_SHAPE);
    const { slabs } = arena;
    const sizes: number[] = [];
    const refs: number[] = [];
    while (slabs.dataBytes < 600 << 20) {
      const [bytes, count] = [slabs.dataBytes, slabs.bytes.length];
      refs.push(arena.take(1 << 20));
      if (slabs.bytes.length === count) continue;
      const added = slabs.dataBytes - bytes;
      sizes.push(added);
      // What is asked for has to fit, whatever there is.
      expect(added).toBeLessThanOrEqual(Math.max(1 << 20, bytes));
    }
    expect([sizes[0], Math.max(...sizes)]).toEqual([1 << 20, DEFAULT_SHAPE.slabBytes]);
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(slabs.bytes.length).toBeLessThan(30);
    arena.verify();
    for (const ref of refs) arena.give(ref);
    // One spare slab may stay, but none that is large for a store without anything in it.
    expect(slabs.dataBytes).toBeLessThanOrEqual(DEFAULT_SHAPE.slabBytesMin);
    arena.verify();
    const small = new Arena(DEFAULT_SHAPE);
    small.take(100);
    expect(small.slabs.dataBytes).toBe(DEFAULT_SHAPE.slabBytesMin);
    small.take(5_000_000);
    expect(small.slabs.dataBytes).toBe(DEFAULT_SHAPE.slabBytesMin + (8 << 20));
    small.verify();
  });

  it("keeps of empty slabs the one that serves most, as long as a new one would be as large", () => {
    const arena = new Arena(DEFAULT_SHAPE);
    const { slabs } = arena;
    const small = Array.from({ length: 4000 }, () => arena.take(80));
    // The second slab is small, and there is nothing left in it.
    for (const ref of small.splice(20)) arena.give(ref);
    const take = (): number => arena.take(1 << 20);
    const large = [take()];
    while (slabs.dataBytes < 200 << 20) large.push(take());
    arena.give(large.pop() ?? 0);
    const allocated = slabs.allocatedBytes;
    for (let i = 0; i < 3; i++) {
      const ref = take();
      expect(slabs.allocatedBytes).toBe(allocated);
      arena.give(ref);
      expect(slabs.allocatedBytes).toBe(allocated);
    }
    // What is too large for what is left goes, whatever went last.
    const own = arena.take(64 << 20);
    for (const ref of large) arena.give(ref);
    arena.verify();
    expect(slabs.dataBytes).toBeGreaterThan(96 << 20);
    arena.give(own);
    expect(slabs.dataBytes).toBeLessThanOrEqual(2 * DEFAULT_SHAPE.slabBytesMin);
    arena.verify();
  });

  it("hands nothing out of a retired slab, which is used again when that is taken back, or goes empty", () => {
    const arena = new Arena({ ...shape, slabBytesMin: shape.slabBytes });
    const slabOf = (ref: number): number => ref >>> arena.slabs.slabShift;
    const take = (): number => arena.take(40);
    const first = Array.from({ length: 150 }, take);
    expect(new Set(first.map(slabOf))).toEqual(new Set([1]));
    expect(arena.liveBytesOf(1)).toBe(150 * 40);
    for (const ref of first.splice(0, 100)) arena.give(ref);
    arena.retire(1);
    const others = Array.from({ length: 20 }, take);
    expect(new Set(others.map(slabOf))).toEqual(new Set([2]));
    expect([arena.verify(), arena.slabs.hasRetired]).toEqual([70, true]);
    arena.restore(1);
    const again = Array.from({ length: 80 }, take);
    expect(again.map(slabOf)).toContain(1);
    expect([arena.verify(), arena.slabs.hasRetired]).toEqual([150, false]);
    arena.retire(1);
    const before = arena.slabs.dataBytes;
    for (const ref of [...first, ...again].filter((ref) => slabOf(ref) === 1)) arena.give(ref);
    expect([before - arena.slabs.dataBytes, arena.slabs.hasRetired]).toEqual([shape.slabBytes, false]);
    arena.verify();
  });

  it("hands nothing out that somebody may still look at", () => {
    const arena = new Arena(shape);
    const waiting: [number, number][] = [];
    arena.defer = (ref, bytes) => waiting.push([ref, bytes]);
    const refs = [40, 1000, 5000].map((size) => arena.take(size));
    for (const ref of refs) arena.give(ref);
    expect(waiting).toEqual(refs.map((ref, i) => [ref, [40, 1024, 5000][i]]));
    expect([arena.usedBytes, arena.liveBytes, arena.verify()]).toEqual([0, 6064, 3]);
    expect(refs).not.toContain(arena.take(40));
    for (const ref of refs) arena.release(ref);
    expect([arena.usedBytes, arena.liveBytes, arena.verify()]).toEqual([40, 40, 1]);
    expect(arena.take(40)).toBe(refs[0]);
  });

  it("refuses what it has no more slabs for, and takes it once there is one again", () => {
    const few = { ...shape, slabBytes: 2 ** 31, slabBytesMin: 4096, ownSlabBytesMin: 8192 };
    const arena = new Arena(few);
    const refs = Array.from({ length: 15 }, () => arena.take(10_000));
    const full = expect.objectContaining({ code: "MEMORY_FULL", details: { usedBytes: 150_000 } });
    for (const bytes of [10_000, 40, 5000]) expect(() => arena.take(bytes)).toThrow(full);
    expect([arena.verify(), arena.usedBytes]).toEqual([15, 150_000]);
    arena.give(refs[7]);
    const small = arena.take(40);
    expect(() => arena.take(10_000)).toThrow(expect.objectContaining({ code: "MEMORY_FULL" }));
    arena.give(small);
    expect(arena.take(40)).toBe(small);
    expect(arena.verify()).toBe(15);
  });

  it("gives memory made to measure back at once", () => {
    const arena = new Arena(shape);
    const before = arena.slabs.allocatedBytes;
    const refs = [shape.ownSlabBytesMin, 100_000].map((size) => arena.take(size));
    expect(arena.slabs.allocatedBytes).toBe(before + shape.ownSlabBytesMin + 100_000);
    for (const ref of refs) arena.give(ref);
    expect(arena.slabs.allocatedBytes).toBe(before);
  });

  it("refuses to take back what is free", () => {
    const arena = new Arena(shape);
    const invariant = expect.objectContaining({ code: "INVARIANT" });
    for (const size of [40, 1000, 5000]) {
      const ref = arena.take(size);
      arena.give(ref);
      expect(() => arena.give(ref), `${size} bytes`).toThrow(invariant);
    }
  });
});

describe("size classes", () => {
  it("hold what they are for and waste at most a sixteenth of it", () => {
    const { cellBytesMax, pageBytes, spanPagesMin } = DEFAULT_SHAPE;
    const classes = new SizeClasses(cellBytesMax, pageBytes, spanPagesMin);
    for (let units = 2; units <= cellBytesMax / 8; units++) {
      const cell = classes.units[classes.classOf(units)];
      expect(cell).toBeGreaterThanOrEqual(units);
      expect(cell - units).toBeLessThanOrEqual(units / 16);
    }
    expect(classes.classOf(0)).toBe(0);
    for (const [index, units] of classes.units.entries()) {
      expect(classes.spanPages[index] * pageBytes).toBeGreaterThanOrEqual(8 * 8 * units);
    }
  });
});
