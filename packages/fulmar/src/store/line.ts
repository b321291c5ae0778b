/** A transaction's place in a {@link Line}. */
export interface Place {
  /** Resolves when nobody stands before it any more. */
  readonly turn: Promise<void>;
  /** Idempotent. */
  leave(): void;
}

interface Waiting {
  readonly begin: () => void;
}

/**
 * Where transactions stand that lost to others again and again, so that they go one after the other: at random
 * each would go on losing to all the others. Being first locks nothing: whoever is not in the line goes on.
 */
export class Line {
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiting>();

  join(): Place {
    let begin = (): void => undefined;
    const turn = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const waiting = { begin };
    this.#waiting.add(waiting);
    if (this.#waiting.size === 1) begin();
    return { turn, leave: () => this.#leave(waiting) };
  }

  #leave(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting)) return;
    // To tell the same one again does no harm.
    const [first] = this.#waiting;
    first?.begin();
  }
}
