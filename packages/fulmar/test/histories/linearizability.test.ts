import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLinearizable, type RegisterOperation } from "../../src/testing/index.js";

const at = (begin: number, end: number) => ({ begin, end });
const write = (value: unknown, begin: number, end: number): RegisterOperation => ({
  do: "write",
  value,
  ...at(begin, end),
});
const read = (value: unknown, begin: number, end: number): RegisterOperation => ({
  do: "read",
  value,
  ...at(begin, end),
});
const swap = (
  expected: unknown,
  value: unknown,
  done: boolean,
  begin: number,
  end: number,
): RegisterOperation => ({
  do: "swap",
  expected,
  value,
  done,
  ...at(begin, end),
});

/** Whether some order of all that is known and any of the rest explains it, with each at a moment of its own span. */
function hasOrder(left: readonly RegisterOperation[], state: unknown, moment: number): boolean {
  if (left.every(({ unknown }) => unknown === true)) return true;
  return left.some((operation, index) => {
    const { do: kind, value, expected, unknown, begin, end, until } = operation;
    const here = Math.max(moment, begin);
    if (here > (unknown === true ? (until ?? Number.POSITIVE_INFINITY) : end)) return false;
    const rest = left.filter((_, other) => other !== index);
    if (kind === "read") {
      return (unknown === true || value === state) && hasOrder(rest, state, here);
    }
    if (kind === "write") return hasOrder(rest, value, here);
    if (kind === "expire") return hasOrder(rest, state === value ? undefined : state, here);
    const isDone = state === expected;
    if (unknown !== true && isDone !== operation.done) return false;
    return hasOrder(rest, isDone ? value : state, here);
  });
}

describe("the checker of registers", () => {
  it("accepts what some order explains", () => {
    expect(isLinearizable([], 0)).toBe(true);
    expect(isLinearizable([write(1, 0, 10), read(0, 1, 2), read(1, 3, 4)], 0)).toBe(true);
    expect(
      isLinearizable([write(1, 0, 1), swap(1, 2, true, 2, 3), swap(1, 3, false, 4, 5), read(2, 6, 7)], 0),
    ).toBe(true);
  });

  it("refuses stale reads, reads that go back, and swaps that cannot both have been done", () => {
    expect(isLinearizable([write(1, 0, 1), read(0, 2, 3)], 0)).toBe(false);
    expect(isLinearizable([write(1, 0, 10), read(1, 1, 2), read(0, 3, 4)], 0)).toBe(false);
    expect(isLinearizable([swap(0, 1, true, 0, 5), swap(0, 2, true, 0, 5)], 0)).toBe(false);
    expect(isLinearizable([swap(0, 1, false, 0, 1)], 0)).toBe(false);
  });

  it("lets what nobody knows happen at any time later, or never", () => {
    const lost: RegisterOperation = { ...write(1, 0, 1), unknown: true };
    expect(isLinearizable([lost, read(0, 2, 3)], 0)).toBe(true);
    expect(isLinearizable([lost, read(0, 2, 3), read(1, 4, 5)], 0)).toBe(true);
    expect(isLinearizable([lost, read(1, 2, 3), read(0, 4, 5)], 0)).toBe(false);
    expect(isLinearizable([{ ...swap(5, 1, true, 0, 1), unknown: true }, read(1, 2, 3)], 0)).toBe(false);
    expect(isLinearizable([{ ...read(9, 0, 1), unknown: true }], 0)).toBe(true);
  });

  it("lets what nobody knows happen until the moment that is given, or never", () => {
    const lost: RegisterOperation = { ...write(1, 0, 1), unknown: true, until: 4 };
    expect(isLinearizable([lost, read(1, 5, 6)], 0)).toBe(true);
    expect(isLinearizable([lost, read(0, 5, 6)], 0)).toBe(true);
    expect(isLinearizable([lost, read(0, 3, 6), read(1, 7, 8)], 0)).toBe(true);
    expect(isLinearizable([lost, read(0, 5, 6), read(1, 7, 8)], 0)).toBe(false);
    expect(isLinearizable([lost, { ...lost, value: 2, begin: 3 }, read(2, 5, 6), read(1, 7, 8)], 0)).toBe(
      false,
    );
  });

  it("lets a value expire, and nothing else", () => {
    const expire = (value: unknown, moment: number): RegisterOperation => ({
      do: "expire",
      value,
      ...at(moment, moment),
    });
    expect(isLinearizable([write(1, 0, 1), read(1, 2, 3), expire(1, 4), read(undefined, 5, 6)], 0)).toBe(
      true,
    );
    expect(isLinearizable([write(1, 0, 1), expire(1, 4), read(1, 5, 6)], 0)).toBe(false);
    expect(isLinearizable([write(1, 0, 1), read(undefined, 2, 3), expire(1, 4)], 0)).toBe(false);
    expect(isLinearizable([write(1, 0, 1), write(2, 2, 3), expire(1, 4), read(2, 5, 6)], 0)).toBe(true);
    expect(isLinearizable([write(1, 0, 1), expire(1, 4), swap(undefined, 2, true, 5, 6)], 0)).toBe(true);
  });

  it("finds an order exactly where trying all of them does", () => {
    const operation = fc.record({
      do: fc.constantFrom("read", "write", "swap", "expire"),
      value: fc.nat(2),
      expected: fc.nat(2),
      done: fc.boolean(),
      unknown: fc.constantFrom(false, false, true),
      begin: fc.nat(9),
      lasts: fc.nat(5),
      later: fc.option(fc.nat(5), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 5 }), (plan) => {
        const history = plan.map(({ lasts, later, ...one }): RegisterOperation => {
          const until = one.unknown && later !== undefined ? { until: one.begin + later } : {};
          return { ...one, end: one.begin + lasts, ...until } as RegisterOperation;
        });
        expect(isLinearizable(history, 0)).toBe(hasOrder(history, 0, Number.NEGATIVE_INFINITY));
      }),
      { numRuns: 2000 },
    );
  });

  it("accepts every history that was made by a register, however operations overlap", () => {
    const operation = fc.record({
      do: fc.constantFrom("read", "write", "swap"),
      value: fc.nat(3),
      expected: fc.nat(3),
      before: fc.nat(3),
      after: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 12 }), (plan) => {
        let state: number = 0;
        const history = plan.map(
          ({ do: kind, value, expected, before, after }, moment): RegisterOperation => {
            const span = at(moment - before / 2, moment + after / 2);
            if (kind === "read") return { do: "read", value: state, ...span };
            if (kind === "write") {
              state = value;
              return { do: "write", value, ...span };
            }
            const done = state === expected;
            if (done) state = value;
            return { do: "swap", value, expected, done, ...span };
          },
        );
        expect(isLinearizable(history, 0)).toBe(true);
      }),
    );
  });
});
