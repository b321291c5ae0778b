import type { Clock } from "../base/runtime/interface.js";

/** Hybrid time counts from here: 2020-01-01T00:00:00Z, in ms since 1970. */
export const HLC_EPOCH_MS = 1_577_836_800_000;
/** Counter values per ms. */
export const HLC_TICKS_PER_MS = 4096;

export function hlcFromWall(wallMs: number): number {
  return Math.max(0, Math.floor(wallMs) - HLC_EPOCH_MS) * HLC_TICKS_PER_MS;
}

export function wallFromHlc(hlc: number): number {
  return Math.floor(hlc / HLC_TICKS_PER_MS) + HLC_EPOCH_MS;
}

/**
 * A hybrid logical clock (Kulkarni, Demirbas, Madappa, Avva, Leone 2014) in one 53-bit integer: 41
 * bits of ms, good until 2089, and 12 bits of counter, whose overflow carries into the ms. It follows
 * wall time, never goes back, and stays above every stamp that it was shown.
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
    this.#nowMs = Math.max(this.#nowMs, this.#clock.wallMs(), wallFromHlc(this.#last));
    return this.#nowMs;
  }

  /** A new time above every one before, and so above the stamp of whatever a write may replace. */
  next(): number {
    this.#last = Math.max(hlcFromWall(this.#clock.wallMs()), this.#last + 1);
    return this.#last;
  }

  /** Takes note of a time seen elsewhere. */
  observe(hlc: number): void {
    if (hlc > this.#last) this.#last = hlc;
  }

  /** Whether `hlc` is further ahead of this node's wall clock than `driftMs`. */
  isAhead(hlc: number, driftMs: number): boolean {
    return hlc > hlcFromWall(this.#clock.wallMs() + driftMs);
  }
}
