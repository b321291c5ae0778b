import { LATEST, NONE, type PinOwner, type Ref } from "../engine.js";
import type { Sharing } from "../shared/sharing.js";
import type { PinSet } from "./pins.js";
import { HELD, KEPT, LEAVING, QUEUED, SUPERSEDED } from "./record-marks.js";
import type { Records } from "./records.js";

/**
 * Marks the records that go by themselves, each once, and counts their bytes.
 *
 * As leaving, until the commits are settled that are not: what these replaced, unless a pin sees it, what a later
 * entry of its own commit replaced, and, unless they are kept for peers, tombstones that nothing replaced. A pin that
 * comes later, on a state before such a commit, is not waited for: what it keeps counts as leaving until then.
 *
 * As kept, until work of the store's own or a reader on another thread is done: what was replaced or deleted, and
 * no pin of a user sees, with the tombstone above it, unless that is kept. What was replaced in a state that such a
 * reader stays at is so at once: its pin comes when the commit is settled, and others may be on their way.
 */
export class LeavingBytes {
  readonly #records: Records;
  readonly #pins: PinSet;
  readonly #keepsTombstones: () => boolean;
  readonly #sharing: Sharing | undefined;
  #leaving = 0;
  #kept = 0;

  constructor(records: Records, pins: PinSet, keepsTombstones: () => boolean, sharing: Sharing | undefined) {
    this.#records = records;
    this.#pins = pins;
    this.#keepsTombstones = keepsTombstones;
    this.#sharing = sharing;
  }

  get bytes(): number {
    return this.#leaving;
  }

  get keptBytes(): number {
    return this.#kept;
  }

  /** A record of a commit that is not settled is there, in the place of `before` if that is not NONE. */
  put(before: Ref, ref: Ref): void {
    const records = this.#records;
    if (before !== NONE) {
      const owner = this.#ownerAt(before);
      if (owner === undefined) this.#mark(before, LEAVING);
      else if (owner !== "user") this.#mark(before, KEPT);
    }
    if (records.isTombstone(ref) && !this.#keepsTombstones()) this.#mark(ref, LEAVING);
  }

  /** The commit of a record is about to be settled. */
  settle(ref: Ref): void {
    const records = this.#records;
    const older = records.older(ref);
    if (older !== NONE) this.#unmark(older, LEAVING);
    // Of what was replaced, the commit that did so is next.
    if (!records.has(ref, SUPERSEDED)) this.#unmark(ref, LEAVING);
  }

  /** The commit of a record, the newest of its key or a discarded one, is about to be taken back. */
  rollback(ref: Ref): void {
    const records = this.#records;
    this.#unmark(ref, LEAVING | KEPT);
    const older = records.older(ref);
    if (older === NONE || this.#goesByItself(older)) return;
    this.#unmark(older, this.#goesLater(older) ? LEAVING : LEAVING | KEPT);
  }

  /** A pin of this owner holds a record from now on, which `newer` replaced if that is not NONE. */
  held(ref: Ref, owner: PinOwner, newer: Ref): void {
    const records = this.#records;
    if (owner === "user") {
      this.#unmark(ref, KEPT);
      return;
    }
    this.#mark(ref, KEPT);
    if (newer === NONE || this.#keepsTombstones()) return;
    if (records.isTombstone(newer) && !records.has(newer, SUPERSEDED)) this.#mark(newer, KEPT);
  }

  /** A settled record is about to be freed, or is a tombstone that hides nothing any more. */
  letGo(ref: Ref): void {
    this.#unmark(ref, KEPT);
  }

  /** Whether a settled record, now the newest again, is a tombstone that goes with a pin, or with what it hides. */
  #goesLater(ref: Ref): boolean {
    const records = this.#records;
    if (records.has(ref, HELD)) return true;
    const older = records.isTombstone(ref) && !this.#keepsTombstones() ? records.older(ref) : NONE;
    return older !== NONE && records.has(older, KEPT);
  }

  /** Whether a record goes once its own commit is settled, though nothing replaces it. */
  #goesByItself(ref: Ref): boolean {
    const records = this.#records;
    return records.isTombstone(ref) && records.has(ref, QUEUED) && !this.#keepsTombstones();
  }

  /** Who pins the newest record of a key, or will before what replaces it is settled. */
  #ownerAt(ref: Ref): PinOwner | undefined {
    if (this.#sharing === undefined && this.#pins.isEmpty) return undefined;
    const version = this.#records.versionOf(ref);
    const pinned = this.#pins.highest(version, LATEST);
    if (pinned !== undefined) return pinned.owner;
    return this.#sharing?.willPin(version) === true ? "reader" : undefined;
  }

  #mark(ref: Ref, mark: typeof LEAVING | typeof KEPT): void {
    const records = this.#records;
    if (records.has(ref, LEAVING | KEPT)) return;
    records.raise(ref, mark);
    const bytes = records.bytesOf(ref);
    if (mark === LEAVING) this.#leaving += bytes;
    else this.#kept += bytes;
  }

  #unmark(ref: Ref, marks: number): void {
    const records = this.#records;
    const isLeaving = records.has(ref, marks & LEAVING);
    const isKept = records.has(ref, marks & KEPT);
    if (isLeaving) this.#leaving -= records.bytesOf(ref);
    if (isKept) this.#kept -= records.bytesOf(ref);
    if (isLeaving || isKept) records.lower(ref, marks);
  }
}
