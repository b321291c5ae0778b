import { type OpenOptions, open, type Store } from "fulmar";
import { givenStore } from "./check.js";

/**
 * Where an adapter gets its store from: one that is open already, which whoever opened it closes; or a
 * directory, or memory, opened at the first use and closed with the adapter.
 */
export class StoreSource<V> {
  readonly #given: Store<V> | undefined;
  readonly #directory: string | undefined;
  readonly #options: OpenOptions<V>;
  #opened: Promise<Store<V>> | undefined;
  /** Resolves when none is being closed. */
  #closed: Promise<unknown> = Promise.resolve();

  constructor(source: Store<V> | string | undefined, options: OpenOptions<V>) {
    this.#given = givenStore(source, "the source");
    this.#directory = typeof source === "string" ? source : undefined;
    this.#options = options;
  }

  /** The open store. Rejects as `open`, and tries again at the next call then. */
  async store(): Promise<Store<V>> {
    if (this.#given !== undefined) return this.#given;
    if (this.#opened === undefined) {
      const opening = this.#closed.then(() => open<V>(this.#directory, this.#options));
      this.#opened = opening;
      opening.catch(() => {
        if (this.#opened === opening) this.#opened = undefined;
      });
    }
    return this.#opened;
  }

  /** Closes the store, if it was opened here. A later use opens it again. */
  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    // Whoever wanted the store is told why it does not open; then there is nothing to close.
    const done = (async () => (await opened?.catch(() => undefined))?.close())();
    // Its directory is locked until then, whatever comes of it.
    this.#closed = Promise.allSettled([this.#closed, done]);
    await done;
  }
}
