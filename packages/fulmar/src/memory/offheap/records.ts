import { assert } from "../../base/assert.js";
import { readU16 } from "../../base/bytes.js";
import { ENTRY_HEADER_BYTES, entryLength, HAS_DEADLINE } from "../../record/entry.js";
import { NONE, type Ref } from "../engine.js";
import { Arena } from "./arena.js";
import type { EngineShape } from "./shape.js";

/**
 * A record is three words and then its encoded entry:
 *
 * ```text
 * word 0  the version of the key that it replaced, or NONE
 * word 1  version, lower 32 bits
 * word 2  version, upper 21 bits, and flags above them
 * ```
 *
 * There is no link to the newer version: whoever needs it starts at the newest, which the hash index
 * gives. That saves a word for each key, and only records that were replaced are ever asked.
 */
export const RECORD_HEADER_BYTES = 12;

/** A newer version of the key replaced it. */
export const SUPERSEDED = 1 << 21;
/** Its commit is not settled: the queue of those names it. */
export const QUEUED = 1 << 22;
/** A pinned version's list names it. */
export const HELD = 1 << 23;
/** A later entry of its own commit replaced it: only the queue still knows it. */
export const DISCARDED = 1 << 24;
const FREED = 1 << 25;
const VERSION_HIGH = SUPERSEDED - 1;
const TWO_32 = 4294967296;

/** Up to so many bytes a loop copies faster than the view that `set` needs is made. */
const LOOP_BYTES_MAX = 64;
/** Offset of an entry's flags, and of its key's length. */
const ENTRY_FLAGS = 2;

/** Reads and writes records in the arena. */
export class Records {
  readonly arena: Arena;
  readonly #bytes: Uint8Array[];
  readonly #words: Uint32Array[];
  readonly #slabShift: number;
  readonly #unitMask: number;
  #count = 0;
  #entryBytes = 0;

  constructor(shape: EngineShape) {
    this.arena = new Arena(shape);
    this.#bytes = this.arena.slabs.bytes;
    this.#words = this.arena.slabs.words;
    this.#slabShift = this.arena.slabs.slabShift;
    this.#unitMask = this.arena.slabs.unitMask;
  }

  /** Records that are versions of keys; discarded ones are not. */
  get count(): number {
    return this.#count;
  }

  /** Encoded bytes of these. */
  get entryBytes(): number {
    return this.#entryBytes;
  }

  slab(ref: Ref): Uint8Array {
    return this.#bytes[ref >>> this.#slabShift];
  }

  offset(ref: Ref): number {
    return (ref & this.#unitMask) * 8 + RECORD_HEADER_BYTES;
  }

  versionOf(ref: Ref): number {
    const words = this.#words[ref >>> this.#slabShift];
    const at = (ref & this.#unitMask) * 2;
    return words[at + 1] + (words[at + 2] & VERSION_HIGH) * TWO_32;
  }

  older(ref: Ref): Ref {
    return this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2];
  }

  setOlder(ref: Ref, older: Ref): void {
    this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2] = older;
  }

  has(ref: Ref, flag: number): boolean {
    return (this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2 + 2] & flag) !== 0;
  }

  raise(ref: Ref, flag: number): void {
    this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2 + 2] |= flag;
  }

  lower(ref: Ref, flag: number): void {
    this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2 + 2] &= ~flag;
  }

  /** Copies an entry into the arena. */
  add(version: number, flags: number, bytes: Uint8Array, at: number, length: number): Ref {
    const ref = this.arena.take(RECORD_HEADER_BYTES + length);
    const words = this.#words[ref >>> this.#slabShift];
    const word = (ref & this.#unitMask) * 2;
    words[word] = NONE;
    words[word + 1] = version % TWO_32;
    words[word + 2] = Math.floor(version / TWO_32) | flags;
    const slab = this.#bytes[ref >>> this.#slabShift];
    const offset = word * 4 + RECORD_HEADER_BYTES;
    if (length <= LOOP_BYTES_MAX) for (let i = 0; i < length; i++) slab[offset + i] = bytes[at + i];
    else slab.set(bytes.subarray(at, at + length), offset);
    this.#count++;
    this.#entryBytes += length;
    return ref;
  }

  /** Counts a record no more that only the queue still knows. */
  discard(ref: Ref): void {
    this.raise(ref, DISCARDED);
    this.#uncount(ref);
  }

  free(ref: Ref): void {
    assert(!this.has(ref, FREED | HELD | QUEUED), "a record is freed once, and by whoever lists it");
    if (!this.has(ref, DISCARDED)) this.#uncount(ref);
    this.raise(ref, FREED);
    this.arena.give(ref);
  }

  /** Where the key of a record begins in its slab. */
  keyStart(ref: Ref): number {
    const offset = this.offset(ref);
    return offset + ENTRY_HEADER_BYTES + (this.slab(ref)[offset + ENTRY_FLAGS] & HAS_DEADLINE ? 8 : 0);
  }

  keyLength(ref: Ref): number {
    return readU16(this.slab(ref), this.offset(ref));
  }

  /** Whether the key of a record is `bytes[from, to)`. */
  hasKey(ref: Ref, bytes: Uint8Array, from: number, to: number): boolean {
    const slab = this.#bytes[ref >>> this.#slabShift];
    const offset = (ref & this.#unitMask) * 8 + RECORD_HEADER_BYTES;
    const length = to - from;
    if ((slab[offset] | (slab[offset + 1] << 8)) !== length) return false;
    const start = offset + ENTRY_HEADER_BYTES + (slab[offset + ENTRY_FLAGS] & HAS_DEADLINE ? 8 : 0);
    // Keys that differ mostly do so at their end, where numbers are.
    for (let i = length - 1; i >= 0; i--) if (slab[start + i] !== bytes[from + i]) return false;
    return true;
  }

  #uncount(ref: Ref): void {
    this.#count--;
    this.#entryBytes -= entryLength(this.slab(ref), this.offset(ref));
  }
}
