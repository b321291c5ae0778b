import type { Timer, Timers } from "../base/runtime/interface.js";

/** Entries that one step of the sweeper turns into tombstones, so that it never holds the event loop for long. */
const ENTRIES_PER_STEP = 500;
/** The sweeper looks again at the latest after so long, in ms, in case the clock was set. */
const REST_MS_MAX = 60_000;
/** ... and at the earliest after so long, so that many close deadlines share a step. */
const REST_MS_MIN = 50;

export interface SweeperSource {
  readonly timers: Timers;
  nowMs(): number;
  nextDeadline(): number;
  /** Sweeps at most `limit` expired entries and returns how many. */
  sweep(limit: number): number;
}

/** Removes expired entries in the background. Readers judge deadlines themselves, so nothing depends on its pace. */
export class Sweeper {
  readonly #source: SweeperSource;
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(source: SweeperSource) {
    this.#source = source;
  }

  /** An entry with this deadline was written. */
  expect(deadlineMs: number): void {
    if (this.#stopped || deadlineMs >= this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = deadlineMs;
    this.#wait(Math.max(REST_MS_MIN, deadlineMs - this.#source.nowMs()));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #step(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    const swept = this.#source.sweep(ENTRIES_PER_STEP);
    const next = this.#source.nextDeadline();
    if (swept === ENTRIES_PER_STEP) this.#wait(0);
    else if (Number.isFinite(next)) this.expect(next);
  }

  #wait(delayMs: number): void {
    const restMs = Math.min(REST_MS_MAX, delayMs);
    this.#timer = this.#source.timers.after(restMs, () => this.#step(), { background: true });
  }
}
