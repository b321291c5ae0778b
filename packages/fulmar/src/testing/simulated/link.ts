import type { Prng } from "./prng.js";

/** How one direction between two hosts behaves. Probabilities are per frame and zero unless given. */
export interface LinkOptions {
  /** Time on the way; 0.1 to 2 ms unless given. */
  readonly delayLeastMs?: number;
  readonly delayMostMs?: number;
  /** The frame vanishes though its connection lives: worse than TCP ever is. */
  readonly loss?: number;
  /** The frame arrives twice. */
  readonly duplicate?: number;
  /** The frame takes up to ten times the longest delay and others overtake it. */
  readonly reorder?: number;
  /** One bit of the frame arrives inverted. */
  readonly corrupt?: number;
  /** Unlimited unless given. */
  readonly bytesPerSecond?: number;
}

/** The state of one direction between two hosts, with a random stream of its own. */
export class Link {
  readonly prng: Prng;
  options: LinkOptions;
  /** Nothing gets through. */
  blocked = false;
  /** Nothing arrives before this moment of virtual time. */
  cloggedUntilMs = 0;
  #busyUntilMs = 0;

  constructor(prng: Prng, options: LinkOptions) {
    this.prng = prng;
    this.options = options;
  }

  /** Occupies the line for `bytes` and returns when they have left. */
  departure(nowMs: number, bytes: number): number {
    const { bytesPerSecond } = this.options;
    const startMs = Math.max(nowMs, this.#busyUntilMs);
    if (bytesPerSecond === undefined) return startMs;
    this.#busyUntilMs = startMs + (bytes * 1000) / bytesPerSecond;
    return this.#busyUntilMs;
  }

  /** A random time on the way. */
  delayMs(): number {
    const { delayLeastMs = 0.1, delayMostMs = 2 } = this.options;
    return this.prng.between(delayLeastMs, Math.max(delayLeastMs, delayMostMs));
  }

  /** The extra delay of a frame that others may overtake; 0 for most. */
  strayMs(): number {
    if (!this.prng.chance(this.options.reorder ?? 0)) return 0;
    return this.prng.between(0, 10 * (this.options.delayMostMs ?? 2));
  }

  loses(): boolean {
    return this.prng.chance(this.options.loss ?? 0);
  }

  duplicates(): boolean {
    return this.prng.chance(this.options.duplicate ?? 0);
  }

  /** The frame, or a copy with one bit inverted. */
  carry(frame: Uint8Array): Uint8Array {
    const copy = frame.slice();
    if (copy.length > 0 && this.prng.chance(this.options.corrupt ?? 0)) {
      copy[this.prng.below(copy.length)] ^= 1 << this.prng.below(8);
    }
    return copy;
  }
}
