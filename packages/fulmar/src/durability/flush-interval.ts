import type { Timer, Timers } from "../base/runtime/interface.js";

/** The time after which what was written is synced although nobody waits for it. */
export class FlushInterval {
  readonly #timers: Timers;
  readonly #intervalMs: number;
  readonly #passed: () => void;
  #timer: Timer | undefined;

  constructor(timers: Timers, intervalMs: number, passed: () => void) {
    this.#timers = timers;
    this.#intervalMs = intervalMs;
    this.#passed = passed;
  }

  /** Begins unless it has begun. */
  begin(): void {
    this.#timer ??= this.#timers.after(this.#intervalMs, () => this.#end(), { background: true });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #end(): void {
    this.#timer = undefined;
    this.#passed();
  }
}
