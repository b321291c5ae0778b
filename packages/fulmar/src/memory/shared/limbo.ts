import type { Ref } from "../engine.js";
import type { Node } from "../offheap/node-pool.js";
import { countsBetween } from "./control.js";

/** What becomes of memory that nobody looks at any more. */
export interface LimboTargets {
  releaseCell(ref: Ref): void;
  releaseNode(node: Node): void;
}

/** What was taken out of reach in one epoch. */
interface Generation {
  readonly cells: Ref[];
  readonly nodes: Node[];
  /** Numbers of slabs and chunks that may stand for others. */
  readonly numbers: (() => void)[];
  epoch: number;
  bytes: number;
}

/**
 * Memory that is out of reach for whoever begins to look now, but not for readers that began before: it
 * waits, by the epoch in which it went out of reach.
 */
export class Limbo {
  readonly #targets: LimboTargets;
  readonly #nodeBytes: number;
  #open: Generation = generation();
  #sealed: Generation[] = [];
  #bytes = 0;
  #nodes = 0;
  #cells = 0;

  constructor(targets: LimboTargets, nodeBytes: number) {
    this.#targets = targets;
    this.#nodeBytes = nodeBytes;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of what went out of reach since the last {@link seal}. */
  get openBytes(): number {
    return this.#open.bytes;
  }

  /** Nodes that wait. */
  get nodes(): number {
    return this.#nodes;
  }

  get nodeBytes(): number {
    return this.#nodes * this.#nodeBytes;
  }

  /** Cells that wait. */
  get cells(): number {
    return this.#cells;
  }

  addCell(ref: Ref, bytes: number): void {
    this.#open.cells.push(ref);
    this.#cells++;
    this.#count(bytes);
  }

  addNode(node: Node): void {
    this.#open.nodes.push(node);
    this.#nodes++;
    this.#count(this.#nodeBytes);
  }

  addNumber(reuse: () => void): void {
    this.#open.numbers.push(reuse);
  }

  /** What was added up to now went out of reach in this epoch, which ends. */
  seal(epoch: number): void {
    this.#open.epoch = epoch;
    this.#sealed.push(this.#open);
    this.#open = generation();
  }

  /** The oldest epoch of which something waits; undefined when nothing does. */
  get oldest(): number | undefined {
    return this.#sealed[0]?.epoch;
  }

  /** Releases what went out of reach more than `age` epochs before `epoch`. */
  release(epoch: number, age: number): void {
    let released = 0;
    for (const { epoch: then } of this.#sealed) {
      if (countsBetween(then, epoch) <= age) break;
      released++;
    }
    for (const done of this.#sealed.splice(0, released)) this.#release(done);
  }

  /** Nobody looks at anything. */
  releaseAll(): void {
    // Giving memory back may put the number of a slab here again.
    for (const done of this.#sealed.splice(0)) this.#release(done);
    const open = this.#open;
    this.#open = generation();
    this.#release(open);
  }

  #release({ cells, nodes, numbers, bytes }: Generation): void {
    this.#bytes -= bytes;
    this.#cells -= cells.length;
    this.#nodes -= nodes.length;
    for (const ref of cells) this.#targets.releaseCell(ref);
    for (const node of nodes) this.#targets.releaseNode(node);
    for (const reuse of numbers) reuse();
  }

  #count(bytes: number): void {
    this.#open.bytes += bytes;
    this.#bytes += bytes;
  }
}

function generation(): Generation {
  return { cells: [], nodes: [], numbers: [], epoch: 0, bytes: 0 };
}
