import { expect, test } from "vitest";
import type { KeyRange } from "../../../src/keys/range.js";
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
