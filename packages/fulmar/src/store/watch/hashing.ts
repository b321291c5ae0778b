/** Goes on with a hash by four bytes. */
export function mixed(hash: number, word: number): number {
  const product = Math.imul(word, 0xcc9e2d51);
  const next = hash ^ Math.imul((product << 15) | (product >>> 17), 0x1b873593);
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0x6b64e654) | 0;
}

/** The hash of the first `length` bytes, of which those before `at` are in `hash` already; at most three are not. */
export function finished(hash: number, bytes: Uint8Array, at: number, length: number): number {
  let last = length;
  for (let i = at; i < length; i++) last = (last << 8) | bytes[i];
  let end = Math.imul(hash ^ last, 0x85ebca6b);
  end = Math.imul(end ^ (end >>> 15), 0xc2b2ae35);
  return end ^ (end >>> 16);
}

/** Four bytes at a time, unlike what byte by byte would do with long keys. */
export function hashOf(key: Uint8Array): number {
  const { length } = key;
  let hash = 0;
  let at = 0;
  for (; at + 4 <= length; at += 4) hash = mixed(hash, wordAt(key, at));
  return finished(hash, key, at, length);
}

export function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

/** Three bits of a word of a filter, chosen by what does not choose the word. */
export function bitsOf(hash: number): number {
  const mix = Math.imul(hash, 0x9e3779b1);
  return (1 << (mix >>> 27)) | (1 << (mix >>> 22)) | (1 << (mix >>> 17));
}
