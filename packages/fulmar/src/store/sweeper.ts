import type { Runtime, Timer } from "../base/runtime/interface.js";
import { COMMITS_MS, Slice } from "./slice.js";

/** Entries that one commit of the sweeper turns into tombstones. */
export const ENTRIES_PER_STEP = 32;
/** Entries that it sweeps in one turn of the event loop at most. */
export const ENTRIES_PER_TURN = 512;
/** The sweeper looks again at the latest after so long, in ms, in case the clock was set forward. */
const REST_MS_MAX = 1000;
/** ... and at the earliest after so long, so that many close deadlines share a step. */
const REST_MS_MIN = 50;
/** After the log refused something, a full disk mostly, it rests so long, in ms. */
const RETRY_MS = 1000;

export interface SweeperSource {
  readonly runtime: Pick<Runtime, "clock" | "timers">;
  nowMs(): number;
  /** Of what is there: a merge that is half done may have taken the place of what is shown, and has expired. */
  nextDeadline(): number;
  /** Has such a merge finished. */
  finishMerge(): void;
  /** Sweeps at most `limit` expired entries and returns how many; throws when the store cannot write. */
  sweep(limit: number): number;
}

/**
 * Removes expired entries in the background. Readers judge deadlines themselves; what depends on its pace is how long
 * a crash can make them forget what they were told, if the clock stands earlier after it.
 */
export class Sweeper {
  readonly #source: SweeperSource;
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  /** When the last step began, in monotonic ms. */
  #steppedMs = Number.NEGATIVE_INFINITY;
  #isStepping = false;
  #refusals = 0;
  #stopped = false;

  constructor(source: SweeperSource) {
    this.#source = source;
  }

  /** Whether there is an entry whose deadline has passed. */
  get isDue(): boolean {
    return this.#source.nextDeadline() <= this.#source.nowMs();
  }

  /** An entry with this deadline was written. */
  expect(deadlineMs: number): void {
    if (this.#stopped || deadlineMs >= this.#dueMs) return;
    this.#wait(deadlineMs, Math.max(REST_MS_MIN, deadlineMs - this.#source.nowMs()));
  }

  /** Somebody was told that an entry is gone whose deadline has passed: the log says so at once. */
  hasten(): void {
    if (this.#stopped || this.#isStepping || this.#dueMs === Number.NEGATIVE_INFINITY) return;
    const restedMs = this.#source.runtime.clock.monotonicMs() - this.#steppedMs;
    this.#wait(Number.NEGATIVE_INFINITY, Math.max(0, REST_MS_MIN - restedMs));
  }

  /**
   * Sweeps all that has expired by now, a slice in each turn of the event loop, unless the store cannot write. For
   * whoever makes a state durable in which nothing may come back; also after {@link stop}.
   */
  async drain(): Promise<void> {
    const { runtime } = this.#source;
    this.#source.finishMerge();
    const untilMs = this.#source.nowMs();
    const refusals = this.#refusals;
    while (this.#source.nextDeadline() <= untilMs && this.#refusals === refusals) {
      // Never within a call: it may be one of a codec, in the middle of somebody's write.
      await runtime.timers.turn();
      try {
        if (!this.#sweepSlice()) return;
      } catch {
        // The store failed, which whoever waits for this is told next.
        return;
      }
    }
  }

  /** Commits were taken back, and what they swept may be there again. */
  retry(): void {
    this.#refusals++;
    if (!this.#stopped) this.#wait(Number.NEGATIVE_INFINITY, RETRY_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #step(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#steppedMs = this.#source.runtime.clock.monotonicMs();
    // What commits bring about may read: it is this step that they would ask for.
    this.#isStepping = true;
    let hasMore = false;
    try {
      hasMore = this.#sweepSlice();
    } catch {
      // The store failed, and whoever writes next is told; nothing here waits for it.
    }
    this.#isStepping = false;
    const next = this.#source.nextDeadline();
    if (this.#isRetrying) return;
    if (hasMore) this.#wait(Number.NEGATIVE_INFINITY, 0);
    else if (Number.isFinite(next)) this.expect(next);
  }

  /** Whether there may be more, unless the log refused some of it at once. */
  #sweepSlice(): boolean {
    const refusals = this.#refusals;
    const slice = new Slice(this.#source.runtime.clock, ENTRIES_PER_TURN, COMMITS_MS);
    while (this.#source.sweep(ENTRIES_PER_STEP) === ENTRIES_PER_STEP) {
      if (slice.isOver(ENTRIES_PER_STEP) || this.#refusals !== refusals) return true;
    }
    return false;
  }

  /** The log may have refused the sweep at once, and set the next step; a later deadline has not. */
  get #isRetrying(): boolean {
    return this.#dueMs === Number.NEGATIVE_INFINITY;
  }

  /** Deadlines from `dueMs` on do not bring the next step forward, nor put it off. */
  #wait(dueMs: number, delayMs: number): void {
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    const restMs = Math.min(REST_MS_MAX, delayMs);
    this.#timer = this.#source.runtime.timers.after(restMs, () => this.#step(), { background: true });
  }
}
