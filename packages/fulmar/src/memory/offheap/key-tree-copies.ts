import { NEXT, PREVIOUS } from "./key-node-layout.js";
import type { KeyNodes } from "./key-nodes.js";
import { NO_NODE, type Node } from "./node-pool.js";

/** Who walks the key tree on other threads while it changes. */
export interface TreeAudience {
  /** What the tree is from now on. */
  publishRoot(root: Node, height: number): void;
  /** A node that is in the tree no more, but may still be walked through. */
  retire(node: Node): void;
}

/**
 * How the key tree changes before an audience: no node that the audience can reach ever changes, but for the
 * words that only the owner reads (links between leaves, digests) and for three kinds of words that are one
 * atomic store each: a record in a leaf, for another of the same key or the same one elsewhere, a separator of an
 * inner node, for the same bytes elsewhere, and a child of an inner node, for another of the same range of keys.
 *
 * Therefore a walk that begins at any published root sees each key once, in order, whatever mixture of old
 * and new nodes it meets. Count and separators of a node never change, so the range of the child at an index
 * never does; whatever node is there covers just that range, and was in the tree at some moment after the
 * walk began: the node above it was, and from the moment when that one left the tree its words stay.
 */
export class TreeCopies {
  audience: TreeAudience | undefined;
  readonly #nodes: KeyNodes;
  /** Nodes that this change made: nobody else knows them yet. */
  readonly #fresh: Node[] = [];

  constructor(nodes: KeyNodes) {
    this.#nodes = nodes;
  }

  /** A copy that stands for a node from the next publication on. */
  replace(node: Node, isLeaf: boolean): Node {
    const nodes = this.#nodes;
    const copy = nodes.copy(node);
    this.#fresh.push(copy);
    if (isLeaf) {
      const next = nodes.get(copy, NEXT);
      const previous = nodes.get(copy, PREVIOUS);
      if (next !== NO_NODE) nodes.set(next, PREVIOUS, copy);
      if (previous !== NO_NODE) nodes.set(previous, NEXT, copy);
    }
    this.audience?.retire(node);
    return copy;
  }

  /** The child at an index of a node that this change made, itself one that this change made. */
  own(parent: Node, index: number, isLeaf: boolean): Node {
    const child = this.#nodes.child(parent, index);
    if (this.audience === undefined || this.#fresh.includes(child)) return child;
    const copy = this.replace(child, isLeaf);
    this.#nodes.setChild(parent, index, copy);
    return copy;
  }

  /** Copies the way of a descent from `leaf` up; `path` and `slots` say what stands above it. Returns the leaf. */
  ownPath(leaf: Node, height: number, path: Uint32Array, slots: Uint32Array): Node {
    const copy = this.replace(leaf, true);
    let child = copy;
    for (let level = 1; level <= height; level++) {
      path[level] = this.replace(path[level], false);
      this.#nodes.setChild(path[level], slots[level], child);
      child = path[level];
    }
    return copy;
  }

  create(): Node {
    const node = this.#nodes.create();
    if (this.audience !== undefined) this.#fresh.push(node);
    return node;
  }

  /** Gives back a node that this change took out of the tree. */
  discard(node: Node): void {
    const made = this.audience === undefined ? -1 : this.#fresh.indexOf(node);
    if (made >= 0) this.#fresh.splice(made, 1);
    else if (this.audience !== undefined) {
      this.audience.retire(node);
      return;
    }
    this.#nodes.pool.give(node);
  }

  publishRoot(root: Node, height: number): void {
    this.#fresh.length = 0;
    this.audience?.publishRoot(root, height);
  }

  publishChild(parent: Node, index: number, child: Node): void {
    this.#fresh.length = 0;
    this.#nodes.publishChild(parent, index, child);
  }
}
