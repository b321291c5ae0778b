import { compareBytes, compareRanges } from "../../base/bytes.js";
import { isEmptyRange, type KeyRange } from "../../keys/range.js";
import { type Beginnings, BeginningsBuilder } from "./beginnings.js";
import { Boundaries, type Bounds } from "./boundaries.js";

/** Bytes of a boundary that are compared as one number, but for their last bit: the difference of two has 32. */
const HEAD_BYTES = 4;
/** Groups of boundaries: for those that end where the common bytes do, and one for each next byte. */
const GROUPS = 257;
/** Buckets for each boundary of a group, at most. */
const BOUNDARY_BUCKETS = 2;

/**
 * The whole of all keys, cut into segments, of each of which is known whether some range reaches into it. A key
 * that lies in none of many thousand ranges is told by a search among numbers, which touches no object.
 *
 * It may say yes too often: a range that is added after it was made covers all segments that it touches.
 */
export class Segments {
  readonly #count: number;
  readonly #bytes: Uint8Array;
  readonly #offsets: Uint32Array;
  /** So many bytes all boundaries begin with. */
  readonly #common: number;
  /** The first boundary of each group, and the end of the last one. */
  readonly #groups = new Uint32Array(GROUPS + 1);
  /** So many bytes all boundaries of a group begin with. */
  readonly #skips = new Uint32Array(GROUPS);
  /** What follows those bytes. */
  readonly #heads: Int32Array;
  /** By so many bits the heads of a group, less the first of them, are shifted to be numbers of buckets. */
  readonly #shifts = new Uint8Array(GROUPS);
  /** The first bucket of each group, one more than it needs, and the end of the last one. */
  readonly #tables = new Uint32Array(GROUPS + 1);
  /** The first boundary in each bucket or behind: a search is left with a few of many thousand. */
  #buckets = new Uint32Array(0);
  /** Of the segment before each boundary, and behind the last. */
  readonly #covered: Uint8Array;
  /** Of the keys in what is covered. */
  readonly #beginnings: Beginnings;

  private constructor({ count, bytes, offsets }: Bounds, beginnings: Beginnings) {
    this.#beginnings = beginnings;
    this.#count = count;
    this.#bytes = bytes;
    this.#offsets = offsets;
    this.#heads = new Int32Array(count);
    this.#covered = new Uint8Array(count + 1);
    this.#common = count === 0 ? 0 : this.#sharedBytes(0, count - 1);
    this.#makeGroups();
  }

  /** Covers no key. */
  static none(): Segments {
    return new Segments(new Boundaries().take(), new BeginningsBuilder().finish());
  }

  /**
   * Ranges that do not touch each other, as their ends in order; without the last one, the last has no end. And how
   * the keys in them begin.
   */
  static between(bounds: Bounds, beginnings: Beginnings): Segments {
    const segments = new Segments(bounds, beginnings);
    for (let i = 1; i <= bounds.count; i += 2) segments.#covered[i] = 1;
    return segments;
  }

  /** Whether some range may hold `key`. */
  covers(key: Uint8Array): boolean {
    return this.#beginnings.mayHold(key) && this.#covered[this.#position(key)] === 1;
  }

  /** From now on it covers a range, too. */
  cover(range: KeyRange): void {
    if (isEmptyRange(range)) return;
    const last = range.to === undefined ? this.#count : this.#position(range.to);
    this.#covered.fill(1, this.#position(range.from), last + 1);
    this.#beginnings.addRange(range);
  }

  /** How many boundaries are not above `key`. */
  #position(key: Uint8Array): number {
    const common = this.#common;
    if (this.#count === 0) return 0;
    const order = this.#compareStart(key, 0, common, 0);
    if (order !== 0) return order < 0 ? 0 : this.#count;
    const group = key.length === common ? 0 : key[common] + 1;
    const first = this.#groups[group];
    const end = this.#groups[group + 1];
    if (first === end) return first;
    const skip = this.#skips[group];
    const inGroup = this.#compareStart(key, common, skip, first);
    if (inGroup !== 0) return inGroup < 0 ? first : end;
    const head = headOf(key, skip, key.length);
    const at = this.#firstFrom(head, group, first, end);
    return at < end && this.#heads[at] === head ? this.#behindEqual(key, skip, at, end) : at;
  }

  /** The first boundary of a group, from `first` to `end`, whose head is not below `head`; `end` without one. */
  #firstFrom(head: number, group: number, first: number, end: number): number {
    const beyond = head - this.#heads[first];
    if (beyond <= 0) return first;
    const bucket = this.#tables[group] + (beyond >>> this.#shifts[group]);
    // The last one is the end of the one before.
    if (bucket >= this.#tables[group + 1] - 1) return end;
    const low = this.#buckets[bucket];
    const high = this.#buckets[bucket + 1];
    return low === high ? low : firstFrom(this.#heads, head, low, high);
  }

  /** The same, where the boundary `from` and perhaps others behind it have the head of the key. */
  #behindEqual(key: Uint8Array, skip: number, from: number, end: number): number {
    const heads = this.#heads;
    const head = heads[from];
    let step = 1;
    while (from + step < end && heads[from + step] === head) step *= 2;
    let low = from;
    let high = Math.min(from + step, end);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (heads[middle] === head && this.#compareRest(middle, key, skip) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Compares bytes `from` to `to` of a key, which may be shorter, with those of a boundary, which is not. */
  #compareStart(key: Uint8Array, from: number, to: number, index: number): number {
    const bytes = this.#bytes;
    const start = this.#offsets[index];
    for (let i = from; i < to; i++) {
      if (i >= key.length) return -1;
      const difference = key[i] - bytes[start + i];
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #compareRest(index: number, key: Uint8Array, from: number): number {
    const start = this.#offsets[index] + from;
    return compareRanges(this.#bytes, start, this.#offsets[index + 1], key, from, key.length);
  }

  /** So many bytes two boundaries begin with, and all between them. */
  #sharedBytes(first: number, last: number): number {
    const [a, b] = [this.#offsets[first], this.#offsets[last]];
    const length = Math.min(this.#offsets[first + 1] - a, this.#offsets[last + 1] - b);
    let shared = 0;
    while (shared < length && this.#bytes[a + shared] === this.#bytes[b + shared]) shared++;
    return shared;
  }

  #makeGroups(): void {
    const offsets = this.#offsets;
    for (let first = 0, group = 0; group < GROUPS; group++) {
      let end = first;
      while (end < this.#count && this.#groupOf(end) === group) end++;
      this.#groups[group + 1] = end;
      if (end > first) {
        const skip = this.#sharedBytes(first, end - 1);
        this.#skips[group] = skip;
        for (let i = first; i < end; i++) {
          this.#heads[i] = headOf(this.#bytes, offsets[i] + skip, offsets[i + 1]);
        }
      }
      first = end;
    }
    this.#fillBuckets();
  }

  #fillBuckets(): void {
    const [heads, groups, shifts, tables] = [this.#heads, this.#groups, this.#shifts, this.#tables];
    for (let group = 0; group < GROUPS; group++) {
      const [first, end] = [groups[group], groups[group + 1]];
      const span = first === end ? 0 : heads[end - 1] - heads[first];
      while (span >>> shifts[group] >= BOUNDARY_BUCKETS * (end - first) + 1) shifts[group]++;
      tables[group + 1] = tables[group] + (first === end ? 0 : (span >>> shifts[group]) + 2);
    }
    this.#buckets = new Uint32Array(tables[GROUPS]);
    for (let group = 0; group < GROUPS; group++) {
      let at = groups[group];
      const first = at;
      for (let bucket = tables[group]; bucket < tables[group + 1]; bucket++) {
        const from = bucket - tables[group];
        while (at < groups[group + 1] && (heads[at] - heads[first]) >>> shifts[group] < from) at++;
        this.#buckets[bucket] = at;
      }
    }
  }

  #groupOf(index: number): number {
    const at = this.#offsets[index] + this.#common;
    return at === this.#offsets[index + 1] ? 0 : this.#bytes[at] + 1;
  }
}

/**
 * The first of the heads in `[from, end)`, which are in order and at least one, that is not below `head`; `end` without
 * one. Which half goes on is computed, not branched on: a processor guesses every other branch of a search wrong, and
 * that would cost more than all else here.
 */
function firstFrom(heads: Int32Array, head: number, from: number, end: number): number {
  let at = from;
  let count = end - from;
  while (count > 1) {
    const half = count >>> 1;
    at += half & ((heads[at + half - 1] - head) >> 31);
    count -= half;
  }
  return at - ((heads[at] - head) >> 31);
}

/** {@link HEAD_BYTES} bytes as a number that is ordered as they are; zeros stand for those behind the end. */
function headOf(bytes: Uint8Array, from: number, to: number): number {
  if (from + HEAD_BYTES <= to) {
    return (bytes[from] << 23) | (bytes[from + 1] << 15) | (bytes[from + 2] << 7) | (bytes[from + 3] >>> 1);
  }
  let head = 0;
  for (let i = from; i < from + HEAD_BYTES; i++) head = head * 256 + (i < to ? bytes[i] : 0);
  return head >>> 1;
}

/** Makes {@link Segments} of ranges that come in the order of their lower ends. */
export class SegmentsBuilder {
  readonly #boundaries = new Boundaries();
  readonly #beginnings = new BeginningsBuilder();
  #open: KeyRange | undefined;

  add(range: KeyRange): void {
    if (isEmptyRange(range)) return;
    const open = this.#open;
    if (open === undefined) this.#open = range;
    else if (open.to === undefined) return;
    else if (compareBytes(range.from, open.to) > 0) {
      this.#close(open);
      this.#open = range;
    } else if (range.to === undefined || compareBytes(range.to, open.to) > 0) {
      this.#open = { from: open.from, to: range.to };
    }
  }

  /** To be called once. */
  finish(): Segments {
    if (this.#open !== undefined) this.#close(this.#open);
    return Segments.between(this.#boundaries.take(), this.#beginnings.finish());
  }

  #close(range: KeyRange): void {
    this.#boundaries.push(range.from);
    if (range.to !== undefined) this.#boundaries.push(range.to);
    this.#beginnings.add(range);
  }
}
