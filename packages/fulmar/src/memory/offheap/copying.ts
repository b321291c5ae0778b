/** Up to so many bytes a loop copies faster than the view that `set` needs is made ... */
const LOOP_BYTES_MAX = 64;
/** ... and up to so many words. */
const LOOP_WORDS_MAX = 64;

/** Copies `length` bytes from the index `at` of one array to the index `to` of another. */
export function copyBytes(bytes: Uint8Array, at: number, into: Uint8Array, to: number, length: number): void {
  if (length <= LOOP_BYTES_MAX) for (let i = 0; i < length; i++) into[to + i] = bytes[at + i];
  else into.set(bytes.subarray(at, at + length), to);
}

/** Copies `count` words from the index `at` of one array to the index `to` of another, or of the same elsewhere. */
export function copyWords(
  words: Uint32Array,
  at: number,
  into: Uint32Array,
  to: number,
  count: number,
): void {
  if (count <= LOOP_WORDS_MAX) for (let i = 0; i < count; i++) into[to + i] = words[at + i];
  else into.set(words.subarray(at, at + count), to);
}
