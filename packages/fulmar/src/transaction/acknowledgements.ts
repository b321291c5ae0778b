import { type Waiter, Waiters } from "./waiters.js";

/** When the promise of a commit resolves; see `Durability` of the store. */
export type Level = "memory" | "relaxed" | "full";

/** The promises that the log's progress settles. */
export class Acknowledgements {
  readonly #logged = new Waiters();
  readonly #synced = new Waiters();
  #refused: { readonly waiters: readonly Waiter[]; readonly error: Error }[] = [];

  /** A promise of `outcome` that resolves when a version has reached `level`. */
  promise<T>(version: number, outcome: T, level: Level): Promise<T> {
    if (level === "memory") return Promise.resolve(outcome);
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
   * Sets aside whoever waits for commits above `version`: the log refused them, but a crash could still
   * bring them back.
   */
  refuse(version: number, error: Error): void {
    const waiters = [...this.#logged.takeAbove(version), ...this.#synced.takeAbove(version)];
    this.#refused.push({ waiters, error });
  }

  /** What was refused is certain not to return: its writers may know. */
  rejectRefused(): void {
    const refused = this.#refused;
    this.#refused = [];
    for (const { waiters, error } of refused) for (const waiter of waiters) waiter.reject(error);
  }

  /** Nobody will ever know more: rejects everybody. */
  rejectAll(error: Error): void {
    const waiters = [...this.#logged.takeAbove(-1), ...this.#synced.takeAbove(-1)];
    for (const refusal of this.#refused) waiters.push(...refusal.waiters);
    this.#refused = [];
    for (const waiter of waiters) waiter.reject(error);
  }
}
