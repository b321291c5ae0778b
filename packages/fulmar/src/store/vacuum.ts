import type { Timers } from "../base/runtime/interface.js";

/** Records that one turn of the event loop lets go of: about a millisecond's work, several when memory is cold. */
export const RECORDS_PER_TURN = 1024;

/** What has garbage: the memory engine. */
export interface Vacuumed {
  /** Lets go of at most so many records; true if there are more. */
  vacuum(records: number): boolean;
}

/**
 * Frees in the background, a slice in each turn of the event loop, what memory put off. Nothing that is
 * read depends on its pace, only how much memory is taken.
 */
export class Vacuum {
  readonly #timers: Timers;
  readonly #source: Vacuumed;
  #running = false;
  #stopped = false;

  constructor(timers: Timers, source: Vacuumed) {
    this.#timers = timers;
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
    // First a turn: whoever let go of it has something else to do now.
    do await this.#timers.turn();
    while (!this.#stopped && this.#source.vacuum(RECORDS_PER_TURN));
    this.#running = false;
  }
}
