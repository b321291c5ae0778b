import { assert } from "../../base/assert.js";
import type { Ref } from "../engine.js";
import { NO_NODE, type Node } from "./node-pool.js";
import { COUNT, NEXT, PREVIOUS } from "./order-nodes.js";
import type { OrderTree } from "./order-tree.js";

type Item = readonly [group: number, minor: number, ref: Ref];

/** Throws INVARIANT unless order, bounds and links are right. Shows every item, and returns how many there are. */
export function verifyOrder(tree: OrderTree, each: (group: number, minor: number, ref: Ref) => void): number {
  const { nodes } = tree;
  const leaves: Node[] = [];
  let nodeCount = 0;
  let size = 0;
  let before: Item | undefined;
  visit(tree.root, tree.height, undefined, undefined);
  for (const [i, leaf] of leaves.entries()) {
    assert(
      nodes.get(leaf, PREVIOUS) === (leaves[i - 1] ?? NO_NODE),
      "leaves of an order are linked backwards",
    );
    assert(nodes.get(leaf, NEXT) === (leaves[i + 1] ?? NO_NODE), "leaves of an order are linked forwards");
  }
  assert(size === tree.size, "the items of an order are counted");
  nodes.pool.verify();
  assert(nodes.pool.used === nodeCount, "every node in use is in its order");
  return size;

  function visit(node: Node, level: number, low: Item | undefined, high: Item | undefined): void {
    const count = nodes.get(node, COUNT);
    nodeCount++;
    assert(count > 0 || node === tree.root, "only the root of an order may be empty");
    assert(count <= (level === 0 ? nodes.leafMax : nodes.innerMax), "a node has no more than it can hold");
    assert(level === 0 || count > 1, "an inner node has a choice");
    if (level === 0) {
      leaves.push(node);
      for (let i = 0; i < count; i++)
        visitItem([nodes.group(node), nodes.minor(node, i), nodes.ref(node, i)], low, high);
      return;
    }
    for (let i = 0; i < count; i++) {
      const from = i === 0 ? low : nodes.bound(node, i);
      const to = i === count - 1 ? high : nodes.bound(node, i + 1);
      visit(nodes.child(node, i), level - 1, from, to);
    }
  }

  function visitItem(item: Item, low: Item | undefined, high: Item | undefined): void {
    assert(before === undefined || compareItems(before, item) < 0, "items of an order ascend");
    assert(low === undefined || compareItems(low, item) <= 0, "items are not below their bound");
    assert(high === undefined || compareItems(item, high) < 0, "items are below the next bound");
    each(...item);
    before = item;
    size++;
  }
}

function compareItems(a: Item, b: Item): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
