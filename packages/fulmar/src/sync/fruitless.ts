import type { Coverage } from "../record/coverage.js";
import { MERGE_RETRY_LEAST_MS, MERGE_RETRY_MOST_MS } from "./protocol/limits.js";

/**
 * Notices that a peer answered a cut and still lacks what it brought: it refused more than it can keep
 * holes for. Sending the same again at once would go on for ever at the speed of the line, so each further
 * attempt waits longer.
 */
export class Fruitless {
  #aim: Coverage | undefined;
  #inRow = 0;
  #untilMs: number | undefined;

  /** A cut up to `to` is answered. */
  answered(to: Coverage): void {
    this.#aim = to;
    this.#untilMs = undefined;
  }

  /** How long to wait before the next cut; 0: not at all. `base` is what the peer has for good, `known`, or staged. */
  restMs(known: Coverage, base: Coverage, nowMs: number): number {
    const aim = this.#aim;
    if (aim === undefined) return 0;
    if (known.reaches(aim)) {
      this.#aim = undefined;
      this.#inRow = 0;
      return 0;
    }
    // What is staged may still be taken.
    if (base.reaches(aim)) return 0;
    if (this.#untilMs === undefined) {
      const delayMs = MERGE_RETRY_LEAST_MS * 2 ** Math.min(10, this.#inRow);
      this.#untilMs = nowMs + Math.min(MERGE_RETRY_MOST_MS, delayMs);
      this.#inRow++;
    }
    return Math.max(0, this.#untilMs - nowMs);
  }
}
