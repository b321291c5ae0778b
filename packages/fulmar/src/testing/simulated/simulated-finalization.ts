import type { Finalization, FinalizationList } from "../../base/runtime/interface.js";

/** A garbage collector that takes what a test says, when it says so, and nothing else. */
export class SimulatedFinalization implements Finalization {
  /** Those with anything in them, so that a store is not kept for as long as its machine. */
  readonly #used = new Set<SimulatedList>();

  list<T extends object>(collected: (held: T) => void): FinalizationList<T> {
    return new SimulatedList(this.#used, (held) => collected(held as T));
  }

  /** See {@link SimulatedStorage.collectGarbage}. */
  collect(isGarbage: (target: object) => boolean): number {
    return [...this.#used].reduce((count, list) => count + list.collect(isGarbage), 0);
  }
}

class SimulatedList implements FinalizationList<object> {
  readonly #used: Set<SimulatedList>;
  readonly #collected: (held: object) => void;
  readonly #targets = new Map<object, object>();

  constructor(used: Set<SimulatedList>, collected: (held: object) => void) {
    this.#used = used;
    this.#collected = collected;
  }

  add(target: object, held: object): void {
    this.#targets.set(held, target);
    this.#used.add(this);
  }

  remove(held: object): void {
    this.#targets.delete(held);
    if (this.#targets.size === 0) this.#used.delete(this);
  }

  collect(isGarbage: (target: object) => boolean): number {
    const taken = [...this.#targets].filter(([, target]) => isGarbage(target));
    for (const [held] of taken) this.remove(held);
    for (const [held] of taken) this.#collected(held);
    return taken.length;
  }
}
