import { NONE, type Ref } from "../engine.js";
import { KeyDescent } from "./key-descent.js";
import { BARE, COUNT, NEXT, PREVIOUS, STATE } from "./key-node-layout.js";
import type { KeyTree } from "./key-tree.js";
import { NO_NODE, type Node } from "./node-pool.js";
import type { Records } from "./records.js";

/** So many marked leaves in a row are passed one by one before the way through the tree is taken. */
const STEPS_MAX = 4;

/**
 * Leaves of the key tree that hold nothing but deleted keys, as a queue leaves them behind where tombstones are kept.
 * Whoever comes by every key of a leaf and finds all bare marks it, and nodes above get their marks from those below,
 * so that the next one passes all of them in a few steps. A mark goes with the first change below it, as remembered
 * digests do: what is bare is seen by nobody, at any version, until then.
 */
export class BareLeaves {
  readonly #tree: KeyTree;
  readonly #records: Records;
  readonly #way: KeyDescent;

  constructor(tree: KeyTree, records: Records) {
    this.#tree = tree;
    this.#records = records;
    this.#way = new KeyDescent(tree.nodes);
  }

  /** Whether the newest record of a key is a tombstone with nothing below it. */
  isBare(newest: Ref): boolean {
    return this.#records.isTombstone(newest) && this.#records.older(newest) === NONE;
  }

  /** Whether all of so many newest records are bare: mostly the last one tells. */
  areBare(newest: Uint32Array, count: number): boolean {
    for (let i = count - 1; i >= 0; i--) if (!this.isBare(newest[i])) return false;
    return true;
  }

  /** Every key of a leaf is bare; so it stays until something in it changes. */
  mark(node: Node): void {
    const { nodes } = this.#tree;
    nodes.set(node, STATE, nodes.get(node, STATE) | BARE);
  }

  isMarked(node: Node): boolean {
    return (this.#tree.nodes.get(node, STATE) & BARE) !== 0;
  }

  /** The first leaf that is not marked, from one on in a direction; NO_NODE if there is none. */
  beyond(leaf: Node, reverse: boolean): Node {
    const { nodes } = this.#tree;
    let next = leaf;
    for (let i = 0; i < STEPS_MAX; i++) {
      if (next === NO_NODE || !this.isMarked(next)) return next;
      next = nodes.get(next, reverse ? PREVIOUS : NEXT);
    }
    return next === NO_NODE ? NO_NODE : this.#beyondByTree(next, reverse);
  }

  #beyondByTree(leaf: Node, reverse: boolean): Node {
    if (!this.isMarked(leaf)) return leaf;
    const { root, height, nodes } = this.#tree;
    const records = this.#records;
    const first = nodes.ref(leaf, 0, true);
    const start = records.keyStart(first);
    const end = start + records.keyLength(first);
    this.#way.trace(root, height, records.slab(first), start, end);
    const step = reverse ? -1 : 1;
    for (let level = 1; level <= height; level++) {
      const { path, slots } = this.#way;
      if (this.isMarked(path[level])) continue;
      const found = this.#below(path[level], level, slots[level] + step, step);
      if (found !== NO_NODE) return found;
    }
    return NO_NODE;
  }

  /** The first leaf that is not marked below a node, from a child on. If there is none the node may get its mark. */
  #below(node: Node, level: number, from: number, step: number): Node {
    const { nodes } = this.#tree;
    const count = nodes.get(node, COUNT);
    for (let i = from; i >= 0 && i < count; i += step) {
      const child = nodes.child(node, i);
      if (this.isMarked(child)) continue;
      if (level === 1) return child;
      const found = this.#below(child, level - 1, step < 0 ? nodes.get(child, COUNT) - 1 : 0, step);
      if (found !== NO_NODE) return found;
    }
    if (this.#isBareBelow(node, count)) this.mark(node);
    return NO_NODE;
  }

  #isBareBelow(node: Node, count: number): boolean {
    const { nodes } = this.#tree;
    for (let i = 0; i < count; i++) if (!this.isMarked(nodes.child(node, i))) return false;
    return true;
  }
}
