import { compareBytes } from "../../base/bytes.js";
import { inRange, isEmptyRange, type KeyRange, successor } from "../../keys/range.js";
import { lastFrom, rangeAround, touches, union } from "./joined-ranges.js";
import { KeyedList } from "./keyed-list.js";

/** A key that was read, and the version that was found: 0 for none. */
export class PointRead {
  readonly key: Uint8Array;
  readonly version: number;

  constructor(key: Uint8Array, version: number) {
    this.key = key;
    this.version = version;
  }
}

/** So many ranges, and as many as are joined, wait to be joined with these. */
const ADDED_MIN = 64;

/**
 * What was seen of ranges, by whatever was read. A range that is read again and again, as by a transaction that takes
 * the first of a queue many times, is kept once.
 */
class SeenRanges {
  /** Entries that were met on the way: what reading it again would cost. */
  entries = 0;
  /** In key order; none touches another. */
  #joined: KeyRange[] = [];
  #added: KeyRange[] = [];

  add(range: KeyRange): void {
    if (isEmptyRange(range)) return;
    this.#added.push(range);
    if (this.#added.length > ADDED_MIN + this.#joined.length) this.joined();
  }

  /** All of it, in key order; none touches another. */
  joined(): readonly KeyRange[] {
    if (this.#added.length === 0) return this.#joined;
    const all = this.#joined.concat(this.#added).sort((a, b) => compareBytes(a.from, b.from));
    const joined: KeyRange[] = [];
    for (const range of all) {
      const last = joined.at(-1);
      if (last !== undefined && touches(last, range)) joined[joined.length - 1] = union(last, range);
      else joined.push(range);
    }
    this.#joined = joined;
    this.#added = [];
    return joined;
  }

  /** What is joined and holds the first keys of a range, or in reverse the last ones, if anything does. */
  around({ from, to }: KeyRange, reverse: boolean): KeyRange | undefined {
    const edge = reverse ? to : from;
    const found = edge === undefined ? this.#joined.at(-1) : this.#joined[lastFrom(edge, this.#joined)];
    const isAround = found?.to === undefined || (edge !== undefined && compareBytes(edge, found.to) <= 0);
    return isAround ? found : undefined;
  }
}

/** A range as far as it was read. */
export class RangeRead {
  readonly #seen: SeenRanges;
  readonly #reverse: boolean;
  /** What is left of it beyond the keys that were hidden. */
  #from: Uint8Array;
  #to: Uint8Array | undefined;
  #last: Uint8Array | undefined;
  #ended = false;
  /** Of this all was seen before, from where it begins. */
  readonly #known: KeyRange | undefined;

  constructor(seen: SeenRanges, range: KeyRange, reverse: boolean) {
    const { from, to } = range;
    this.#known = seen.around(range, reverse);
    this.#seen = seen;
    this.#from = from;
    this.#to = to;
    this.#reverse = reverse;
  }

  /** The reader comes by `key`, for which it is shown something else than what is stored. Before {@link through}. */
  hide(key: Uint8Array): void {
    const isKnown = this.#known !== undefined && inRange(key, this.#known);
    if (isKnown && this.#reverse) this.#to = key;
    else if (isKnown) this.#from = key;
    else if (this.#reverse) {
      this.#seen.add({ from: successor(key), to: this.#to });
      this.#to = key;
    } else {
      this.#seen.add({ from: this.#from, to: key });
      this.#from = successor(key);
    }
    this.#last = undefined;
  }

  /**
   * The reader passes a part in which everything is hidden that is stored, all else of which was noted before, by
   * another one.
   */
  pass({ from, to }: KeyRange): void {
    if (this.#reverse) {
      if (to !== undefined) this.#seen.add({ from: to, to: this.#to });
      this.#to = from;
    } else {
      this.#seen.add({ from: this.#from, to: from });
      // Nothing is behind the end of all keys.
      if (to === undefined) this.#to = this.#from;
      else this.#from = to;
    }
    this.#last = undefined;
  }

  /** The reader was given `key`, and so knows what lies between it and the beginning. */
  through(key: Uint8Array): void {
    this.#seen.entries++;
    this.#last = key;
  }

  /** The reader was told that there is nothing more. */
  toEnd(): void {
    this.#ended = true;
  }

  /** Adds what was reached to what was seen: the keys whose presence or absence is known, without those hidden. */
  note(): void {
    if (this.#ended) this.#seen.add({ from: this.#from, to: this.#to });
    else if (this.#last === undefined) return;
    else if (this.#reverse) this.#seen.add({ from: this.#last, to: this.#to });
    else this.#seen.add({ from: this.#from, to: successor(this.#last) });
  }
}

/**
 * Everything whose change would have made a transaction see something else: keys, absent ones among them,
 * and ranges exactly as far as they were consumed.
 */
export class ReadSet {
  readonly #points = new KeyedList<PointRead>();
  /** Most transactions read no range. */
  #seen: SeenRanges | undefined;
  /** Those that are still being read. */
  #open: Set<RangeRead> | undefined;
  #rangeReads = 0;

  /** Reads that are tracked, for limits. */
  get size(): number {
    return this.#points.items.length + this.#rangeReads;
  }

  get points(): readonly PointRead[] {
    return this.#points.items;
  }

  /** `key` must not change from now on. */
  point(key: Uint8Array, version: number): void {
    if (this.#points.indexOf(key) < 0) this.#points.push(new PointRead(key, version));
  }

  /** A range that is about to be read. */
  range(range: KeyRange, reverse: boolean): RangeRead {
    this.#seen ??= new SeenRanges();
    this.#open ??= new Set();
    const read = new RangeRead(this.#seen, range, reverse);
    this.#open.add(read);
    this.#rangeReads++;
    return read;
  }

  /** No more of a range is read. Without this it is all the same, but for what it takes to remember it. */
  close(read: RangeRead): void {
    read.note();
    this.#open?.delete(read);
  }

  /** Whether a key was read, by itself or in a range. */
  has(key: Uint8Array): boolean {
    return this.#points.indexOf(key) >= 0 || isInRanges(key, this.ranges());
  }

  /** Entries met in all ranges. */
  get rangeEntries(): number {
    return this.#seen?.entries ?? 0;
  }

  /** The ranges that were read, in key order, none of which touches another. */
  ranges(): readonly KeyRange[] {
    if (this.#seen === undefined) return [];
    for (const read of this.#open ?? []) read.note();
    return this.#seen.joined();
  }
}

/** Whether `key` lies in one of the ranges, which {@link ReadSet.ranges} gave. */
export function isInRanges(key: Uint8Array, ranges: readonly KeyRange[]): boolean {
  return rangeAround(key, ranges) !== undefined;
}
