import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { COVERAGE_HOLES_MAX } from "../../src/base/limits.js";
import { Coverage, type Hole, type OriginCoverage } from "../../src/record/coverage.js";

const A = "aa".repeat(16);
const B = "bb".repeat(16);
const TOP = 24;

/** Coverage in canonical form from the set of numbers that are missing below `upTo`. */
function canonical(upTo: number, missing: ReadonlySet<number>): OriginCoverage {
  const holes: Hole[] = [];
  for (let seq = 1; seq <= upTo; seq++) {
    const last = holes.at(-1);
    if (!missing.has(seq)) continue;
    if (last?.to === seq - 1) holes[holes.length - 1] = { from: last.from, to: seq };
    else holes.push({ from: seq, to: seq });
  }
  return { upTo, holes };
}

const originCoverage = fc
  .tuple(fc.nat(TOP), fc.array(fc.integer({ min: 1, max: TOP })))
  .map(([upTo, missing]) => canonical(upTo, new Set(missing)));
const coverage = fc
  .tuple(fc.option(originCoverage, { nil: undefined }), fc.option(originCoverage, { nil: undefined }))
  .map(([a, b]) => {
    const made = new Coverage();
    if (a !== undefined) made.set(A, a);
    if (b !== undefined) made.set(B, b);
    return made;
  });

/** The numbers covered, one by one: by the plain definition, not by `covers`. */
function numbers(of: Coverage): Set<string> {
  const all = new Set<string>();
  for (const [origin, { upTo, holes }] of of.origins()) {
    for (let seq = 1; seq <= upTo; seq++) all.add(`${origin} ${seq}`);
    for (const hole of holes) for (let seq = hole.from; seq <= hole.to; seq++) all.delete(`${origin} ${seq}`);
  }
  return all;
}

function expectCanonical(of: Coverage): void {
  for (const [, { upTo, holes }] of of.origins()) {
    let least = 1;
    for (const hole of holes) {
      expect(hole.from).toBeGreaterThanOrEqual(least);
      expect(hole.to).toBeGreaterThanOrEqual(hole.from);
      expect(hole.to).toBeLessThanOrEqual(upTo);
      least = hole.to + 2;
    }
  }
}

const runs = { numRuns: 2000 };

describe("coverage", () => {
  it("covers the numbers up to its end without those in holes", () => {
    fc.assert(
      fc.property(coverage, (one) => {
        const all = numbers(one);
        for (const origin of [A, B]) {
          for (let seq = 1; seq <= TOP + 1; seq++)
            expect(one.covers(origin, seq)).toBe(all.has(`${origin} ${seq}`));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("joins to the union, and leaves the other side alone", () => {
    fc.assert(
      fc.property(coverage, coverage, (one, other) => {
        const union = new Set([...numbers(one), ...numbers(other)]);
        const ends = [A, B].map((origin) => Math.max(one.of(origin).upTo, other.of(origin).upTo));
        const otherBefore = [...other.origins()];
        one.join(other);
        expect(numbers(one)).toEqual(union);
        expect([A, B].map((origin) => one.of(origin).upTo)).toEqual(ends);
        expect([...other.origins()]).toEqual(otherBefore);
        expectCanonical(one);
      }),
      runs,
    );
  });

  it("includes exactly its subsets", () => {
    fc.assert(
      fc.property(coverage, coverage, fc.boolean(), (one, other, joined) => {
        if (joined) one.join(other);
        const all = numbers(one);
        expect(one.includes(other)).toBe([...numbers(other)].every((item) => all.has(item)));
      }),
      runs,
    );
  });

  it("reaches what ends no later, whatever the holes", () => {
    fc.assert(
      fc.property(coverage, coverage, (one, other) => {
        const expected = [A, B].every((origin) => one.of(origin).upTo >= other.of(origin).upTo);
        expect(one.reaches(other)).toBe(expected);
      }),
      runs,
    );
  });

  it("loses what is punched out, up to its end", () => {
    const hole = fc
      .tuple(fc.integer({ min: 1, max: TOP + 4 }), fc.nat(6))
      .map(([from, more]) => ({ from, to: from + more }));
    fc.assert(
      fc.property(coverage, fc.array(hole, { minLength: 1, maxLength: 4 }), (one, holes) => {
        const expected = numbers(one);
        const { upTo } = one.of(A);
        for (const { from, to } of holes) {
          expect(one.punch(A, { from, to })).toBe(true);
          for (let seq = from; seq <= to; seq++) expected.delete(`${A} ${seq}`);
        }
        expect(numbers(one)).toEqual(expected);
        expect(one.of(A).upTo).toBe(upTo);
        expectCanonical(one);
      }),
      runs,
    );
  });

  it("advances its end without closing holes, and never goes back", () => {
    fc.assert(
      fc.property(coverage, fc.nat(TOP + 4), (one, upTo) => {
        const before = one.of(A);
        one.advance(A, upTo);
        expect(one.of(A)).toEqual({ upTo: Math.max(before.upTo, upTo), holes: before.holes });
      }),
      { numRuns: 300 },
    );
  });

  it("makes copies that go their own ways", () => {
    const one = new Coverage();
    one.set(A, { upTo: 5, holes: [{ from: 2, to: 3 }] });
    const copy = one.copy();
    copy.punch(A, { from: 5, to: 5 });
    copy.advance(B, 1);
    one.advance(A, 9);
    expect(one.of(A)).toEqual({ upTo: 9, holes: [{ from: 2, to: 3 }] });
    expect([one.size, copy.size, copy.of(A).upTo]).toEqual([1, 2, 5]);
  });

  it.each<[string, OriginCoverage]>([
    ["a hole at zero", { upTo: 5, holes: [{ from: 0, to: 1 }] }],
    ["a hole that is turned around", { upTo: 5, holes: [{ from: 3, to: 2 }] }],
    ["a hole beyond the end", { upTo: 5, holes: [{ from: 5, to: 6 }] }],
    [
      "adjacent holes",
      {
        upTo: 5,
        holes: [
          { from: 1, to: 1 },
          { from: 2, to: 2 },
        ],
      },
    ],
    [
      "holes out of order",
      {
        upTo: 9,
        holes: [
          { from: 6, to: 7 },
          { from: 2, to: 2 },
        ],
      },
    ],
  ])("refuses %s", (_name, wrong) => {
    expect(() => new Coverage().set(A, wrong)).toThrow(expect.objectContaining({ code: "INVARIANT" }));
  });
});

describe("the limit of holes", () => {
  function full(): Coverage {
    const one = new Coverage();
    one.advance(A, 10 * COVERAGE_HOLES_MAX);
    for (let i = 0; i < COVERAGE_HOLES_MAX; i++)
      expect(one.punch(A, { from: 4 * i + 2, to: 4 * i + 2 })).toBe(true);
    return one;
  }

  it("is reached without loss", () => {
    const one = full();
    expect(one.of(A).holes.length).toBe(COVERAGE_HOLES_MAX);
    expect(one.of(A).upTo).toBe(10 * COVERAGE_HOLES_MAX);
    expect(one.punch(A, { from: 3, to: 3 })).toBe(true);
  });

  it("parks the origin below the highest hole when one comes on top", () => {
    const one = full();
    const above = 4 * COVERAGE_HOLES_MAX + 100;
    expect(one.punch(A, { from: above, to: above })).toBe(false);
    expect(one.of(A).upTo).toBe(above - 1);
    expect(one.of(A).holes.length).toBe(COVERAGE_HOLES_MAX);
    expectCanonical(one);
  });

  it("parks it below what was the highest hole when one comes in between", () => {
    const one = full();
    const last = 4 * (COVERAGE_HOLES_MAX - 1) + 2;
    expect(one.punch(A, { from: 4, to: 4 })).toBe(false);
    expect(one.of(A).upTo).toBe(last - 1);
    expect(one.covers(A, 4)).toBe(false);
    expect(one.covers(A, 5)).toBe(true);
    expectCanonical(one);
  });

  it("holds for what is joined too", () => {
    // Two coverages that share half of their holes each and miss different ranges above.
    const one = full();
    const other = new Coverage();
    const holes = Array.from({ length: COVERAGE_HOLES_MAX }, (_, i) => {
      const from = 10 * COVERAGE_HOLES_MAX + 4 * i;
      return { from, to: from };
    });
    const low = one.of(A).holes;
    other.set(A, { upTo: 20 * COVERAGE_HOLES_MAX, holes: [...low, ...holes] });
    one.join(other);
    expect(one.of(A).holes.length).toBe(COVERAGE_HOLES_MAX);
    // The first of them is covered by the other side already.
    expect(one.of(A).upTo).toBe(holes[1].from - 1);
    expectCanonical(one);
  });
});
