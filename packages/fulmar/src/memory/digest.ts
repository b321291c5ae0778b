import type { Digest } from "./engine.js";

/** Words of a hash and of a sum of hashes. */
export const DIGEST_WORDS = 4;

/** Adds `addend` to `sum`, modulo 2^128, least significant word first. */
export function addHash(sum: Uint32Array, addend: Uint32Array): void {
  let carry = 0;
  for (let i = 0; i < DIGEST_WORDS; i++) {
    const word = sum[i] + addend[i] + carry;
    sum[i] = word;
    carry = word > 0xffffffff ? 1 : 0;
  }
}

export function equalDigests(a: Digest, b: Digest): boolean {
  return a.count === b.count && a.sum.every((word, i) => word === b.sum[i]);
}
