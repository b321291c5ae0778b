import fc from "fast-check";
import { expect, it } from "vitest";
import { ReadSet } from "../../../src/transaction/optimistic/read-set.js";

const bytes = (name: string): Uint8Array => new TextEncoder().encode(name);

it("a read set has the keys that were read, and those of ranges as far as they were", () => {
  const reads = new ReadSet();
  reads.point(bytes("p"), 0);
  const range = reads.range({ from: bytes("b"), to: bytes("f") }, false);
  range.hide(bytes("c"));
  expect(["p", "q", "c", "d"].map((name) => reads.has(bytes(name)))).toEqual([true, false, false, false]);
  range.through(bytes("d"));
  const has = (...names: string[]): string[] => names.filter((name) => reads.has(bytes(name)));
  expect(has("a", "b", "c", "d", "e", "f", "p")).toEqual(["b", "d", "p"]);
  range.toEnd();
  expect(has("a", "b", "c", "d", "e", "f", "p")).toEqual(["b", "d", "e", "p"]);
});

it("a read set counts each key once, and each range that is read", () => {
  const reads = new ReadSet();
  expect([reads.size, reads.rangeEntries]).toEqual([0, 0]);
  for (const name of ["a", "b", "a", "b"]) reads.point(bytes(name), 0);
  const ranges = ["c", "d", "c"].map((name) => reads.range({ from: bytes(name), to: undefined }, false));
  expect([reads.size, reads.points.length]).toEqual([5, 2]);
  for (const range of ranges) range.through(bytes("e"));
  expect([reads.size, reads.rangeEntries]).toEqual([5, 3]);
});

it("a read set forgets a range that is closed but for what was seen, and joins what it has once", () => {
  const reads = new ReadSet();
  const empty = reads.range({ from: bytes("a"), to: bytes("a") }, false);
  empty.toEnd();
  reads.close(empty);
  expect(reads.ranges()).toEqual([]);
  const range = reads.range({ from: bytes("b"), to: bytes("f") }, false);
  range.through(bytes("c"));
  reads.close(range);
  const seen = reads.ranges();
  expect(seen).toEqual([{ from: bytes("b"), to: bytes("c\0") }]);
  range.toEnd();
  expect(reads.ranges()).toBe(seen);
});

it("a read set has what was seen of ranges that were read again and again, but for what was hidden each time", () => {
  const index = fc.nat(30);
  const read = fc.record({
    from: index,
    to: fc.option(index, { nil: undefined }),
    reverse: fc.boolean(),
    hidden: fc.uniqueArray(index, { maxLength: 20 }),
    stop: fc.nat(30),
    isLeftOpen: fc.boolean(),
    isAsked: fc.boolean(),
  });
  const keyAt = (at: number): Uint8Array => Uint8Array.of(at);
  const had = (reads: ReadSet): number[] =>
    Array.from({ length: 31 }, (_, at) => at).filter((at) => reads.has(keyAt(at)));
  fc.assert(
    fc.property(fc.array(read, { minLength: 1, maxLength: 80 }), (steps) => {
      const reads = new ReadSet();
      const seen = new Set<number>();
      for (const { from, to, reverse, hidden, stop, isLeftOpen, isAsked } of steps) {
        const range = { from: keyAt(from), to: to === undefined ? undefined : keyAt(to) };
        const one = reads.range(range, reverse);
        const all = Array.from({ length: Math.max(0, (to ?? 31) - from) }, (_, i) => from + i);
        // What was come by to the last that was given: at most all.
        const way = (reverse ? all.reverse() : all).slice(0, stop);
        const isEnd = way.length === all.length;
        while (!isEnd && way.length > 0 && hidden.includes(way[way.length - 1])) way.pop();
        for (const at of way) {
          if (hidden.includes(at)) one.hide(keyAt(at));
          else {
            one.through(keyAt(at));
            seen.add(at);
          }
        }
        if (isEnd) one.toEnd();
        if (!isLeftOpen) reads.close(one);
        // What is asked for is joined, and known to those that are read next.
        if (isAsked) expect(had(reads)).toEqual([...seen].sort((a, b) => a - b));
      }
      expect(had(reads)).toEqual([...seen].sort((a, b) => a - b));
    }),
  );
});
