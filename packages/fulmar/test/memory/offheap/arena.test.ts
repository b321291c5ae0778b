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
