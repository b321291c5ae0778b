import { Waiters } from "./waiters.js";

/** When the promise of a commit resolves; see `Durability` of the store. */
export type Level = "memory" | "relaxed" | "full";

/** Commits that the log refused, and who is to be told once none of them can come back. */
interface Refusal {
  readonly above: number;
  /** The newest version when it was: later ones are none of it. */
  readonly upTo: number;
  readonly error: Error;
  readonly rejects: ((error: Error) => void)[];
}

/** The promises that the log's progress settles. */
export class Acknowledgements {
  readonly #logged = new Waiters();
  readonly #synced = new Waiters();
  #refusals: Refusal[] = [];

  /** A promise of `outcome` for a version that the log has been given: resolved, unless it was refused at once. */
  applied<T>(version: number, outcome: T): Promise<T> {
    const refusal = this.#refusals.find(({ above, upTo }) => above < version && version <= upTo);
    if (refusal === undefined) return Promise.resolve(outcome);
    return new Promise<never>((_, reject) => refusal.rejects.push(reject));
  }

  /** A promise of `outcome` that resolves when a version has reached `level`. */
  promise<T>(version: number, outcome: T, level: "relaxed" | "full"): Promise<T> {
    const waiters = level === "full" ? this.#synced : this.#logged;
    return new Promise<T>((resolve, reject) => {
      // A waiter is only ever resolved with its own outcome.
      waiters.add(version, outcome, resolve as (outcome: unknown) => void, reject);
    });
  }

  /** `version` is as far as those may be told who wait for it to be logged. */
  logged(version: number): void {
    this.#logged.release(version);
  }

  synced(version: number, tellable: number): void {
    this.#synced.release(version);
    this.#logged.release(tellable);
  }

  /**
   * Sets aside whoever waits for commits above `above`, up to the newest: the log refused them, but a crash could
   * still bring them back.
   */
  refuse(above: number, upTo: number, error: Error): void {
    this.#refusals.push({ above, upTo, error, rejects: this.#takeAbove(above) });
  }

  /** What was refused is certain not to return: its writers may know. */
  rejectRefused(): void {
    const refusals = this.#refusals;
    this.#refusals = [];
    for (const { rejects, error } of refusals) for (const reject of rejects) reject(error);
  }

  /** Nobody will ever know more: rejects everybody. */
  rejectAll(error: Error): void {
    const refused = this.#refusals.flatMap(({ rejects }) => rejects);
    this.#refusals = [];
    for (const reject of [...this.#takeAbove(-1), ...refused]) reject(error);
  }

  #takeAbove(version: number): ((error: Error) => void)[] {
    return [...this.#logged.takeAbove(version), ...this.#synced.takeAbove(version)].map(
      ({ reject }) => reject,
    );
  }
}
