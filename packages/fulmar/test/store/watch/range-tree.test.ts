import fc from "fast-check";
import { expect, test } from "vitest";
import { inRange, type KeyRange } from "../../../src/keys/range.js";
import { RangeTree } from "../../../src/store/watch/range-tree.js";

function range(from: number, to: number | undefined): KeyRange {
  return { from: Uint8Array.of(from), to: to === undefined ? undefined : Uint8Array.of(to) };
}

test("ranges are handed out a few at a time: each once, in order, those without an end behind the others", () => {
  const tree = new RangeTree<number>();
  const inOrder: KeyRange[] = [];
  for (let from = 0; from < 50; from++) {
    inOrder.push(range(from, from + 1), range(from, from + 7), range(from, undefined));
  }
  for (let i = 0; i < inOrder.length; i++) {
    const place = (i * 37) % inOrder.length;
    // A second one of the same range is no other range.
    for (const item of [1, 2]) tree.add(inOrder[place], item);
  }
  expect(tree.size).toBe(inOrder.length);
  for (const count of [1, 7, 64, 150, 200]) {
    const pages: KeyRange[][] = [];
    while (pages.length <= inOrder.length) {
      const page = tree.next(pages.at(-1)?.at(-1), count);
      if (page.length === 0) break;
      pages.push(page);
    }
    expect(pages.flat(), `${count} at a time`).toEqual(inOrder);
    expect(pages.slice(0, -1).every(({ length }) => length === count)).toBe(true);
  }
  for (const one of inOrder) tree.remove(one, 1);
  expect(tree.size).toBe(inOrder.length);
  for (const one of inOrder) tree.remove(one, 2);
  expect([tree.size, tree.next(undefined, 5)]).toEqual([0, []]);
});

/** Who is found for a key when somebody says stop at the `most`-th, and whether anybody did. */
function found(
  tree: RangeTree<number>,
  key: Uint8Array,
  most: number,
): { items: number[]; stopped: boolean } {
  const items: number[] = [];
  const stopped = tree.some(key, (item) => items.push(item) >= most);
  return { items, stopped };
}

const end = fc.nat({ max: 12 });
const anyRange = fc
  .tuple(end, fc.option(end, { nil: undefined }))
  .map(([from, to]) => range(from, to === undefined ? undefined : from + to));

test("a key finds the items of all ranges that hold it, and of no other, whatever comes and goes", () => {
  const step = fc.record({ range: anyRange, item: fc.nat({ max: 2 }), leaves: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: "max" }), (steps) => {
      const tree = new RangeTree<number>();
      const model = new Map<string, { readonly range: KeyRange; readonly items: Set<number> }>();
      for (const [id, one] of steps.entries()) {
        const name = `${one.range.from} ${one.range.to}`;
        const known = model.get(name) ?? { range: one.range, items: new Set() };
        // An item in each range of its own, so that what is found says where.
        const item = one.item + 10 * (one.range.from[0] + 20 * (one.range.to?.[0] ?? 30));
        if (one.leaves) {
          tree.remove(one.range, item);
          known.items.delete(item);
        } else {
          tree.add(one.range, item);
          known.items.add(item);
        }
        if (known.items.size > 0) model.set(name, known);
        else model.delete(name);
        if (id % 10 > 0) continue;
        expect(tree.size).toBe(model.size);
        for (let byte = 0; byte < 26; byte++) {
          const key = Uint8Array.of(byte);
          const holding = [...model.values()].filter((two) => inRange(key, two.range));
          const items = holding.flatMap((two) => [...two.items]).sort((a, b) => a - b);
          const all = found(tree, key, Number.POSITIVE_INFINITY);
          expect([all.items.sort((a, b) => a - b), all.stopped]).toEqual([items, false]);
          if (items.length > 0) expect(found(tree, key, 1)).toMatchObject({ stopped: true });
          if (items.length > 0) expect(found(tree, key, 1).items.length).toBe(1);
        }
      }
    }),
    { numRuns: 30 },
  );
});

test("among thousands that were added in order, or that remain of more, a look costs few comparisons", () => {
  const counts = { ends: 0 };
  const counted = (index: number): KeyRange => {
    const bytes = Uint8Array.of(index >> 8, index & 255);
    const to = new Proxy(Uint8Array.of(index >> 8, index & 255, 5), {
      get: (target, property) => {
        if (property === "length") counts.ends++;
        const value: unknown = Reflect.get(target, property);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return { from: bytes, to };
  };
  const tree = new RangeTree<number>();
  const ranges = Array.from({ length: 8000 }, (_, i) => counted(i));
  for (const [i, one] of ranges.entries()) tree.add(one, i);
  const worst = (): number => {
    let most = 0;
    for (let i = 1; i < 8000; i += 97) {
      counts.ends = 0;
      tree.some(Uint8Array.of(i >> 8, i & 255, 9), () => true);
      most = Math.max(most, counts.ends);
    }
    return most;
  };
  // The depth of such a tree is about 35; what a look costs in a list would be thousands.
  expect(worst()).toBeLessThan(200);
  for (const [i, one] of ranges.entries()) if (i % 8 > 0) tree.remove(one, i);
  expect(worst()).toBeLessThan(200);
  expect(found(tree, Uint8Array.of(0, 8, 1), 1)).toEqual({ items: [8], stopped: true });
  expect(found(tree, Uint8Array.of(0, 9, 1), 1)).toEqual({ items: [], stopped: false });
});

test("a few ranges out of the middle of thousands are handed out without a look at the others", () => {
  let looks = 0;
  const tree = new RangeTree<number>();
  const ranges = Array.from({ length: 4000 }, (_, i): KeyRange => {
    const from = new Proxy(Uint8Array.of(i >> 8, i & 255), {
      get: (target, property) => {
        if (property === "length") looks++;
        const value: unknown = Reflect.get(target, property);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return { from, to: undefined };
  });
  for (const [i, one] of ranges.entries()) tree.add(one, i);
  looks = 0;
  expect(tree.next(ranges[1999], 3)).toEqual(ranges.slice(2000, 2003));
  expect(looks).toBeLessThan(500);
  expect(looks).toBeGreaterThan(0);
});
