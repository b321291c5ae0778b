import type { Random } from "../../base/runtime/interface.js";
import { refusal } from "../check.js";

const TWO_32 = 4294967296;

/** Four well mixed words from a text: FNV-1a per lane, finished as MurmurHash3 does. */
function wordsOf(text: string): [number, number, number, number] {
  const words: [number, number, number, number] = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35];
  for (let lane = 0; lane < 4; lane++) {
    let hash = words[lane];
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    words[lane] = (hash ^ (hash >>> 16)) >>> 0;
  }
  return words;
}

/**
 * A seeded generator of pseudo-random numbers: sfc32 (Chris Doty-Humphrey's Small Fast Chaotic, 128 bits
 * of state). Equal seeds give equal streams. {@link fork} depends on the seed and the label alone, never
 * on how much was drawn, so that a draw added to one subsystem does not reshuffle the others.
 */
export class Prng implements Random {
  readonly #path: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number | string) {
    if (typeof seed !== "number" && typeof seed !== "string")
      throw refusal("a seed must be a number or a text");
    this.#path = String(seed);
    [this.#a, this.#b, this.#c] = wordsOf(this.#path);
    for (let i = 0; i < 12; i++) this.word();
  }

  /** An independent stream for one subsystem, the same whenever it is taken. */
  fork(label: string): Prng {
    return new Prng(`${this.#path}/${label}`);
  }

  /** The next 32 bits. */
  word(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A uniform integer in [0, bound), 1 <= bound <= 2^32. Draws again rather than favour small numbers. */
  below(bound: number): number {
    // Below 1 none is fair: it would draw for ever.
    if (!Number.isInteger(bound) || bound < 1 || bound > TWO_32) {
      throw refusal("a bound must be an integer between 1 and 2^32");
    }
    const fair = TWO_32 - (TWO_32 % bound);
    for (;;) {
      const word = this.word();
      if (word < fair) return word % bound;
    }
  }

  /** A uniform number in [0, 1). */
  fraction(): number {
    return this.word() / TWO_32;
  }

  /** A uniform number in [least, most). */
  between(least: number, most: number): number {
    return least + (most - least) * this.fraction();
  }

  /** True with the given probability; draws nothing for 0 and 1, so that a disabled fault costs no draw. */
  chance(probability: number): boolean {
    if (probability <= 0) return false;
    return probability >= 1 || this.fraction() < probability;
  }

  /** One of `choices`, which must not be empty. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /** Puts `items` in a uniformly random order, in place. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j] as T, items[i] as T];
    }
    return items;
  }

  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i += 4) {
      let word = this.word();
      for (let j = i; j < i + 4 && j < target.length; j++, word >>>= 8) target[j] = word & 255;
    }
  }
}
