import { compareRanges } from "../../base/bytes.js";
import type { KeyRange } from "../../keys/range.js";
import { keyLengthOf, keyStart } from "../../record/entry.js";
import { NONE, type Ref } from "../engine.js";
import { headOf, prefixLength } from "../offheap/key-heads.js";
import { COUNT, HEADS, PREFIX, SEPARATOR_HEADER_BYTES } from "../offheap/key-node-layout.js";
import type { Node } from "../offheap/node-pool.js";
import { ROOT, rootHeight, rootNode } from "./control.js";
import { type SharedView, TornRead } from "./view.js";

/** More levels than there can be. */
const LEVELS_MAX = 40;
/** So many versions of a key are passed by before somebody asks whether the read is still on. */
const VERSIONS_PER_CHECK = 64;

/** What a read of the tree needs to know of itself. */
export interface ReadInProgress {
  /** Throws a {@link TornRead} when the read was taken back. */
  check(): void;
}

/**
 * The key tree as a reader on another thread walks it, within one read: down from the root and on by the way
 * that it came. It never uses the links between leaves, nor anything else that changes in place.
 */
export class ReaderTree {
  readonly #view: SharedView;
  readonly #control: Uint32Array;
  readonly #read: ReadInProgress;
  readonly #leafMax: number;
  readonly #innerMax: number;
  #found = false;
  /** The newest record of the key that the last search of a leaf met. */
  #newest: Ref = NONE;
  /** The node on each level of the way, and the index taken in it; level 0 is the leaf. */
  readonly #nodes = new Uint32Array(LEVELS_MAX);
  readonly #indexes = new Int32Array(LEVELS_MAX);
  #height = 0;

  constructor(view: SharedView, control: Uint32Array, read: ReadInProgress) {
    this.#view = view;
    this.#control = control;
    this.#read = read;
    this.#leafMax = view.layout.leafMax;
    this.#innerMax = view.layout.innerMax;
  }

  /** The record of a key that is visible at a version: a tombstone too, NONE if there is none. */
  find(key: Uint8Array, version: number): Ref {
    this.#descend(key);
    if (!this.#found) return NONE;
    return this.#visible(this.#newest, version);
  }

  /**
   * Calls `take` for each key in order, with its record that is visible at a version or NONE, and its newest
   * record, until it returns false. Returns whether the range came to its end.
   */
  scan(
    range: KeyRange,
    reverse: boolean,
    version: number,
    take: (ref: Ref, newest: Ref) => boolean,
  ): boolean {
    const { from, to } = range;
    if (!reverse) this.#descend(from);
    else if (to === undefined) this.#descendLast();
    else this.#descend(to);
    for (;;) {
      const isThere = reverse ? this.#back() : this.#toEntry();
      if (!isThere) return true;
      const newest = this.#ref(this.#nodes[0], this.#indexes[0]);
      if (reverse ? this.#compare(newest, true, from) < 0 : to !== undefined && this.#isAtOrAbove(newest, to))
        return true;
      if (!reverse) this.#indexes[0]++;
      if (!take(this.#visible(newest, version), newest)) return false;
    }
  }

  #isAtOrAbove(ref: Ref, to: Uint8Array): boolean {
    return this.#compare(ref, true, to) >= 0;
  }

  /** The version in a chain that a reader at `version` sees. */
  #visible(newest: Ref, version: number): Ref {
    let ref = newest;
    for (let passed = 1; ref !== NONE && this.#view.versionOf(ref) > version; passed++) {
      if (passed % VERSIONS_PER_CHECK === 0) this.#read.check();
      ref = this.#view.older(ref);
    }
    return ref;
  }

  #begin(): Node {
    const word = this.#view.pointer(this.#control, ROOT);
    this.#height = rootHeight(word);
    if (this.#height >= LEVELS_MAX) throw new TornRead("no tree is so high");
    return rootNode(word);
  }

  /** To the first key that is not below `key`, or behind the last one of its leaf. */
  #descend(key: Uint8Array): void {
    let node = this.#begin();
    for (let level = this.#height; level > 0; level--) {
      const index = this.#search(node, key, false);
      const taken = this.#found ? index : index - 1;
      this.#nodes[level] = node;
      this.#indexes[level] = taken;
      node = this.#child(node, taken);
    }
    this.#nodes[0] = node;
    this.#indexes[0] = this.#search(node, key, true);
  }

  /** Behind the last key. */
  #descendLast(): void {
    const node = this.#begin();
    this.#nodes[this.#height] = node;
    this.#indexes[this.#height] = this.#count(node, this.#height === 0) - (this.#height === 0 ? 0 : 1);
    this.#fall(this.#height, true);
  }

  /** Whether the way ends at an entry, perhaps after going on to the next leaf. */
  #toEntry(): boolean {
    while (this.#indexes[0] >= this.#count(this.#nodes[0], true)) {
      let level = 1;
      while (level <= this.#height && this.#indexes[level] + 1 >= this.#count(this.#nodes[level], false))
        level++;
      if (level > this.#height) return false;
      this.#indexes[level]++;
      this.#fall(level, false);
    }
    return true;
  }

  /** To the entry before the way's end; false when there is none. */
  #back(): boolean {
    while (this.#indexes[0] === 0) {
      let level = 1;
      while (level <= this.#height && this.#indexes[level] === 0) level++;
      if (level > this.#height) return false;
      this.#indexes[level]--;
      this.#fall(level, true);
    }
    this.#indexes[0]--;
    return true;
  }

  /** From the node on a level down to its first entry, or behind its last one. */
  #fall(from: number, isLast: boolean): void {
    for (let level = from; level > 0; level--) {
      const node = this.#child(this.#nodes[level], this.#indexes[level]);
      const count = this.#count(node, level === 1);
      this.#nodes[level - 1] = node;
      this.#indexes[level - 1] = isLast ? (level === 1 ? count : count - 1) : 0;
    }
    this.#read.check();
  }

  #count(node: Node, isLeaf: boolean): number {
    const count = this.#view.nodeWords(node)[this.#view.base(node) + COUNT];
    if (count > (isLeaf ? this.#leafMax : this.#innerMax)) throw new TornRead("no node holds so much");
    if (!isLeaf && count === 0) throw new TornRead("no inner node is empty");
    return count;
  }

  #child(node: Node, index: number): Node {
    const at = this.#view.base(node) + HEADS + 2 * this.#innerMax + index;
    return this.#view.pointer(this.#view.nodeWords(node), at);
  }

  #ref(leaf: Node, index: number): Ref {
    const at = this.#view.base(leaf) + HEADS + this.#leafMax + index;
    return this.#view.pointer(this.#view.nodeWords(leaf), at);
  }

  /** As `KeyNodes.search`, for memory that may be nonsense. */
  #search(node: Node, key: Uint8Array, isLeaf: boolean): number {
    const first = isLeaf ? 0 : 1;
    const count = this.#count(node, isLeaf);
    this.#found = false;
    if (count <= first) return first;
    const words = this.#view.nodeWords(node);
    const base = this.#view.base(node);
    const prefix = prefixLength(words[base + PREFIX]);
    const head = headOf(key, prefix, key.length);
    const heads = base + HEADS;
    let low = first;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[heads + middle] < head) low = middle + 1;
      else high = middle;
    }
    const refs = heads + (isLeaf ? this.#leafMax : this.#innerMax);
    if (prefix > 0) {
      const near = this.#view.pointer(words, refs + (low < count ? low : count - 1));
      const side = this.#comparePrefix(near, isLeaf, key, prefix);
      if (side !== 0) return side < 0 ? first : count;
    }
    let end = low;
    while (end < count && words[heads + end] === head) end++;
    while (low < end) {
      const middle = (low + end) >>> 1;
      const ref = this.#view.pointer(words, refs + middle);
      const order = this.#compare(ref, isLeaf, key);
      if (order === 0) {
        this.#found = true;
        this.#newest = ref;
        return middle;
      }
      if (order < 0) low = middle + 1;
      else end = middle;
    }
    return low;
  }

  /** Order of the key of a record, or of a separator, against another key. */
  #compare(ref: Ref, isLeaf: boolean, key: Uint8Array): number {
    const slab = this.#view.slab(ref);
    const start = this.#keyStart(slab, ref, isLeaf);
    return compareRanges(slab, start, start + this.#keyLength(slab, ref, isLeaf), key, 0, key.length);
  }

  #comparePrefix(ref: Ref, isLeaf: boolean, key: Uint8Array, prefix: number): number {
    const slab = this.#view.slab(ref);
    const start = this.#keyStart(slab, ref, isLeaf);
    const length = Math.min(key.length, prefix);
    for (let i = 0; i < length; i++) {
      const difference = key[i] - slab[start + i];
      if (difference !== 0) return difference;
    }
    return length < prefix ? -1 : 0;
  }

  #keyStart(slab: Uint8Array, ref: Ref, isLeaf: boolean): number {
    return isLeaf ? keyStart(slab, this.#view.offset(ref)) : this.#view.start(ref) + SEPARATOR_HEADER_BYTES;
  }

  #keyLength(slab: Uint8Array, ref: Ref, isLeaf: boolean): number {
    return keyLengthOf(slab, isLeaf ? this.#view.offset(ref) : this.#view.start(ref));
  }
}
