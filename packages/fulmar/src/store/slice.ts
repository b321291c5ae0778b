import type { Clock } from "../base/runtime/interface.js";

/** Background work gives the event loop back after so long, in ms: several such pieces may meet in one turn. */
const SLICE_MS = 2;
/** ... and commits do after so long: to log and to settle them takes as much again, in the same turn. */
export const COMMITS_MS = 1;

/**
 * What one turn of the event loop does of some work in the background, in small steps. A count alone does not
 * bound its time: the same work takes ten times as long where each record has to come from memory, on a machine
 * that does other things, or before it is compiled. Time alone does not either where the clock is simulated.
 */
export class Slice {
  readonly #clock: Clock;
  readonly #untilMs: number;
  #left: number;

  /** Begins now, and is over after `count` pieces of work, or `timeMs`, at the latest. */
  constructor(clock: Clock, count: number, timeMs = SLICE_MS) {
    this.#clock = clock;
    this.#untilMs = clock.monotonicMs() + timeMs;
    this.#left = count;
  }

  /** Counts a step of so many pieces; whether it was the last. */
  isOver(pieces: number): boolean {
    this.#left -= pieces;
    return this.#left <= 0 || this.#clock.monotonicMs() >= this.#untilMs;
  }
}
