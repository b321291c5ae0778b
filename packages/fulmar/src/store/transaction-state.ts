import { FulmarError, FulmarTypeError } from "../base/errors.js";
import type { KeyRange } from "../keys/range.js";
import { NONE, type Ref } from "../memory/engine.js";
import { deadlineOf, keyOf } from "../record/entry.js";
import type { LocalWrite } from "../transaction/committer.js";
import { BareRanges } from "../transaction/optimistic/bare-ranges.js";
import { type RangeRead, ReadSet } from "../transaction/optimistic/read-set.js";
import {
  type Conflict,
  readConflicts,
  type Validation,
  writeConflicts,
} from "../transaction/optimistic/validation.js";
import { type Mark, WriteSet } from "../transaction/optimistic/write-set.js";
import type { StatePin } from "../transaction/pins.js";
import type { StoreCore } from "./core.js";
import { isDeletion, resolveWish, type Wish } from "./wishes.js";

/** How strictly a transaction is kept apart from others. */
export type Isolation = "serializable" | "snapshot";

/** A state of a transaction's writes that it can go back to. */
export interface Savepoint {
  /** Writes that had been made. */
  readonly writes: number;
}

/** What one attempt of a transaction stands on. */
export interface TransactionParts {
  readonly core: StoreCore<unknown>;
  readonly isolation: Isolation;
}

/** Keys and ranges that one transaction may read, and keys that it may write. */
const READS_MAX = 1_000_000;

/**
 * One attempt of a transaction: the state that it reads, what it has read and what it wants to write. It
 * holds no lock, only a pin, which {@link end} releases.
 */
export class TransactionState {
  readonly core: StoreCore<unknown>;
  readonly writes = new WriteSet<Wish>();
  /** What it has emptied, by listings that are noted as read where there is need to. */
  readonly bare = new BareRanges();
  /** The time at which deadlines are judged, in wall ms. */
  readonly nowMs: number;
  readonly #reads: ReadSet | undefined;
  readonly #pin: StatePin;
  /** The record that is the first to reach its deadline of those that were read alive; NONE without. */
  #mortal: Ref = NONE;
  #mortalUntilMs = Number.POSITIVE_INFINITY;
  /** When it was found that none of those has, in wall ms. */
  #judgedMs: number | undefined;
  /** Savepoints that can still be gone back to, oldest first. Most transactions have none. */
  #savepoints: { readonly savepoint: Savepoint; readonly mark: Mark }[] | undefined;
  #ended = false;

  constructor({ core, isolation }: TransactionParts) {
    this.core = core;
    this.#reads = isolation === "serializable" ? new ReadSet() : undefined;
    this.#pin = core.pin();
    core.committer.trail.follow(this.#pin.version);
    this.nowMs = this.#pin.takenMs;
  }

  /** The newest commit that it sees. */
  get version(): number {
    return this.#pin.version;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Lets go of the state. Idempotent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.core.committer.trail.leave();
    this.#pin.release();
  }

  assertOpen(): void {
    if (this.#ended) {
      const message = "the transaction has ended: do all its work before its function returns or resolves";
      throw new FulmarError("TRANSACTION_ENDED", message);
    }
    this.core.assertOpen();
    if (this.#pin.alive) return;
    throw new FulmarError("ROLLED_BACK", "the log refused commits that this transaction reads");
  }

  /** The record that the transaction sees of a key, tombstones included; noted as read if asked for. */
  find(key: Uint8Array, tracked: boolean): Ref {
    const { engine } = this.core;
    const ref = engine.find(key, this.version);
    if (tracked && this.#reads !== undefined) {
      this.#reads.point(key, ref === NONE ? 0 : engine.versionOf(ref));
      this.#checkSize(this.#reads.size);
    }
    return ref;
  }

  /** Notes a range that is about to be read; undefined when nothing is noted. */
  trackRange(range: KeyRange, reverse: boolean): RangeRead | undefined {
    const read = this.#reads?.range(range, reverse);
    if (this.#reads !== undefined) this.#checkSize(this.#reads.size);
    return read;
  }

  /** No more of a range is read. */
  closeRange(read: RangeRead): void {
    this.#reads?.close(read);
  }

  put(key: Uint8Array, wish: Wish): void {
    this.core.userCode.assertOutside();
    this.writes.put(key, wish);
    if (!isDeletion(wish)) this.bare.show(key);
    this.#checkSize(this.writes.size);
  }

  /** The record of a key as the transaction sees it, or NONE if it cannot be read. */
  live(ref: Ref): Ref {
    return ref === NONE || !this.core.reader.isLive(ref, this.nowMs) ? NONE : ref;
  }

  /**
   * What a step shows must still be there at the commit: others may have been told since that it is not,
   * whether it was swept or not.
   */
  dependOnLife(ref: Ref, wish: Wish | undefined): void {
    if (this.#reads === undefined || ref === NONE || wish?.kind === "write") return;
    const { engine } = this.core;
    const expiresAt = deadlineOf(engine.slab(ref), engine.offset(ref));
    if (expiresAt >= this.#mortalUntilMs) return;
    this.#mortalUntilMs = expiresAt;
    this.#mortal = ref;
  }

  /** Remembers the writes so far. */
  savepoint(): Savepoint {
    this.assertOpen();
    const mark = this.writes.mark();
    const savepoint = Object.freeze({ writes: mark.writes });
    this.#savepoints ??= [];
    this.#savepoints.push({ savepoint, mark });
    return savepoint;
  }

  /** Takes back every write since a savepoint. @throws INVALID_ARGUMENT */
  rollbackTo(savepoint: Savepoint): void {
    this.assertOpen();
    this.core.userCode.assertOutside();
    const savepoints = this.#savepoints ?? [];
    // From the end: most go back to one that was made last, and one for each of many steps is not unusual.
    const index = savepoints.findLastIndex((known) => known.savepoint === savepoint);
    if (index < 0) {
      throw new FulmarTypeError(
        "INVALID_ARGUMENT",
        "rollbackTo: no savepoint of this transaction, or one after the savepoint it went back to",
      );
    }
    this.writes.rollBack(savepoints[index].mark);
    this.bare.clear();
    savepoints.length = index + 1;
  }

  /** The keys that it overwrites; steps cost nobody an attempt but who read their keys. */
  writtenKeys(): Uint8Array[] {
    return this.#blindKeys();
  }

  /** Whether a change of a key would be a conflict, by what it has read so far. */
  hasRead(key: Uint8Array): boolean {
    return this.#reads?.has(key) === true;
  }

  /** What changed of what it read. Whoever finds nothing commits at once, without an `await` in between. */
  conflicts(): readonly Conflict[] {
    // First: its commit may have the log refuse what this transaction reads.
    this.core.finishMerge();
    this.assertOpen();
    const { engine, committer } = this.core;
    const validation: Validation = { engine, trail: committer.trail, since: this.version };
    const conflicts =
      this.#reads === undefined
        ? writeConflicts(validation, this.#blindKeys())
        : readConflicts(validation, this.#reads);
    // Most read nothing that has a deadline, and need no clock.
    const isMortal = this.#mortalUntilMs !== Number.POSITIVE_INFINITY;
    if (!isMortal || conflicts.length > 0) return conflicts;
    this.#judgedMs = this.core.reader.nowMs();
    if (this.#judgedMs >= this.#mortalUntilMs) {
      const key = keyOf(engine.slab(this.#mortal), engine.offset(this.#mortal));
      conflicts.push({ key, expected: engine.versionOf(this.#mortal), found: 0 });
    }
    return conflicts;
  }

  /** The wishes as writes, at the moment at which there was no conflict. */
  conclude(): LocalWrite[] {
    const nowMs = this.#judgedMs ?? this.core.reader.nowMs();
    return this.writes.values().map((wish) => resolveWish(wish, nowMs));
  }

  /** Steps conflict with nothing. */
  #blindKeys(): Uint8Array[] {
    const blind = this.writes.values().filter(({ what }) => what.kind === "write");
    return blind.map(({ key }) => key);
  }

  #checkSize(count: number): void {
    if (count <= READS_MAX) return;
    const message = `a transaction reads and writes at most ${READS_MAX} keys and ranges: split it`;
    throw new FulmarError("TRANSACTION_TOO_LARGE", message);
  }
}
