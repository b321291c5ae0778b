import type { Runtime } from "../base/runtime/interface.js";

/** Longest time, and most tasks, that `soon` may keep the event loop from its I/O and timers. */
const BUSY_MS_MAX = 2;
const BUSY_TASKS_MAX = 256;

/**
 * Runs tasks soon, but not so that they starve the event loop: a program that awaits one logged commit
 * after the other never leaves its promise continuations, and neither syncs nor the flush interval, nor
 * anything else of the process, would ever get a turn.
 */
export class TurnGuard {
  readonly #runtime: Runtime;
  #watching = false;
  #sinceMs = 0;
  #tasks = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  run(task: () => void): void {
    const { clock, timers } = this.#runtime;
    const nowMs = clock.monotonicMs();
    if (!this.#watching) this.#watch(nowMs);
    this.#tasks++;
    if (this.#tasks <= BUSY_TASKS_MAX && nowMs - this.#sinceMs < BUSY_MS_MAX) timers.soon(task);
    else void timers.turn().then(task);
  }

  #watch(nowMs: number): void {
    this.#watching = true;
    this.#sinceMs = nowMs;
    this.#tasks = 0;
    void this.#runtime.timers.turn().then(() => {
      this.#watching = false;
    });
  }
}
