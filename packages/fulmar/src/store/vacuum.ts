import { isNoMemory } from "../base/errors.js";
import type { Runtime } from "../base/runtime/interface.js";
import { Slice } from "./slice.js";

/** Records that one turn of the event loop lets go of at most. */
export const RECORDS_PER_TURN = 1024;
/** Records between two looks at the clock: in a large store each costs some waits for memory. */
export const RECORDS_PER_STEP = 64;

/** What has garbage: the memory engine. */
export interface Vacuumed {
  /** Lets go of at most so many records; true if there are more. */
  vacuum(records: number): boolean;
  /** It threw something else than that there is no memory for it. */
  failed(cause: unknown): void;
}

/**
 * Frees in the background, a slice in each turn of the event loop, what memory put off. Nothing that is
 * read depends on its pace, only how much memory is taken.
 */
export class Vacuum {
  readonly #runtime: Pick<Runtime, "clock" | "timers">;
  readonly #source: Vacuumed;
  #running = false;
  #stopped = false;

  constructor(runtime: Pick<Runtime, "clock" | "timers">, source: Vacuumed) {
    this.#runtime = runtime;
    this.#source = source;
  }

  /** To be called after anything was let go of. */
  consider(): void {
    if (this.#running || this.#stopped || !this.#source.vacuum(0)) return;
    this.#running = true;
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    try {
      // First a turn: whoever let go of it has something else to do now.
      do await this.#runtime.timers.turn();
      while (!this.#stopped && this.#vacuumSlice());
    } catch (cause) {
      // Without memory it goes on when more is let go of.
      if (!isNoMemory(cause)) this.#source.failed(cause);
    }
    this.#running = false;
  }

  /** Whether there is more. */
  #vacuumSlice(): boolean {
    const slice = new Slice(this.#runtime.clock, RECORDS_PER_TURN);
    while (this.#source.vacuum(RECORDS_PER_STEP)) if (slice.isOver(RECORDS_PER_STEP)) return true;
    return false;
  }
}
