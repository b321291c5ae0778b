import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkListAppend, type ListStep, type ListTransaction } from "../../src/testing/index.js";

const append = (key: string, element: number): ListStep => ({ do: "append", key, element });
const read = (key: string, ...list: number[]): ListStep => ({ do: "read", key, list });

let moment = 0;
/** Transactions one after the other in real time, unless they are given moments. */
function transaction(
  id: string,
  steps: readonly ListStep[],
  more: Partial<ListTransaction> = {},
): ListTransaction {
  moment += 2;
  return { id, outcome: "committed", steps, begin: moment, end: moment + 1, ...more };
}

const kinds = (...[history, options]: Parameters<typeof checkListAppend>) =>
  checkListAppend(history, options).map(({ kind }) => kind);

describe("the checker of histories of lists", () => {
  it("finds nothing wrong with a serial history", () => {
    const history = [
      transaction("a", [append("x", 1), read("x", 1)]),
      transaction("b", [read("x", 1), append("x", 2), append("y", 3)]),
      transaction("c", [read("x", 1, 2), read("y", 3)]),
    ];
    const final = new Map([
      ["x", [1, 2]],
      ["y", [3]],
    ]);
    expect(checkListAppend(history, { realTime: true, final })).toEqual([]);
  });

  it("finds write skew: each missed what the other wrote", () => {
    const history = [
      transaction("a", [read("y"), append("x", 1)]),
      transaction("b", [read("x"), append("y", 2)]),
      transaction("c", [read("x", 1), read("y", 2)]),
    ];
    const anomalies = checkListAppend(history);
    expect(anomalies).toHaveLength(1);
    expect(anomalies[0]).toMatchObject({ kind: "cycle", transactions: ["a", "b"] });
    expect(anomalies[0].message).toContain("read y before the append");
  });

  it("finds lost updates, circular information flow and a state that is read half", () => {
    const lost = [
      transaction("a", [read("x"), append("x", 1)]),
      transaction("b", [read("x"), append("x", 2)]),
      transaction("c", [read("x", 1, 2)]),
    ];
    expect(kinds(lost)).toEqual(["cycle"]);
    const circular = [
      transaction("a", [append("x", 1), read("y", 2)]),
      transaction("b", [append("y", 2), read("x", 1)]),
    ];
    expect(kinds(circular)).toEqual(["cycle"]);
    const half = [
      transaction("a", [append("x", 1), append("y", 2)]),
      transaction("b", [read("x", 1), read("y")]),
      transaction("c", [read("y", 2)]),
    ];
    expect(kinds(half)).toEqual(["cycle"]);
  });

  it("finds a stale read only where real time is asked for", () => {
    const history = [
      transaction("a", [append("x", 1)]),
      transaction("b", [read("x")]),
      transaction("c", [read("x", 1)]),
    ];
    expect(kinds(history)).toEqual([]);
    expect(kinds(history, { realTime: true })).toEqual(["cycle"]);
    const overlapping = [
      transaction("a", [append("x", 1)], { begin: 0, end: 100 }),
      transaction("b", [read("x")], { begin: 1, end: 2 }),
    ];
    expect(kinds(overlapping, { realTime: true })).toEqual([]);
  });

  it("orders by real time across transactions in between", () => {
    const history = [
      transaction("a", [append("x", 1)], { begin: 0, end: 1 }),
      transaction("b", [append("y", 9)], { begin: 2, end: 3 }),
      transaction("c", [append("y", 10)], { begin: 4, end: 5 }),
      transaction("d", [read("x")], { begin: 6, end: 7 }),
      transaction("e", [read("x", 1)], { begin: 8, end: 9 }),
    ];
    expect(kinds(history, { realTime: true })).toEqual(["cycle"]);
  });

  it("finds reads of what was aborted, of what was not finished, and of nothing", () => {
    const aborted = [
      transaction("a", [append("x", 1)], { outcome: "aborted" }),
      transaction("b", [read("x", 1)]),
    ];
    expect(kinds(aborted)).toEqual(["aborted-read"]);
    const unfinished = [transaction("a", [append("x", 1), append("x", 2)]), transaction("b", [read("x", 1)])];
    expect(kinds(unfinished)).toEqual(["intermediate-read"]);
    expect(kinds([transaction("a", [read("x", 7)])])).toEqual(["phantom-element"]);
    expect(kinds([transaction("a", [append("x", 1)]), transaction("b", [read("x", 1, 1)])])).toContain(
      "duplicate-element",
    );
  });

  it("finds transactions that contradict themselves", () => {
    expect(kinds([transaction("a", [append("x", 1), read("x")])])).toEqual(["internal"]);
    const unstable = [transaction("a", [append("x", 1)]), transaction("b", [read("x"), read("x", 1)])];
    expect(kinds(unstable)).toEqual(["internal"]);
  });

  it("finds lists that do not begin alike, and appends that are gone", () => {
    const history = [
      transaction("a", [append("x", 1)]),
      transaction("b", [append("x", 2)]),
      transaction("c", [read("x", 1, 2)]),
      transaction("d", [read("x", 2, 1)]),
    ];
    expect(kinds(history)).toEqual(["incompatible-order"]);
    const gone = [
      transaction("a", [append("x", 1)]),
      transaction("b", [append("x", 2)], { outcome: "unknown" }),
    ];
    expect(kinds(gone, { final: new Map([["x", []]]) })).toEqual(["lost-append"]);
    expect(kinds(gone, { final: new Map([["x", [1]]]) })).toEqual([]);
  });

  it("leaves open what became of a transaction whose outcome is unknown", () => {
    const history = [
      transaction("a", [append("x", 1), read("y", 99)], { outcome: "unknown" }),
      transaction("b", [read("x", 1)]),
    ];
    expect(kinds(history)).toEqual([]);
  });

  it("accepts every serial history and refuses it once one read misses an element that was there", () => {
    const plan = fc.array(
      fc.array(fc.record({ key: fc.constantFrom("x", "y"), write: fc.boolean() }), {
        minLength: 1,
        maxLength: 4,
      }),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(plan, fc.nat(), (transactions, choice) => {
        const lists = new Map<string, number[]>([
          ["x", []],
          ["y", []],
        ]);
        let element = 0;
        const history = transactions.map((steps, index) =>
          transaction(
            `t${index}`,
            steps.map(({ key, write }) => {
              const list = lists.get(key) as number[];
              if (!write) return read(key, ...list);
              list.push(++element);
              return append(key, element);
            }),
          ),
        );
        history.push(
          transaction("end", [read("x", ...(lists.get("x") ?? [])), read("y", ...(lists.get("y") ?? []))]),
        );
        expect(checkListAppend(history, { realTime: true, final: lists })).toEqual([]);
        const stale = history.flatMap(({ steps }, index) =>
          steps.flatMap((step, place) =>
            step.do === "read" && step.list.length > 0 ? [{ index, place }] : [],
          ),
        );
        if (stale.length === 0) return;
        const { index, place } = stale[choice % stale.length];
        const broken = history.map((one, at) =>
          at !== index
            ? one
            : {
                ...one,
                steps: one.steps.map((step, i) =>
                  i !== place || step.do !== "read" ? step : { ...step, list: step.list.slice(0, -1) },
                ),
              },
        );
        expect(checkListAppend(broken, { realTime: true, final: lists })).not.toEqual([]);
      }),
    );
  });
});
