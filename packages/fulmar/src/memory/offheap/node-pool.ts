import { assert } from "../../base/assert.js";
import { type EngineShape, exponentOf } from "./shape.js";

/** A node of fixed size. 0 is none. */
export type Node = number;
export const NO_NODE: Node = 0;

/**
 * Fixed-size pieces of 32-bit words, for the nodes of trees and the pages of queues. They are allocated
 * many at a time, so that no array is ever copied to grow; what is given back is used again.
 */
export class NodePool {
  /** Shift a node right by this for its chunk's index. */
  readonly chunkShift: number;
  readonly #nodeMask: number;
  readonly #wordShift: number;
  readonly #shape: EngineShape;
  readonly #chunks: Uint32Array[] = [];
  /** The first node that was given back; each holds the next in its first word. */
  #free: Node = NO_NODE;
  /** The next node that was never handed out. Node 0 is none. */
  #fresh: Node = 1;
  #used = 0;

  constructor(shape: EngineShape) {
    this.#shape = shape;
    this.chunkShift = exponentOf(shape.chunkNodes);
    this.#nodeMask = shape.chunkNodes - 1;
    this.#wordShift = exponentOf(shape.nodeWords);
  }

  get nodeWords(): number {
    return this.#shape.nodeWords;
  }

  /** Nodes handed out. */
  get used(): number {
    return this.#used;
  }

  get usedBytes(): number {
    return this.#used * this.#shape.nodeWords * 4;
  }

  get allocatedBytes(): number {
    return this.#chunks.length * this.#shape.chunkNodes * this.#shape.nodeWords * 4;
  }

  /** The array that a node is in; it begins at {@link base}. */
  words(node: Node): Uint32Array {
    return this.#chunks[node >>> this.chunkShift];
  }

  base(node: Node): number {
    return (node & this.#nodeMask) << this.#wordShift;
  }

  /** A node with whatever was in it before. */
  take(): Node {
    this.#used++;
    const node = this.#free;
    if (node !== NO_NODE) {
      this.#free = this.words(node)[this.base(node)];
      return node;
    }
    if (this.#fresh >>> this.chunkShift === this.#chunks.length) {
      this.#chunks.push(new Uint32Array(this.#shape.chunkNodes * this.#shape.nodeWords));
    }
    return this.#fresh++;
  }

  give(node: Node): void {
    this.#used--;
    this.words(node)[this.base(node)] = this.#free;
    this.#free = node;
  }

  /** Throws INVARIANT unless the free nodes and those in use are all that were ever handed out. */
  verify(): void {
    const free = new Set<Node>();
    for (let node = this.#free; node !== NO_NODE; node = this.words(node)[this.base(node)]) {
      assert(node < this.#fresh && !free.has(node), "free nodes are listed once");
      free.add(node);
    }
    assert(free.size + this.#used === this.#fresh - 1, "nodes in use are counted");
  }
}
