import { FulmarError } from "../base/errors.js";
import type { Clock, Timers } from "../base/runtime/interface.js";
import type { KeyRange } from "../keys/range.js";
import { type Cursor, NONE, type Ref } from "../memory/engine.js";
import type { StatePin } from "../transaction/pins.js";
import type { Reader } from "./reader.js";

/** An asynchronous iteration lets the event loop turn after so long ... */
const SLICE_MS = 4;
/** ... and after so many entries, however fast they were. */
const SLICE_ENTRIES = 1024;

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });

/** What a listing needs of its store. */
export interface ListingSource<V> {
  readonly reader: Reader<V>;
  readonly timers: Timers;
  readonly clock: Clock;
  /**
   * Pins the state that is listed, at most for as long as somebody can reach `holder`; throws when the store is
   * closed.
   */
  pin(holder: object): StatePin;
  /** Throws when the store is closed, but not for a snapshot that is: iterations that have begun go on. */
  assertStoreOpen(): void;
}

/** Begins an iteration; what it returns makes an item of each record. */
export type Selection<V, T> = (reader: Reader<V>) => (ref: Ref) => T;

/** Which entries, in which direction, and how many. */
interface Extent {
  readonly ranges: readonly KeyRange[];
  readonly reverse: boolean;
  readonly limit: number;
}

/**
 * Entries of some ranges, as of the moment when the iteration begins: later changes do not show.
 * `for` iterates in one go, `for await` lets the event loop turn in between.
 */
export class Listing<V, T> implements Iterable<T>, AsyncIterable<T> {
  readonly #source: ListingSource<V>;
  readonly #extent: Extent;
  readonly #selection: Selection<V, T>;

  constructor(
    source: ListingSource<V>,
    ranges: readonly KeyRange[],
    options: { readonly reverse: boolean; readonly limit: number },
    selection: Selection<V, T>,
  ) {
    this.#source = source;
    const { reverse, limit } = options;
    this.#extent = { ranges: reverse ? ranges.toReversed() : ranges, reverse, limit };
    this.#selection = selection;
  }

  [Symbol.iterator](): IterableIterator<T, undefined> {
    return new Walk(this.#source, this.#extent, this.#selection);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    const { timers, clock } = this.#source;
    return new SlicedWalk(this[Symbol.iterator](), timers, clock);
  }
}

/** One iteration. Not a generator: going in and out of one costs as much as finding the next entry. */
class Walk<V, T> implements IterableIterator<T, undefined> {
  readonly #source: ListingSource<V>;
  readonly #extent: Extent;
  readonly #selection: Selection<V, T>;
  #select: ((ref: Ref) => T) | undefined;
  #pin: StatePin | undefined;
  #cursor: Cursor | undefined;
  #nextRange = 0;
  #left: number;
  #ended = false;

  constructor(source: ListingSource<V>, extent: Extent, selection: Selection<V, T>) {
    this.#source = source;
    this.#extent = extent;
    this.#selection = selection;
    this.#left = extent.limit;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<T, undefined> {
    if (this.#ended) return DONE;
    try {
      const ref = this.#nextRef();
      if (ref !== NONE && this.#select !== undefined) return { done: false, value: this.#select(ref) };
    } catch (error) {
      this.return();
      throw error;
    }
    return this.return();
  }

  return(): IteratorReturnResult<undefined> {
    this.#ended = true;
    this.#cursor = undefined;
    this.#pin?.release();
    return DONE;
  }

  /** The next record that can be read, or NONE. */
  #nextRef(): Ref {
    const { reader } = this.#source;
    const pin = this.#pin ?? this.#begin();
    this.#source.assertStoreOpen();
    if (this.#left-- <= 0) return NONE;
    if (!pin.alive) {
      throw new FulmarError("ROLLED_BACK", "the log refused commits that this listing shows: list again");
    }
    for (;;) {
      const ref = this.#cursor === undefined ? NONE : this.#cursor.next();
      if (ref === NONE) {
        if (this.#nextRange === this.#extent.ranges.length) return NONE;
        const range = this.#extent.ranges[this.#nextRange++];
        this.#cursor = reader.engine.scan(range, pin.version, this.#extent.reverse, true);
      } else if (reader.isLive(ref, pin.takenMs)) return ref;
    }
  }

  #begin(): StatePin {
    const pin = this.#source.pin(this);
    this.#pin = pin;
    this.#select = this.#selection(this.#source.reader);
    return pin;
  }
}

/** Lets the event loop turn every now and then. */
class SlicedWalk<T> implements AsyncIterableIterator<T, undefined> {
  readonly #walk: IterableIterator<T, undefined>;
  readonly #timers: Timers;
  readonly #clock: Clock;
  #begunMs: number;
  #entries = 0;
  /** While the event loop turns. */
  #turn: Promise<void> | undefined;

  constructor(walk: IterableIterator<T, undefined>, timers: Timers, clock: Clock) {
    this.#walk = walk;
    this.#timers = timers;
    this.#clock = clock;
    this.#begunMs = clock.monotonicMs();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#turn === undefined) {
      if (this.#entries < SLICE_ENTRIES && this.#clock.monotonicMs() - this.#begunMs < SLICE_MS) {
        return this.#step();
      }
      this.#turn = this.#timers.turn();
    }
    // Whoever asks again before the last answer gets the next entry after it, as from a generator.
    return this.#turn.then(() => {
      if (this.#turn !== undefined) this.#beginSlice();
      return this.#step();
    });
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#walk.return?.();
    return Promise.resolve(DONE);
  }

  #beginSlice(): void {
    this.#turn = undefined;
    this.#begunMs = this.#clock.monotonicMs();
    this.#entries = 0;
  }

  #step(): Promise<IteratorResult<T, undefined>> {
    this.#entries++;
    try {
      return Promise.resolve(this.#walk.next());
    } catch (error) {
      return Promise.reject(error);
    }
  }
}
