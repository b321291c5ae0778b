import type { Clock, Timers } from "../base/runtime/interface.js";
import { keyText } from "../keys/key-text.js";
import type { Conflict } from "../transaction/optimistic/validation.js";
import { ConflictError, shown } from "./conflict.js";
import { EVERYWHERE, isLong, type Lines, type Place } from "./lines.js";
import type { TransactionState } from "./transaction-state.js";

/** After so many lost attempts, a transaction stands in line with all others that lost as often, whatever at. */
const LOST_ALONE = 4;
/** Keys whose lines one transaction stands in. */
const KEYS_MAX = 64;

/** Says that an attempt is lost. One for all: to find out where an error was made takes longer than an attempt. */
const LOST = new ConflictError([]);

/** What it needs of the runtime. */
interface Waits {
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly timers: Pick<Timers, "turn">;
}

/** A transaction among others: what it lost at, and where it stands in line once it has. */
export class Contender {
  readonly #lines: Lines;
  readonly #runtime: Waits;
  readonly #retries: number;
  #attempts = 1;
  /** When the attempt began. */
  #begunMs: number;
  /** What the last attempt that was lost met: nothing where it let another one go first. */
  #conflicts: readonly Conflict[] = [];
  /** Texts of the keys at which it was lost. */
  #lostAt: readonly string[] = [];
  /** Texts of all keys at which it ever lost; most lose nothing. */
  #lost: Set<string> | undefined;
  #place: Place | undefined;
  /** Whether it stands in line with those that go alone, because it met one of them. */
  #goesAlone = false;

  /** Its first attempt, which began at `begunMs`; it may lose as many as `retries`, and not one more. */
  constructor(lines: Lines, runtime: Waits, retries: number, begunMs: number) {
    this.#lines = lines;
    this.#runtime = runtime;
    this.#retries = retries;
    this.#begunMs = begunMs;
  }

  /** Whether an attempt that is lost is the last. */
  get isAtLast(): boolean {
    return this.#attempts > this.#retries;
  }

  /**
   * Before a commit: throws if it must not be made, because what was read has changed, or because the turn of
   * somebody in line would be lost by it. Who goes alone, has no other attempt or took long gives way to nobody; who
   * has its turn does at keys of other lines.
   */
  check(state: Pick<TransactionState, "conflicts" | "writtenKeys">): void {
    const conflicts = state.conflicts();
    if (conflicts.length > 0)
      this.#lose(
        conflicts,
        conflicts.map(({ key }) => keyText(key)),
      );
    if (this.#lines.isEmpty || this.isAtLast || this.#place?.isAlone === true) return;
    // Another attempt would cost it more than this one costs whoever has the turn.
    if (isLong(this.#tookMs)) return;
    const taken = this.#lines.firstTaken(state.writtenKeys(), this.#place);
    if (taken === undefined) return;
    this.#goesAlone ||= taken === EVERYWHERE;
    this.#lose([], taken === EVERYWHERE ? [] : [taken]);
  }

  /** Another attempt begins. */
  begin(state: Pick<TransactionState, "hasRead">): void {
    this.#begunMs = this.#runtime.clock.monotonicMs();
    this.#place?.guard((key) => state.hasRead(key));
  }

  /** What applications see of the error of the last attempt. */
  finalError(error: unknown): unknown {
    if (error === LOST) return new ConflictError(this.#conflicts.map(shown), this.#attempts);
    return error instanceof ConflictError ? new ConflictError(error.conflicts, this.#attempts) : error;
  }

  /** After an attempt that was lost: resolves when the next one may begin. */
  async standInLine(): Promise<void> {
    const keys = this.#lostAt;
    const isLast = this.#goesAlone || this.#attempts >= LOST_ALONE;
    this.#lost ??= new Set();
    for (const key of keys) if (this.#lost.size < KEYS_MAX) this.#lost.add(key);
    const held = this.#place;
    const place = held?.hasTurn === true && held.covers(keys, isLast) ? held : this.#join(this.#lost, isLast);
    // The first retry of who is first comes at once, as mostly the other one is through. Whoever is first and
    // lost all the same lets the winner do what comes next.
    if (this.#attempts > 1) await this.#runtime.timers.turn();
    await place.turn;
    this.#attempts++;
  }

  /** Nobody stands behind it any more. */
  leave(): void {
    this.#place?.leave();
  }

  #lose(conflicts: readonly Conflict[], keys: readonly string[]): never {
    this.#conflicts = conflicts;
    this.#lostAt = keys;
    throw LOST;
  }

  /** Takes a place at the end of the lines of all keys that it ever lost at. */
  #join(keys: Iterable<string>, isLast: boolean): Place {
    this.#place?.leave();
    this.#place = this.#lines.join({ keys, tookMs: this.#tookMs, isLast });
    return this.#place;
  }

  /** How long the attempt takes by now. */
  get #tookMs(): number {
    return this.#runtime.clock.monotonicMs() - this.#begunMs;
  }
}
