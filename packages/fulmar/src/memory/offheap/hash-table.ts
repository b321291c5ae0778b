import { assert } from "../../base/assert.js";
import type { Ref } from "../engine.js";
import type { Records } from "./records.js";
import { exponentOf } from "./shape.js";

const EMPTY = 0;
/** A slot whose key was removed: a search goes on past it. */
const REMOVED = 1;
const TAG_MIN = 2;
/** A record's reference and a byte of its key's hash. */
const SLOT_BYTES = 5;
const NO_REFS = new Uint32Array(0);

/**
 * Open addressing with linear probing: a record and one byte of its key's hash in each slot, so that a
 * search looks at a record only if that byte agrees. Chunks of slots are allocated when first used,
 * which spreads the cost of a large table over many changes.
 */
export class HashTable {
  readonly slots: number;
  readonly #chunkShift: number;
  readonly #chunkMask: number;
  readonly #tags: Uint8Array[] = [];
  /** Stands for the tags of every chunk that was never allocated, so that searches need not ask. */
  readonly #blank: Uint8Array;
  readonly #refs: Uint32Array[] = [];
  #used = 0;
  #allocatedBytes: number;

  constructor(slots: number, chunkSlotsMax: number) {
    const chunkSlots = Math.min(slots, chunkSlotsMax);
    this.slots = slots;
    this.#chunkShift = exponentOf(chunkSlots);
    this.#chunkMask = chunkSlots - 1;
    this.#blank = new Uint8Array(chunkSlots);
    this.#allocatedBytes = chunkSlots;
    for (let i = 0; i < slots / chunkSlots; i++) {
      this.#tags.push(this.#blank);
      this.#refs.push(NO_REFS);
    }
  }

  /** Slots that are not empty: those with removed keys count too. */
  get used(): number {
    return this.#used;
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** Bytes once every chunk is allocated. */
  get bytesMax(): number {
    return HashTable.bytesFor(this.slots, this.#chunkMask + 1);
  }

  /** Bytes of a table with all its chunks. */
  static bytesFor(slots: number, chunkSlotsMax: number): number {
    return slots * SLOT_BYTES + Math.min(slots, chunkSlotsMax);
  }

  /** The slot of the key `bytes[from, to)`, or -1. Slots before `first` are searched no more. */
  find(records: Records, hash: number, bytes: Uint8Array, from: number, to: number, first: number): number {
    const tag = tagOf(hash);
    const mask = this.slots - 1;
    let slot = hash & mask;
    for (let probes = 0; probes < this.slots; probes++) {
      // Over what was moved away already: the search would otherwise end there, or go through all of it.
      if (slot < first) slot = first;
      const found = this.#tags[slot >>> this.#chunkShift][slot & this.#chunkMask];
      if (found === tag && records.hasKey(this.ref(slot), bytes, from, to)) return slot;
      if (found === EMPTY) return -1;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  ref(slot: number): Ref {
    return this.#refs[slot >>> this.#chunkShift][slot & this.#chunkMask];
  }

  setRef(slot: number, ref: Ref): void {
    this.#refs[slot >>> this.#chunkShift][slot & this.#chunkMask] = ref;
  }

  /** Adds a key that is not there. */
  add(hash: number, ref: Ref): void {
    const mask = this.slots - 1;
    let slot = hash & mask;
    let tags = this.#chunk(slot);
    while (tags[slot & this.#chunkMask] >= TAG_MIN) {
      slot = (slot + 1) & mask;
      if ((slot & this.#chunkMask) === 0) tags = this.#chunk(slot);
    }
    if (tags[slot & this.#chunkMask] === EMPTY) this.#used++;
    assert(this.#used < this.slots, "a table has an empty slot, where searches end");
    tags[slot & this.#chunkMask] = tagOf(hash);
    this.setRef(slot, ref);
  }

  /** Marks a slot, in a table that is being moved: what its end looks like is not known there. */
  strike(slot: number): void {
    this.#tags[slot >>> this.#chunkShift][slot & this.#chunkMask] = REMOVED;
  }

  remove(slot: number): void {
    const mask = this.slots - 1;
    const next = (slot + 1) & mask;
    if (this.#tag(next) !== EMPTY) {
      this.strike(slot);
      return;
    }
    // Nothing is behind it that a search must reach over it, nor over removed ones right before it.
    let last = slot;
    do {
      this.#tags[last >>> this.#chunkShift][last & this.#chunkMask] = EMPTY;
      this.#used--;
      last = (last - 1) & mask;
    } while (this.#tag(last) === REMOVED);
  }

  holds(slot: number): boolean {
    return this.#tag(slot) >= TAG_MIN;
  }

  /** Frees the chunks of the slots up to `end`, of which those before `from` were released before. */
  release(from: number, end: number): void {
    const last = end >>> this.#chunkShift;
    for (let chunk = from >>> this.#chunkShift; chunk < last; chunk++) {
      if (this.#tags[chunk] !== this.#blank) this.#allocatedBytes -= (this.#chunkMask + 1) * SLOT_BYTES;
      this.#tags[chunk] = this.#blank;
      this.#refs[chunk] = NO_REFS;
    }
  }

  /** The number of keys from slot `first` on, by a recount. */
  verify(first: number): number {
    let keys = 0;
    let used = 0;
    let bytes = this.#blank.length;
    for (let slot = first; slot < this.slots; slot++) {
      if (this.#tag(slot) !== EMPTY) used++;
      if (this.holds(slot)) keys++;
    }
    for (const [i, tags] of this.#tags.entries()) {
      if (tags !== this.#blank) bytes += tags.byteLength + this.#refs[i].byteLength;
    }
    assert(
      this.#blank.every((tag) => tag === EMPTY),
      "what stands for chunks without keys has none",
    );
    assert(bytes === this.#allocatedBytes, "the bytes of chunks are counted");
    assert(first > 0 || used === this.#used, "slots that are not empty are counted");
    return keys;
  }

  #tag(slot: number): number {
    return this.#tags[slot >>> this.#chunkShift][slot & this.#chunkMask];
  }

  /** The tags of the chunk of a slot, allocated if need be. */
  #chunk(slot: number): Uint8Array {
    const index = slot >>> this.#chunkShift;
    const present = this.#tags[index];
    if (present !== this.#blank) return present;
    const size = this.#chunkMask + 1;
    this.#tags[index] = new Uint8Array(size);
    this.#refs[index] = new Uint32Array(size);
    this.#allocatedBytes += SLOT_BYTES * size;
    return this.#tags[index];
  }
}

/** The upper eight bits of a hash, which do not choose the slot before 16 M keys; never a mark. */
function tagOf(hash: number): number {
  const tag = hash >>> 24;
  return tag < TAG_MIN ? tag + TAG_MIN : tag;
}
