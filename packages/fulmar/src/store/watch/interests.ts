import { afterPrefix, equalBytes } from "../../base/bytes.js";
import type { KeyRange } from "../../keys/range.js";
import { IntervalTree } from "./interval-tree.js";

const HASH_START = 0x811c9dc5 | 0;
const HASH_PRIME = 0x01000193;

/** What begins with the same bytes: whole prefixes, and ranges whose ends have no more in common. */
interface Beginning<T> {
  readonly prefixes: Set<T>;
  readonly ranges: IntervalTree<T>;
  rangeCount: number;
}

/**
 * Who is interested in which keys. Single keys and prefixes are found by hash; ranges, too, by what their ends
 * begin with, and then in a tree. So a key that nobody watches costs about the same with one watch and with
 * many; only ranges whose ends begin alike cost a few comparisons, as many as there are digits in their number.
 */
export class Interests<T> {
  readonly #keys = new HashedBytes<Set<T>>(() => new Set());
  readonly #beginnings = new HashedBytes<Beginning<T>>(({ length }) => ({
    prefixes: new Set(),
    ranges: new IntervalTree(length),
    rangeCount: 0,
  }));
  /** How many beginnings there are of each length. */
  readonly #lengths: number[] = [];
  #lengthMax = -1;

  /** To be removed with the same objects. */
  add(range: KeyRange, item: T): void {
    if (isKey(range)) {
      this.#keys.place(range.from).add(item);
      return;
    }
    const bytes = beginningOf(range);
    const sizeBefore = this.#beginnings.size;
    const beginning = this.#beginnings.place(bytes);
    if (isPrefix(range)) beginning.prefixes.add(item);
    else {
      beginning.ranges.add(range, item);
      beginning.rangeCount++;
    }
    this.#countLength(bytes.length, this.#beginnings.size - sizeBefore);
  }

  remove(range: KeyRange, item: T): void {
    const { from } = range;
    if (isKey(range)) {
      const items = this.#keys.place(from);
      items.delete(item);
      if (items.size === 0) this.#keys.remove(from);
      return;
    }
    const bytes = beginningOf(range);
    const beginning = this.#beginnings.place(bytes);
    if (isPrefix(range)) beginning.prefixes.delete(item);
    else {
      beginning.ranges.remove(range, item);
      beginning.rangeCount--;
    }
    if (beginning.prefixes.size + beginning.rangeCount > 0) return;
    this.#beginnings.remove(bytes);
    this.#countLength(bytes.length, -1);
  }

  /** Shows everybody who is interested in `key` until `found` returns true, and says whether it did. */
  some(key: Uint8Array, found: (item: T) => boolean): boolean {
    const lengths = this.#lengths;
    const most = Math.min(key.length, this.#lengthMax);
    let hash = HASH_START;
    let at = 0;
    if (this.#lengthMax >= 0 && lengths[0] > 0 && this.#someBeginning(hash, key, 0, found)) return true;
    while (at < most) {
      hash = step(hash, key[at++]);
      if (lengths[at] > 0 && this.#someBeginning(hash, key, at, found)) return true;
    }
    if (this.#keys.size === 0) return false;
    while (at < key.length) hash = step(hash, key[at++]);
    const items = this.#keys.find(hash, key, key.length);
    return items !== undefined && someOf(items, found);
  }

  #someBeginning(hash: number, key: Uint8Array, length: number, found: (item: T) => boolean): boolean {
    const beginning = this.#beginnings.find(hash, key, length);
    if (beginning === undefined) return false;
    if (beginning.prefixes.size > 0 && someOf(beginning.prefixes, found)) return true;
    return beginning.rangeCount > 0 && beginning.ranges.some(key, found);
  }

  #countLength(length: number, by: number): void {
    const lengths = this.#lengths;
    while (lengths.length <= length) lengths.push(0);
    lengths[length] += by;
    while (lengths.length > 0 && lengths[lengths.length - 1] === 0) lengths.pop();
    this.#lengthMax = lengths.length - 1;
  }
}

function someOf<T>(items: ReadonlySet<T>, found: (item: T) => boolean): boolean {
  for (const item of items) if (found(item)) return true;
  return false;
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

/** What every key of a range begins with. */
function beginningOf(range: KeyRange): Uint8Array {
  const { from, to } = range;
  if (isPrefix(range)) return from;
  let length = 0;
  while (to !== undefined && length < from.length && from[length] === to[length]) length++;
  return from.subarray(0, length);
}

interface Place<V> {
  readonly bytes: Uint8Array;
  readonly value: V;
}

/** Values by a key of bytes. */
class HashedBytes<V> {
  readonly #places = new Map<number, Place<V>[]>();
  readonly #make: (bytes: Uint8Array) => V;
  #size = 0;

  constructor(make: (bytes: Uint8Array) => V) {
    this.#make = make;
  }

  get size(): number {
    return this.#size;
  }

  /** The value of `bytes`, made if there is none. */
  place(bytes: Uint8Array): V {
    const hash = hashOf(bytes);
    const known = this.find(hash, bytes, bytes.length);
    if (known !== undefined) return known;
    const place = { bytes, value: this.#make(bytes) };
    const places = this.#places.get(hash);
    if (places === undefined) this.#places.set(hash, [place]);
    else places.push(place);
    this.#size++;
    return place.value;
  }

  remove(bytes: Uint8Array): void {
    const hash = hashOf(bytes);
    const others = (this.#places.get(hash) ?? []).filter((place) => !equalBytes(place.bytes, bytes));
    if (others.length === 0) this.#places.delete(hash);
    else this.#places.set(hash, others);
    this.#size--;
  }

  /** The value of `key[0, length)`, whose hash is known. */
  find(hash: number, key: Uint8Array, length: number): V | undefined {
    const places = this.#places.get(hash);
    if (places === undefined) return undefined;
    for (const { bytes, value } of places) {
      if (bytes.length === length && beginsWith(key, bytes)) return value;
    }
    return undefined;
  }
}

function beginsWith(key: Uint8Array, bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (key[i] !== bytes[i]) return false;
  return true;
}
