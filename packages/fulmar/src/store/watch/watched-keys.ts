import { equalBytes } from "../../base/bytes.js";
import { bitsOf, hashOf } from "./hashing.js";

/** Keys for each word of the filter, at most. Of keys that are not in it one in fifty passes then, fewer before. */
const WORD_KEYS = 4;
const WORDS_MIN = 32;
/** Room for so many times the keys there are in a new filter: it is made anew now and then, and otherwise small. */
const ROOM = 1.25;

interface Place<T> {
  readonly key: Uint8Array;
  readonly items: Set<T>;
}

/**
 * Single keys, and who is interested in them. Of a key that nobody wants, one word of a filter tells: commits of other
 * keys find a small one in the processor's cache, and hardly ever look further.
 */
export class WatchedKeys<T> {
  readonly #places = new Map<number, Place<T>[]>();
  #size = 0;
  /** Three bits for each key, all in one word. As many words as a power of two. */
  #filter = new Int32Array(WORDS_MIN);
  /** A bit for each length of a key, by its last five bits: most keys of another length are told without a hash. */
  #lengths = 0;
  /** Keys that are gone, but still in the filter. */
  #gone = 0;

  add(key: Uint8Array, item: T): void {
    const hash = hashOf(key);
    const known = this.#find(hash, key);
    if (known !== undefined) {
      known.items.add(item);
      return;
    }
    const place = { key, items: new Set([item]) };
    const places = this.#places.get(hash);
    if (places === undefined) this.#places.set(hash, [place]);
    else places.push(place);
    this.#size++;
    this.#mark(hash, key.length);
    this.#fit();
  }

  remove(key: Uint8Array, item: T): void {
    const hash = hashOf(key);
    const place = this.#find(hash, key);
    if (place?.items.delete(item) !== true || place.items.size > 0) return;
    const others = (this.#places.get(hash) ?? []).filter((one) => one !== place);
    if (others.length === 0) this.#places.delete(hash);
    else this.#places.set(hash, others);
    this.#size--;
    this.#gone++;
    this.#fit();
  }

  /** Shows everybody who is interested in `key` until `found` returns true, and says whether it did. */
  some(key: Uint8Array, found: (item: T) => boolean): boolean {
    if ((this.#lengths & (1 << key.length)) === 0) return false;
    const hash = hashOf(key);
    const filter = this.#filter;
    const bits = bitsOf(hash);
    if ((filter[hash & (filter.length - 1)] & bits) !== bits) return false;
    const place = this.#find(hash, key);
    if (place === undefined) return false;
    for (const item of place.items) if (found(item)) return true;
    return false;
  }

  #find(hash: number, key: Uint8Array): Place<T> | undefined {
    return this.#places.get(hash)?.find((place) => equalBytes(place.key, key));
  }

  #mark(hash: number, length: number): void {
    this.#lengths |= 1 << length;
    this.#filter[hash & (this.#filter.length - 1)] |= bitsOf(hash);
  }

  /** Makes another filter when this one is too small, or half of what it holds is gone. */
  #fit(): void {
    const isRoomy = this.#size + this.#gone <= WORD_KEYS * this.#filter.length;
    const isMostlyThere = this.#gone <= Math.max(this.#size, WORD_KEYS * WORDS_MIN);
    if (this.#size > 0 && isRoomy && isMostlyThere) return;
    let words = WORDS_MIN;
    while (WORD_KEYS * words < ROOM * this.#size) words *= 2;
    this.#filter = new Int32Array(words);
    this.#lengths = 0;
    this.#gone = 0;
    for (const [hash, places] of this.#places) for (const { key } of places) this.#mark(hash, key.length);
  }
}
