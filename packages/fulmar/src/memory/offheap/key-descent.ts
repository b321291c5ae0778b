import { STALE, STATE } from "./key-node-layout.js";
import type { KeyNodes } from "./key-nodes.js";
import type { Node } from "./node-pool.js";

/** More levels than four thousand million keys need with the smallest nodes. */
const LEVELS_MAX = 64;

/** The way from the root of a key tree to the leaf in which a key is or belongs. */
export class KeyDescent {
  /** On each level of the last way that was noted the node, and which child was taken. Level 1 is above the leaves. */
  readonly path = new Uint32Array(LEVELS_MAX);
  readonly slots = new Uint32Array(LEVELS_MAX);
  readonly #nodes: KeyNodes;
  /** How many bytes of the key all others surely have that are below the node that the way has come to. */
  #known = 0;

  constructor(nodes: KeyNodes) {
    this.#nodes = nodes;
  }

  toLeaf(root: Node, height: number, bytes: Uint8Array, from: number, to: number): Node {
    let node = root;
    this.#known = 0;
    for (let level = height; level > 0; level--) {
      node = this.#nodes.child(node, this.#turn(node, bytes, from, to));
    }
    return node;
  }

  /** To the leaf of a key that is about to change: what is known of the nodes on the way is so no more. */
  toChange(root: Node, height: number, bytes: Uint8Array, from: number, to: number): Node {
    let node = root;
    this.#known = 0;
    for (let level = height; level > 0; level--) {
      const index = this.#turn(node, bytes, from, to);
      this.step(level, node, index);
      node = this.#nodes.child(node, index);
    }
    return node;
  }

  /** Takes note of the way to the leaf of a key, and changes nothing. */
  trace(root: Node, height: number, bytes: Uint8Array, from: number, to: number): void {
    let node = root;
    this.#known = 0;
    for (let level = height; level > 0; level--) {
      const index = this.#turn(node, bytes, from, to);
      this.path[level] = node;
      this.slots[level] = index;
      node = this.#nodes.child(node, index);
    }
  }

  /** Takes note of one level of a way to a change. */
  step(level: number, node: Node, index: number): void {
    this.path[level] = node;
    this.slots[level] = index;
    this.#nodes.set(node, STATE, STALE);
  }

  /** The index, in the leaf that the way led to, of the first key that is not below its own. */
  search(leaf: Node, bytes: Uint8Array, from: number, to: number): number {
    return this.#nodes.search(leaf, bytes, from, to, true, this.#known);
  }

  #turn(node: Node, bytes: Uint8Array, from: number, to: number): number {
    const nodes = this.#nodes;
    const index = nodes.childIndex(node, bytes, from, to, this.#known);
    this.#known = nodes.knownBelow(node, index, this.#known);
    return index;
  }
}
