import { assert } from "../../base/assert.js";
import { readU64 } from "../../base/bytes.js";
import { entryLength, isTombstone, keyLengthOf, keyStart } from "../../record/entry.js";
import { type BulkLoader, NONE, type Ref } from "../engine.js";
import { READ_AHEAD } from "./hash-index.js";
import type { OffHeapIndexes } from "./indexes.js";
import { LoadBatch } from "./load-batch.js";
import { LoadOrder } from "./load-order.js";
import { RefList } from "./ref-list.js";
import type { EngineShape } from "./shape.js";

/** References that each discarded record has looked at: so discarded ones are always a small part. */
const SWEPT_PER_DISCARD = 4;

/**
 * Fills an empty engine: first with entries in key order, which are different keys, so that nothing is looked
 * up, then with commits, of which only what is there in the end is kept. Meanwhile there are records and hash
 * index only, looked at in the order of the hashes, many at a time. The orders are built in the end,
 * a step at a time, from front to back.
 */
export class OffHeapLoader implements BulkLoader {
  readonly #indexes: OffHeapIndexes;
  readonly #togetherBytes: number;
  readonly #keepsTombstones: () => boolean;
  readonly #finish: (version: number) => void;
  readonly #batch: LoadBatch;
  #batchBytes = 0;
  /** What came in key order, and new keys of commits. */
  readonly #sorted = new RefList();
  readonly #added = new RefList();
  #order: LoadOrder | undefined;
  #isPutting = false;
  #versionMax = 0;
  #finished = false;

  /** `finish` is told of the version, with which the engine is there. */
  constructor(
    indexes: OffHeapIndexes,
    shape: EngineShape,
    keepsTombstones: () => boolean,
    finish: (version: number) => void,
  ) {
    this.#indexes = indexes;
    this.#togetherBytes = shape.loadedTogetherBytes;
    this.#keepsTombstones = keepsTombstones;
    this.#finish = finish;
    this.#batch = new LoadBatch(shape.loadedTogether);
  }

  announce(entries: number): void {
    assert(this.#sorted.size === 0 && !this.#isPutting, "entries are announced before the first");
    this.#indexes.hash.announce(entries);
  }

  addAll(bytes: Uint8Array, at: number, count: number): number {
    assert(this.#order === undefined && !this.#isPutting, "entries in order come first");
    const { records, hash } = this.#indexes;
    const keeps = this.#keepsTombstones();
    let next = at;
    for (let i = 0; i < count; i++) {
      const version = readU64(bytes, next);
      const entry = next + 8;
      const length = entryLength(bytes, entry);
      next = entry + length;
      if (version > this.#versionMax) this.#versionMax = version;
      if (!keeps && isTombstone(bytes, entry)) continue;
      const ref = records.add(version, 0, bytes, entry, length);
      const key = keyStart(bytes, entry);
      this.#sorted.push(ref);
      if (this.#batch.add(hash.hashOf(bytes, key, key + keyLengthOf(bytes, entry)), ref)) this.#flush();
    }
    return next;
  }

  put(version: number, bytes: Uint8Array, at: number, length: number): void {
    assert(this.#order === undefined, "a finished load takes no more entries");
    assert(version >= this.#versionMax, "versions never decrease");
    assert(length === entryLength(bytes, at), "an entry is as long as it says");
    if (!this.#isPutting) this.#flush();
    this.#isPutting = true;
    this.#versionMax = version;
    const { records, hash } = this.#indexes;
    const ref = records.add(version, 0, bytes, at, length);
    const key = keyStart(bytes, at);
    const isFull = this.#batch.add(hash.hashOf(bytes, key, key + keyLengthOf(bytes, at)), ref);
    this.#batchBytes += length;
    if (isFull || this.#batchBytes >= this.#togetherBytes) this.#flush();
  }

  step(): boolean {
    if (this.#order === undefined) {
      this.#flush();
      this.#order = new LoadOrder(this.#indexes, this.#sorted, this.#added);
    }
    return this.#order.step();
  }

  finish(version: number): void {
    assert(!this.#finished && version >= this.#versionMax, "a load ends at or above its versions");
    this.#finished = true;
    while (!this.step());
    this.#finish(version);
  }

  #flush(): void {
    const batch = this.#batch;
    batch.sort();
    const { hashes, refs, count } = batch;
    batch.count = 0;
    this.#batchBytes = 0;
    if (this.#isPutting) this.#resolveAll(hashes, refs, count);
    else this.#indexes.hash.appendAll(hashes, refs, count);
  }

  #resolveAll(hashes: Uint32Array, refs: Uint32Array, count: number): void {
    const keeps = this.#keepsTombstones();
    for (let i = 0; i < count; i++) {
      if (i % READ_AHEAD === 0) this.#indexes.hash.readAhead(hashes, i, count);
      this.#resolve(hashes[i], refs[i], keeps);
    }
  }

  /** Puts a record in the place of the one of its key that is there. */
  #resolve(hashOfKey: number, ref: Ref, keeps: boolean): void {
    const { records, hash } = this.#indexes;
    const slab = records.slab(ref);
    const start = records.keyStart(ref);
    const newest = hash.locateLoading(hashOfKey, slab, start, start + records.keyLength(ref));
    if (!keeps && records.isTombstone(ref)) {
      if (newest !== NONE) {
        hash.remove();
        this.#discard(newest);
      }
      records.free(ref);
    } else if (newest === NONE) {
      hash.add(ref);
      this.#added.push(ref);
    } else if (records.isSameSize(newest, ref)) records.moveInto(newest, ref);
    else {
      hash.replace(ref);
      this.#added.push(ref);
      this.#discard(newest);
    }
  }

  #discard(ref: Ref): void {
    const { records } = this.#indexes;
    records.discard(ref);
    this.#sorted.sweep(records, SWEPT_PER_DISCARD);
    this.#added.sweep(records, SWEPT_PER_DISCARD);
  }
}
