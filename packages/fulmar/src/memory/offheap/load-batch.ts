import type { Ref } from "../engine.js";

/** Bits of a hash that a batch is sorted by: so many that the groups of one value fit the first cache. */
const SORTED_BITS = 11;

/**
 * Records with the hashes of their keys, sorted by hash before they are looked up or added: a table that is
 * far larger than the caches is then gone through from front to back. Records with one key keep their order.
 */
export class LoadBatch {
  readonly size: number;
  hashes: Uint32Array;
  refs: Uint32Array;
  count = 0;
  #otherHashes: Uint32Array;
  #otherRefs: Uint32Array;
  readonly #places = new Uint32Array(2 ** SORTED_BITS);

  constructor(size: number) {
    this.size = size;
    this.hashes = new Uint32Array(size);
    this.refs = new Uint32Array(size);
    this.#otherHashes = new Uint32Array(size);
    this.#otherRefs = new Uint32Array(size);
  }

  /** Adds a record; true when the batch is full. */
  add(hash: number, ref: Ref): boolean {
    this.hashes[this.count] = hash;
    this.refs[this.count++] = ref;
    return this.count === this.size;
  }

  sort(): void {
    const { hashes, refs, count } = this;
    const [sortedHashes, sortedRefs, places] = [this.#otherHashes, this.#otherRefs, this.#places];
    places.fill(0);
    for (let i = 0; i < count; i++) places[hashes[i] >>> (32 - SORTED_BITS)]++;
    let place = 0;
    for (let value = 0; value < places.length; value++) {
      const next = place + places[value];
      places[value] = place;
      place = next;
    }
    for (let i = 0; i < count; i++) {
      const to = places[hashes[i] >>> (32 - SORTED_BITS)]++;
      sortedHashes[to] = hashes[i];
      sortedRefs[to] = refs[i];
    }
    this.hashes = sortedHashes;
    this.refs = sortedRefs;
    this.#otherHashes = hashes;
    this.#otherRefs = refs;
  }
}
