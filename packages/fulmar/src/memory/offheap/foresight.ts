import { entryLength, keyLengthOf, keyStart } from "../../record/entry.js";
import { NONE } from "../engine.js";
import type { OffHeapIndexes } from "./indexes.js";

/** Entries that are looked up together: what they lead to fits the caches. */
const TOGETHER = 32;

/**
 * Has the processor fetch, all at once, what the next entries of a commit lead to: the groups of their hashes, the
 * records of keys that are there, and for new keys the leaves where they belong and the records beside. One by one,
 * each entry would wait for each of these. What is looked at here is a guess, and nothing follows from it.
 */
export class Foresight {
  readonly #indexes: OffHeapIndexes;
  readonly #hashes = new Uint32Array(TOGETHER);
  /** Where entries begin; later, of those only whose keys are not there. */
  readonly #starts = new Uint32Array(TOGETHER);
  readonly #refs = new Uint32Array(TOGETHER);
  readonly #leaves = new Uint32Array(TOGETHER);

  constructor(indexes: OffHeapIndexes) {
    this.#indexes = indexes;
  }

  /** Calls `put` for each of the entries that stand back to back in `bytes[at, end)`, and looks ahead. */
  each(bytes: Uint8Array, at: number, end: number, put: (at: number, length: number) => void): void {
    for (let next = at; next < end; ) {
      const fetched = this.#fetch(bytes, next, end);
      while (next < fetched) {
        const length = entryLength(bytes, next);
        put(next, length);
        next += length;
      }
    }
  }

  /** Looks ahead at the first of some entries; returns where the last of these ends. */
  #fetch(bytes: Uint8Array, at: number, end: number): number {
    const { hash } = this.#indexes;
    let count = 0;
    let next = at;
    for (; count < TOGETHER && next < end; count++) {
      const key = keyStart(bytes, next);
      this.#starts[count] = next;
      this.#hashes[count] = hash.hashOf(bytes, key, key + keyLengthOf(bytes, next));
      next += entryLength(bytes, next);
    }
    hash.readAhead(this.#hashes, 0, count);
    this.#fetchRecords(bytes, count);
    return next;
  }

  #fetchRecords(bytes: Uint8Array, count: number): void {
    const { hash, keys, records } = this.#indexes;
    const [refs, leaves, starts] = [this.#refs, this.#leaves, this.#starts];
    let found = 0;
    let missing = 0;
    for (let i = 0; i < count; i++) {
      const ref = hash.candidate(this.#hashes[i]);
      if (ref !== NONE) refs[found++] = ref;
      else {
        const key = keyStart(bytes, starts[i]);
        leaves[missing] = keys.leafOf(bytes, key, key + keyLengthOf(bytes, starts[i]));
        starts[missing++] = starts[i];
      }
    }
    keys.nodes.touch(leaves, missing);
    for (let i = 0; i < missing; i++) {
      const key = keyStart(bytes, starts[i]);
      const ref = keys.nodes.nearest(leaves[i], bytes, key, key + keyLengthOf(bytes, starts[i]));
      if (ref !== NONE) refs[found++] = ref;
    }
    records.touch(refs, found);
  }
}
