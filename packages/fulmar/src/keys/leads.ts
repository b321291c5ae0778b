import { EMPTY_BYTES } from "../base/bytes.js";
import { intersect, isEmptyRange, type KeyRange } from "./range.js";

/**
 * First bytes of encoded keys. UTF-8 uses none of F5 to FF, so that a string needs no lead byte and
 * comes before every other kind.
 */

/** Begins the keys of namespaces: reserved. */
export const NAMESPACE_PREFIX = 0xf5;
/** Begins the keys of the store's own data: reserved. */
export const OWN_PREFIX = 0xf6;
export const LEAD_BYTES = 0xf8;
export const LEAD_NUMBER = 0xf9;
export const LEAD_BIGINT = 0xfa;
export const LEAD_BOOLEAN = 0xfb;
export const LEAD_TUPLE = 0xfe;

/** What is not reserved: strings below the reserved keys, the other kinds above. */
const STRING_KEYS: KeyRange = Object.freeze({ from: EMPTY_BYTES, to: Uint8Array.of(NAMESPACE_PREFIX) });
const OTHER_KEYS: KeyRange = Object.freeze({ from: Uint8Array.of(OWN_PREFIX + 1), to: undefined });

/** Whether an encoded key lies in the ranges that applications cannot name: F5 and F6. */
export function isReserved(bytes: Uint8Array): boolean {
  return bytes[0] === NAMESPACE_PREFIX || bytes[0] === OWN_PREFIX;
}

/** The parts of `range` outside the reserved keys, in ascending order: none, one or two. */
export function userRanges(range: KeyRange): KeyRange[] {
  const strings = intersect(STRING_KEYS, range);
  const others = intersect(OTHER_KEYS, range);
  if (isEmptyRange(strings)) return isEmptyRange(others) ? [] : [others];
  return isEmptyRange(others) ? [strings] : [strings, others];
}
