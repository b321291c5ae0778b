import { compareBytes } from "../../base/bytes.js";
import type { KeyRange } from "../../keys/range.js";

interface Node<T> {
  readonly range: KeyRange;
  readonly items: Set<T>;
  readonly priority: number;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
  /** The highest upper end in this part of the tree; undefined: there is no upper end. */
  to: Uint8Array | undefined;
}

/** Ranges of keys, of which those that hold a key are found without a look at most of the others. */
export class RangeTree<T> {
  #root: Node<T> | undefined;
  #size = 0;
  #random = 1;

  /** How many different ranges there are. */
  get size(): number {
    return this.#size;
  }

  add(range: KeyRange, item: T): void {
    const known = find(this.#root, range);
    if (known !== undefined) {
      known.items.add(item);
      return;
    }
    const items = new Set([item]);
    const node = { range, items, priority: this.#next(), left: undefined, right: undefined, to: range.to };
    this.#root = insert(this.#root, node);
    this.#size++;
  }

  remove(range: KeyRange, item: T): void {
    const known = find(this.#root, range);
    if (known?.items.delete(item) !== true || known.items.size > 0) return;
    this.#root = remove(this.#root, range);
    this.#size--;
  }

  /** Shows the items of all ranges that hold `key` until `found` returns true, and says whether it did. */
  some(key: Uint8Array, found: (item: T) => boolean): boolean {
    return some(this.#root, key, found);
  }

  /** The first `count` ranges behind `after`, or behind nothing, in order: by lower, then by upper end. */
  next(after: KeyRange | undefined, count: number): KeyRange[] {
    const ranges: KeyRange[] = [];
    collect(this.#root, after, count, ranges);
    return ranges;
  }

  /** Priorities only have to look random, and a tree that is built twice may well be the same. */
  #next(): number {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return this.#random;
  }
}

function compareEnds(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return compareBytes(a, b);
}

function compareOrder(a: KeyRange, b: KeyRange): number {
  return compareBytes(a.from, b.from) || compareEnds(a.to, b.to);
}

function find<T>(start: Node<T> | undefined, range: KeyRange): Node<T> | undefined {
  for (let node = start; node !== undefined; ) {
    const order = compareOrder(range, node.range);
    if (order === 0) return node;
    node = order < 0 ? node.left : node.right;
  }
  return undefined;
}

function some<T>(start: Node<T> | undefined, key: Uint8Array, found: (item: T) => boolean): boolean {
  for (let node = start; node !== undefined && reaches(node.to, key); ) {
    if (compareBytes(node.range.from, key) > 0) {
      node = node.left;
      continue;
    }
    if (some(node.left, key, found)) return true;
    if (reaches(node.range.to, key)) for (const item of node.items) if (found(item)) return true;
    node = node.right;
  }
  return false;
}

/** Whether a range that ends before `to` can hold `key`. */
function reaches(to: Uint8Array | undefined, key: Uint8Array): boolean {
  return to === undefined || compareBytes(key, to) < 0;
}

function collect<T>(
  start: Node<T> | undefined,
  after: KeyRange | undefined,
  count: number,
  into: KeyRange[],
): void {
  for (let node = start; node !== undefined && into.length < count; node = node.right) {
    if (after !== undefined && compareOrder(node.range, after) <= 0) continue;
    collect(node.left, after, count, into);
    if (into.length < count) into.push(node.range);
  }
}

function insert<T>(node: Node<T> | undefined, added: Node<T>): Node<T> {
  if (node === undefined) return added;
  if (added.priority > node.priority) {
    const { below, above } = split(node, added.range);
    added.left = below;
    added.right = above;
    return settled(added);
  }
  if (compareOrder(added.range, node.range) < 0) node.left = insert(node.left, added);
  else node.right = insert(node.right, added);
  return settled(node);
}

/** What comes before a range, and what comes behind it. */
function split<T>(
  node: Node<T> | undefined,
  range: KeyRange,
): { below: Node<T> | undefined; above: Node<T> | undefined } {
  if (node === undefined) return { below: undefined, above: undefined };
  if (compareOrder(node.range, range) < 0) {
    const { below, above } = split(node.right, range);
    node.right = below;
    return { below: settled(node), above };
  }
  const { below, above } = split(node.left, range);
  node.left = above;
  return { below, above: settled(node) };
}

function remove<T>(node: Node<T> | undefined, range: KeyRange): Node<T> | undefined {
  if (node === undefined) return undefined;
  const order = compareOrder(range, node.range);
  if (order === 0) return merge(node.left, node.right);
  if (order < 0) node.left = remove(node.left, range);
  else node.right = remove(node.right, range);
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
    if (child !== undefined && compareEnds(child.to, node.to) > 0) node.to = child.to;
  }
  return node;
}
