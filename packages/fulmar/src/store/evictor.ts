import type { Timer, Timers } from "../base/runtime/interface.js";

/** Keys that one step evicts, so that it never holds the event loop for long. */
const ENTRIES_PER_STEP = 500;
/** After the log refused something, a full disk mostly, it rests so long, in ms. */
const RETRY_MS = 1000;

export interface EvictorSource {
  readonly timers: Timers;
  /** Whether more should go. */
  isTight(): boolean;
  /** Evicts at most `count` keys and returns how many; throws when the store cannot write. */
  evict(count: number): number;
}

/** Goes on evicting in the background until there is some room, so that writes need not wait for it. */
export class Evictor {
  readonly #source: EvictorSource;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(source: EvictorSource) {
    this.#source = source;
  }

  /** A write had to evict. */
  expect(): void {
    if (this.#stopped || this.#timer !== undefined || !this.#source.isTight()) return;
    this.#wait(0);
  }

  /** Commits were taken back, and what they evicted may be there again. */
  retry(): void {
    if (this.#stopped || !this.#source.isTight()) return;
    this.#timer?.cancel();
    this.#wait(RETRY_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #step(): void {
    this.#timer = undefined;
    let evicted = 0;
    try {
      evicted = this.#source.evict(ENTRIES_PER_STEP);
    } catch {
      // The store failed, and whoever writes next is told; nothing here waits for it.
    }
    // Unless the log refused it at once, and the next step is set.
    if (evicted === ENTRIES_PER_STEP) this.expect();
  }

  #wait(delayMs: number): void {
    this.#timer = this.#source.timers.after(delayMs, () => this.#step(), { background: true });
  }
}
