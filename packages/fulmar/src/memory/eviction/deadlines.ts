import { deadlineOf } from "../../record/entry.js";
import { type Cursor, type MemoryEngine, NONE, type Ref } from "../engine.js";
import type { Spared, Victims } from "./victims.js";

/** Keys that a pin sees and that one round passes at most. */
const PASSED_MAX = 10_000;

/**
 * Nearest expiry first: the engine's own order of deadlines. Keys without one are never evicted, so that a
 * cache can live beside what must stay. Beside pins a round goes on where the one before found nothing but what pins
 * see, and comes round to the nearest at the end.
 */
export class DeadlineVictims implements Victims {
  readonly tableBytes = 0;
  readonly #engine: MemoryEngine;
  #cursor: Cursor | undefined;
  #spared: Spared = "nothing";
  /** Up to here pins saw everything, in ms: where the next round begins. */
  #passedMs = 0;
  /** Where this round began. */
  #fromMs = 0;
  #passed = 0;

  constructor(engine: MemoryEngine) {
    this.#engine = engine;
  }

  get offeredBytes(): number {
    return this.#engine.usedBytes;
  }

  growthBytes(): number {
    return 0;
  }

  begin(spared: Spared): void {
    if (!this.#engine.hasPins()) this.#passedMs = 0;
    this.#spared = spared;
    this.#fromMs = spared === "nothing" ? 0 : this.#passedMs;
    this.#passed = 0;
    this.#cursor = this.#engine.byDeadline(Number.MAX_SAFE_INTEGER, this.#fromMs);
  }

  next(): Ref {
    while (this.#passed < PASSED_MAX) {
      const ref = this.#following();
      if (ref === NONE || !this.#isSpared(ref)) return ref;
      this.#passed++;
      this.#passedMs = deadlineOf(this.#engine.slab(ref), this.#engine.offset(ref));
    }
    // More of them may share one deadline than a round passes.
    if (this.#passedMs === this.#fromMs) this.#passedMs++;
    return NONE;
  }

  pass(): void {}

  giveBack(): void {}

  touch(): void {}

  #isSpared(ref: Ref): boolean {
    return this.#spared !== "nothing" && this.#engine.isPinned(ref, this.#spared === "users");
  }

  /** The next in order, and after the last one the nearest, if the round did not begin with it. */
  #following(): Ref {
    const ref = this.#cursor?.next() ?? NONE;
    if (ref !== NONE || this.#fromMs === 0) return ref;
    this.#cursor = this.#engine.byDeadline(this.#fromMs - 1);
    this.#fromMs = 0;
    return this.#cursor.next();
  }
}
