import { type Cursor, type Digest, type EntryHash, type MemoryEngine, NONE } from "./engine.js";

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

/** The digest of the records that a cursor gives. */
export function digestOf(
  engine: Pick<MemoryEngine, "slab" | "offset">,
  cursor: Cursor,
  hashEntry: EntryHash,
): Digest {
  const sum = new Uint32Array(DIGEST_WORDS);
  const hash = new Uint32Array(DIGEST_WORDS);
  let count = 0;
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
    hashEntry(engine.slab(ref), engine.offset(ref), hash);
    addHash(sum, hash);
    count++;
  }
  return { count, sum };
}

export function equalDigests(a: Digest, b: Digest): boolean {
  return a.count === b.count && a.sum.every((word, i) => word === b.sum[i]);
}
