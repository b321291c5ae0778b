import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes } from "../../../src/base/bytes.js";
import { inRange } from "../../../src/keys/range.js";
import { type Mark, WriteSet } from "../../../src/transaction/optimistic/write-set.js";

const byteKey = fc.uint8Array({ minLength: 0, maxLength: 2, max: 3 });

type Step =
  | { readonly do: "put"; readonly key: Uint8Array; readonly value: number }
  | { readonly do: "mark" }
  | { readonly do: "back"; readonly choice: number }
  | { readonly do: "list"; readonly from: Uint8Array; readonly to: Uint8Array | undefined };

const put = fc.record({ do: fc.constant("put" as const), key: byteKey, value: fc.nat(99) });

// Mostly writes, so that there are more keys than a set looks at one by one.
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: put, weight: 12 },
  fc.record({ do: fc.constant("mark" as const) }),
  fc.record({ do: fc.constant("back" as const), choice: fc.nat() }),
  fc.record({ do: fc.constant("list" as const), from: byteKey, to: fc.option(byteKey, { nil: undefined }) }),
);

type Walk = ReturnType<WriteSet<number>["within"]>;

function taken(walk: Walk): unknown[] {
  const items: unknown[] = [];
  for (let item = walk?.next(); item !== undefined; item = walk?.next()) items.push(item);
  return items;
}

describe("a write set", () => {
  it("holds, lists in order and goes back as a plain map with copies does", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: "max" }), (steps) => {
        const set = new WriteSet<number>();
        let model = new Map<string, { key: Uint8Array; what: number }>();
        const everWritten = new Map<string, Uint8Array>();
        const walks: { walk: Walk; expected: unknown[] }[] = [];
        let marks: { mark: Mark; copy: typeof model }[] = [];
        for (const one of steps) {
          if (one.do === "put") {
            set.put(one.key, one.value);
            everWritten.set(one.key.join(), one.key);
            model.set(one.key.join(), { key: one.key, what: one.value });
          } else if (one.do === "mark") marks.push({ mark: set.mark(), copy: new Map(model) });
          else if (one.do === "back" && marks.length > 0) {
            const index = one.choice % marks.length;
            set.rollBack(marks[index].mark);
            model = new Map(marks[index].copy);
            marks = marks.slice(0, index + 1);
          } else if (one.do === "list") {
            const range = { from: one.from, to: one.to };
            const expected = [...model.values()]
              .filter(({ key }) => inRange(key, range))
              .sort((a, b) => compareBytes(a.key, b.key));
            expect(taken(set.within(range, false))).toEqual(expected);
            walks.push({ walk: set.within(range, true), expected: expected.toReversed() });
          }
          expect(set.size).toBe(model.size);
          for (const [name, key] of everWritten) expect(set.get(key)?.what).toBe(model.get(name)?.what);
        }
        // What was written since is not among it.
        for (const { walk, expected } of walks) expect(taken(walk)).toEqual(expected);
      }),
    );
  });

  it("finds nothing that was not written", () => {
    const set = new WriteSet<number>();
    expect(set.get(Uint8Array.of(1))).toBeUndefined();
    set.put(Uint8Array.of(1, 0), 1);
    expect(set.get(Uint8Array.of(1))).toBeUndefined();
    expect(set.get(Uint8Array.of(1, 0))?.what).toBe(1);
  });

  it("lists its writes in the order in which their keys came, each as it is now", () => {
    const set = new WriteSet<number>();
    const [first, second] = [Uint8Array.of(9), Uint8Array.of(1)];
    expect([set.values(), set.within({ from: new Uint8Array(0), to: undefined }, false)]).toEqual([
      [],
      undefined,
    ]);
    set.put(first, 1);
    set.put(second, 2);
    set.put(first, 3);
    expect(set.values().map(({ key, what }) => [key, what])).toEqual([
      [first, 3],
      [second, 2],
    ]);
  });

  it("counts its writes at a mark, and knows the marks on its way", () => {
    const set = new WriteSet<number>();
    set.put(Uint8Array.of(1), 1);
    const early = set.mark();
    set.put(Uint8Array.of(1), 2);
    set.put(Uint8Array.of(2), 3);
    const late = set.mark();
    expect([early.writes, late.writes]).toEqual([1, 3]);
    expect([set.reaches(early), set.reaches(late)]).toEqual([true, true]);
    set.rollBack(early);
    expect([set.reaches(early), set.reaches(late), set.mark().writes]).toEqual([true, false, 1]);
    expect(() => set.rollBack(late)).toThrow("a write set goes back to where it has been");
    expect(new WriteSet<number>().reaches(early)).toBe(false);
  });
});
