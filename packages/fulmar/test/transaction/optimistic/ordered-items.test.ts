import fc from "fast-check";
import { expect, it } from "vitest";
import { compareBytes } from "../../../src/base/bytes.js";
import { ALL_KEYS, inRange, type KeyRange } from "../../../src/keys/range.js";
import { type ItemWalk, OrderedItems } from "../../../src/transaction/optimistic/ordered-items.js";

interface Item {
  readonly key: Uint8Array;
  readonly value: number;
}

const KEYS = 2000;
const keyAt = (index: number): Uint8Array => Uint8Array.of(index >>> 8, index & 0xff);
const index = fc.nat(KEYS - 1);

function rest(walk: ItemWalk<Item>): Item[] {
  const items: Item[] = [];
  for (let item = walk.next(); item !== undefined; item = walk.next()) items.push(item);
  return items;
}

it.each([0, 1, 127, 128, 129, 256, 300])("%i ordered items are there once each, and one more", (count) => {
  const given = Array.from({ length: count }, (_, i) => ({ key: keyAt(i + 1), value: i }));
  const items = new OrderedItems(given);
  expect(rest(items.walk(ALL_KEYS, false))).toEqual(given);
  const last = { key: keyAt(KEYS), value: KEYS };
  items.put(last);
  expect(rest(items.walk(ALL_KEYS, true))).toEqual([...given, last].reverse());
});

it("ordered items are walked as they were when the walk began, whatever is changed on the way", () => {
  const change = fc.record({ from: index, count: fc.integer({ min: 1, max: 700 }), removes: fc.boolean() });
  const walked = fc.record({ from: index, to: fc.option(index, { nil: undefined }), reverse: fc.boolean() });
  fc.assert(
    fc.property(fc.nat(600), fc.array(fc.tuple(change, walked), { maxLength: 12 }), (first, steps) => {
      const model = new Map<number, Item>();
      for (let i = 0; i < first; i++) model.set(3 * i, { key: keyAt(3 * i), value: -1 });
      const items = new OrderedItems([...model.values()].reverse());
      const walks: { walk: ItemWalk<Item>; expected: Item[] }[] = [];
      for (const [value, [{ from, count, removes }, { from: low, to, reverse }]] of steps.entries()) {
        for (let i = from; i < Math.min(KEYS, from + count); i++) {
          const item = { key: keyAt(i), value };
          if (!removes) items.put(item);
          else if (model.has(i)) items.remove(item.key);
          if (removes) model.delete(i);
          else model.set(i, item);
          // Some are taken between the changes of a piece.
          if (i % 97 === 0) walks[0]?.walk.next();
          if (i % 97 === 0) walks[0]?.expected.shift();
        }
        const range: KeyRange = { from: keyAt(low), to: to === undefined ? undefined : keyAt(to) };
        const expected = [...model.values()]
          .filter(({ key }) => inRange(key, range))
          .sort((a, b) => compareBytes(a.key, b.key) * (reverse ? -1 : 1));
        walks.push({ walk: items.walk(range, reverse), expected });
      }
      for (const { walk, expected } of walks) expect(rest(walk)).toEqual(expected);
    }),
  );
});
