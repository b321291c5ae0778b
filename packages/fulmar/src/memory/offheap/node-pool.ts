import { assert } from "../../base/assert.js";
import { type Backing, PRIVATE_BACKING } from "./backing.js";
import { type EngineShape, exponentOf, powerWithin } from "./shape.js";

/** A node of fixed size. 0 is none. */
export type Node = number;
export const NO_NODE: Node = 0;

/** No chunk: their numbers begin at 1, so that no node is 0. */
const NO_CHUNK = 0;
/** More than a change of a tree of any height takes. */
const NODES_PER_CHANGE = 32;

/**
 * Fixed-size pieces of 32-bit words, for the nodes of trees and the pages of queues. They are allocated
 * a chunk at a time, the larger the more there are, so that no array is ever copied to grow; what is given back is
 * used again, and a chunk that nothing is left in goes back to the system, all but one spare.
 */
export class NodePool {
  /** A node shifted right by this is its chunk's number. */
  readonly chunkShift: number;
  readonly #nodeMask: number;
  readonly #wordShift: number;
  readonly #shape: EngineShape;
  readonly #backing: Backing;
  readonly #chunks: Uint32Array[] = [new Uint32Array(0)];
  /** Nodes of each chunk, and those of them that are handed out. */
  readonly #nodesOf: number[] = [0];
  readonly #usedOf: number[] = [0];
  /** Nodes of each chunk that were ever handed out: those beyond are free too. */
  readonly #freshOf: number[] = [0];
  /** The first node of each chunk that was given back; each holds the next in its first word. */
  readonly #freeOf: Node[] = [NO_NODE];
  /** Chunks that have room but are not empty, linked both ways. */
  readonly #next: number[] = [NO_CHUNK];
  readonly #previous: number[] = [NO_CHUNK];
  readonly #freeNumbers: number[] = [];
  #open = NO_CHUNK;
  /** An empty chunk that is kept for the next need. */
  #spare = NO_CHUNK;
  #used = 0;
  /** Nodes of all chunks. */
  #nodes = 0;

  constructor(shape: EngineShape, backing: Backing = PRIVATE_BACKING) {
    this.#shape = shape;
    this.#backing = backing;
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
    return this.#nodes * this.#shape.nodeWords * 4;
  }

  /** The array that a node is in; it begins at {@link base}. */
  words(node: Node): Uint32Array {
    return this.#chunks[node >>> this.chunkShift];
  }

  base(node: Node): number {
    return (node & this.#nodeMask) << this.#wordShift;
  }

  /** Allocates now what one change of a tree or of a queue takes, so that it does not fail half-way for want of it. */
  makeRoom(): void {
    if (this.#nodes - this.#used < NODES_PER_CHANGE && this.#spare === NO_CHUNK) this.#spare = this.#add();
  }

  /** A node with whatever was in it before. */
  take(): Node {
    let chunk = this.#open;
    if (chunk === NO_CHUNK) {
      chunk = this.#spare === NO_CHUNK ? this.#add() : this.#spare;
      this.#spare = NO_CHUNK;
      this.#list(chunk);
    }
    this.#used++;
    if (++this.#usedOf[chunk] === this.#nodesOf[chunk]) this.#unlist(chunk);
    const node = this.#freeOf[chunk];
    if (node === NO_NODE) return ((chunk << this.chunkShift) | this.#freshOf[chunk]++) >>> 0;
    this.#freeOf[chunk] = this.words(node)[this.base(node)];
    return node;
  }

  give(node: Node): void {
    const chunk = node >>> this.chunkShift;
    assert(this.#usedOf[chunk] > 0, "a node is given back once");
    this.words(node)[this.base(node)] = this.#freeOf[chunk];
    this.#freeOf[chunk] = node;
    this.#used--;
    const used = --this.#usedOf[chunk];
    // The fullest come first, so that the others may run empty.
    if (used === this.#nodesOf[chunk] - 1) this.#list(chunk);
    if (used > 0) return;
    this.#unlist(chunk);
    if (this.#spare === NO_CHUNK) this.#spare = chunk;
    else this.#drop(chunk);
  }

  /** Throws INVARIANT unless the free nodes and those in use are all that were ever handed out. */
  verify(): void {
    let used = 0;
    let bytes = 0;
    const open = new Set<number>();
    for (let chunk = this.#open; chunk !== NO_CHUNK; chunk = this.#next[chunk]) {
      assert(!open.has(chunk), "chunks with room are listed once");
      assert(
        this.#next[chunk] === NO_CHUNK || this.#previous[this.#next[chunk]] === chunk,
        "both ways agree",
      );
      open.add(chunk);
    }
    for (let chunk = 1; chunk < this.#chunks.length; chunk++) {
      const inUse = this.#usedOf[chunk];
      used += inUse;
      bytes += this.#chunks[chunk].length * 4;
      assert(open.has(chunk) === (inUse > 0 && inUse < this.#nodesOf[chunk]), "chunks with room are listed");
      const isEmpty = inUse === 0 && this.#chunks[chunk].length > 0;
      assert(isEmpty === (chunk === this.#spare), "no chunk is empty but the spare one");
      this.#verifyFree(chunk);
    }
    assert(used === this.#used, "nodes in use are counted");
    assert(bytes === this.allocatedBytes, "bytes of chunks are counted");
  }

  #verifyFree(chunk: number): void {
    const free = new Set<Node>();
    for (let node = this.#freeOf[chunk]; node !== NO_NODE; node = this.words(node)[this.base(node)]) {
      assert(node >>> this.chunkShift === chunk, "free nodes are of their chunk");
      assert((node & this.#nodeMask) < this.#freshOf[chunk] && !free.has(node), "free nodes are listed once");
      free.add(node);
    }
    assert(free.size + this.#usedOf[chunk] === this.#freshOf[chunk], "nodes in use are counted");
  }

  #add(): number {
    const { chunkNodes, chunkNodesMin, nodeWords } = this.#shape;
    // As many as there are.
    const nodes = powerWithin(this.#nodes, chunkNodesMin, chunkNodes);
    const buffer = this.#backing.allocate(nodes * nodeWords * 4);
    const chunk = this.#freeNumbers.pop() ?? this.#chunks.length;
    this.#chunks[chunk] = new Uint32Array(buffer, 0, nodes * nodeWords);
    this.#nodesOf[chunk] = nodes;
    this.#usedOf[chunk] = 0;
    this.#freshOf[chunk] = 0;
    this.#freeOf[chunk] = NO_NODE;
    this.#nodes += nodes;
    this.#backing.added(chunk, buffer);
    return chunk;
  }

  #drop(chunk: number): void {
    const { buffer } = this.#chunks[chunk];
    this.#nodes -= this.#nodesOf[chunk];
    this.#chunks[chunk] = this.#chunks[NO_CHUNK];
    this.#nodesOf[chunk] = 0;
    this.#freshOf[chunk] = 0;
    this.#freeOf[chunk] = NO_NODE;
    this.#backing.dropped(chunk, buffer, () => this.#freeNumbers.push(chunk));
  }

  #list(chunk: number): void {
    const next = this.#open;
    this.#next[chunk] = next;
    this.#previous[chunk] = NO_CHUNK;
    if (next !== NO_CHUNK) this.#previous[next] = chunk;
    this.#open = chunk;
  }

  #unlist(chunk: number): void {
    const next = this.#next[chunk];
    const previous = this.#previous[chunk];
    if (previous === NO_CHUNK) this.#open = next;
    else this.#next[previous] = next;
    if (next !== NO_CHUNK) this.#previous[next] = previous;
  }
}
