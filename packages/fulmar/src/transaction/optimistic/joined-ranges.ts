import { compareBytes } from "../../base/bytes.js";
import { inRange, type KeyRange } from "../../keys/range.js";

/** Ranges in key order, none of which touches another. */
export type JoinedRanges = readonly KeyRange[];

/** The one of the ranges that `key` lies in. */
export function rangeAround(key: Uint8Array, ranges: JoinedRanges): KeyRange | undefined {
  const index = lastFrom(key, ranges);
  return index >= 0 && inRange(key, ranges[index]) ? ranges[index] : undefined;
}

/** The index of the last of the ranges that begins at or before `key`; -1 without one. */
export function lastFrom(key: Uint8Array, ranges: JoinedRanges): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(ranges[middle].from, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Whether a range goes on where another, that begins at or before it, ends. */
export function touches(first: KeyRange, second: KeyRange): boolean {
  return first.to === undefined || compareBytes(second.from, first.to) <= 0;
}

/** Two ranges as one, of which the second begins in the first or where it ends. */
export function union(first: KeyRange, second: KeyRange): KeyRange {
  if (first.to === undefined || second.to === undefined) return { from: first.from, to: undefined };
  return { from: first.from, to: compareBytes(first.to, second.to) >= 0 ? first.to : second.to };
}
