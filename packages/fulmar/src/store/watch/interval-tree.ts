import { compareBytes } from "../../base/bytes.js";
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

/** Ranges of keys, of which those that hold a key are found without a look at most of the others. */
export class IntervalTree<T> {
  #root: Node<T> | undefined;
  #random = 1;

  add(range: KeyRange, item: T): void {
    const node = { range, item, priority: this.#next(), left: undefined, right: undefined, to: range.to };
    this.#root = insert(this.#root, node);
  }

  remove(range: KeyRange, item: T): void {
    this.#root = remove(this.#root, range, item);
  }

  /** Shows the items of all ranges that hold `key` until `found` returns true, and says whether it did. */
  some(key: Uint8Array, found: (item: T) => boolean): boolean {
    return some(this.#root, key, found);
  }

  /** Priorities only have to look random, and a tree that is built twice may well be the same. */
  #next(): number {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return this.#random;
  }
}

function some<T>(start: Node<T> | undefined, key: Uint8Array, found: (item: T) => boolean): boolean {
  for (let node = start; node !== undefined && reaches(node.to, key); ) {
    if (compareBytes(node.range.from, key) > 0) {
      node = node.left;
      continue;
    }
    if (some(node.left, key, found)) return true;
    if (reaches(node.range.to, key) && found(node.item)) return true;
    node = node.right;
  }
  return false;
}

/** Whether a range that ends before `to` can hold `key`. */
function reaches(to: Uint8Array | undefined, key: Uint8Array): boolean {
  return to === undefined || compareBytes(key, to) < 0;
}

function insert<T>(node: Node<T> | undefined, added: Node<T>): Node<T> {
  if (node === undefined) return added;
  if (added.priority > node.priority) {
    const { below, above } = split(node, added.range.from);
    added.left = below;
    added.right = above;
    return settled(added);
  }
  if (compareBytes(added.range.from, node.range.from) <= 0) node.left = insert(node.left, added);
  else node.right = insert(node.right, added);
  return settled(node);
}

/** The ranges that begin before `from`, and the others. */
function split<T>(
  node: Node<T> | undefined,
  from: Uint8Array,
): { below: Node<T> | undefined; above: Node<T> | undefined } {
  if (node === undefined) return { below: undefined, above: undefined };
  if (compareBytes(node.range.from, from) < 0) {
    const { below, above } = split(node.right, from);
    node.right = below;
    return { below: settled(node), above };
  }
  const { below, above } = split(node.left, from);
  node.left = above;
  return { below, above: settled(node) };
}

function remove<T>(node: Node<T> | undefined, range: KeyRange, item: T): Node<T> | undefined {
  if (node === undefined) return undefined;
  if (node.item === item && node.range === range) return merge(node.left, node.right);
  const order = compareBytes(range.from, node.range.from);
  // Equal beginnings may stand on both sides.
  if (order <= 0) node.left = remove(node.left, range, item);
  if (order >= 0) node.right = remove(node.right, range, item);
  return settled(node);
}

function merge<T>(left: Node<T> | undefined, right: Node<T> | undefined): Node<T> | undefined {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (left.priority > right.priority) {
    left.right = merge(left.right, right);
    return settled(left);
  }
  right.left = merge(left, right.left);
  return settled(right);
}

function settled<T>(node: Node<T>): Node<T> {
  node.to = node.range.to;
  for (const child of [node.left, node.right]) {
    if (child === undefined || node.to === undefined) continue;
    if (child.to === undefined || compareBytes(child.to, node.to) > 0) node.to = child.to;
  }
  return node;
}
