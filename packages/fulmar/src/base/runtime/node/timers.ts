import type { Timer, Timers } from "../interface.js";

/** The longest delay that Node's timers take; a longer one would fire at once. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/** A timer of any length: a delay beyond what the system takes is waited for in several parts. */
class LongTimer implements Timer {
  readonly #task: () => void;
  readonly #background: boolean;
  #remainingMs: number;
  #handle: NodeJS.Timeout | undefined;

  constructor(delayMs: number, task: () => void, background: boolean) {
    this.#remainingMs = delayMs;
    this.#task = task;
    this.#background = background;
    this.#arm();
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  #arm(): void {
    const partMs = Math.min(this.#remainingMs, DELAY_MS_MAX);
    this.#remainingMs -= partMs;
    this.#handle = setTimeout(() => {
      if (this.#remainingMs > 0) this.#arm();
      else this.#task();
    }, partMs);
    if (this.#background) this.#handle.unref();
  }
}

export const nodeTimers: Timers = Object.freeze({
  soon(task: () => void): void {
    // Called from an I/O callback, nextTick alone would run before the promise continuations that are
    // ready; queued from a microtask it runs when that queue is empty.
    queueMicrotask(() => process.nextTick(task));
  },
  after(delayMs: number, task: () => void, options?: { readonly background?: boolean }): Timer {
    return new LongTimer(delayMs, task, options?.background === true);
  },
  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  },
});
