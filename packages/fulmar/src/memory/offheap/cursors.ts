import { assert } from "../../base/assert.js";
import type { KeyRange } from "../../keys/range.js";
import { type Cursor, NONE, type Ref } from "../engine.js";
import type { OffHeapIndexes } from "./indexes.js";
import { COUNT, NEXT, PREVIOUS } from "./key-node-layout.js";
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

/** Most records that a scan looks up at a time. More than 64 bytes of them would lie outside of the heap. */
const AHEAD_MAX = 16;
/** The first time fewer: many a scan ends after a few. */
const AHEAD_FIRST = 4;

/**
 * Walks the key tree in one direction. As long as the tree stays as it is, a step is a step in a leaf;
 * when it changed, the place is sought again by the key of the record given last, which the pin keeps.
 *
 * Records are looked up some at a time: one after the other, each would have the processor wait for
 * memory, while in a short loop it fetches them all at once.
 */
export class ScanCursor implements Cursor {
  readonly #source: CursorSource;
  readonly #range: KeyRange;
  readonly #at: number;
  readonly #reverse: boolean;
  readonly #whole: boolean;
  #edition = -1;
  /** The next place to look up; in reverse the one behind it. */
  #leaf: Node = NO_NODE;
  #index = 0;
  /** The place to end at. No leaf: go on to the end of the tree. */
  #endLeaf: Node = NO_NODE;
  #endIndex = 0;
  /** Records looked up: those from `#taken` on are still to be given. */
  readonly #ahead = new Uint32Array(AHEAD_MAX);
  #aheadMax = AHEAD_FIRST;
  #filled = 0;
  #taken = 0;
  #last: Ref = NONE;
  #ended = false;

  constructor(source: CursorSource, range: KeyRange, at: number, reverse: boolean, whole: boolean) {
    this.#source = source;
    this.#range = range;
    this.#at = at;
    this.#reverse = reverse;
    this.#whole = whole;
    this.#seek();
  }

  next(): Ref {
    if (this.#ended) return NONE;
    if (this.#edition !== this.#source.indexes.keys.edition) this.#seekAgain();
    if (this.#taken === this.#filled) {
      this.#fill();
      if (this.#filled === 0) {
        this.#ended = true;
        return NONE;
      }
    }
    this.#last = this.#ahead[this.#taken++];
    return this.#last;
  }

  /** Looks up the next records; none at the end. */
  #fill(): void {
    const { records } = this.#source.indexes;
    this.#taken = 0;
    this.#filled = 0;
    while (this.#filled === 0) {
      const found = this.#gather();
      if (found === 0) return;
      this.#aheadMax = AHEAD_MAX;
      records.touch(this.#ahead, found);
      this.#keepVisible(found);
    }
    if (this.#whole) for (let i = 0; i < this.#filled; i++) records.fetch(this.#ahead[i]);
  }

  /** Takes the newest records of the next keys, and tells how many: none at the end. */
  #gather(): number {
    const { nodes } = this.#source.indexes.keys;
    let found = 0;
    for (;;) {
      const isEndLeaf = this.#leaf === this.#endLeaf;
      const leafEnd = this.#reverse ? 0 : nodes.get(this.#leaf, COUNT);
      found = this.#gatherUpTo(isEndLeaf ? this.#endIndex : leafEnd, found);
      const isEnd = isEndLeaf && this.#index === this.#endIndex;
      if (isEnd || found === this.#aheadMax || !this.#stepToNextLeaf()) return found;
    }
  }

  /** Takes what the leaf holds from here to `end`, as far as there is room beside the `found`. */
  #gatherUpTo(end: number, found: number): number {
    const { nodes } = this.#source.indexes.keys;
    const leaf = this.#leaf;
    const ahead = this.#ahead;
    const most = this.#aheadMax;
    const step = this.#reverse ? -1 : 1;
    // In reverse a place is behind the record that comes next.
    const behind = this.#reverse ? 1 : 0;
    let index = this.#index;
    let count = found;
    for (; index !== end && count < most; index += step) {
      ahead[count++] = nodes.ref(leaf, index - behind, true);
    }
    this.#index = index;
    return count;
  }

  /** Puts in the place of each newest record the one that is visible, and leaves out keys without one. */
  #keepVisible(found: number): void {
    const { indexes } = this.#source;
    const { records } = indexes;
    const at = this.#at;
    const ahead = this.#ahead;
    let filled = 0;
    for (let i = 0; i < found; i++) {
      const newest = ahead[i];
      const ref = records.versionOf(newest) <= at ? newest : visibleFrom(indexes, newest, at);
      if (ref !== NONE) ahead[filled++] = ref;
    }
    this.#filled = filled;
  }

  /** False at the end of the tree. */
  #stepToNextLeaf(): boolean {
    const { nodes } = this.#source.indexes.keys;
    const next = nodes.get(this.#leaf, this.#reverse ? PREVIOUS : NEXT);
    if (next === NO_NODE) return false;
    this.#leaf = next;
    this.#index = this.#reverse ? nodes.get(next, COUNT) : 0;
    return true;
  }

  #seek(): void {
    const { keys } = this.#source.indexes;
    const { from, to } = this.#range;
    this.#edition = keys.edition;
    this.#filled = 0;
    this.#taken = 0;
    const near = this.#reverse ? to : from;
    const far = this.#reverse ? from : to;
    if (far === undefined) this.#endLeaf = NO_NODE;
    else this.#seekEnd(far);
    if (near !== undefined) this.#place(near, 0, near.length);
    else {
      this.#leaf = keys.outermost(true);
      this.#index = keys.nodes.get(this.#leaf, COUNT);
    }
  }

  #seekEnd(bound: Uint8Array): void {
    const end = this.#source.indexes.lastEnd;
    if (!end.isOf(bound, this.#edition)) {
      this.#place(bound, 0, bound.length);
      end.set(bound, this.#edition, this.#leaf, this.#index);
    }
    this.#endLeaf = end.leaf;
    this.#endIndex = end.index;
  }

  #seekAgain(): void {
    assert(this.#source.isKept(this.#at), "a cursor goes on after a change only if its version is pinned");
    this.#seek();
    if (this.#last === NONE) return;
    const { records, keys } = this.#source.indexes;
    const slab = records.slab(this.#last);
    const start = records.keyStart(this.#last);
    this.#place(slab, start, start + records.keyLength(this.#last));
    if (!this.#reverse && keys.nodes.found) this.#index++;
  }

  /** To the first key that is not below `bytes[from, to)`: within a leaf, or at the end of the last one. */
  #place(bytes: Uint8Array, from: number, to: number): void {
    const { keys } = this.#source.indexes;
    this.#leaf = keys.leafOf(bytes, from, to);
    this.#index = keys.indexIn(this.#leaf, bytes, from, to);
    if (this.#index < keys.nodes.get(this.#leaf, COUNT)) return;
    const next = keys.nodes.get(this.#leaf, NEXT);
    if (next === NO_NODE) return;
    this.#leaf = next;
    this.#index = 0;
  }
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
