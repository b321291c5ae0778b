import { compareBytes } from "../../base/bytes.js";
import { inRange, isEmptyRange, type KeyRange, successor } from "../../keys/range.js";
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

/** A range as far as it was read. */
export class RangeRead {
  readonly #whole: KeyRange;
  readonly #reverse: boolean;
  readonly #hidden: readonly Uint8Array[];
  #last: Uint8Array | undefined;
  #ended = false;
  #entries = 0;

  /** `hidden` are the keys, in order, for which the reader is shown something else than what is stored. */
  constructor(whole: KeyRange, reverse: boolean, hidden: readonly Uint8Array[]) {
    this.#whole = whole;
    this.#reverse = reverse;
    this.#hidden = hidden;
  }

  /** Entries that were met on the way: what reading it again would cost. */
  get entries(): number {
    return this.#entries;
  }

  /** The keys whose presence or absence was seen, in order: what was reached, without what was hidden. */
  get seen(): KeyRange[] {
    const reached = this.#reached();
    if (reached === undefined) return [];
    const seen: KeyRange[] = [];
    let { from } = reached;
    for (const key of this.#hidden) {
      if (!inRange(key, reached)) continue;
      seen.push({ from, to: key });
      from = successor(key);
    }
    seen.push({ from, to: reached.to });
    return seen;
  }

  /** The reader was given `key`, and so knows what lies between it and the beginning. */
  through(key: Uint8Array): void {
    this.#entries++;
    this.#last = key;
  }

  /** The reader was told that there is nothing more. */
  toEnd(): void {
    this.#ended = true;
  }

  #reached(): KeyRange | undefined {
    if (this.#ended) return this.#whole;
    if (this.#last === undefined) return undefined;
    const { from, to } = this.#whole;
    return this.#reverse ? { from: this.#last, to } : { from, to: successor(this.#last) };
  }
}

/**
 * Everything whose change would have made a transaction see something else: keys, absent ones among them,
 * and ranges exactly as far as they were consumed.
 */
export class ReadSet {
  readonly #points = new KeyedList<PointRead>();
  /** Most transactions read no range. */
  #ranges: RangeRead[] | undefined;

  /** Reads that are tracked, for limits. */
  get size(): number {
    return this.#points.items.length + (this.#ranges?.length ?? 0);
  }

  get points(): readonly PointRead[] {
    return this.#points.items;
  }

  /** `key` must not change from now on. */
  point(key: Uint8Array, version: number): void {
    if (this.#points.indexOf(key) < 0) this.#points.push(new PointRead(key, version));
  }

  /** A range that is about to be read, in which `hidden` keys, in order, show something else than what is stored. */
  range(range: KeyRange, reverse: boolean, hidden: readonly Uint8Array[] = []): RangeRead {
    const read = new RangeRead(range, reverse, hidden);
    this.#ranges ??= [];
    this.#ranges.push(read);
    return read;
  }

  /** Whether a key was read, by itself or in a range. */
  has(key: Uint8Array): boolean {
    return this.#points.indexOf(key) >= 0 || isInRanges(key, this.ranges());
  }

  /** Entries met in all ranges. */
  get rangeEntries(): number {
    return (this.#ranges ?? []).reduce((sum, { entries }) => sum + entries, 0);
  }

  /** The ranges that were read, in key order, none of which touches another. */
  ranges(): KeyRange[] {
    if (this.#ranges === undefined) return [];
    const seen = this.#ranges.flatMap((read) => read.seen.filter((range) => !isEmptyRange(range)));
    seen.sort((a, b) => compareBytes(a.from, b.from));
    const joined: KeyRange[] = [];
    for (const range of seen) {
      const last = joined.at(-1);
      if (last !== undefined && touches(last, range)) joined[joined.length - 1] = union(last, range);
      else joined.push(range);
    }
    return joined;
  }
}

/** Whether `key` lies in one of the ranges, which {@link ReadSet.ranges} gave. */
export function isInRanges(key: Uint8Array, ranges: readonly KeyRange[]): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(ranges[middle].from, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low > 0 && inRange(key, ranges[low - 1]);
}

/** Whether a range goes on where another, that begins at or before it, ends. */
function touches(first: KeyRange, second: KeyRange): boolean {
  return first.to === undefined || compareBytes(second.from, first.to) <= 0;
}

function union(first: KeyRange, second: KeyRange): KeyRange {
  if (first.to === undefined || second.to === undefined) return { from: first.from, to: undefined };
  return { from: first.from, to: compareBytes(first.to, second.to) >= 0 ? first.to : second.to };
}
