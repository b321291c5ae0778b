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

/** Bytes of the version before each entry that comes in order. */
const VERSION_BYTES = 8;
/** Entries of one length that are copied together at most. */
const ROW_MAX = 256;
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
  readonly #row = new Uint32Array(ROW_MAX);
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
    const keeps = this.#keepsTombstones();
    let next = at;
    for (let left = count; left > 0; ) {
      const isWanted = keeps || !isTombstone(bytes, next + VERSION_BYTES);
      const length = entryLength(bytes, next + VERSION_BYTES);
      const row = isWanted ? rowOf(bytes, next, Math.min(left, ROW_MAX), length, keeps) : 1;
      if (isWanted) this.#addRow(bytes, next, row, length);
      next += row * (VERSION_BYTES + length);
      left -= row;
    }
    return next;
  }

  /** Adds entries of one length. */
  #addRow(bytes: Uint8Array, at: number, count: number, length: number): void {
    const { records, hash } = this.#indexes;
    const refs = this.#row;
    records.addRow(bytes, at, count, length, refs);
    for (let i = 0, next = at; i < count; i++, next += VERSION_BYTES + length) {
      const version = readU64(bytes, next);
      if (version > this.#versionMax) this.#versionMax = version;
      const key = keyStart(bytes, next + VERSION_BYTES);
      const end = key + keyLengthOf(bytes, next + VERSION_BYTES);
      this.#sorted.push(refs[i]);
      if (this.#batch.add(hash.hashOf(bytes, key, end), refs[i])) this.#flush();
    }
  }

  expect(entries: number): void {
    const { hash } = this.#indexes;
    if (hash.size === 0) hash.announce(entries);
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
    const { records, hash } = this.#indexes;
    const keeps = this.#keepsTombstones();
    for (let i = 0; i < count; i++) {
      if (i % READ_AHEAD === 0) {
        hash.readAhead(hashes, i, count);
        records.touch(refs.subarray(i, count), Math.min(READ_AHEAD, count - i));
      }
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
    } else if (records.fits(newest, entryLength(slab, records.offset(ref)))) records.moveInto(newest, ref);
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

/** How many of the next entries have the same length, and are wanted as the first is. */
function rowOf(bytes: Uint8Array, at: number, max: number, length: number, keepsTombstones: boolean): number {
  let count = 1;
  for (let next = at + VERSION_BYTES + length; count < max; count++, next += VERSION_BYTES + length) {
    const entry = next + VERSION_BYTES;
    if (entryLength(bytes, entry) !== length || (!keepsTombstones && isTombstone(bytes, entry))) break;
  }
  return count;
}
