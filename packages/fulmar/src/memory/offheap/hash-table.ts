import { assert } from "../../base/assert.js";
import { NONE, type Ref } from "../engine.js";
import type { Records } from "./records.js";
import { exponentOf } from "./shape.js";

/** Slots of a group. */
export const GROUP_SLOTS = 15;
const MIDDLE_SLOT = 7;
/** The tags of a group and, in the last byte, how many keys passed it: so many 32-bit words. */
const TAG_WORDS = 4;
const TAG_EXPONENT = 2;
const PASSED_WORD = TAG_WORDS - 1;
const PASSED_SHIFT = 24;
/** A count that has reached this is right no more, and stays until the group is emptied. */
const PASSED_MAX = 255;
/** Bits of a place that count slots. */
const SLOT_EXPONENT = 4;
const GROUP_BYTES = 4 * (TAG_WORDS + GROUP_SLOTS);
/** A table has so many chunks at least, if it has so many groups: what stands for missing ones is a chunk too. */
const CHUNKS_MIN = 8;

const EACH_BYTE = 0x01010101;
const HIGH_BITS = 0x80808080;
const LOW_BITS = 0x7f7f7f7f;
const TWO_32 = 2 ** 32;
const SLOT_MASK = 2 ** SLOT_EXPONENT - 1;
const PASSED_ONE = 2 ** PASSED_SHIFT;
const PASSED_BITS = PASSED_MAX << PASSED_SHIFT;
const NO_REFS = new Uint32Array(0);

/** Where a table has a record: 16 times the group, plus the slot in it. */
export type Place = number;
/** Nowhere. */
export const NO_PLACE: Place = -1;
/** In place of an empty slot. */
const FULL = -1;

/**
 * Groups of slots with open addressing: a record and one byte of its key's hash in each slot, so that a
 * search looks at a record only if that byte agrees. The bytes of a group stand together, apart from the
 * records: a search for what is not there reads one line of memory. A key that finds its group full goes to the next
 * one with room; each group that it passes counts it, so a search knows where to end and a removal leaves
 * nothing behind. Groups follow each other as the hashes do, in tables of every size: what is moved from
 * one table to another in order is read and written in order. Chunks of groups are allocated when first
 * used, and go when they were emptied by {@link clear}.
 */
export class HashTable {
  readonly groups: number;
  /** Groups for each hash. */
  readonly #scale: number;
  readonly #chunkShift: number;
  readonly #chunkMask: number;
  readonly #tags: Uint32Array[] = [];
  readonly #refs: Uint32Array[] = [];
  /** Keys and groups that keys passed in each chunk. */
  readonly #busy: Uint32Array;
  /** Stands for the tags of every chunk that is not allocated, so that searches need not ask. */
  readonly #blank: Uint32Array;
  #size = 0;
  /** What was read ahead: kept, so that it is read at all. */
  #ahead = 0;
  #allocatedBytes: number;

  /** A table of so many groups. */
  constructor(groups: number, chunkGroupsMax: number) {
    let chunkGroups = 1;
    while (2 * chunkGroups * CHUNKS_MIN <= groups && chunkGroups < chunkGroupsMax) chunkGroups *= 2;
    const chunks = Math.ceil(groups / chunkGroups);
    this.groups = groups;
    this.#scale = this.groups / TWO_32;
    this.#chunkShift = exponentOf(chunkGroups);
    this.#chunkMask = chunkGroups - 1;
    this.#blank = new Uint32Array(chunkGroups << TAG_EXPONENT);
    this.#busy = new Uint32Array(chunks);
    this.#allocatedBytes = this.#blank.byteLength + this.#busy.byteLength;
    for (let i = 0; i < chunks; i++) {
      this.#tags.push(this.#blank);
      this.#refs.push(NO_REFS);
    }
  }

  /** Keys in the table. */
  get size(): number {
    return this.#size;
  }

  get slots(): number {
    return this.groups * GROUP_SLOTS;
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** Bytes of a chunk; the last one may have less. */
  get chunkBytes(): number {
    return (this.#chunkMask + 1) * GROUP_BYTES;
  }

  /** Bytes once every chunk is allocated. */
  get bytesMax(): number {
    return this.#blank.byteLength + this.#busy.byteLength + this.groups * GROUP_BYTES;
  }

  /** Bytes of a table of so many groups, at most. */
  static bytesFor(groups: number, chunkGroupsMax: number): number {
    const chunkGroups = Math.min(chunkGroupsMax, Math.ceil(groups / CHUNKS_MIN));
    return (groups + chunkGroups) * GROUP_BYTES + 8 * Math.ceil(groups / chunkGroups);
  }

  /** The group that a hash leads to. */
  home(hash: number): number {
    return Math.floor((hash >>> 0) * this.#scale);
  }

  /** The place of the key `bytes[from, to)`. */
  find(records: Records, hash: number, bytes: Uint8Array, from: number, to: number): Place {
    const pattern = Math.imul(tagOf(hash), EACH_BYTE);
    let group = this.home(hash);
    for (let seen = 0; seen < this.groups; seen++) {
      const chunk = group >>> this.#chunkShift;
      const tags = this.#tags[chunk];
      if (tags === this.#blank) return NO_PLACE;
      const base = (group & this.#chunkMask) << TAG_EXPONENT;
      // Whatever the tags are: so both parts of the group come from memory at the same time.
      this.#ahead = this.#refs[chunk][(group & this.#chunkMask) * GROUP_SLOTS + MIDDLE_SLOT] & 1;
      for (let marks = marksOf(tags, base, pattern); marks !== 0; marks &= marks - 1) {
        const place = (group << SLOT_EXPONENT) + firstSlot(marks);
        if (records.hasKey(this.ref(place), bytes, from, to)) return place;
      }
      if (tags[base + PASSED_WORD] >>> PASSED_SHIFT === 0) return NO_PLACE;
      group = this.#next(group);
    }
    return NO_PLACE;
  }

  ref(place: Place): Ref {
    const group = place >>> SLOT_EXPONENT;
    const base = (group & this.#chunkMask) * GROUP_SLOTS;
    return this.#refs[group >>> this.#chunkShift][base + (place & SLOT_MASK)];
  }

  setRef(place: Place, ref: Ref): void {
    const group = place >>> SLOT_EXPONENT;
    const base = (group & this.#chunkMask) * GROUP_SLOTS;
    this.#refs[group >>> this.#chunkShift][base + (place & SLOT_MASK)] = ref;
  }

  /** Adds a key that is not there. When there is no memory for it, nothing is changed. */
  add(hash: number, ref: Ref): void {
    assert(this.#size < this.slots, "a table has an empty slot for each key that is added");
    const home = this.home(hash);
    let group = home;
    let slot = this.#emptySlot(group);
    while (slot === FULL) {
      group = this.#next(group);
      slot = this.#emptySlot(group);
    }
    for (let passed = home; passed !== group; passed = this.#next(passed)) this.#pass(passed);
    const chunk = group >>> this.#chunkShift;
    const word = ((group & this.#chunkMask) << TAG_EXPONENT) + (slot >>> 2);
    this.#tags[chunk][word] |= tagOf(hash) << ((slot & 3) << 3);
    this.setRef((group << SLOT_EXPONENT) + slot, ref);
    this.#busy[chunk]++;
    this.#size++;
  }

  /** Removes the key of a hash from its place. */
  remove(hash: number, place: Place): void {
    const end = place >>> SLOT_EXPONENT;
    for (let group = this.home(hash); group !== end; group = this.#next(group)) {
      const tags = this.#tags[group >>> this.#chunkShift];
      const word = ((group & this.#chunkMask) << TAG_EXPONENT) + PASSED_WORD;
      const passed = tags[word] >>> PASSED_SHIFT;
      if (passed < PASSED_MAX) tags[word] -= PASSED_ONE;
      if (passed === 1) this.#busy[group >>> this.#chunkShift]--;
    }
    const chunk = end >>> this.#chunkShift;
    const slot = place & SLOT_MASK;
    const word = ((end & this.#chunkMask) << TAG_EXPONENT) + (slot >>> 2);
    this.#tags[chunk][word] &= ~(0xff << ((slot & 3) << 3));
    this.#busy[chunk]--;
    this.#size--;
  }

  /** Whether a key of a group, or of one before it, may be in a group behind it. */
  isPassed(group: number): boolean {
    return this.#passed(group) > 0;
  }

  /** Where a record is, of a key with this hash; NO_PLACE if it is not there. */
  placeOf(hash: number, ref: Ref): Place {
    let group = this.home(hash);
    for (let seen = 0; seen < this.groups; seen++) {
      const tags = this.#tags[group >>> this.#chunkShift];
      if (tags === this.#blank) return NO_PLACE;
      const base = (group & this.#chunkMask) << TAG_EXPONENT;
      for (let slot = 0; slot < GROUP_SLOTS; slot++) {
        const place = (group << SLOT_EXPONENT) + slot;
        if (tagAt(tags, base, slot) !== 0 && this.ref(place) === ref) return place;
      }
      if (!this.isPassed(group)) return NO_PLACE;
      group = this.#next(group);
    }
    return NO_PLACE;
  }

  /** Notes all records of a group in an array, and tells how many they are. */
  copyAll(group: number, into: Uint32Array): number {
    const tags = this.#tags[group >>> this.#chunkShift];
    if (tags === this.#blank) return 0;
    const base = (group & this.#chunkMask) << TAG_EXPONENT;
    let count = 0;
    for (let slot = 0; slot < GROUP_SLOTS; slot++) {
      if (tagAt(tags, base, slot) !== 0) into[count++] = this.ref((group << SLOT_EXPONENT) + slot);
    }
    return count;
  }

  /** Empties a group. */
  clear(group: number): void {
    const chunk = group >>> this.#chunkShift;
    const tags = this.#tags[chunk];
    if (tags === this.#blank) return;
    const base = (group & this.#chunkMask) << TAG_EXPONENT;
    let count = 0;
    for (let slot = 0; slot < GROUP_SLOTS; slot++) if (tagAt(tags, base, slot) !== 0) count++;
    const busy = this.#passed(group) > 0 ? count + 1 : count;
    tags.fill(0, base, base + TAG_WORDS);
    this.#size -= count;
    this.#busy[chunk] -= busy;
    if (this.#busy[chunk] === 0 && busy > 0) this.#release(chunk);
  }

  /** Reads the group that a hash leads to, so that it is at hand when a key is added. */
  touch(hash: number): number {
    const group = this.home(hash);
    const chunk = group >>> this.#chunkShift;
    const tag = this.#tags[chunk][(group & this.#chunkMask) << TAG_EXPONENT];
    if (this.#tags[chunk] === this.#blank) return tag;
    return tag + this.#refs[chunk][(group & this.#chunkMask) * GROUP_SLOTS];
  }

  /** Throws INVARIANT unless tags and counts are what the hashes of the keys, by `hashOf`, make them. */
  verify(hashOf: (ref: Ref) => number): void {
    const passed = new Uint32Array(this.groups);
    const busy = new Uint32Array(this.#busy.length);
    let size = 0;
    for (let group = 0; group < this.groups; group++) {
      const tags = this.#tags[group >>> this.#chunkShift];
      const base = (group & this.#chunkMask) << TAG_EXPONENT;
      for (let slot = 0; slot < GROUP_SLOTS; slot++) {
        if (tagAt(tags, base, slot) === 0) continue;
        const ref = this.ref((group << SLOT_EXPONENT) + slot);
        assert(ref !== NONE, "a slot in use has a record");
        const hash = hashOf(ref);
        assert(tagAt(tags, base, slot) === tagOf(hash), "a tag is of its record");
        for (let other = this.home(hash); other !== group; other = this.#next(other)) passed[other]++;
        busy[group >>> this.#chunkShift]++;
        size++;
      }
    }
    for (let group = 0; group < this.groups; group++) {
      const found = this.#passed(group);
      const isRight = found === PASSED_MAX || found === passed[group];
      assert(isRight, "keys that passed a group are counted");
      if (found > 0) busy[group >>> this.#chunkShift]++;
    }
    assert(size === this.#size, "the keys of a table are counted");
    const isRight = busy.every((count, chunk) => count === this.#busy[chunk]);
    assert(isRight, "what keeps a chunk is counted");
    this.#verifyBytes();
  }

  #verifyBytes(): void {
    let bytes = this.#blank.byteLength + this.#busy.byteLength;
    for (const [chunk, tags] of this.#tags.entries()) {
      if (tags === this.#blank) continue;
      bytes += tags.byteLength + this.#refs[chunk].byteLength;
    }
    const isBlank = this.#blank.every((word) => word === 0);
    assert(isBlank, "what stands for chunks that are not there has no keys");
    assert(this.#allocatedBytes === bytes && this.#ahead < 2, "the bytes of chunks are counted");
  }

  #passed(group: number): number {
    const tags = this.#tags[group >>> this.#chunkShift];
    return tags[((group & this.#chunkMask) << TAG_EXPONENT) + PASSED_WORD] >>> PASSED_SHIFT;
  }

  /** The first empty slot of a group, whose chunk is allocated if need be, or FULL. */
  #emptySlot(group: number): number {
    const tags = this.#chunk(group);
    const base = (group & this.#chunkMask) << TAG_EXPONENT;
    for (let part = 0; part < TAG_WORDS; part++) {
      const marks = zeroBytes(part === PASSED_WORD ? tags[base + part] | PASSED_BITS : tags[base + part]);
      if (marks !== 0) return (part << 2) + lowestByte(marks);
    }
    return FULL;
  }

  /** Counts a key that finds no room in a group. */
  #pass(group: number): void {
    const chunk = group >>> this.#chunkShift;
    const word = ((group & this.#chunkMask) << TAG_EXPONENT) + PASSED_WORD;
    const passed = this.#tags[chunk][word] >>> PASSED_SHIFT;
    if (passed === 0) this.#busy[chunk]++;
    if (passed < PASSED_MAX) this.#tags[chunk][word] += PASSED_ONE;
  }

  #next(group: number): number {
    return group + 1 === this.groups ? 0 : group + 1;
  }

  /** The tags of the chunk of a group, allocated if need be. */
  #chunk(group: number): Uint32Array {
    const index = group >>> this.#chunkShift;
    const present = this.#tags[index];
    if (present !== this.#blank) return present;
    const groups = this.#groupsOf(index);
    const tags = new Uint32Array(groups << TAG_EXPONENT);
    // Both or neither: there may be memory for one of them only.
    const refs = new Uint32Array(groups * GROUP_SLOTS);
    this.#tags[index] = tags;
    this.#refs[index] = refs;
    this.#allocatedBytes += groups * GROUP_BYTES;
    return tags;
  }

  #groupsOf(chunk: number): number {
    return Math.min(this.#chunkMask + 1, this.groups - (chunk << this.#chunkShift));
  }

  #release(chunk: number): void {
    this.#allocatedBytes -= this.#groupsOf(chunk) * GROUP_BYTES;
    this.#tags[chunk] = this.#blank;
    this.#refs[chunk] = NO_REFS;
  }
}

/** The lowest eight bits of a hash, which do not choose the group before 16 M groups; never that of an empty slot. */
function tagOf(hash: number): number {
  const tag = hash & 0xff;
  return tag === 0 ? 1 : tag;
}

function tagAt(tags: Uint32Array, base: number, slot: number): number {
  return (tags[base + (slot >>> 2)] >>> ((slot & 3) << 3)) & 0xff;
}

/**
 * One bit for each slot of a group whose tag is the byte that `pattern` repeats: bit 8 i + j for byte i of word j.
 * All words in one go, without a branch: which of them has the tag is nothing that a processor could predict.
 */
function marksOf(tags: Uint32Array, base: number, pattern: number): number {
  const last = equalBytes(tags[base + PASSED_WORD] ^ pattern) & ~PASSED_BITS;
  return (
    (equalBytes(tags[base] ^ pattern) >>> 7) |
    (equalBytes(tags[base + 1] ^ pattern) >>> 6) |
    (equalBytes(tags[base + 2] ^ pattern) >>> 5) |
    (last >>> 4)
  );
}

/** The slot of the lowest bit of {@link marksOf}. */
function firstSlot(marks: number): number {
  const bit = 31 - Math.clz32(marks & -marks);
  return ((bit & 7) << 2) | (bit >>> 3);
}

/** The high bit of each byte that is zero in the difference of two words, and of no other. */
function equalBytes(difference: number): number {
  return ~(((difference & LOW_BITS) + LOW_BITS) | difference) & HIGH_BITS;
}

/** The high bit of each byte that is zero. Bytes above the lowest such may be marked without being zero. */
function zeroBytes(word: number): number {
  return (word - EACH_BYTE) & ~word & HIGH_BITS;
}

/** Which byte, of four, the lowest bit is in. */
function lowestByte(marks: number): number {
  return (31 - Math.clz32(marks & -marks)) >>> 3;
}
