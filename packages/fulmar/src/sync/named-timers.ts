import type { Timer, Timers } from "../base/runtime/interface.js";

/** Timers by name, at most one of each, none of which keeps the process alive. */
export class NamedTimers<Name extends string> {
  readonly #timers: Timers;
  readonly #running = new Map<Name, Timer>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  has(name: Name): boolean {
    return this.#running.has(name);
  }

  /** Runs `task` once after so long, instead of what was due under that name. */
  set(name: Name, delayMs: number, task: () => void): void {
    this.cancel(name);
    const run = (): void => {
      this.#running.delete(name);
      task();
    };
    this.#running.set(name, this.#timers.after(Math.max(1, Math.ceil(delayMs)), run, { background: true }));
  }

  cancel(name: Name): void {
    this.#running.get(name)?.cancel();
    this.#running.delete(name);
  }

  clear(): void {
    for (const timer of this.#running.values()) timer.cancel();
    this.#running.clear();
  }
}
