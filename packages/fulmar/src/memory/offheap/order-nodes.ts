import type { Ref } from "../engine.js";
import { type Node, NodePool } from "./node-pool.js";
import type { EngineShape } from "./shape.js";

/** Words of a node of an order. */
export const COUNT = 0;
/** Neighbours of a leaf. */
export const NEXT = 1;
export const PREVIOUS = 2;
/** The group of all items of a leaf, lower and upper word. */
export const GROUP_LOW = 3;
export const GROUP_HIGH = 4;
export const ITEMS = 5;

/** Columns of an inner node: the lower bound of each child (its first is not used), and the child. */
const BOUND_GROUP_HIGH = 0;
const BOUND_GROUP_LOW = 1;
const BOUND_MINOR = 2;
const BOUND_REF = 3;
const CHILD = 4;
const INNER_COLUMNS = 5;
const TWO_32 = 4294967296;

/**
 * The nodes of an {@link OrderTree}. An item is (group, minor, record): a leaf has items of one group
 * only, so that two words an item do; inner nodes spell bounds out.
 */
export class OrderNodes {
  readonly pool: NodePool;
  readonly leafMax: number;
  readonly innerMax: number;

  constructor(shape: EngineShape) {
    this.pool = new NodePool(shape);
    this.leafMax = Math.min(shape.nodeEntriesMax, Math.floor((shape.nodeWords - ITEMS) / 2));
    this.innerMax = Math.min(shape.nodeEntriesMax, Math.floor((shape.nodeWords - ITEMS) / INNER_COLUMNS));
  }

  get(node: Node, field: number): number {
    return this.pool.words(node)[this.pool.base(node) + field];
  }

  set(node: Node, field: number, value: number): void {
    this.pool.words(node)[this.pool.base(node) + field] = value;
  }

  create(group: number): Node {
    const node = this.pool.take();
    const words = this.pool.words(node);
    const base = this.pool.base(node);
    words.fill(0, base, base + ITEMS);
    words[base + GROUP_LOW] = group % TWO_32;
    words[base + GROUP_HIGH] = Math.floor(group / TWO_32);
    return node;
  }

  group(leaf: Node): number {
    const words = this.pool.words(leaf);
    const base = this.pool.base(leaf);
    return words[base + GROUP_LOW] + words[base + GROUP_HIGH] * TWO_32;
  }

  minor(leaf: Node, index: number): number {
    return this.get(leaf, ITEMS + index);
  }

  ref(leaf: Node, index: number): Ref {
    return this.get(leaf, ITEMS + this.leafMax + index);
  }

  child(node: Node, index: number): Node {
    return this.get(node, ITEMS + CHILD * this.innerMax + index);
  }

  /** The index of the first item of a leaf that is not below (minor, ref), all of one group. */
  searchLeaf(leaf: Node, minor: number, ref: Ref): number {
    const words = this.pool.words(leaf);
    const minors = this.pool.base(leaf) + ITEMS;
    const refs = minors + this.leafMax;
    let low = 0;
    let high = words[minors - ITEMS + COUNT];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = words[minors + middle];
      if (found < minor || (found === minor && words[refs + middle] < ref)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The child of an inner node that an item is below. */
  searchInner(node: Node, group: number, minor: number, ref: Ref): number {
    const words = this.pool.words(node);
    const base = this.pool.base(node);
    let low = 1;
    let high = words[base + COUNT];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compareBound(words, base, middle, group, minor, ref) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Adds an item behind all others of a leaf, if it is of their group, above them, and there is room. */
  append(leaf: Node, group: number, minor: number, ref: Ref): boolean {
    const words = this.pool.words(leaf);
    const base = this.pool.base(leaf);
    const count = words[base + COUNT];
    if (count === 0 || count >= this.leafMax) return false;
    if (words[base + GROUP_LOW] + words[base + GROUP_HIGH] * TWO_32 !== group) return false;
    const last = base + ITEMS + count - 1;
    if (minor < words[last] || (minor === words[last] && ref <= words[last + this.leafMax])) return false;
    words[last + 1] = minor;
    words[last + 1 + this.leafMax] = ref;
    words[base + COUNT] = count + 1;
    return true;
  }

  insertItem(leaf: Node, index: number, minor: number, ref: Ref): void {
    const words = this.pool.words(leaf);
    const minors = this.pool.base(leaf) + ITEMS;
    const refs = minors + this.leafMax;
    for (let i = words[minors - ITEMS + COUNT]++; i > index; i--) {
      words[minors + i] = words[minors + i - 1];
      words[refs + i] = words[refs + i - 1];
    }
    words[minors + index] = minor;
    words[refs + index] = ref;
  }

  /** Puts a child at an index of an inner node that has room; the bound is taken from {@link setBound}. */
  insertChild(node: Node, index: number, child: Node): void {
    this.#shift(node, index, 1);
    this.setChild(node, index, child);
  }

  setBound(node: Node, index: number, group: number, minor: number, ref: Ref): void {
    const words = this.pool.words(node);
    const at = this.pool.base(node) + ITEMS + index;
    words[at + BOUND_GROUP_HIGH * this.innerMax] = Math.floor(group / TWO_32);
    words[at + BOUND_GROUP_LOW * this.innerMax] = group % TWO_32;
    words[at + BOUND_MINOR * this.innerMax] = minor;
    words[at + BOUND_REF * this.innerMax] = ref;
  }

  setChild(node: Node, index: number, child: Node): void {
    this.set(node, ITEMS + CHILD * this.innerMax + index, child);
  }

  /** Group, minor and record of the bound of a child. */
  bound(node: Node, index: number): [group: number, minor: number, ref: Ref] {
    const words = this.pool.words(node);
    const at = this.pool.base(node) + ITEMS + index;
    const width = this.innerMax;
    const group = words[at + BOUND_GROUP_HIGH * width] * TWO_32 + words[at + BOUND_GROUP_LOW * width];
    return [group, words[at + BOUND_MINOR * width], words[at + BOUND_REF * width]];
  }

  /** Copies the bound of a child. */
  copyBound(node: Node, index: number, target: Node, targetIndex: number): void {
    for (let column = 0; column < CHILD; column++) {
      const value = this.get(node, ITEMS + column * this.innerMax + index);
      this.set(target, ITEMS + column * this.innerMax + targetIndex, value);
    }
  }

  eraseItem(leaf: Node, index: number): void {
    const words = this.pool.words(leaf);
    const minors = this.pool.base(leaf) + ITEMS;
    const refs = minors + this.leafMax;
    const last = --words[minors - ITEMS + COUNT];
    for (let i = index; i < last; i++) {
      words[minors + i] = words[minors + i + 1];
      words[refs + i] = words[refs + i + 1];
    }
  }

  eraseChild(node: Node, index: number): void {
    this.#shift(node, index, -1);
  }

  /** Moves the entries from `from` on to the end of another node. */
  move(node: Node, from: number, target: Node, isLeaf: boolean): void {
    const count = this.get(node, COUNT);
    const start = this.get(target, COUNT);
    const width = isLeaf ? this.leafMax : this.innerMax;
    const source = this.pool.words(node);
    const into = this.pool.words(target);
    for (let column = 0; column < (isLeaf ? 2 : INNER_COLUMNS); column++) {
      const sourceAt = this.pool.base(node) + ITEMS + column * width;
      const intoAt = this.pool.base(target) + ITEMS + column * width + start - from;
      for (let i = from; i < count; i++) into[intoAt + i] = source[sourceAt + i];
    }
    this.set(target, COUNT, start + count - from);
    this.set(node, COUNT, from);
  }

  #compareBound(
    words: Uint32Array,
    base: number,
    index: number,
    group: number,
    minor: number,
    ref: Ref,
  ): number {
    const at = base + ITEMS + index;
    const width = this.innerMax;
    const own = words[at + BOUND_GROUP_HIGH * width] * TWO_32 + words[at + BOUND_GROUP_LOW * width];
    if (own !== group) return own - group;
    return words[at + BOUND_MINOR * width] - minor || words[at + BOUND_REF * width] - ref;
  }

  /** Makes room before `index` in all columns (1), or takes the entry there out (-1). */
  #shift(node: Node, index: number, by: 1 | -1): void {
    const words = this.pool.words(node);
    const base = this.pool.base(node);
    const count = words[base + COUNT];
    for (let column = 0; column < INNER_COLUMNS; column++) {
      const at = base + ITEMS + column * this.innerMax;
      if (by > 0) for (let i = count; i > index; i--) words[at + i] = words[at + i - 1];
      else for (let i = index; i < count - 1; i++) words[at + i] = words[at + i + 1];
    }
    words[base + COUNT] = count + by;
  }
}
