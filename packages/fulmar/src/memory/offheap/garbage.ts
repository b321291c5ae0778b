import { isNoMemory } from "../../base/errors.js";
import { isTombstone } from "../../record/entry.js";
import { NONE, type Ref } from "../engine.js";
import type { PinnedVersion } from "../pinned-versions.js";
import type { OffHeapIndexes } from "./indexes.js";
import type { LeavingBytes } from "./leaving.js";
import type { PinSet } from "./pins.js";
import { DISCARDED, HELD, QUEUED, SUPERSEDED } from "./record-marks.js";
import { RefQueue } from "./ref-queue.js";

/** What knows which records are needed. */
export interface GarbageContext {
  readonly indexes: OffHeapIndexes;
  readonly pins: PinSet;
  readonly leaving: LeavingBytes;
  /** Records that settling or releasing lets go of at once; the rest is left to vacuum. */
  readonly vacuumAtOnce: number;
}

/**
 * Frees records that nothing needs any more: at once mostly, and what is more than that, or what there is no memory to
 * list with, when vacuum comes to it.
 */
export class Garbage {
  /**
   * Records whose commits are not settled, discarded ones among them, in the order of their versions. In front may
   * stand some that are settled, whose turn vacuum has put off: they count as un-settled in all but the version.
   */
  readonly queue: RefQueue;
  /** What released pins held and vacuum has not looked at yet; none is empty. */
  readonly released: RefQueue[] = [];
  /** Whether tombstones stay that hide nothing. */
  keepTombstones = false;
  readonly #context: GarbageContext;
  #settled = 0;
  #isLeft = false;

  constructor(context: GarbageContext) {
    this.#context = context;
    this.queue = new RefQueue(context.indexes.pages);
  }

  /** Whether vacuum has anything to do. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  /** Commits up to this version are not taken back any more. */
  get settled(): number {
    return this.#settled;
  }

  settle(version: number): void {
    this.#settled = version;
    try {
      this.#vacuumQueue(this.#context.vacuumAtOnce);
    } catch (error) {
      putOff(error);
    }
    this.#isLeft ||= this.#isQueueOverdue();
  }

  /** Takes what a pinned version held, now that it does so no more. */
  letGo(held: RefQueue): void {
    if (held.size === 0) return;
    this.released.push(held);
    try {
      this.#vacuumReleased(this.#context.vacuumAtOnce);
    } catch (error) {
      putOff(error);
    }
    this.#isLeft ||= this.released.length > 0;
  }

  /** Gives so many records their turn. Throws, with nothing lost, where there is no memory to list them with. */
  vacuum(records: number): void {
    this.#vacuumReleased(records - this.#vacuumQueue(records));
    this.#isLeft = this.released.length > 0 || this.#isQueueOverdue();
  }

  /** Frees a tombstone that hides nothing, if it need not stay and no pin sees it: to readers' pins it is nothing. */
  reconsiderNewest(ref: Ref): void {
    const { indexes, leaving, pins } = this.#context;
    const { records } = indexes;
    if (records.has(ref, SUPERSEDED | QUEUED | HELD)) return;
    if (records.older(ref) !== NONE || !isTombstone(records.slab(ref), records.offset(ref))) return;
    // What it hid is gone, and it does not count as kept for that any more: if it stays, then for its own sake.
    leaving.letGo(ref);
    const anchored = pins.anchoredFrom(records.versionOf(ref));
    if (this.keepTombstones || this.#hold(ref, anchored, NONE)) return;
    indexes.removeNewest(ref);
  }

  /** Whether a record waits in the queue although it is settled. */
  #isQueueOverdue(): boolean {
    const ref = this.queue.first();
    return ref !== NONE && this.#context.indexes.records.versionOf(ref) <= this.#settled;
  }

  /** Gives settled records their turn, `limit` at most; returns how many. */
  #vacuumQueue(limit: number): number {
    const { indexes, leaving } = this.#context;
    const { records } = indexes;
    for (let done = 0; done < limit; done++) {
      const ref = this.queue.first();
      if (ref === NONE || records.versionOf(ref) > this.#settled) return done;
      // First: a record that is taken out of one list finds room in another.
      indexes.makeRoomToVacuum();
      this.queue.shift();
      leaving.settle(ref);
      records.lower(ref, QUEUED);
      if (records.has(ref, DISCARDED)) {
        records.free(ref);
        continue;
      }
      const older = records.older(ref);
      if (older === NONE) this.reconsiderNewest(ref);
      else this.#reconsiderOld(older, ref);
    }
    return limit;
  }

  /** Reconsiders what released pins held, `limit` records at most. */
  #vacuumReleased(limit: number): void {
    const { indexes } = this.#context;
    const { records } = indexes;
    for (let left = limit; left > 0 && this.released.length > 0; left--) {
      indexes.makeRoomToVacuum();
      const [held] = this.released;
      const ref = held.first();
      held.shift();
      if (held.size === 0) this.released.shift();
      // Only now: as long as the mark is there, nobody else frees a record that is still listed.
      records.lower(ref, HELD);
      if (records.has(ref, SUPERSEDED)) this.#reconsiderOld(ref, indexes.newerOf(ref));
      else this.reconsiderNewest(ref);
    }
  }

  /** Leaves the version that `newer` replaced with a pin that sees it, or frees it, and `newer` if it only hid that. */
  #reconsiderOld(ref: Ref, newer: Ref): void {
    const { indexes, leaving, pins } = this.#context;
    const { records } = indexes;
    // A rollback of the newer one would uncover it; its own turn comes when that is settled.
    if (records.has(newer, QUEUED) || records.has(ref, HELD)) return;
    if (this.#hold(ref, pins.highest(records.versionOf(ref), records.versionOf(newer)), newer)) return;
    leaving.letGo(ref);
    indexes.removeOld(ref, newer);
    // It may have been the last that a tombstone hid.
    this.reconsiderNewest(newer);
  }

  /** Lists a record, below `newer`, with a pinned version that sees it; false when there is none. */
  #hold(ref: Ref, pinned: PinnedVersion<RefQueue> | undefined, newer: Ref): boolean {
    if (pinned === undefined) return false;
    this.#context.indexes.records.raise(ref, HELD);
    pinned.held.push(ref);
    this.#context.leaving.held(ref, pinned.owner, newer);
    return true;
  }
}

/** What cannot be done at once for want of memory is left to vacuum. */
function putOff(error: unknown): void {
  if (!isNoMemory(error)) throw error;
}
