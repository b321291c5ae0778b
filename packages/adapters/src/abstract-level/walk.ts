import { setImmediate } from "node:timers/promises";
import type { List, ListOptions, Snapshot } from "fulmar";
import type { EncodedListing } from "./options.js";
import { inBounds, listOptions } from "./range.js";

/** After so many entries the event loop gets a turn, however they are asked for. */
const SLICE_ENTRIES = 1024;

/** What a walk goes over: items `S` of a listing, each shown as a `T`. */
export interface WalkSource<S, T> {
  readonly state: Snapshot<Uint8Array>;
  /** Whether the state is the walk's own, to be let go of at its end. */
  readonly owned: boolean;
  list(state: Snapshot<Uint8Array>, options: ListOptions): List<S>;
  select(item: S): T;
}

/** Ends an iteration whose `signal` was aborted; named and coded as Level's own. */
class AbortError extends Error {
  override readonly name = "AbortError";
  readonly code = "LEVEL_ABORTED";
  constructor(cause: unknown) {
    super("Operation has been aborted", { cause });
  }
}

/** One iteration over one state of the store, which can be moved to another place. */
export class Walk<S, T> {
  readonly #source: WalkSource<S, T>;
  readonly #options: EncodedListing;
  #range: ListOptions;
  #items: Iterator<S> | undefined;
  #entries = 0;

  constructor(source: WalkSource<S, T>, options: EncodedListing) {
    this.#source = source;
    this.#options = options;
    this.#range = listOptions(options);
  }

  /** The next item, or undefined after the last. */
  async next(): Promise<T | undefined> {
    await this.#pause();
    return this.#step();
  }

  /** The next items, at most `size`; none after the last. */
  async take(size: number): Promise<T[]> {
    const items: T[] = [];
    while (items.length < size) {
      await this.#pause();
      const sliceEnd = Math.min(size, items.length + SLICE_ENTRIES - this.#entries);
      while (items.length < sliceEnd) {
        const item = this.#step();
        if (item === undefined) return items;
        items.push(item);
      }
    }
    return items;
  }

  /** Goes on at `target`, or at the next key in the direction of the walk. Beyond the bounds is nothing. */
  seek(target: Uint8Array): void {
    this.#items?.return?.();
    this.#items = undefined;
    const range = listOptions(this.#options);
    if (!inBounds(target, this.#options)) this.#range = { ...range, limit: 0 };
    else if (this.#options.reverse) this.#range = { ...range, lte: target };
    else this.#range = { ...range, gte: target };
  }

  close(): void {
    this.#items?.return?.();
    if (this.#source.owned) this.#source.state.close();
  }

  #step(): T | undefined {
    this.#items ??= this.#source.list(this.#source.state, this.#range)[Symbol.iterator]();
    const result = this.#items.next();
    this.#entries++;
    return result.done === true ? undefined : this.#source.select(result.value);
  }

  /** A turn for the event loop when it is due; with a signal, at least the moment that an abort needs. */
  async #pause(): Promise<void> {
    const { signal } = this.#options;
    if (this.#entries >= SLICE_ENTRIES) {
      this.#entries = 0;
      await setImmediate();
    } else if (signal) await undefined;
    if (signal?.aborted) throw new AbortError(signal.reason);
  }
}
