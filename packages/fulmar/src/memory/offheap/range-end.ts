import { NO_NODE, type Node } from "./node-pool.js";

/**
 * The place in the key tree where the last scan ends, as long as the tree stays as it is. Most scans have the same
 * end, which is that of all keys of a kind.
 */
export class RangeEnd {
  /** The very array: nobody writes to the bounds of ranges. */
  #bound: Uint8Array | undefined;
  #edition = -1;
  #leaf: Node = NO_NODE;
  #index = 0;

  get leaf(): Node {
    return this.#leaf;
  }

  get index(): number {
    return this.#index;
  }

  isOf(bound: Uint8Array, edition: number): boolean {
    return this.#bound === bound && this.#edition === edition;
  }

  set(bound: Uint8Array, edition: number, leaf: Node, index: number): void {
    this.#bound = bound;
    this.#edition = edition;
    this.#leaf = leaf;
    this.#index = index;
  }
}
