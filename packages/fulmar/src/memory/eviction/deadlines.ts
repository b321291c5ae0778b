import { type Cursor, type MemoryEngine, NONE, type Ref } from "../engine.js";
import type { Victims } from "./victims.js";

/**
 * Nearest expiry first: the engine's own order of deadlines. Keys without one are never evicted, so that a
 * cache can live beside what must stay.
 */
export class DeadlineVictims implements Victims {
  readonly tableBytes = 0;
  readonly #engine: MemoryEngine;
  #cursor: Cursor | undefined;

  constructor(engine: MemoryEngine) {
    this.#engine = engine;
  }

  get offeredBytes(): number {
    return this.#engine.usedBytes;
  }

  growthBytes(): number {
    return 0;
  }

  begin(): void {
    this.#cursor = this.#engine.byDeadline(Number.MAX_SAFE_INTEGER);
  }

  next(): Ref {
    return this.#cursor?.next() ?? NONE;
  }

  pass(): void {}

  giveBack(): void {}

  touch(): void {}
}
