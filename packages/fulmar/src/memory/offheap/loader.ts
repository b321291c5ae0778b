import { assert } from "../../base/assert.js";
import { compareRanges } from "../../base/bytes.js";
import { entryLength, isTombstone } from "../../record/entry.js";
import { type BulkLoader, NONE, type Ref } from "../engine.js";
import type { OffHeapIndexes } from "./indexes.js";
import { RefQueue } from "./ref-queue.js";

/**
 * Fills an empty engine in key order. Each entry goes into all indexes at once, so that no step takes
 * long; in the key tree it is appended, which needs no search and leaves full nodes behind.
 */
export class OffHeapLoader implements BulkLoader {
  readonly #indexes: OffHeapIndexes;
  readonly #finish: (version: number, tombstones: RefQueue) => void;
  readonly #tombstones: RefQueue;
  #last: Ref = NONE;
  #versionMax = 0;
  #finished = false;

  /** `finish` is given the tombstones, which it empties. */
  constructor(indexes: OffHeapIndexes, finish: (version: number, tombstones: RefQueue) => void) {
    this.#indexes = indexes;
    this.#finish = finish;
    this.#tombstones = new RefQueue(indexes.pages);
  }

  add(version: number, bytes: Uint8Array, at: number, length: number): void {
    assert(!this.#finished, "a finished load takes no more entries");
    assert(length === entryLength(bytes, at), "an entry is as long as it says");
    const { records, hash } = this.#indexes;
    const ref = records.add(version, 0, bytes, at, length);
    const slab = records.slab(ref);
    const start = records.keyStart(ref);
    const end = start + records.keyLength(ref);
    assert(this.#last === NONE || this.#isAbove(this.#last, slab, start, end), "loaded keys ascend");
    assert(hash.locate(slab, start, end) === NONE, "a key is loaded once");
    this.#indexes.addFirst(ref, true);
    this.#last = ref;
    this.#versionMax = Math.max(this.#versionMax, version);
    if (isTombstone(slab, records.offset(ref))) this.#tombstones.push(ref);
  }

  finish(version: number): void {
    assert(!this.#finished && version >= this.#versionMax, "a load ends at or above its versions");
    this.#finished = true;
    this.#finish(version, this.#tombstones);
  }

  #isAbove(last: Ref, slab: Uint8Array, start: number, end: number): boolean {
    const { records } = this.#indexes;
    const lastStart = records.keyStart(last);
    const lastEnd = lastStart + records.keyLength(last);
    return compareRanges(records.slab(last), lastStart, lastEnd, slab, start, end) < 0;
  }
}
