import { NUMBERS_MAX } from "../base/limits.js";
import type { Clock } from "../base/runtime/interface.js";

/** Hybrid time counts from here: 2020-01-01T00:00:00Z, in ms since 1970. */
export const HLC_EPOCH_MS = 1_577_836_800_000;
/** Counter values per ms. */
export const HLC_TICKS_PER_MS = 4096;

/**
 * A wall clock is followed no further than this, in ms since 1970 (2089): times above what a directory may hold would
 * make it unreadable, and what is counted on from here has room below that.
 */
export const WALL_MS_MAX = HLC_EPOCH_MS + (NUMBERS_MAX - 2 ** 40) / HLC_TICKS_PER_MS;

/** The time of a wall clock; 0 while it shows one that cannot be, as a clock with an empty battery may. */
export function wallMsOf(clock: Pick<Clock, "wallMs">): number {
  const wallMs = clock.wallMs();
  return wallMs <= WALL_MS_MAX ? wallMs : 0;
}

export function hlcFromWall(wallMs: number): number {
  return Math.max(0, Math.floor(wallMs) - HLC_EPOCH_MS) * HLC_TICKS_PER_MS;
}

export function wallFromHlc(hlc: number): number {
  return Math.floor(hlc / HLC_TICKS_PER_MS) + HLC_EPOCH_MS;
}

/**
 * A hybrid logical clock (Kulkarni, Demirbas, Madappa, Avva, Leone 2014) in one 53-bit integer: 41
 * bits of ms, good until 2089, and 12 bits of counter, whose overflow carries into the ms. It follows
 * wall time, never goes back, and stays above every stamp that it was shown. While the wall clock shows a time beyond
 * {@link WALL_MS_MAX} it only counts.
 */
export class HybridClock {
  readonly #clock: Clock;
  #last = 0;
  #nowMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The newest time given out or observed. */
  get last(): number {
    return this.#last;
  }

  /** Wall time in ms that never decreases: what deadlines are judged by. */
  nowMs(): number {
    this.#nowMs = Math.max(this.#nowMs, wallMsOf(this.#clock), wallFromHlc(this.#last));
    return this.#nowMs;
  }

  /** A new time above every one before, and so above the stamp of whatever a write may replace. */
  next(): number {
    this.#last = Math.max(hlcFromWall(wallMsOf(this.#clock)), this.#last + 1);
    return this.#last;
  }

  /** Takes note of a time seen elsewhere. */
  observe(hlc: number): void {
    if (hlc > this.#last) this.#last = hlc;
  }

  /** Whether `hlc` is further ahead of this node's wall clock than `driftMs`. */
  isAhead(hlc: number, driftMs: number): boolean {
    return hlc > hlcFromWall(wallMsOf(this.#clock) + driftMs);
  }
}
