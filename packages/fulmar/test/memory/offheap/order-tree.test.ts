import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NO_NODE } from "../../../src/memory/offheap/node-pool.js";
import { COUNT, NEXT } from "../../../src/memory/offheap/order-nodes.js";
import { OrderSorter } from "../../../src/memory/offheap/order-sorter.js";
import { OrderTree } from "../../../src/memory/offheap/order-tree.js";
import { verifyOrder } from "../../../src/memory/offheap/order-verify.js";
import { DEFAULT_SHAPE } from "../../../src/memory/offheap/shape.js";
import { SMALL, SMALLEST } from "./shapes.js";

type Item = readonly [group: number, minor: number, ref: number];

const group = fc.constantFrom(0, 1, 2, 2 ** 32, 2 ** 53 - 1);
const minor = fc.oneof(fc.nat(20), fc.constantFrom(2 ** 31, 2 ** 32 - 1));
const ref = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(2 ** 31, 2 ** 32 - 1));
const commands = fc.array(fc.tuple(fc.constantFrom("add", "add", "remove"), group, minor, ref), {
  maxLength: 300,
  size: "max",
});

function itemsOf(tree: OrderTree): Item[] {
  const { nodes } = tree;
  const items: Item[] = [];
  for (let leaf = tree.firstLeaf(); leaf !== NO_NODE; leaf = nodes.get(leaf, NEXT)) {
    for (let i = 0; i < nodes.get(leaf, COUNT); i++) {
      items.push([nodes.group(leaf), nodes.minor(leaf, i), nodes.ref(leaf, i)]);
    }
  }
  return items;
}

/** A reproducible sequence of integers below a bound (xorshift32). */
function sequence(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

const byAll = (a: Item, b: Item): number => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

describe.each([
  ["small", SMALL],
  ["smallest", SMALLEST],
])("order tree, %s nodes", (_, shape) => {
  it("keeps any items in order through additions and removals", () => {
    fc.assert(
      fc.property(commands, (sequence) => {
        const tree = new OrderTree({ ...DEFAULT_SHAPE, ...shape });
        const model = new Map<string, Item>();
        for (const [type, ...item] of sequence) {
          const name = item.join();
          if (type === "add" && !model.has(name)) {
            tree.add(...item);
            model.set(name, item);
          }
          const [first] = model.values();
          if (type === "remove" && first !== undefined) {
            const removed = model.get(name) ?? first;
            tree.remove(...removed);
            model.delete(removed.join());
          }
          expect(verifyOrder(tree, () => {})).toBe(model.size);
        }
        expect(itemsOf(tree)).toEqual([...model.values()].sort(byAll));
        for (const item of model.values()) tree.remove(...item);
        expect([verifyOrder(tree, () => {}), tree.height, tree.nodes.pool.used]).toEqual([0, 0, 1]);
      }),
      { numRuns: 100 },
    );
  });

  it("takes what a sorter collected, in full leaves, whatever the order and however many", () => {
    const groups = fc.array(fc.constantFrom(0, 7, 2 ** 32, 2 ** 53 - 1), { minLength: 1, maxLength: 3 });
    const minors = fc.constantFrom(1, 300, 2 ** 16, 2 ** 32);
    const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 });
    const counts = fc.constantFrom(0, 1, 31, 32, 33, 500, 20_000);
    fc.assert(
      fc.property(
        groups,
        minors,
        seeds,
        counts,
        fc.constantFrom("up", "down", "mixed"),
        (groups, minors, seed, count, order) => {
          const tree = new OrderTree({ ...DEFAULT_SHAPE, ...shape });
          const sorter = new OrderSorter(tree);
          const random = sequence(seed);
          const items = Array.from(
            { length: count },
            (_, i): Item => [groups[i % groups.length], random(minors), i + 1],
          );
          if (order === "up") items.sort(byAll);
          if (order === "down") items.sort((a, b) => byAll(b, a));
          for (const item of items) sorter.add(...item);
          let steps = 1;
          while (!sorter.step()) steps++;
          expect(steps).toBeGreaterThan(count / 16_384);
          expect(verifyOrder(tree, () => {})).toBe(count);
          expect(itemsOf(tree)).toEqual(items.sort(byAll));
          let leaves = 0;
          for (let leaf = tree.firstLeaf(); leaf !== NO_NODE; leaf = tree.nodes.get(leaf, NEXT)) leaves++;
          expect(leaves).toBeLessThanOrEqual(count / tree.nodes.leafMax + 3);
        },
      ),
      { numRuns: 25 },
    );
  });

  it("leaves full leaves behind where items come at the end of their groups", () => {
    const tree = new OrderTree({ ...DEFAULT_SHAPE, ...shape });
    const count = 20 * tree.nodes.leafMax;
    for (let i = 0; i < count; i++) for (const group of [7, 5, 9]) tree.add(group, i, 1 + (i % 3));
    let leaves = 0;
    for (let leaf = tree.firstLeaf(); leaf !== NO_NODE; leaf = tree.nodes.get(leaf, NEXT)) leaves++;
    expect(leaves).toBe(60);
  });
});
