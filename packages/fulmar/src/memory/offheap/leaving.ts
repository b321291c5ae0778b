import { LATEST, NONE, type Ref } from "../engine.js";
import type { PinSet } from "./pins.js";
import { DISCARDED, LEAVING, QUEUED, SUPERSEDED } from "./record-marks.js";
import type { Records } from "./records.js";

/**
 * Marks the records that go when the commits which are not settled are, and counts their bytes: what these
 * replaced, unless a pin sees it, what a later entry of its own commit replaced, and tombstones that nothing
 * replaced. A pin that comes later, on a state before such a commit, is not waited for: what it keeps counts
 * as leaving until the commit is settled.
 */
export class LeavingBytes {
  readonly #records: Records;
  readonly #pins: PinSet;
  #bytes = 0;

  constructor(records: Records, pins: PinSet) {
    this.#records = records;
    this.#pins = pins;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A record of a commit that is not settled is there, in the place of `before` if that is not NONE. */
  put(before: Ref, ref: Ref): void {
    const records = this.#records;
    if (before !== NONE && !this.#isPinned(before)) this.#mark(before);
    if (records.isTombstone(ref)) this.#mark(ref);
  }

  /** The commit of a record is about to be settled. */
  settle(ref: Ref): void {
    const records = this.#records;
    const older = records.older(ref);
    if (older !== NONE) this.#unmark(older);
    // Of what was replaced, the commit that did so is next.
    if (!records.has(ref, SUPERSEDED)) this.#unmark(ref);
  }

  /** The commit of a record, the newest of its key or a discarded one, is about to be taken back. */
  rollback(ref: Ref): void {
    const records = this.#records;
    this.#unmark(ref);
    const older = records.older(ref);
    if (older !== NONE && !(records.isTombstone(older) && records.has(older, QUEUED))) this.#unmark(older);
  }

  /** Whether a record may be marked. For tests. */
  mayLeave(ref: Ref, newer: Ref): boolean {
    const records = this.#records;
    if (records.has(ref, DISCARDED)) return true;
    if (newer !== NONE) return records.has(newer, QUEUED);
    return records.isTombstone(ref) && records.has(ref, QUEUED);
  }

  #isPinned(ref: Ref): boolean {
    return !this.#pins.isEmpty && this.#pins.highest(this.#records.versionOf(ref), LATEST) !== undefined;
  }

  #mark(ref: Ref): void {
    const records = this.#records;
    if (records.has(ref, LEAVING)) return;
    records.raise(ref, LEAVING);
    this.#bytes += records.bytesOf(ref);
  }

  #unmark(ref: Ref): void {
    const records = this.#records;
    if (!records.has(ref, LEAVING)) return;
    records.lower(ref, LEAVING);
    this.#bytes -= records.bytesOf(ref);
  }
}
