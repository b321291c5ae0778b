import { afterPrefix, compareBytes, EMPTY_BYTES } from "../base/bytes.js";

/** Encoded keys from `from` (inclusive) up to `to` (exclusive; undefined: no upper end). */
export interface KeyRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array | undefined;
}

/** Every key there is, the store's own data included. */
export const ALL_KEYS: KeyRange = Object.freeze({ from: EMPTY_BYTES, to: undefined });

export function prefixRange(prefix: Uint8Array): KeyRange {
  return { from: prefix, to: afterPrefix(prefix) };
}

/** The keys that are in both ranges; an empty range has `to` at or below `from`. */
export function intersect(a: KeyRange, b: KeyRange): KeyRange {
  const from = compareBytes(a.from, b.from) >= 0 ? a.from : b.from;
  if (a.to === undefined) return { from, to: b.to };
  if (b.to === undefined) return { from, to: a.to };
  return { from, to: compareBytes(a.to, b.to) <= 0 ? a.to : b.to };
}

export function inRange(key: Uint8Array, range: KeyRange): boolean {
  return compareBytes(key, range.from) >= 0 && (range.to === undefined || compareBytes(key, range.to) < 0);
}

/** Whether no key can be in a range. */
export function isEmptyRange(range: KeyRange): boolean {
  return range.to !== undefined && compareBytes(range.from, range.to) >= 0;
}

/** The least key above `key`: `key` followed by a zero byte. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
