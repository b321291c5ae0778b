import { HAS_DEADLINE } from "./entry.js";

/**
 * The numbers of an entry, read in words of the machine: seven reads in the place of twenty-four. The entry begins
 * with the word `at`, and the first byte of a word is its lowest one. See `entry.ts` for what is where.
 */

const TWO_32 = 4294967296;

export function keyLengthIn(words: Uint32Array, at: number): number {
  return words[at] & 0xffff;
}

export function hasDeadlineIn(words: Uint32Array, at: number): boolean {
  return ((words[at] >>> 16) & HAS_DEADLINE) !== 0;
}

export function originIn(words: Uint32Array, at: number): number {
  return (words[at] >>> 24) | ((words[at + 1] & 0xffff) << 8);
}

export function valueLengthIn(words: Uint32Array, at: number): number {
  return ((words[at + 1] >>> 16) | (words[at + 2] << 16)) >>> 0;
}

export function hlcIn(words: Uint32Array, at: number): number {
  const low = ((words[at + 3] >>> 16) | (words[at + 4] << 16)) >>> 0;
  return low + ((words[at + 4] >>> 16) | ((words[at + 5] & 0xff) << 16)) * TWO_32;
}

export function seqIn(words: Uint32Array, at: number): number {
  const low = ((words[at + 5] >>> 8) | (words[at + 6] << 24)) >>> 0;
  return low + (words[at + 6] >>> 8) * TWO_32;
}
