import { assert } from "../../base/assert.js";
import { readU16, readU32 } from "../../base/bytes.js";
import {
  DEADLINE_BYTES,
  ENTRY_HEADER_BYTES,
  entryLength,
  HAS_DEADLINE,
  TOMBSTONE,
} from "../../record/entry.js";
import { NONE, type Ref } from "../engine.js";
import { Arena } from "./arena.js";
import type { Backing } from "./backing.js";
import { copyBytes, copyWords } from "./copying.js";
import { fetchBytes, keepRead } from "./fetching.js";
import { type Node, NodePool } from "./node-pool.js";
import { DISCARDED, FREED, HELD, LINKED, QUEUED, VERSION_HIGH } from "./record-marks.js";
import type { EngineShape } from "./shape.js";

/**
 * A record is two words, one more in an engine that tracks its keys, one more in an engine whose memory is
 * shared, and then its encoded entry:
 *
 * ```text
 * word 0  version, lower 32 bits; or its link, with the mark LINKED
 * word 1  version, upper 21 bits, and marks above them
 * word 2  the slot of the key, if tracked
 * next    the record that it replaced, if shared; meaningful with the mark LINKED
 * ```
 *
 * What a record replaced is only of interest until that is let go of, mostly at once. For that time it has
 * a link: a pair of words elsewhere, with the replaced record and the lower bits of the version, whose
 * place the link takes. So no key pays for it in the end.
 *
 * Readers on other threads cannot follow a word that changes its meaning. Where memory is shared a record has
 * a word of its own for what it replaced, and keeps its mark and that word until its memory is used again.
 *
 * There is no way to the newer version: whoever needs it starts at the newest, which the hash index
 * gives. That saves a word for each key, and only records that were replaced are ever asked.
 */
const HEADER_BYTES = 8;
const SLOT_WORD = HEADER_BYTES / 4;

/** Bytes of the version before an entry in a checkpoint. */
const ITEM_VERSION_BYTES = 8;
const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Words that are at most a line of memory apart and have between them the header and the key, if that is short. */
const FIRST_WORD = 1;
const KEY_END_WORD = 12;

/** Words of a link. */
const LINK_OLDER = 0;
const LINK_VERSION = 1;
const LINK_WORDS = 2;

const TWO_32 = 4294967296;

/** Offset of an entry's flags, and of its key's length. */
const ENTRY_FLAGS = 2;

/** Reads and writes records in the arena. */
export class Records {
  readonly arena: Arena;
  readonly links: NodePool;
  readonly #bytes: Uint8Array[];
  readonly #words: Uint32Array[];
  readonly #slabShift: number;
  readonly #unitMask: number;
  readonly headerBytes: number;
  readonly #isTracked: boolean;
  /** Where a record names what it replaced; 0 when it has a link for that. */
  readonly olderWord: number;
  /** Marks of records that others name than the indexes. */
  readonly #named: number;
  #count = 0;
  #entryBytes = 0;

  /** `isTracked` gives each key a slot; `backing` is where shared memory comes from. */
  constructor(shape: EngineShape, isTracked = false, backing?: Backing) {
    this.arena = new Arena(shape, backing);
    this.links = new NodePool({ ...shape, nodeWords: LINK_WORDS });
    this.#bytes = this.arena.slabs.bytes;
    this.#words = this.arena.slabs.words;
    this.#slabShift = this.arena.slabs.slabShift;
    this.#unitMask = this.arena.slabs.unitMask;
    this.#isTracked = isTracked;
    const ownBytes = isTracked ? HEADER_BYTES + 4 : HEADER_BYTES;
    this.olderWord = backing === undefined ? 0 : ownBytes / 4;
    this.headerBytes = backing === undefined ? ownBytes : ownBytes + 4;
    // Where memory is shared the mark of a link stays, when what a record replaced is gone.
    this.#named = HELD | QUEUED | DISCARDED | (backing === undefined ? LINKED : 0);
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

  /** Undefined where the first byte of a word is not its lowest one. */
  words(ref: Ref): Uint32Array | undefined {
    return IS_LITTLE_ENDIAN ? this.#words[ref >>> this.#slabShift] : undefined;
  }

  offset(ref: Ref): number {
    return (ref & this.#unitMask) * 8 + this.headerBytes;
  }

  versionOf(ref: Ref): number {
    const words = this.#words[ref >>> this.#slabShift];
    const at = (ref & this.#unitMask) * 2;
    const high = words[at + 1];
    const low = (high & LINKED) === 0 ? words[at] : this.#linkedVersion(words[at]);
    return low + (high & VERSION_HIGH) * TWO_32;
  }

  /** The version of the key that a record replaced, or NONE. */
  older(ref: Ref): Ref {
    const words = this.#words[ref >>> this.#slabShift];
    const at = (ref & this.#unitMask) * 2;
    if ((words[at + 1] & LINKED) === 0) return NONE;
    if (this.olderWord === 0) return this.#linkWord(words[at], LINK_OLDER);
    // For the owner nothing leads on from a discarded record; a reader that is at it still goes on.
    return (words[at + 1] & DISCARDED) === 0 ? words[at + this.olderWord] : NONE;
  }

  setOlder(ref: Ref, older: Ref): void {
    const words = this.#words[ref >>> this.#slabShift];
    const at = (ref & this.#unitMask) * 2;
    const isLinked = (words[at + 1] & LINKED) !== 0;
    if (older === NONE && !isLinked) return;
    if (this.olderWord !== 0) {
      // A reader may be on its way through this very word: it finds what was there or what is there now.
      Atomics.store(words, at + this.olderWord, older);
      words[at + 1] |= LINKED;
      return;
    }
    if (older === NONE) {
      this.#unlink(words, at);
      return;
    }
    if (isLinked) this.links.words(words[at])[this.links.base(words[at]) + LINK_OLDER] = older;
    else words[at] = this.#link(older, words[at]);
    words[at + 1] |= LINKED;
  }

  /** The slot of the key of a record; 0 in an engine that does not track its keys. */
  slotOf(ref: Ref): number {
    return this.#isTracked ? this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2 + SLOT_WORD] : 0;
  }

  setSlot(ref: Ref, slot: number): void {
    assert(this.#isTracked, "only an engine that tracks its keys has slots");
    this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2 + SLOT_WORD] = slot;
  }

  /** Gives a record the slot of another of the same key. */
  copySlot(from: Ref, to: Ref): void {
    if (this.#isTracked) this.setSlot(to, this.slotOf(from));
  }

  has(ref: Ref, flag: number): boolean {
    return (this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2 + 1] & flag) !== 0;
  }

  raise(ref: Ref, flag: number): void {
    this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2 + 1] |= flag;
  }

  lower(ref: Ref, flag: number): void {
    this.#words[ref >>> this.#slabShift][(ref & this.#unitMask) * 2 + 1] &= ~flag;
  }

  /** Copies an entry into the arena. */
  add(version: number, flags: number, bytes: Uint8Array, at: number, length: number): Ref {
    const ref = this.arena.take(this.headerBytes + length);
    if (this.#isTracked) this.setSlot(ref, 0);
    this.#place(ref, version >>> 0, Math.floor(version / TWO_32) | flags, bytes, at, length);
    return ref;
  }

  /**
   * Copies an entry into the cell of a record of the same key, which has room for it and makes way: it goes on
   * elsewhere, with its slot, as what the new one replaced. Returns where. Memory must not be shared.
   */
  addInPlaceOf(ref: Ref, version: number, flags: number, bytes: Uint8Array, at: number, length: number): Ref {
    const older = this.copy(ref);
    const link = this.#link(older, version >>> 0);
    this.#place(ref, link, Math.floor(version / TWO_32) | flags | LINKED, bytes, at, length);
    return older;
  }

  /**
   * Copies `count` entries of `length` bytes each into the arena, which stand back to back from `at` on as in a
   * checkpoint: a u64 version before each. Their references go into `refs`.
   */
  addRow(bytes: Uint8Array, at: number, count: number, length: number, refs: Uint32Array): void {
    const itemBytes = ITEM_VERSION_BYTES + length;
    const cellBytes = this.headerBytes + length;
    const units = this.arena.sizeFor(cellBytes) >>> 3;
    for (let done = 0; done < count; ) {
      const first = this.arena.takeRow(cellBytes, count - done);
      const { taken } = this.arena;
      for (let i = 0; i < taken; i++) refs[done + i] = first + i * units;
      this.#placeRow(first, taken, bytes, at + done * itemBytes, length, units);
      done += taken;
    }
    this.#count += count;
    this.#entryBytes += count * length;
  }

  /** Copies entries into cells in a row: all at once to where the cells begin, and then each to its own. */
  #placeRow(first: Ref, count: number, bytes: Uint8Array, at: number, length: number, units: number): void {
    const slab = this.slab(first);
    const words = this.#words[first >>> this.#slabShift];
    const start = (first & this.#unitMask) * 8;
    const itemBytes = ITEM_VERSION_BYTES + length;
    slab.set(bytes.subarray(at, at + count * itemBytes), start);
    const isInPlace = itemBytes === units * 8 && this.headerBytes === ITEM_VERSION_BYTES;
    // An item is then what a record is, to the byte.
    if (isInPlace && IS_LITTLE_ENDIAN) return;
    // From the last on, since each moves back or stays.
    for (let i = count - 1; i >= 0; i--) {
      const from = start + i * itemBytes;
      const word = (start >>> 2) + i * units * 2;
      const low = readU32(slab, from);
      const high = readU32(slab, from + 4);
      slab.copyWithin(word * 4 + this.headerBytes, from + ITEM_VERSION_BYTES, from + itemBytes);
      words[word] = low;
      words[word + 1] = high;
      if (this.#isTracked) words[word + SLOT_WORD] = 0;
    }
  }

  /** Has the processor fetch the bytes of an entry while it does something else. */
  fetch(ref: Ref): void {
    const slab = this.slab(ref);
    const offset = this.offset(ref);
    fetchBytes(slab, offset, entryLength(slab, offset));
  }

  /** Bytes of the cell of a record. */
  bytesOf(ref: Ref): number {
    return this.arena.sizeOf(ref);
  }

  /** Bytes of the cell for an entry of so many bytes. */
  bytesFor(entryBytes: number): number {
    return this.arena.sizeFor(this.headerBytes + entryBytes);
  }

  isTombstone(ref: Ref): boolean {
    return (this.slab(ref)[this.offset(ref) + ENTRY_FLAGS] & TOMBSTONE) !== 0;
  }

  /** Counts a record no more that only the queue still knows. */
  discard(ref: Ref): void {
    this.raise(ref, DISCARDED);
    this.#freeLink(ref);
    this.#uncount(ref);
  }

  free(ref: Ref): void {
    assert(!this.has(ref, FREED | HELD | QUEUED), "a record is freed once, and by whoever lists it");
    if (!this.has(ref, DISCARDED)) this.#uncount(ref);
    this.#freeLink(ref);
    this.raise(ref, FREED);
    this.arena.give(ref);
  }

  /** Copies a record with everything about it. Both are there until one is given up by {@link vacate}. */
  copy(ref: Ref): Ref {
    assert(!this.has(ref, this.#named), "a record that others list is not moved");
    const bytes = this.headerBytes + entryLength(this.slab(ref), this.offset(ref));
    const copy = this.arena.take(bytes);
    const words = this.#words[ref >>> this.#slabShift];
    const into = this.#words[copy >>> this.#slabShift];
    // Cells are of whole words.
    const count = (bytes + 3) >>> 2;
    copyWords(words, (ref & this.#unitMask) * 2, into, (copy & this.#unitMask) * 2, count);
    return copy;
  }

  /** Whether the cell of a record is of the very size for an entry of so many bytes. */
  fits(ref: Ref, entryBytes: number): boolean {
    const present = entryLength(this.slab(ref), this.offset(ref));
    return present === entryBytes || this.bytesFor(present) === this.bytesFor(entryBytes);
  }

  /** Moves a record, with everything about it, into the cell of another of the same size, which it replaces. */
  moveInto(old: Ref, ref: Ref): void {
    const bytes = this.headerBytes + entryLength(this.slab(ref), this.offset(ref));
    this.#freeLink(old);
    this.#uncount(old);
    const from = this.arena.slabs.byteAt(ref);
    this.slab(old).set(this.slab(ref).subarray(from, from + bytes), this.arena.slabs.byteAt(old));
    this.vacate(ref);
  }

  /** Gives back the memory of a record that was copied. */
  vacate(ref: Ref): void {
    this.raise(ref, FREED);
    this.arena.give(ref);
  }

  /** Where the key of a record begins in its slab. */
  keyStart(ref: Ref): number {
    const offset = this.offset(ref);
    return (
      offset + ENTRY_HEADER_BYTES + (this.slab(ref)[offset + ENTRY_FLAGS] & HAS_DEADLINE ? DEADLINE_BYTES : 0)
    );
  }

  keyLength(ref: Ref): number {
    return readU16(this.slab(ref), this.offset(ref));
  }

  /**
   * Reads header and key of records, independent of each other, so that they are at hand when looked at in turn.
   * Nothing else is done here: the processor waits for as many at once as it has steps in view.
   */
  touch(refs: Uint32Array, count: number): void {
    let bits = 0;
    for (let i = 0; i < count; i++) {
      const ref = refs[i];
      const words = this.#words[ref >>> this.#slabShift];
      const at = (ref & this.#unitMask) * 2;
      bits |= words[at + FIRST_WORD] | words[Math.min(at + KEY_END_WORD, words.length - 1)];
    }
    keepRead(bits);
  }

  /** Whether the key of a record is `bytes[from, to)`. */
  hasKey(ref: Ref, bytes: Uint8Array, from: number, to: number): boolean {
    const slab = this.#bytes[ref >>> this.#slabShift];
    const offset = (ref & this.#unitMask) * 8 + this.headerBytes;
    const length = to - from;
    if ((slab[offset] | (slab[offset + 1] << 8)) !== length) return false;
    const start =
      offset + ENTRY_HEADER_BYTES + (slab[offset + ENTRY_FLAGS] & HAS_DEADLINE ? DEADLINE_BYTES : 0);
    // Keys that differ mostly do so at their end, where numbers are.
    for (let i = length - 1; i >= 0; i--) if (slab[start + i] !== bytes[from + i]) return false;
    return true;
  }

  /** A record that nothing leads to any more needs no link. Where memory is shared, readers may still be at it. */
  #freeLink(ref: Ref): void {
    if (this.olderWord === 0) this.setOlder(ref, NONE);
  }

  /** Fills a cell, but for the slot. */
  #place(ref: Ref, low: number, high: number, bytes: Uint8Array, at: number, length: number): void {
    const words = this.#words[ref >>> this.#slabShift];
    const word = (ref & this.#unitMask) * 2;
    words[word] = low;
    words[word + 1] = high;
    copyBytes(bytes, at, this.#bytes[ref >>> this.#slabShift], word * 4 + this.headerBytes, length);
    this.#count++;
    this.#entryBytes += length;
  }

  #link(older: Ref, version: number): Node {
    const link = this.links.take();
    const words = this.links.words(link);
    const base = this.links.base(link);
    words[base + LINK_OLDER] = older;
    words[base + LINK_VERSION] = version;
    return link;
  }

  #unlink(words: Uint32Array, at: number): void {
    const link = words[at];
    words[at] = this.#linkWord(link, LINK_VERSION);
    words[at + 1] &= ~LINKED;
    this.links.give(link);
  }

  #linkedVersion(word: number): number {
    return this.olderWord === 0 ? this.#linkWord(word, LINK_VERSION) : word;
  }

  #linkWord(link: Node, field: number): number {
    return this.links.words(link)[this.links.base(link) + field];
  }

  #uncount(ref: Ref): void {
    this.#count--;
    this.#entryBytes -= entryLength(this.slab(ref), this.offset(ref));
  }
}
