import { assert } from "../../base/assert.js";
import { type Cursor, NONE, type Ref } from "../engine.js";
import type { OffHeapIndexes } from "./indexes.js";
import { NO_NODE, type Node } from "./node-pool.js";
import { COUNT as ITEM_COUNT, NEXT as NEXT_ITEMS } from "./order-nodes.js";
import type { OrderTree } from "./order-tree.js";
import { SUPERSEDED } from "./record-marks.js";

/** A cursor over nothing. */
export const NOTHING: Cursor = Object.freeze({ next: () => NONE });

/** What a cursor must know to go on after a change. */
export interface CursorSource {
  readonly indexes: OffHeapIndexes;
  /** Whether the records that were visible at a version are surely still there. */
  isKept(version: number): boolean;
}

/** The version in the chain below `ref` that a reader at `at` sees. */
export function visibleFrom(indexes: OffHeapIndexes, ref: Ref, at: number): Ref {
  let visible = ref;
  while (visible !== NONE && indexes.records.versionOf(visible) > at)
    visible = indexes.records.older(visible);
  return visible;
}

/** Walks items of an order from one place up to and including another. */
export class OrderCursor implements Cursor {
  readonly #source: CursorSource;
  readonly #tree: OrderTree;
  /** Undefined: whatever is there now, without looking at versions. */
  readonly #at: number | undefined;
  readonly #endGroup: number;
  readonly #endMinor: number;
  #edition: number;
  #leaf: Node;
  #index: number;
  /** The item given last, or where to begin. */
  #group: number;
  #minor: number;
  #last: Ref = NONE;
  #ended = false;

  /** Group and minor of the first and the last item. */
  constructor(
    source: CursorSource,
    tree: OrderTree,
    from: readonly [number, number],
    to: readonly [number, number],
    at: number | undefined,
  ) {
    this.#source = source;
    this.#tree = tree;
    this.#at = at;
    [this.#group, this.#minor] = from;
    [this.#endGroup, this.#endMinor] = to;
    this.#edition = tree.edition;
    this.#leaf = tree.leafOf(this.#group, this.#minor, 0);
    this.#index = this.#indexIn(this.#leaf);
  }

  next(): Ref {
    if (this.#ended) return NONE;
    if (this.#edition !== this.#tree.edition) this.#seekAgain();
    const { nodes } = this.#tree;
    for (;;) {
      if (this.#index >= nodes.get(this.#leaf, ITEM_COUNT)) {
        const next = nodes.get(this.#leaf, NEXT_ITEMS);
        if (next === NO_NODE) break;
        this.#leaf = next;
        this.#index = 0;
      }
      const group = nodes.group(this.#leaf);
      const minor = nodes.minor(this.#leaf, this.#index);
      if (group > this.#endGroup || (group === this.#endGroup && minor > this.#endMinor)) break;
      const ref = nodes.ref(this.#leaf, this.#index++);
      if (!this.#isVisible(ref)) continue;
      this.#group = group;
      this.#minor = minor;
      this.#last = ref;
      return ref;
    }
    this.#ended = true;
    return NONE;
  }

  #isVisible(ref: Ref): boolean {
    const { indexes } = this.#source;
    if (this.#at === undefined) return true;
    if (indexes.records.versionOf(ref) > this.#at) return false;
    if (!indexes.records.has(ref, SUPERSEDED)) return true;
    // The version that replaced it is only known to the newest of the key.
    return visibleFrom(indexes, indexes.newestOf(ref), this.#at) === ref;
  }

  /** An item needs no record to be sought again: it is numbers. */
  #seekAgain(): void {
    const isKept = this.#at !== undefined && this.#source.isKept(this.#at);
    assert(isKept, "a cursor goes on after a change only if its version is pinned");
    this.#edition = this.#tree.edition;
    this.#leaf = this.#tree.leafOf(this.#group, this.#minor, this.#last);
    this.#index = this.#indexIn(this.#leaf);
    const { nodes } = this.#tree;
    if (this.#last === NONE || this.#index >= nodes.get(this.#leaf, ITEM_COUNT)) return;
    if (nodes.group(this.#leaf) === this.#group && nodes.ref(this.#leaf, this.#index) === this.#last)
      this.#index++;
  }

  /** The index of the first item in a leaf that is not below the place of this cursor. */
  #indexIn(leaf: Node): number {
    const { nodes } = this.#tree;
    const group = nodes.group(leaf);
    if (group !== this.#group) return group > this.#group ? 0 : nodes.get(leaf, ITEM_COUNT);
    return nodes.searchLeaf(leaf, this.#minor, this.#last);
  }
}
