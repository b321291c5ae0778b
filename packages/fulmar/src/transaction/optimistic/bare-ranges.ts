import { isEmptyRange, type KeyRange, successor } from "../../keys/range.js";
import { type JoinedRanges, lastFrom, rangeAround, touches, union } from "./joined-ranges.js";

/** So many are kept: each change copies the list. */
const RANGES_MAX = 1024;
const NONE_YET: JoinedRanges = Object.freeze([]);

/** What was known when a walk began. */
export interface BareView {
  readonly ranges: JoinedRanges;
  readonly shown: number;
}

/**
 * Ranges in which a transaction sees no key because it has deleted them all: whoever takes the first of a queue again
 * and again passes those that were taken in one step, not one by one. The state that a transaction reads does not
 * change, so that nothing but its own writes makes a key appear.
 */
export class BareRanges {
  /** Never changed, but replaced: a walk goes by what was so when it began. */
  #ranges = NONE_YET;
  /** How often a key may have appeared. */
  #shown = 0;

  view(): BareView {
    return { ranges: this.#ranges, shown: this.#shown };
  }

  /** A walk that began with `view` saw nothing in a range. */
  add({ shown }: BareView, range: KeyRange): void {
    // What has appeared since may be in it.
    if (shown !== this.#shown || isEmptyRange(range)) return;
    const ranges = this.#ranges;
    const before = lastFrom(range.from, ranges);
    const joins = before >= 0 && touches(ranges[before], range);
    let joined = joins ? union(ranges[before], range) : range;
    let end = before + 1;
    for (; end < ranges.length && touches(joined, ranges[end]); end++) joined = union(joined, ranges[end]);
    const begin = joins ? before : before + 1;
    if (ranges.length - (end - begin) >= RANGES_MAX) return;
    this.#ranges = [...ranges.slice(0, begin), joined, ...ranges.slice(end)];
  }

  /** The transaction writes a value. */
  show(key: Uint8Array): void {
    this.#shown++;
    const hit = rangeAround(key, this.#ranges);
    if (hit === undefined) return;
    const parts = [
      { from: hit.from, to: key },
      { from: successor(key), to: hit.to },
    ].filter((part) => !isEmptyRange(part));
    this.#ranges = this.#ranges.flatMap((range) => (range === hit ? parts : [range]));
  }

  /** Writes are taken back: anything may have appeared. */
  clear(): void {
    this.#shown++;
    this.#ranges = NONE_YET;
  }
}
