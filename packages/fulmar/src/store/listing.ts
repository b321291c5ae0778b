import { FulmarError } from "../base/errors.js";
import type { Timers } from "../base/runtime/interface.js";
import type { KeyRange } from "../keys/range.js";
import { type Cursor, NONE, type Ref } from "../memory/engine.js";
import type { StatePin } from "../transaction/pins.js";
import type { Reader } from "./reader.js";

/** An asynchronous iteration lets the event loop turn after so many entries. */
const ENTRIES_PER_TURN = 256;

/** What a listing needs of its store. */
export interface ListingSource<V> {
  readonly reader: Reader<V>;
  readonly timers: Timers;
  /** Pins the newest state; throws when the store is closed. */
  pin(): StatePin;
}

/**
 * Entries of some ranges, as of the moment when the iteration begins: later changes do not show.
 * `for` iterates in one go, `for await` lets the event loop turn in between.
 */
export class Listing<V, T> implements Iterable<T>, AsyncIterable<T> {
  readonly #source: ListingSource<V>;
  readonly #ranges: readonly KeyRange[];
  readonly #reverse: boolean;
  readonly #limit: number;
  readonly #select: (ref: Ref, nowMs: number) => T;

  constructor(
    source: ListingSource<V>,
    ranges: readonly KeyRange[],
    options: { readonly reverse?: boolean; readonly limit?: number },
    select: (ref: Ref, nowMs: number) => T,
  ) {
    this.#source = source;
    this.#reverse = options.reverse ?? false;
    this.#ranges = this.#reverse ? [...ranges].reverse() : ranges;
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY;
    this.#select = select;
  }

  *[Symbol.iterator](): Iterator<T, undefined> {
    const pin = this.#source.pin();
    try {
      yield* this.#walk(pin);
    } finally {
      pin.release();
    }
    return undefined;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    const pin = this.#source.pin();
    try {
      let count = 0;
      for (const item of this.#walk(pin)) {
        yield item;
        if (++count % ENTRIES_PER_TURN === 0) await this.#source.timers.turn();
      }
    } finally {
      pin.release();
    }
    return undefined;
  }

  *#walk(pin: StatePin): Generator<T, void> {
    const { reader } = this.#source;
    // One moment for the whole iteration, as for the state that it shows.
    const nowMs = reader.nowMs();
    let left = this.#limit;
    for (const range of this.#ranges) {
      const cursor: Cursor = reader.engine.scan(range, pin.version, this.#reverse);
      while (left > 0) {
        if (!pin.alive) {
          throw new FulmarError("ROLLED_BACK", "the log refused commits that this listing shows: list again");
        }
        const ref = cursor.next();
        if (ref === NONE) break;
        if (!reader.isLive(ref, nowMs)) continue;
        left--;
        yield this.#select(ref, nowMs);
      }
    }
  }
}
