// Heads are what a search in the key tree compares instead of keys; see KeyNodes.

/** The four bytes from `at` on as a number that orders as they do; bytes beyond the end count as zero. */
export function headOf(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
  }
  let head = 0;
  for (let i = 0; i < 4; i++) head = (head << 8) | (at + i < end ? bytes[at + i] : 0);
  return head >>> 0;
}

const LENGTH_MASK = 0xffff;
/** Bytes of a prefix that a node has itself. */
export const PREFIX_END_BYTES = 2;

/**
 * What a node says of the prefix that its keys begin with, `bytes[from, from + length)`: how long that is, and in
 * the upper half its last two bytes, so that a key need not be read for these.
 */
export function prefixWord(bytes: Uint8Array, from: number, length: number): number {
  return ((prefixEnd(bytes, from, length) << 16) | length) >>> 0;
}

export function prefixLength(word: number): number {
  return word & LENGTH_MASK;
}

/**
 * On which side of a node's prefix a key lies that is as long at least, and surely has all bytes of it but the last
 * two: zero if it has these, too.
 */
export function sideOfPrefix(word: number, bytes: Uint8Array, from: number): number {
  return prefixEnd(bytes, from, prefixLength(word)) - (word >>> 16);
}

function prefixEnd(bytes: Uint8Array, from: number, length: number): number {
  if (length < PREFIX_END_BYTES) return length === 0 ? 0 : bytes[from];
  return (bytes[from + length - 2] << 8) | bytes[from + length - 1];
}

/** The index in `[low, high)` of the first head that is not below `head`, or `high`. */
export function firstHeadFrom(
  words: Uint32Array,
  heads: number,
  low: number,
  high: number,
  head: number,
): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (words[heads + middle] < head) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** How many bytes two keys begin with in common. */
export function commonLength(
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
): number {
  const length = Math.min(aTo - aFrom, bTo - bFrom);
  let i = 0;
  while (i < length && a[aFrom + i] === b[bFrom + i]) i++;
  return i;
}
