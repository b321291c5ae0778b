import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Coverage, type OriginCoverage } from "../../src/record/coverage.js";
import { beyond, difference, lagOf, missing, prefixOf } from "../../src/sync/intervals.js";
import { originId } from "./support/raw-peer.js";

const TOP = 24;
const A = originId("a");
const B = originId("b");

/** The coverage of exactly these numbers. */
function ofSet(numbers: ReadonlySet<number>): OriginCoverage {
  const coverage = new Coverage();
  const upTo = Math.max(0, ...numbers);
  coverage.set(A, { upTo, holes: [] });
  for (let seq = 1; seq <= upTo; seq++) if (!numbers.has(seq)) coverage.punch(A, { from: seq, to: seq });
  return coverage.of(A);
}

function toSet(coverage: Coverage, origin = A): Set<number> {
  return new Set(Array.from({ length: TOP }, (_, i) => i + 1).filter((seq) => coverage.covers(origin, seq)));
}

function both(a: ReadonlySet<number>, b: ReadonlySet<number>): Coverage {
  const coverage = new Coverage();
  if (a.size > 0) coverage.set(A, ofSet(a));
  if (b.size > 0) coverage.set(B, ofSet(b));
  return coverage;
}

const numbers = fc.uniqueArray(fc.integer({ min: 1, max: TOP })).map((list) => new Set(list));

describe("intervals of coverage, against sets of numbers", () => {
  it("missing and beyond are the difference of sets", () => {
    fc.assert(
      fc.property(numbers, numbers, (from, to) => {
        const expected = [...to].filter((seq) => !from.has(seq)).sort((a, b) => a - b);
        const found: number[] = [];
        for (const interval of missing(ofSet(from), ofSet(to))) {
          for (let seq = interval.from; seq <= interval.to; seq++) found.push(seq);
        }
        expect(found).toEqual(expected);
        expect([...toSet(beyond(both(from, from), both(to, to)))]).toEqual(expected);
      }),
    );
  });

  it("a prefix holds earlier origins whole and its own up to the seq", () => {
    fc.assert(
      fc.property(numbers, numbers, fc.integer({ min: 1, max: TOP }), (a, b, seq) => {
        const atA = prefixOf(both(a, b), A, seq);
        expect(toSet(atA, A)).toEqual(new Set([...toSet(both(a, b), A)].filter((n) => n <= seq)));
        expect(toSet(atA, B)).toEqual(new Set());
        const atB = prefixOf(both(a, b), B, seq);
        expect(toSet(atB, A)).toEqual(toSet(both(a, b), A));
        expect(toSet(atB, B)).toEqual(new Set([...toSet(both(a, b), B)].filter((n) => n <= seq)));
        expect(prefixOf(both(a, b), "", 0).size).toBe(0);
      }),
    );
  });

  it("a difference leaves holes alone unless asked, and brings exactly what is new", () => {
    fc.assert(
      fc.property(numbers, numbers, fc.boolean(), (known, ours, withHoles) => {
        const base = both(known, known);
        const all = both(ours, ours);
        const { from, to } = difference(base, all, withHoles);
        const brings = toSet(beyond(from, to));
        const knownTop = Math.max(0, ...known);
        const wanted = [...ours].filter((seq) => !known.has(seq) && (withHoles || seq > knownTop));
        expect(brings).toEqual(new Set(wanted.sort((a, b) => a - b)));
        expect(base.includes(from)).toBe(true);
        const after = base.copy();
        after.join(beyond(from, to));
        expect(withHoles ? after.includes(all) : after.reaches(all)).toBe(true);
      }),
    );
  });

  it("lag counts numbers, not holes", () => {
    expect(lagOf(both(new Set([9]), new Set([2])), both(new Set([4]), new Set([5])))).toBe(5);
  });
});
