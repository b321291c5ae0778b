const CACHE_LINE_BYTES = 64;
/** Of longer pieces the processor itself fetches the rest, because they are read in one go. */
const FETCHED_BYTES_MAX = 512;
const fetched = new Uint8Array(1);

/** Has the processor fetch `length` bytes from `at` on while it does something else. */
export function fetchBytes(bytes: Uint8Array, at: number, length: number): void {
  const last = at + Math.min(length, FETCHED_BYTES_MAX) - 1;
  let bits = bytes[last];
  for (let next = at + CACHE_LINE_BYTES; next < last; next += CACHE_LINE_BYTES) bits |= bytes[next];
  keepRead(bits);
}

/** What is never used is never read. */
export function keepRead(bits: number): void {
  fetched[0] = bits;
}
