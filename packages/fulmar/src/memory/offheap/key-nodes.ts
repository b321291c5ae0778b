import { assert } from "../../base/assert.js";
import { compareRanges } from "../../base/bytes.js";
import type { Ref } from "../engine.js";
import type { Backing } from "./backing.js";
import {
  commonLength,
  firstHeadFrom,
  headOf,
  PREFIX_END_BYTES,
  prefixLength,
  prefixWord,
  sideOfPrefix,
} from "./key-heads.js";
import { COUNT, HEADS, PREFIX, SEPARATOR_HEADER_BYTES, STALE, STATE } from "./key-node-layout.js";
import { type Node, NodePool } from "./node-pool.js";
import type { Records } from "./records.js";
import type { EngineShape } from "./shape.js";

/** Heads are made anew only when they gain so many bytes: each looks at all keys of a node. */
const PREFIX_GAIN_MIN = 2;

/**
 * The nodes of the key tree and what is done within one of them.
 *
 * A leaf has a reference to the newest record of each key, an inner node a separator before each child
 * but the first: a short key of its own, above all keys to its left and not above those to its right,
 * so that no record is ever named by an inner node. Beside each reference stands a head, the four
 * bytes after the prefix that the keys of the node share. A search compares heads, which are in a few
 * cache lines, and looks at one key in the end, which settles the prefix as well.
 */
export class KeyNodes {
  readonly pool: NodePool;
  readonly leafMax: number;
  readonly innerMax: number;
  readonly #records: Records;
  /** Whether the last {@link search} met the very key. */
  found = false;
  /** Whether the key of the last {@link search} begins as all keys of the node do, and its head then. */
  #matched = false;
  #head = 0;

  constructor(records: Records, shape: EngineShape, backing?: Backing) {
    this.pool = new NodePool(shape, backing);
    this.#records = records;
    this.leafMax = Math.min(shape.nodeEntriesMax, Math.floor((shape.nodeWords - HEADS) / 2));
    this.innerMax = Math.min(shape.nodeEntriesMax, Math.floor((shape.nodeWords - HEADS) / 3));
  }

  get(node: Node, field: number): number {
    return this.pool.words(node)[this.pool.base(node) + field];
  }

  set(node: Node, field: number, value: number): void {
    this.pool.words(node)[this.pool.base(node) + field] = value;
  }

  /** How many bytes all keys of a node begin with, as far as it says. */
  prefix(node: Node): number {
    return prefixLength(this.get(node, PREFIX));
  }

  /** The reference at an index: a record in a leaf, a separator in an inner node. */
  ref(node: Node, index: number, isLeaf: boolean): Ref {
    return this.get(node, HEADS + (isLeaf ? this.leafMax : this.innerMax) + index);
  }

  setRef(node: Node, index: number, ref: Ref, isLeaf: boolean): void {
    this.set(node, HEADS + (isLeaf ? this.leafMax : this.innerMax) + index, ref);
  }

  child(node: Node, index: number): Node {
    return this.get(node, HEADS + 2 * this.innerMax + index);
  }

  setChild(node: Node, index: number, child: Node): void {
    this.set(node, HEADS + 2 * this.innerMax + index, child);
  }

  /** Puts another child in a place where readers on other threads may look: one of the same range of keys. */
  publishChild(node: Node, index: number, child: Node): void {
    const at = this.pool.base(node) + HEADS + 2 * this.innerMax + index;
    Atomics.store(this.pool.words(node), at, child);
  }

  /** Puts another record of the same key, or the same one elsewhere, where readers on other threads may look. */
  publishRef(leaf: Node, index: number, ref: Ref): void {
    Atomics.store(this.pool.words(leaf), this.pool.base(leaf) + HEADS + this.leafMax + index, ref);
  }

  /** A node with the same contents, which nothing leads to. */
  copy(node: Node): Node {
    const copy = this.pool.take();
    const source = this.pool.words(node);
    const into = this.pool.words(copy);
    const from = this.pool.base(node);
    const to = this.pool.base(copy);
    for (let i = this.pool.nodeWords - 1; i >= 0; i--) into[to + i] = source[from + i];
    return copy;
  }

  /** An empty node. */
  create(): Node {
    const node = this.pool.take();
    const words = this.pool.words(node);
    const base = this.pool.base(node);
    words.fill(0, base, base + HEADS);
    words[base + STATE] = STALE;
    return node;
  }

  /**
   * The index of the first key of a node that is not below `bytes[from, to)`. In an inner node the
   * keys are the separators, from index 1 on. All of them surely have the first `known` bytes of that key.
   */
  search(node: Node, bytes: Uint8Array, from: number, to: number, isLeaf: boolean, known: number): number {
    const words = this.pool.words(node);
    const base = this.pool.base(node);
    const first = isLeaf ? 0 : 1;
    const count = words[base + COUNT];
    this.found = false;
    this.#matched = false;
    if (count <= first) return first;
    const word = words[base + PREFIX];
    const prefix = prefixLength(word);
    const head = headOf(bytes, from + prefix, to);
    const heads = base + HEADS;
    let low = firstHeadFrom(words, heads, first, count, head);
    const refs = heads + (isLeaf ? this.leafMax : this.innerMax);
    if (prefix > known) {
      // The heads meant something only if the key has the prefix; if not, all keys are on one side of it. Mostly the
      // node itself has what is not known of it, and no key is waited for.
      const side =
        prefix <= known + PREFIX_END_BYTES && from + prefix <= to
          ? sideOfPrefix(word, bytes, from)
          : this.#comparePrefix(words[refs + Math.min(low, count - 1)], isLeaf, bytes, from, to, prefix);
      if (side !== 0) return side < 0 ? first : count;
    }
    this.#matched = true;
    this.#head = head;
    let end = low;
    while (end < count && words[heads + end] === head) end++;
    // Equal heads are settled by the keys themselves.
    while (low < end) {
      const middle = (low + end) >>> 1;
      const order = this.compare(words[refs + middle], isLeaf, bytes, from, to, prefix);
      if (order === 0) {
        this.found = true;
        return middle;
      }
      if (order < 0) low = middle + 1;
      else end = middle;
    }
    return low;
  }

  /** Which child of an inner node leads to a key that has the first `known` bytes of all that are below the node. */
  childIndex(node: Node, bytes: Uint8Array, from: number, to: number, known: number): number {
    const index = this.search(node, bytes, from, to, false, known);
    return this.found ? index : index - 1;
  }

  /**
   * How many bytes all keys below a child surely have in common with the key that the last {@link search} led to that
   * child, if they are `known` of the node.
   */
  knownBelow(node: Node, index: number, known: number): number {
    // What lies between two separators begins as both do; a key that does not is led to the first or the last child.
    const isBetween = index > 0 && index + 1 < this.get(node, COUNT);
    return isBetween ? Math.max(known, this.prefix(node)) : known;
  }

  /** The index of `ref` in a leaf: the record of the key `bytes[from, to)`, which is surely in that leaf. */
  indexOfRef(leaf: Node, bytes: Uint8Array, from: number, to: number, ref: Ref): number {
    const words = this.pool.words(leaf);
    const base = this.pool.base(leaf);
    const count = words[base + COUNT];
    const head = headOf(bytes, from + prefixLength(words[base + PREFIX]), to);
    const heads = base + HEADS;
    let low = firstHeadFrom(words, heads, 0, count, head);
    const refs = heads + this.leafMax;
    while (low < count && words[refs + low] !== ref && words[heads + low] === head) low++;
    assert(low < count && words[refs + low] === ref, "the order has the newest record");
    return low;
  }

  /** Puts a record at the index that the last {@link search} gave; the leaf has room. */
  insertSought(leaf: Node, index: number, ref: Ref): void {
    this.#open(leaf, index, ref, 0);
    // What the search found out need not be read from keys again.
    if (this.#matched) this.set(leaf, HEADS + index, this.#head);
    else this.fitPrefix(leaf, index, true);
  }

  /** Puts an entry at an index; the node has room. `child` is 0 in a leaf. */
  insert(node: Node, index: number, ref: Ref, child: Node): void {
    this.#open(node, index, ref, child);
    this.fitPrefix(node, index, child === 0);
  }

  /** Takes an entry out. */
  erase(node: Node, index: number, isLeaf: boolean): void {
    const words = this.pool.words(node);
    const base = this.pool.base(node);
    const refs = base + HEADS + (isLeaf ? this.leafMax : this.innerMax);
    const last = --words[base + COUNT];
    for (let i = index; i < last; i++) {
      words[base + HEADS + i] = words[base + HEADS + i + 1];
      words[refs + i] = words[refs + i + 1];
    }
    if (isLeaf) return;
    const children = refs + this.innerMax;
    for (let i = index; i < last; i++) words[children + i] = words[children + i + 1];
  }

  /**
   * Moves the entries from `from` on to the end of another node; unless that was empty, its heads are to
   * be refreshed.
   */
  move(node: Node, from: number, target: Node, isLeaf: boolean): void {
    const count = this.get(node, COUNT);
    const start = this.get(target, COUNT);
    const width = isLeaf ? this.leafMax : this.innerMax;
    const source = this.pool.words(node);
    const into = this.pool.words(target);
    for (let part = 0; part < (isLeaf ? 2 : 3); part++) {
      const sourceAt = this.pool.base(node) + HEADS + part * width;
      const intoAt = this.pool.base(target) + HEADS + part * width + start - from;
      for (let i = from; i < count; i++) into[intoAt + i] = source[sourceAt + i];
    }
    this.set(target, COUNT, start + count - from);
    this.set(node, COUNT, from);
    if (start === 0) this.set(target, PREFIX, this.get(node, PREFIX));
  }

  /** Lengthens prefix and makes heads anew, if the keys of a node have come so much closer that it helps. */
  tighten(node: Node, isLeaf: boolean): void {
    if (this.#commonPrefix(node, isLeaf) >= this.prefix(node) + PREFIX_GAIN_MIN) this.refresh(node, isLeaf);
  }

  /** Makes prefix and heads anew, if the keys of a node do not share the prefix any more. */
  loosen(node: Node, isLeaf: boolean): void {
    if (this.#commonPrefix(node, isLeaf) < this.prefix(node)) this.refresh(node, isLeaf);
  }

  /** Makes prefix and heads anew. */
  refresh(node: Node, isLeaf: boolean): void {
    const first = isLeaf ? 0 : 1;
    const count = this.get(node, COUNT);
    const prefix = this.#commonPrefix(node, isLeaf);
    const words = this.pool.words(node);
    const refs = this.pool.base(node) + HEADS + (isLeaf ? this.leafMax : this.innerMax);
    // All at once, before one after the other is waited for.
    if (isLeaf) this.#records.touch(words.subarray(refs, refs + count), count);
    const ref = words[refs + count - 1];
    this.set(
      node,
      PREFIX,
      prefix === 0 ? 0 : prefixWord(this.#records.slab(ref), this.keyStart(ref, isLeaf), prefix),
    );
    for (let i = first; i < count; i++) this.set(node, HEADS + i, this.headAt(node, i, isLeaf));
  }

  /** The head that an entry should have. */
  headAt(node: Node, index: number, isLeaf: boolean): number {
    const ref = this.ref(node, index, isLeaf);
    const start = this.keyStart(ref, isLeaf);
    const end = start + this.keyLength(ref, isLeaf);
    return headOf(this.#records.slab(ref), start + this.prefix(node), end);
  }

  keyStart(ref: Ref, isLeaf: boolean): number {
    return isLeaf ? this.#records.keyStart(ref) : this.#separatorAt(ref) + SEPARATOR_HEADER_BYTES;
  }

  keyLength(ref: Ref, isLeaf: boolean): number {
    if (isLeaf) return this.#records.keyLength(ref);
    const at = this.#separatorAt(ref);
    const slab = this.#records.slab(ref);
    return slab[at] | (slab[at + 1] << 8);
  }

  /** Order of an entry's key against `bytes[from, to)`; the first `skip` bytes are known to be equal. */
  compare(ref: Ref, isLeaf: boolean, bytes: Uint8Array, from: number, to: number, skip: number): number {
    const start = this.keyStart(ref, isLeaf);
    const end = start + this.keyLength(ref, isLeaf);
    return compareRanges(this.#records.slab(ref), start + skip, end, bytes, from + skip, to);
  }

  /** The shortest key above that of record `left` and not above `bytes[from, to)`, which is above it. */
  createSeparator(left: Ref, bytes: Uint8Array, from: number, to: number): Ref {
    const start = this.#records.keyStart(left);
    const leftLength = this.#records.keyLength(left);
    const slab = this.#records.slab(left);
    const length = 1 + commonLength(slab, start, start + leftLength, bytes, from, to);
    const ref = this.#records.arena.take(SEPARATOR_HEADER_BYTES + length);
    const own = this.#records.slab(ref);
    const at = this.#separatorAt(ref);
    own[at] = length;
    own[at + 1] = length >>> 8;
    for (let i = 0; i < length; i++) own[at + SEPARATOR_HEADER_BYTES + i] = bytes[from + i];
    return ref;
  }

  /** Puts the separator at an index of an inner node elsewhere in memory. Readers on other threads find either. */
  moveSeparator(node: Node, index: number): void {
    const ref = this.ref(node, index, false);
    const bytes = SEPARATOR_HEADER_BYTES + this.keyLength(ref, false);
    const copy = this.#records.arena.take(bytes);
    const from = this.#separatorAt(ref);
    this.#records
      .slab(copy)
      .set(this.#records.slab(ref).subarray(from, from + bytes), this.#separatorAt(copy));
    Atomics.store(this.pool.words(node), this.pool.base(node) + HEADS + this.innerMax + index, copy);
    this.freeSeparator(ref);
  }

  freeSeparator(ref: Ref): void {
    this.#records.arena.give(ref);
  }

  /** Moves entries up and puts one in their place, without its head. */
  #open(node: Node, index: number, ref: Ref, child: Node): void {
    const isLeaf = child === 0;
    const words = this.pool.words(node);
    const base = this.pool.base(node);
    const refs = base + HEADS + (isLeaf ? this.leafMax : this.innerMax);
    const count = words[base + COUNT];
    // A loop: the few words moved cost less than a call of `copyWithin` for each of the arrays.
    for (let i = count; i > index; i--) {
      words[base + HEADS + i] = words[base + HEADS + i - 1];
      words[refs + i] = words[refs + i - 1];
    }
    if (!isLeaf) {
      const children = refs + this.innerMax;
      for (let i = count; i > index; i--) words[children + i] = words[children + i - 1];
      words[children + index] = child;
    }
    words[refs + index] = ref;
    words[base + COUNT] = count + 1;
  }

  #separatorAt(ref: Ref): number {
    return this.#records.arena.slabs.byteAt(ref);
  }

  /**
   * Zero if `bytes[from, to)` begins with the first `prefix` bytes of a key; else on which side of it it
   * lies.
   */
  #comparePrefix(
    ref: Ref,
    isLeaf: boolean,
    bytes: Uint8Array,
    from: number,
    to: number,
    prefix: number,
  ): number {
    const slab = this.#records.slab(ref);
    const start = this.keyStart(ref, isLeaf);
    const length = Math.min(to - from, prefix);
    for (let i = 0; i < length; i++) {
      const difference = bytes[from + i] - slab[start + i];
      if (difference !== 0) return difference;
    }
    // A key that ends within the prefix comes before everything that goes on.
    return length < prefix ? -1 : 0;
  }

  /** Shortens the prefix until a new entry shares it, and gives the entry its head. */
  fitPrefix(node: Node, index: number, isLeaf: boolean): void {
    const first = isLeaf ? 0 : 1;
    const count = this.get(node, COUNT);
    // The first child of an inner node has no separator.
    if (index < first) return;
    if (count <= first + 1) {
      this.refresh(node, isLeaf);
      return;
    }
    const other = this.ref(node, index === first ? index + 1 : index - 1, isLeaf);
    const shared = this.#commonWith(this.ref(node, index, isLeaf), other, isLeaf);
    if (shared < this.prefix(node)) this.refresh(node, isLeaf);
    else this.set(node, HEADS + index, this.headAt(node, index, isLeaf));
  }

  /** How many bytes all keys of a node begin with. They are sorted, so the first and the last tell. */
  #commonPrefix(node: Node, isLeaf: boolean): number {
    const first = isLeaf ? 0 : 1;
    const count = this.get(node, COUNT);
    if (count <= first) return 0;
    return this.#commonWith(this.ref(node, first, isLeaf), this.ref(node, count - 1, isLeaf), isLeaf);
  }

  #commonWith(a: Ref, b: Ref, isLeaf: boolean): number {
    const aStart = this.keyStart(a, isLeaf);
    const bStart = this.keyStart(b, isLeaf);
    const aEnd = aStart + this.keyLength(a, isLeaf);
    const bEnd = bStart + this.keyLength(b, isLeaf);
    return commonLength(this.#records.slab(a), aStart, aEnd, this.#records.slab(b), bStart, bEnd);
  }
}
