import { assert } from "../../base/assert.js";
import type { KeyRange } from "../../keys/range.js";
import { type Cursor, NONE, type Ref, type ScanOptions } from "../engine.js";
import { type CursorSource, visibleFrom } from "./cursors.js";
import { COUNT, NEXT, PREVIOUS } from "./key-node-layout.js";
import { NO_NODE, type Node } from "./node-pool.js";

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
  readonly #living: boolean;
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
  /** Whether all that was looked up last is bare, and nobody wants it: then each leaf is looked up by itself. */
  #isBare = false;
  /** A leaf that was entered at its edge: if `#isBare`, everything of it that was looked up is bare. */
  #bareLeaf: Node = NO_NODE;

  constructor(source: CursorSource, range: KeyRange, at: number, reverse: boolean, options: ScanOptions) {
    this.#source = source;
    this.#range = range;
    this.#at = at;
    this.#reverse = reverse;
    this.#whole = options.whole === true;
    this.#living = options.living === true;
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
    const { records, bare } = this.#source.indexes;
    this.#taken = 0;
    this.#filled = 0;
    while (this.#filled === 0) {
      const found = this.#gather();
      if (found === 0) return;
      this.#aheadMax = AHEAD_MAX;
      records.touch(this.#ahead, found);
      this.#isBare = this.#living && bare.areBare(this.#ahead, found);
      if (!this.#isBare) this.#bareLeaf = NO_NODE;
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
      if (isEnd || found === this.#aheadMax || (this.#isBare && found > 0)) return found;
      if (!this.#stepToNextLeaf()) return found;
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
    const { keys, bare } = this.#source.indexes;
    if (this.#isBare && this.#leaf === this.#bareLeaf) bare.mark(this.#leaf);
    const next = keys.nodes.get(this.#leaf, this.#reverse ? PREVIOUS : NEXT);
    if (next === NO_NODE) return false;
    this.#enter(next);
    if (this.#living) this.#passBare();
    return true;
  }

  /** To the edge of a leaf. */
  #enter(leaf: Node): void {
    this.#leaf = leaf;
    this.#index = this.#edgeOf(leaf);
    this.#bareLeaf = leaf;
  }

  /** Where a walk through a leaf begins. */
  #edgeOf(leaf: Node): number {
    return this.#reverse ? this.#source.indexes.keys.nodes.get(leaf, COUNT) : 0;
  }

  /** Past leaves that are known to be bare, the one to end in among them: others may have marked it meanwhile. */
  #passBare(): void {
    const { bare } = this.#source.indexes;
    if (!bare.isMarked(this.#leaf)) return;
    if (this.#endLeaf !== NO_NODE && bare.isMarked(this.#endLeaf)) {
      this.#endLeaf = bare.beyond(this.#endLeaf, this.#reverse);
      if (this.#endLeaf !== NO_NODE) this.#endIndex = this.#edgeOf(this.#endLeaf);
    }
    const next = bare.beyond(this.#leaf, this.#reverse);
    if (next !== NO_NODE) {
      this.#enter(next);
      return;
    }
    // Nothing is left: the end is here.
    this.#endLeaf = this.#leaf;
    this.#endIndex = this.#index;
  }

  #seek(): void {
    const { keys } = this.#source.indexes;
    const { from, to } = this.#range;
    const near = this.#reverse ? to : from;
    this.#findEnd(this.#reverse ? from : to);
    if (near !== undefined) this.#place(near, 0, near.length);
    else {
      this.#leaf = keys.outermost(true);
      this.#index = keys.nodes.get(this.#leaf, COUNT);
    }
    this.#begin();
  }

  #seekAgain(): void {
    assert(this.#source.isKept(this.#at), "a cursor goes on after a change only if its version is pinned");
    if (this.#last === NONE) {
      this.#seek();
      return;
    }
    const { records, keys } = this.#source.indexes;
    this.#findEnd(this.#reverse ? this.#range.from : this.#range.to);
    const slab = records.slab(this.#last);
    const start = records.keyStart(this.#last);
    this.#place(slab, start, start + records.keyLength(this.#last));
    if (!this.#reverse && keys.nodes.found) this.#index++;
    this.#begin();
  }

  /** Goes on from the place that was found in the tree as it is now. */
  #begin(): void {
    this.#filled = 0;
    this.#taken = 0;
    this.#isBare = false;
    this.#bareLeaf = this.#index === this.#edgeOf(this.#leaf) ? this.#leaf : NO_NODE;
    if (this.#living) this.#passBare();
  }

  /** Where the tree as it is now has the end of the range; undefined is the end of the tree. */
  #findEnd(bound: Uint8Array | undefined): void {
    this.#edition = this.#source.indexes.keys.edition;
    if (bound === undefined) {
      this.#endLeaf = NO_NODE;
      return;
    }
    const end = this.#source.indexes.lastEnd;
    if (!end.isOf(bound, this.#edition)) {
      this.#place(bound, 0, bound.length);
      end.set(bound, this.#edition, this.#leaf, this.#index);
    }
    this.#endLeaf = end.leaf;
    this.#endIndex = end.index;
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
