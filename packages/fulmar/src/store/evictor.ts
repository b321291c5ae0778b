import type { Runtime, Timer } from "../base/runtime/interface.js";
import { COMMITS_MS, Slice } from "./slice.js";

/** Keys that one commit evicts. */
const ENTRIES_PER_STEP = 32;
/** Keys that are evicted in one turn of the event loop at most. */
const ENTRIES_PER_TURN = 512;
/** After the log refused something, a full disk mostly, it rests so long, in ms. */
const RETRY_MS = 1000;

export interface EvictorSource {
  readonly runtime: Pick<Runtime, "clock" | "timers">;
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
    let hasMore = false;
    try {
      hasMore = this.#evictSlice();
    } catch {
      // The store failed, and whoever writes next is told; nothing here waits for it.
    }
    // Unless the log refused it at once, and the next step is set.
    if (hasMore) this.expect();
  }

  /** Whether there may be more, unless the log refused some of it at once. */
  #evictSlice(): boolean {
    const slice = new Slice(this.#source.runtime.clock, ENTRIES_PER_TURN, COMMITS_MS);
    while (this.#source.isTight() && this.#source.evict(ENTRIES_PER_STEP) === ENTRIES_PER_STEP) {
      if (slice.isOver(ENTRIES_PER_STEP) || this.#timer !== undefined) return true;
    }
    return false;
  }

  #wait(delayMs: number): void {
    this.#timer = this.#source.runtime.timers.after(delayMs, () => this.#step(), { background: true });
  }
}
