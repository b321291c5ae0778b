import { NONE, type Ref } from "../engine.js";
import { DISCARDED, QUEUED, type Records, SUPERSEDED } from "./records.js";

/**
 * Counts the bytes of records that go when the commits which are not settled are: what these replaced,
 * what a later entry of its own commit replaced, and tombstones that nothing replaced.
 */
export class LeavingBytes {
  readonly #records: Records;
  #bytes = 0;

  constructor(records: Records) {
    this.#records = records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a record counts. */
  isLeaving(ref: Ref, newer: Ref): boolean {
    const records = this.#records;
    if (records.has(ref, DISCARDED)) return true;
    return newer === NONE ? this.#isFreshTombstone(ref) : records.has(newer, QUEUED);
  }

  /** A record of a commit that is not settled is there, in the place of `before` if that is not NONE. */
  put(before: Ref, ref: Ref): void {
    const records = this.#records;
    // A fresh tombstone counts already.
    if (before !== NONE && !this.#isFreshTombstone(before)) this.#bytes += records.bytesOf(before);
    if (records.isTombstone(ref)) this.#bytes += records.bytesOf(ref);
  }

  /** The commit of a record is about to be settled. */
  settle(ref: Ref): void {
    const records = this.#records;
    const older = records.older(ref);
    if (older !== NONE) this.#bytes -= records.bytesOf(older);
    // Of what was replaced, the commit that did so is next.
    const counts = records.has(ref, DISCARDED) || (records.isTombstone(ref) && !records.has(ref, SUPERSEDED));
    if (counts) this.#bytes -= records.bytesOf(ref);
  }

  /** The commit of a record, the newest of its key or a discarded one, is about to be taken back. */
  rollback(ref: Ref): void {
    const records = this.#records;
    if (records.has(ref, DISCARDED) || records.isTombstone(ref)) this.#bytes -= records.bytesOf(ref);
    const older = records.older(ref);
    if (older !== NONE && !this.#isFreshTombstone(older)) this.#bytes -= records.bytesOf(older);
  }

  #isFreshTombstone(ref: Ref): boolean {
    return this.#records.isTombstone(ref) && this.#records.has(ref, QUEUED);
  }
}
