import type { KeyRange } from "../../keys/range.js";
import { Boundaries } from "./boundaries.js";
import { bitsOf, finished, hashOf, mixed, wordAt } from "./hashing.js";

/** At so many lengths the beginning of a key is looked up, at most. */
const LENGTHS_MAX = 4;
/** So many beginnings, at most, take the place of a shorter one that they share. */
const BRANCHES_MAX = 16;
/** But for one as short as this: there are few, and one of a watch of half of all keys would let every key pass. */
const SHORT_BYTES = 1;
/** Beginnings for each word of the filter, at most. */
const WORD_BEGINNINGS = 4;

/**
 * How the keys in some ranges begin. Of a key that begins otherwise one word of a filter for each length tells that it
 * is in none of them: while commits of other keys use the processor's caches, that is one step that waits for memory,
 * where a search among the ends of the ranges has several, each of which waits for the one before.
 */
export class Beginnings {
  /** Ascending. */
  readonly #lengths: readonly number[];
  /** Three bits for each beginning, all in one word. As many words as a power of two. */
  readonly #words: Int32Array;
  /** A range was added that is too wide to be told by these lengths. */
  #isOpen = false;

  constructor(lengths: readonly number[], count: number) {
    this.#lengths = lengths;
    let words = 1;
    while (WORD_BEGINNINGS * words < count) words *= 2;
    this.#words = new Int32Array(words);
  }

  /** Whether `key` may be in one of the ranges. */
  mayHold(key: Uint8Array): boolean {
    if (this.#isOpen) return true;
    const lengths = this.#lengths;
    const words = this.#words;
    let hash = 0;
    let at = 0;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i];
      if (length > key.length) return false;
      for (; at + 4 <= length; at += 4) hash = mixed(hash, wordAt(key, at));
      const end = finished(hash, key, at, length);
      const bits = bitsOf(end);
      if ((words[end & (words.length - 1)] & bits) === bits) return true;
    }
    return false;
  }

  /** Of a beginning as much as is looked up counts. */
  add(beginning: Uint8Array): void {
    const length = this.#lengths.findLast((one) => one <= beginning.length);
    if (length === undefined) {
      this.#isOpen = true;
      return;
    }
    const hash = hashOf(beginning.subarray(0, length));
    this.#words[hash & (this.#words.length - 1)] |= bitsOf(hash);
  }

  addRange(range: KeyRange): void {
    for (const beginning of beginningsOf(range)) this.add(beginning);
  }
}

/** Collects {@link Beginnings} of ranges. */
export class BeginningsBuilder {
  readonly #all = new Boundaries();
  readonly #counts = new Map<number, number>();

  add(range: KeyRange): void {
    for (const beginning of beginningsOf(range)) {
      this.#all.push(beginning);
      this.#counts.set(beginning.length, (this.#counts.get(beginning.length) ?? 0) + 1);
    }
  }

  finish(): Beginnings {
    const { count, bytes, offsets } = this.#all.take();
    const beginnings = new Beginnings(this.#lengths(), count);
    for (let i = 0; i < count; i++) beginnings.add(bytes.subarray(offsets[i], offsets[i + 1]));
    return beginnings;
  }

  /** The shortest, by which each can be told, and the most frequent of the others. */
  #lengths(): number[] {
    const [shortest, ...others] = [...this.#counts].sort(([a], [b]) => a - b);
    if (shortest === undefined) return [];
    const frequent = others.sort(([, a], [, b]) => b - a).slice(0, LENGTHS_MAX - 1);
    return [shortest, ...frequent].map(([length]) => length).sort((a, b) => a - b);
  }
}

/** Each key of a range that is not empty begins with one of these. */
function beginningsOf({ from, to }: KeyRange): Uint8Array[] {
  const shared = to === undefined ? 0 : sharedBytes(from, to);
  const common = from.subarray(0, shared);
  if (from.length === shared) return [common];
  const first = from[shared];
  // What ends with the byte by which it is told from the lower end holds no key that begins with it.
  const last = to === undefined ? 255 : to[shared] - Number(to.length === shared + 1);
  if (shared > SHORT_BYTES && last - first >= BRANCHES_MAX) return [common];
  return Array.from({ length: last - first + 1 }, (_, i) => Uint8Array.of(...common, first + i));
}

function sharedBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < length && a[shared] === b[shared]) shared++;
  return shared;
}
