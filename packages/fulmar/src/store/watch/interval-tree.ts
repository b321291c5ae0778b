import { compareRanges } from "../../base/bytes.js";
import type { KeyRange } from "../../keys/range.js";

interface Node<T> {
  readonly range: KeyRange;
  readonly item: T;
  readonly priority: number;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
  /** The highest upper end in this part of the tree; undefined: there is no upper end. */
  to: Uint8Array | undefined;
}

/** Compares what follows the bytes that all have in common. */
type Compare = (a: Uint8Array, b: Uint8Array) => number;

/** Ranges of keys, of which those that hold a key are found without a look at most of the others. */
export class IntervalTree<T> {
  readonly #compare: Compare;
  #root: Node<T> | undefined;
  #random = 1;

  /** `common`: so many bytes all ranges begin with, and all keys that are looked for. */
  constructor(common: number) {
    this.#compare = (a, b) => compareRanges(a, common, a.length, b, common, b.length);
  }

  add(range: KeyRange, item: T): void {
    const node = { range, item, priority: this.#next(), left: undefined, right: undefined, to: range.to };
    this.#root = insert(this.#root, node, this.#compare);
  }

  remove(range: KeyRange, item: T): void {
    this.#root = remove(this.#root, range, item, this.#compare);
  }

  /** Shows the items of all ranges that hold `key` until `found` returns true, and says whether it did. */
  some(key: Uint8Array, found: (item: T) => boolean): boolean {
    return some(this.#root, key, found, this.#compare);
  }

  /** Priorities only have to look random, and a tree that is built twice may well be the same. */
  #next(): number {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return this.#random;
  }
}

function some<T>(
  start: Node<T> | undefined,
  key: Uint8Array,
  found: (item: T) => boolean,
  compare: Compare,
): boolean {
  for (let node = start; node !== undefined && reaches(node.to, key, compare); ) {
    if (compare(node.range.from, key) > 0) {
      node = node.left;
      continue;
    }
    if (some(node.left, key, found, compare)) return true;
    if (reaches(node.range.to, key, compare) && found(node.item)) return true;
    node = node.right;
  }
  return false;
}

/** Whether a range that ends before `to` can hold `key`. */
function reaches(to: Uint8Array | undefined, key: Uint8Array, compare: Compare): boolean {
  return to === undefined || compare(key, to) < 0;
}

function insert<T>(node: Node<T> | undefined, added: Node<T>, compare: Compare): Node<T> {
  if (node === undefined) return added;
  if (added.priority > node.priority) {
    const { below, above } = split(node, added.range.from, compare);
    added.left = below;
    added.right = above;
    return settled(added, compare);
  }
  if (compare(added.range.from, node.range.from) <= 0) node.left = insert(node.left, added, compare);
  else node.right = insert(node.right, added, compare);
  return settled(node, compare);
}

/** The ranges that begin before `from`, and the others. */
function split<T>(
  node: Node<T> | undefined,
  from: Uint8Array,
  compare: Compare,
): { below: Node<T> | undefined; above: Node<T> | undefined } {
  if (node === undefined) return { below: undefined, above: undefined };
  if (compare(node.range.from, from) < 0) {
    const { below, above } = split(node.right, from, compare);
    node.right = below;
    return { below: settled(node, compare), above };
  }
  const { below, above } = split(node.left, from, compare);
  node.left = above;
  return { below, above: settled(node, compare) };
}

function remove<T>(
  node: Node<T> | undefined,
  range: KeyRange,
  item: T,
  compare: Compare,
): Node<T> | undefined {
  if (node === undefined) return undefined;
  if (node.item === item && node.range === range) return merge(node.left, node.right, compare);
  const order = compare(range.from, node.range.from);
  // Equal beginnings may stand on both sides.
  if (order <= 0) node.left = remove(node.left, range, item, compare);
  if (order >= 0) node.right = remove(node.right, range, item, compare);
  return settled(node, compare);
}

function merge<T>(
  left: Node<T> | undefined,
  right: Node<T> | undefined,
  compare: Compare,
): Node<T> | undefined {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (left.priority > right.priority) {
    left.right = merge(left.right, right, compare);
    return settled(left, compare);
  }
  right.left = merge(left, right.left, compare);
  return settled(right, compare);
}

function settled<T>(node: Node<T>, compare: Compare): Node<T> {
  node.to = node.range.to;
  for (const child of [node.left, node.right]) {
    if (child === undefined || node.to === undefined) continue;
    if (child.to === undefined || compare(child.to, node.to) > 0) node.to = child.to;
  }
  return node;
}
