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
