/**
 * HalfSipHash-1-3 (Aumasson and Bernstein): a 32-bit hash under a 64-bit secret, made for hash tables. Who
 * does not know the secret cannot choose keys that meet in one place of the table.
 */
export class KeyHash {
  readonly #v0: number;
  readonly #v1: number;
  readonly #v2: number;
  readonly #v3: number;

  /** The two words of the secret. */
  constructor(secret: readonly [number, number]) {
    this.#v0 = secret[0] | 0;
    this.#v1 = secret[1] | 0;
    this.#v2 = 0x6c796765 ^ secret[0];
    this.#v3 = 0x74656462 ^ secret[1];
  }

  /**
   * The hash of `bytes[from, to)`, signed: half of the unsigned ones would be too large to be handed on without an
   * object for each.
   */
  of(bytes: Uint8Array, from: number, to: number): number {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    const length = to - from;
    const wordsEnd = from + (length & ~3);
    let at = from;
    // The round is written twice, for whole words and for what follows: everything stays in registers, and
    // the first loop, in which most of the time goes, has no branch.
    for (; at < wordsEnd; at += 4) {
      const word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    // What is left, filled up with the length, and then three rounds more.
    let last = length << 24;
    for (let j = 0; at + j < to; j++) last |= bytes[at + j] << (8 * j);
    v3 ^= last;
    for (let i = 0; i < 4; i++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      if (i > 0) continue;
      v0 ^= last;
      v2 ^= 0xff;
    }
    return v1 ^ v3;
  }
}
