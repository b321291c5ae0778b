import { afterPrefix, equalBytes } from "../../base/bytes.js";
import type { KeyRange } from "../../keys/range.js";
import { IntervalTree } from "./interval-tree.js";

const HASH_START = 0x811c9dc5 | 0;
const HASH_PRIME = 0x01000193;

/**
 * Who is interested in which keys. Single keys and prefixes are found by hash, whatever their number; other
 * ranges in a tree. So a key that nobody watches costs about the same with one watch and with many.
 */
export class Interests<T> {
  readonly #keys = new HashedBytes<T>();
  readonly #prefixes = new HashedBytes<T>();
  readonly #ranges = new IntervalTree<T>();
  /** How many prefixes there are of each length. */
  readonly #lengths: number[] = [];
  #prefixBytesMax = 0;
  #rangeCount = 0;

  /** Each pair of the very same range and item once; to be removed with the same objects. */
  add(range: KeyRange, item: T): void {
    const { from } = range;
    if (isKey(range)) this.#keys.add(from, item);
    else if (isPrefix(range)) {
      this.#prefixes.add(from, item);
      this.#countLength(from.length, 1);
    } else {
      this.#ranges.add(range, item);
      this.#rangeCount++;
    }
  }

  remove(range: KeyRange, item: T): void {
    const { from } = range;
    if (isKey(range)) this.#keys.remove(from, item);
    else if (isPrefix(range)) {
      this.#prefixes.remove(from, item);
      this.#countLength(from.length, -1);
    } else {
      this.#ranges.remove(range, item);
      this.#rangeCount--;
    }
  }

  /** Shows everybody who is interested in `key` until `found` returns true, and says whether it did. */
  some(key: Uint8Array, found: (item: T) => boolean): boolean {
    let hash = HASH_START;
    let at = 0;
    if (this.#prefixBytesMax > 0) {
      const lengths = this.#lengths;
      for (const most = Math.min(key.length, this.#prefixBytesMax); at < most; ) {
        hash = step(hash, key[at++]);
        if (lengths[at] > 0 && this.#prefixes.some(hash, key, at, found)) return true;
      }
    }
    if (this.#keys.size > 0) {
      while (at < key.length) hash = step(hash, key[at++]);
      if (this.#keys.some(hash, key, key.length, found)) return true;
    }
    return this.#rangeCount > 0 && this.#ranges.some(key, found);
  }

  #countLength(length: number, by: number): void {
    const lengths = this.#lengths;
    while (lengths.length <= length) lengths.push(0);
    lengths[length] += by;
    while (lengths.length > 0 && lengths[lengths.length - 1] === 0) lengths.pop();
    this.#prefixBytesMax = Math.max(0, lengths.length - 1);
  }
}

function step(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, HASH_PRIME);
}

function hashOf(bytes: Uint8Array): number {
  let hash = HASH_START;
  for (const byte of bytes) hash = step(hash, byte);
  return hash;
}

/** Whether a range holds exactly one key: up to what follows it directly. */
function isKey({ from, to }: KeyRange): boolean {
  return to?.length === from.length + 1 && to[from.length] === 0 && equalBytes(to.subarray(0, -1), from);
}

function isPrefix({ from, to }: KeyRange): boolean {
  if (from.length === 0 || to === undefined) return false;
  const after = afterPrefix(from);
  return after !== undefined && equalBytes(after, to);
}

interface Place<T> {
  readonly bytes: Uint8Array;
  readonly items: Set<T>;
}

/** Sets of items by a key of bytes. */
class HashedBytes<T> {
  readonly #places = new Map<number, Place<T>[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(bytes: Uint8Array, item: T): void {
    const hash = hashOf(bytes);
    const places = this.#places.get(hash) ?? [];
    if (places.length === 0) this.#places.set(hash, places);
    let place = places.find((candidate) => equalBytes(candidate.bytes, bytes));
    if (place === undefined) {
      place = { bytes, items: new Set() };
      places.push(place);
    }
    place.items.add(item);
    this.#size++;
  }

  remove(bytes: Uint8Array, item: T): void {
    const hash = hashOf(bytes);
    const places = this.#places.get(hash) ?? [];
    const index = places.findIndex((candidate) => equalBytes(candidate.bytes, bytes));
    if (index < 0 || !places[index].items.delete(item)) return;
    this.#size--;
    if (places[index].items.size > 0) return;
    places.splice(index, 1);
    if (places.length === 0) this.#places.delete(hash);
  }

  /** The items of `key[0, length)`, whose hash is known. */
  some(hash: number, key: Uint8Array, length: number, found: (item: T) => boolean): boolean {
    const places = this.#places.get(hash);
    if (places === undefined) return false;
    for (const { bytes, items } of places) {
      if (!equalBytes(bytes, length === key.length ? key : key.subarray(0, length))) continue;
      for (const item of items) if (found(item)) return true;
    }
    return false;
  }
}
