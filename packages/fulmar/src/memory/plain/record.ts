import { assert } from "../../base/assert.js";
import { compareBytes } from "../../base/bytes.js";
import { deadlineOf, isTombstone, originOf, seqOf } from "../../record/entry.js";
import type { Ref } from "../engine.js";

/** A key and the newest of its versions. */
export interface KeyChain {
  readonly key: Uint8Array;
  newest: PlainRecord;
  /** The next chain whose key has the same hash. */
  sameHash: KeyChain | undefined;
}

/** One version of one key, linked to the versions before and after it. */
export interface PlainRecord {
  /** Given by the table. */
  ref: Ref;
  readonly key: Uint8Array;
  readonly version: number;
  /** The encoded entry, the engine's own copy. */
  readonly bytes: Uint8Array;
  readonly origin: number;
  readonly seq: number;
  readonly deadline: number;
  readonly tombstone: boolean;
  /** What is noted for its key. */
  slot: number;
  older: PlainRecord | undefined;
  newer: PlainRecord | undefined;
  /** False once it is freed, for lists that may still name it. */
  live: boolean;
}

/** A record of a copied entry, in no chain or index yet. */
export function newRecord(key: Uint8Array, version: number, bytes: Uint8Array): PlainRecord {
  return {
    ref: 0,
    key,
    version,
    bytes,
    origin: originOf(bytes, 0),
    seq: seqOf(bytes, 0),
    deadline: deadlineOf(bytes, 0),
    tombstone: isTombstone(bytes, 0),
    slot: 0,
    older: undefined,
    newer: undefined,
    live: true,
  };
}

/** Whether `record` is the version of its key that a reader at `at` sees. */
export function isVisible(record: PlainRecord, at: number): boolean {
  return record.version <= at && (record.newer === undefined || record.newer.version > at);
}

/** The version of a key that a reader at `at` sees. */
export function visibleIn(chain: KeyChain, at: number): PlainRecord | undefined {
  let record: PlainRecord | undefined = chain.newest;
  while (record !== undefined && record.version > at) record = record.older;
  return record;
}

export function byKey(a: KeyChain, b: KeyChain): number {
  return compareBytes(a.key, b.key);
}

/** Order within one origin. Two versions of a key can carry one number: a swept entry's tombstone keeps its stamp. */
export function bySeq(a: PlainRecord, b: PlainRecord): number {
  return a.seq - b.seq || compareBytes(a.key, b.key) || a.version - b.version;
}

export function byDeadlineThenKey(a: PlainRecord, b: PlainRecord): number {
  return a.deadline - b.deadline || compareBytes(a.key, b.key);
}

/** Gives records their numbers; those of freed records are given again. */
export class RecordTable {
  readonly #records: (PlainRecord | undefined)[] = [undefined];
  readonly #free: Ref[] = [];

  /** How many records there are. */
  get size(): number {
    return this.#records.length - 1 - this.#free.length;
  }

  get(ref: Ref): PlainRecord {
    const record = this.#records[ref];
    assert(record !== undefined, "a record is asked for only while it exists");
    return record;
  }

  add(record: PlainRecord): void {
    record.ref = this.#free.pop() ?? this.#records.length;
    this.#records[record.ref] = record;
  }

  remove(record: PlainRecord): void {
    assert(this.#records[record.ref] === record, "a record is freed once");
    this.#records[record.ref] = undefined;
    this.#free.push(record.ref);
    record.live = false;
  }
}
