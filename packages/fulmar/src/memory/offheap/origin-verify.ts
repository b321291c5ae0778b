import { assert } from "../../base/assert.js";
import { originOf, seqOf } from "../../record/entry.js";
import type { Ref } from "../engine.js";
import type { OffHeapIndexes } from "./indexes.js";
import type { OrderTree } from "./order-tree.js";
import { verifyOrder } from "./order-verify.js";
import { originGroup } from "./origin-order.js";

/** Throws INVARIANT unless the order by origin has, as far as it is built, each record once and in its place. */
export function verifyOrigins(indexes: OffHeapIndexes, all: ReadonlySet<Ref>): void {
  const { origins } = indexes;
  if (origins.state === "absent") return;
  const seen = new Set<Ref>();
  if (origins.state !== "complete") verifyTree(indexes, origins.young, all, seen);
  verifyTree(indexes, origins.whole, all, seen);
  assert(origins.state === "building" || seen.size === all.size, "every record is with its origin");
}

function verifyTree(indexes: OffHeapIndexes, tree: OrderTree, all: ReadonlySet<Ref>, seen: Set<Ref>): void {
  const { records } = indexes;
  verifyOrder(tree, (group, minor, ref) => {
    assert(all.has(ref), "the order by origin has records that exist");
    assert(!seen.has(ref), "a record is with its origin once");
    seen.add(ref);
    const seq = seqOf(records.slab(ref), records.offset(ref));
    const origin = originOf(records.slab(ref), records.offset(ref));
    assert(
      originGroup(origin, seq) === group && seq % 2 ** 32 === minor,
      "records are with their origin and seq",
    );
  });
}
