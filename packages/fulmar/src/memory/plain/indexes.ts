import { assert } from "../../base/assert.js";
import type { KeyTracker, MemoryUsage } from "../engine.js";
import { KeyTable } from "./key-table.js";
import {
  byDeadlineThenKey,
  byKey,
  bySeq,
  type KeyChain,
  newRecord,
  type PlainRecord,
  RecordTable,
} from "./record.js";
import { SortedChunks } from "./sorted-chunks.js";

/** About what the objects and array slots of one record and one key take on 64-bit V8: an estimate. */
export const RECORD_OVERHEAD_BYTES = 320;
export const KEY_OVERHEAD_BYTES = 200;

/** About what a record takes. */
export function bytesOf(record: PlainRecord): number {
  return RECORD_OVERHEAD_BYTES + record.bytes.length;
}

/**
 * All records, every order that they are kept in, and the accounting: each step keeps these in
 * agreement. Which versions are kept, and how long, is the engine's decision.
 */
export class PlainIndexes {
  readonly table = new RecordTable();
  readonly keys = new KeyTable();
  readonly chains = new SortedChunks<KeyChain>(byKey);
  /** Every version of every key by origin; undefined until it is asked for. */
  #origins: Map<number, SortedChunks<PlainRecord>> | undefined;
  /** Newest versions with a deadline, without tombstones. */
  readonly deadlines = new SortedChunks<PlainRecord>(byDeadlineThenKey);
  /** Is told of every key that gets or loses its value. */
  tracker: KeyTracker | undefined;
  #entries = 0;
  #tombstones = 0;
  #recordBytes = 0;
  #keyBytes = 0;

  usage(): MemoryUsage {
    const versions = this.table.size;
    return {
      entries: this.#entries,
      tombstones: this.#tombstones,
      oldVersions: versions - this.chains.size,
      recordBytes: this.#recordBytes,
      overheadBytes:
        versions * RECORD_OVERHEAD_BYTES + this.chains.size * KEY_OVERHEAD_BYTES + this.#keyBytes,
    };
  }

  get origins(): ReadonlyMap<number, SortedChunks<PlainRecord>> | undefined {
    return this.#origins;
  }

  orderByOrigin(): void {
    if (this.#origins !== undefined) return;
    this.#origins = new Map();
    for (const { newest } of this.chains) {
      for (let record: PlainRecord | undefined = newest; record !== undefined; record = record.older)
        this.#addToOrigin(record, this.#origins);
    }
  }

  forgetOrder(): void {
    this.#origins = undefined;
  }

  /** See `MemoryEngine.usedBytes`. */
  get usedBytes(): number {
    const { recordBytes, overheadBytes } = this.usage();
    return recordBytes + overheadBytes;
  }

  /** The chain of the key `bytes[from, to)`. */
  chainOf(bytes: Uint8Array, from: number, to: number): KeyChain | undefined {
    return this.keys.find(bytes, from, to);
  }

  /** Adds the first version of a key. */
  addFirst(key: Uint8Array, version: number, bytes: Uint8Array): PlainRecord {
    const record = newRecord(key, version, bytes);
    const chain: KeyChain = { key, newest: record, sameHash: undefined };
    this.keys.add(chain);
    this.chains.insert(chain);
    this.#keyBytes += key.length;
    this.#admit(record);
    this.#enter(record);
    if (!record.tombstone) this.tracker?.entered(record.ref, false);
    return record;
  }

  /** Puts a version above the newest of its key. */
  supersede(chain: KeyChain, version: number, bytes: Uint8Array): PlainRecord {
    const record = newRecord(chain.key, version, bytes);
    this.#leave(chain.newest);
    link(chain.newest, record);
    record.slot = chain.newest.slot;
    const before = chain.newest;
    chain.newest = record;
    this.#admit(record);
    this.#enter(record);
    this.#tell(before, record, false);
    return record;
  }

  /** Puts a version in the place of the newest of its key. */
  replaceNewest(chain: KeyChain, version: number, bytes: Uint8Array): PlainRecord {
    const record = newRecord(chain.key, version, bytes);
    const replaced = chain.newest;
    this.#leave(replaced);
    this.#expel(replaced);
    if (replaced.older !== undefined) link(replaced.older, record);
    record.slot = replaced.slot;
    chain.newest = record;
    this.#admit(record);
    this.#enter(record);
    this.#tell(replaced, record, false);
    this.table.remove(replaced);
    return record;
  }

  /** Takes the newest version of a key away, so that the one before it, if there is one, is the newest again. */
  removeNewest(record: PlainRecord): void {
    const chain = this.chainOf(record.key, 0, record.key.length);
    assert(chain?.newest === record, "only the newest version is taken from the top");
    this.#leave(record);
    this.#expel(record);
    const { older } = record;
    if (older === undefined) {
      this.keys.remove(chain);
      this.chains.remove(chain);
      this.#keyBytes -= chain.key.length;
      if (!record.tombstone) this.tracker?.left(record.ref);
    } else {
      older.newer = undefined;
      older.slot = record.slot;
      chain.newest = older;
      this.#enter(older);
      this.#tell(record, older, true);
    }
    this.table.remove(record);
  }

  /** Takes a version away that has a newer one. */
  removeOld(record: PlainRecord, newer: PlainRecord): void {
    newer.older = record.older;
    if (record.older !== undefined) record.older.newer = newer;
    this.#expel(record);
    this.table.remove(record);
  }

  /** One record is the newest of its key in the place of another. */
  #tell(before: PlainRecord, record: PlainRecord, isBack: boolean): void {
    if (!before.tombstone && !record.tombstone) this.tracker?.replaced(before.ref, record.ref);
    else if (!before.tombstone) this.tracker?.left(before.ref);
    else if (!record.tombstone) this.tracker?.entered(record.ref, isBack);
  }

  #admit(record: PlainRecord): void {
    this.table.add(record);
    this.#recordBytes += record.bytes.length;
    if (this.#origins !== undefined) this.#addToOrigin(record, this.#origins);
  }

  #addToOrigin(record: PlainRecord, origins: Map<number, SortedChunks<PlainRecord>>): void {
    let records = origins.get(record.origin);
    if (records === undefined) {
      records = new SortedChunks(bySeq);
      origins.set(record.origin, records);
    }
    records.insert(record);
  }

  /** A record is in no order any more; its number is given back last, for whoever is told of the change. */
  #expel(record: PlainRecord): void {
    this.#recordBytes -= record.bytes.length;
    const records = this.#origins?.get(record.origin);
    records?.remove(record);
    if (records?.size === 0) this.#origins?.delete(record.origin);
  }

  /** A record becomes the newest of its key. */
  #enter(record: PlainRecord): void {
    if (record.tombstone) {
      this.#tombstones++;
      return;
    }
    this.#entries++;
    if (record.deadline !== Number.POSITIVE_INFINITY) this.deadlines.insert(record);
  }

  /** A record is the newest of its key no more. */
  #leave(record: PlainRecord): void {
    if (record.tombstone) {
      this.#tombstones--;
      return;
    }
    this.#entries--;
    if (record.deadline !== Number.POSITIVE_INFINITY) this.deadlines.remove(record);
  }
}

function link(older: PlainRecord, newer: PlainRecord): void {
  older.newer = newer;
  newer.older = older;
}
