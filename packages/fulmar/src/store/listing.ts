import { FulmarError } from "../base/errors.js";
import type { Clock, Timers } from "../base/runtime/interface.js";
import type { KeyRange } from "../keys/range.js";
import { type Cursor, NONE, type Ref, type ScanOptions } from "../memory/engine.js";
import type { StatePin } from "../transaction/pins.js";
import type { Reader } from "./reader.js";

/** An asynchronous iteration lets the event loop turn after so long ... */
const SLICE_MS = 4;
/** ... and after so many records, however fast they were, those that cannot be read any more among them. */
const SLICE_RECORDS = 1024;

const READ: ScanOptions = Object.freeze({ whole: true, living: true });
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
    return this.#walk();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    const { timers, clock } = this.#source;
    return new SlicedWalk(this.#walk(), timers, clock);
  }

  #walk(): Walk<V, T> {
    return new Walk(this.#source, this.#extent, this.#selection);
  }
}

/** One iteration. Not a generator: going in and out of one costs as much as finding the next entry. */
class Walk<V, T> implements IterableIterator<T, undefined> {
  /** Records that it has come by. */
  passed = 0;
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
    return this.advance(Number.POSITIVE_INFINITY) ?? DONE;
  }

  /** The same, unless it comes by `most` records of which none can be read: then undefined, and it may go on. */
  advance(most: number): IteratorResult<T, undefined> | undefined {
    if (this.#ended) return DONE;
    const end = this.passed + most;
    try {
      const ref = this.#nextRef(end);
      if (ref !== NONE && this.#select !== undefined) return { done: false, value: this.#select(ref) };
      if (this.passed === end) return undefined;
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

  /** The next record that can be read, or NONE: at the end, and once so many have been passed as `end`. */
  #nextRef(end: number): Ref {
    const { reader } = this.#source;
    const pin = this.#pin ?? this.#begin();
    if (this.#left <= 0) return NONE;
    this.#source.assertStoreOpen();
    if (!pin.alive) {
      throw new FulmarError("ROLLED_BACK", "the log refused commits that this listing shows: list again");
    }
    while (this.passed < end) {
      const ref = this.#cursor === undefined ? NONE : this.#cursor.next();
      if (ref === NONE) {
        if (this.#nextRange === this.#extent.ranges.length) return NONE;
        const range = this.#extent.ranges[this.#nextRange++];
        this.#cursor = reader.engine.scan(range, pin.version, this.#extent.reverse, READ);
        continue;
      }
      this.passed++;
      if (!reader.isLive(ref, pin.takenMs)) continue;
      this.#left--;
      return ref;
    }
    return NONE;
  }

  #begin(): StatePin {
    const pin = this.#source.pin(this);
    this.#pin = pin;
    this.#select = this.#selection(this.#source.reader);
    return pin;
  }
}

/** Lets the event loop turn every now and then. */
class SlicedWalk<V, T> implements AsyncIterableIterator<T, undefined> {
  readonly #walk: Walk<V, T>;
  readonly #timers: Timers;
  readonly #clock: Clock;
  #begunMs: number;
  /** Records that had been passed then. */
  #begunAt = 0;
  /** The last answer that was promised, as long as it waits for the event loop. */
  #awaited: Promise<unknown> | undefined;

  constructor(walk: Walk<V, T>, timers: Timers, clock: Clock) {
    this.#walk = walk;
    this.#timers = timers;
    this.#clock = clock;
    this.#begunMs = clock.monotonicMs();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const awaited = this.#awaited;
    if (awaited !== undefined) return this.#inLine(awaited.then(() => this.#resume()));
    try {
      const result = this.#advance();
      return result === undefined ? this.#inLine(this.#resume()) : Promise.resolve(result);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#walk.return?.();
    return Promise.resolve(DONE);
  }

  /** Undefined when the event loop should turn before there is more. */
  #advance(): IteratorResult<T, undefined> | undefined {
    const left = SLICE_RECORDS - (this.#walk.passed - this.#begunAt);
    if (left <= 0 || this.#clock.monotonicMs() - this.#begunMs >= SLICE_MS) return undefined;
    return this.#walk.advance(left);
  }

  async #resume(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      const result = this.#advance();
      if (result !== undefined) return result;
      await this.#timers.turn();
      this.#begunMs = this.#clock.monotonicMs();
      this.#begunAt = this.#walk.passed;
    }
  }

  /** Whoever asks again before this answer gets the next entry after it, as from a generator. */
  #inLine(answer: Promise<IteratorResult<T, undefined>>): Promise<IteratorResult<T, undefined>> {
    const leave = (): void => {
      if (this.#awaited === settled) this.#awaited = undefined;
    };
    const settled: Promise<void> = answer.then(leave, leave);
    this.#awaited = settled;
    return answer;
  }
}
