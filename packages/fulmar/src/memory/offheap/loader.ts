import { assert } from "../../base/assert.js";
import { compareRanges } from "../../base/bytes.js";
import { entryLength, isTombstone } from "../../record/entry.js";
import { type BulkLoader, NONE, type Ref } from "../engine.js";
import type { OffHeapIndexes } from "./indexes.js";
import { OrderSorter } from "./order-sorter.js";
import { RefQueue } from "./ref-queue.js";

/**
 * Fills an empty engine in key order. Keys that ascend are different keys, so nothing is looked up. In the
 * key tree an entry is appended, which needs no search and leaves full nodes behind; its numbers are
 * collected and sorted in the end, a step at a time.
 */
export class OffHeapLoader implements BulkLoader {
  readonly #indexes: OffHeapIndexes;
  readonly #finish: (version: number, tombstones: RefQueue) => void;
  readonly #tombstones: RefQueue;
  readonly #origins: OrderSorter;
  readonly #deadlines: OrderSorter;
  #last: Ref = NONE;
  #versionMax = 0;
  /** No more entries come. */
  #ended = false;
  #finished = false;

  /** `finish` is given the tombstones, which it empties. */
  constructor(indexes: OffHeapIndexes, finish: (version: number, tombstones: RefQueue) => void) {
    this.#indexes = indexes;
    this.#finish = finish;
    this.#tombstones = new RefQueue(indexes.pages);
    this.#origins = new OrderSorter(indexes.origins);
    this.#deadlines = new OrderSorter(indexes.deadlines);
  }

  announce(entries: number): void {
    assert(this.#last === NONE, "entries are announced before the first");
    this.#indexes.hash.announce(entries);
  }

  add(version: number, bytes: Uint8Array, at: number, length: number): void {
    assert(!this.#ended, "a finished load takes no more entries");
    assert(length === entryLength(bytes, at), "an entry is as long as it says");
    const { records } = this.#indexes;
    const ref = records.add(version, 0, bytes, at, length);
    const slab = records.slab(ref);
    const start = records.keyStart(ref);
    const end = start + records.keyLength(ref);
    assert(this.#last === NONE || this.#isAbove(this.#last, slab, start, end), "loaded keys ascend");
    this.#indexes.append(ref, this.#origins, this.#deadlines);
    this.#last = ref;
    this.#versionMax = Math.max(this.#versionMax, version);
    if (isTombstone(slab, records.offset(ref))) this.#tombstones.push(ref);
  }

  step(): boolean {
    if (!this.#ended) this.#indexes.hash.finishAppending();
    this.#ended = true;
    return this.#origins.step() && this.#deadlines.step();
  }

  finish(version: number): void {
    assert(!this.#finished && version >= this.#versionMax, "a load ends at or above its versions");
    this.#finished = true;
    while (!this.step());
    this.#finish(version, this.#tombstones);
  }

  #isAbove(last: Ref, slab: Uint8Array, start: number, end: number): boolean {
    const { records } = this.#indexes;
    const lastStart = records.keyStart(last);
    const lastEnd = lastStart + records.keyLength(last);
    return compareRanges(records.slab(last), lastStart, lastEnd, slab, start, end) < 0;
  }
}
