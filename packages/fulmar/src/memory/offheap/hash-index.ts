import { assert } from "../../base/assert.js";
import { NONE, type Ref } from "../engine.js";
import { HashTable } from "./hash-table.js";
import { KeyHash } from "./key-hash.js";
import type { Records } from "./records.js";
import type { EngineShape } from "./shape.js";

/** A table is replaced when more than this part of its slots is not empty. */
const FILL_MAX = 0.75;
/** A table is replaced by a smaller one when less than this part of its slots is used. */
const FILL_MIN = 0.125;
/** A new table has room for so many times the present keys, at least. */
const ROOM = 8 / 3;

/**
 * Finds the newest record of a key by a hash of the key. When the table fills up or empties out, a new
 * one is begun, and each change moves a few slots over until the old one is empty: no change ever pays
 * for a whole table. Until then both are searched.
 */
export class HashIndex {
  readonly #records: Records;
  readonly #shape: EngineShape;
  readonly #hash: KeyHash;
  #table: HashTable;
  /** The table that is being emptied, if there is one. Slots before `#moved` are done. */
  #old: HashTable | undefined;
  #moved = 0;
  #size = 0;
  /** Where the last {@link locate} ended. */
  #located = 0;
  #locatedOld = false;
  #locatedHash = 0;

  constructor(records: Records, shape: EngineShape, secret: readonly [number, number]) {
    this.#records = records;
    this.#shape = shape;
    this.#hash = new KeyHash(secret);
    this.#table = new HashTable(shape.hashSlotsMin, shape.hashChunkSlots);
  }

  get size(): number {
    return this.#size;
  }

  get allocatedBytes(): number {
    return this.#table.allocatedBytes + (this.#old?.allocatedBytes ?? 0);
  }

  /** Bytes that the tables may grow by when so many keys are added. */
  growthBytes(keys: number): number {
    if (this.#old !== undefined) return this.#table.bytesMax - this.#table.allocatedBytes;
    if (this.#table.used + keys < FILL_MAX * this.#table.slots) {
      return this.#table.bytesMax - this.#table.allocatedBytes;
    }
    return HashTable.bytesFor(this.#slotsFor(this.#size + keys), this.#shape.hashChunkSlots);
  }

  find(bytes: Uint8Array, from: number, to: number): Ref {
    const hash = this.#hash.of(bytes, from, to);
    const slot = this.#table.find(this.#records, hash, bytes, from, to, 0);
    if (slot >= 0) return this.#table.ref(slot);
    if (this.#old === undefined) return NONE;
    const oldSlot = this.#old.find(this.#records, hash, bytes, from, to, this.#moved);
    return oldSlot >= 0 ? this.#old.ref(oldSlot) : NONE;
  }

  /** Like {@link find}; what is found can be replaced or removed, and what is not can be added. */
  locate(bytes: Uint8Array, from: number, to: number): Ref {
    this.#step();
    const hash = this.#hash.of(bytes, from, to);
    this.#locatedHash = hash;
    this.#locatedOld = false;
    this.#located = this.#table.find(this.#records, hash, bytes, from, to, 0);
    if (this.#located >= 0) return this.#table.ref(this.#located);
    if (this.#old === undefined) return NONE;
    this.#located = this.#old.find(this.#records, hash, bytes, from, to, this.#moved);
    this.#locatedOld = this.#located >= 0;
    return this.#locatedOld ? this.#old.ref(this.#located) : NONE;
  }

  /** Adds the key that the last {@link locate} did not find. */
  add(ref: Ref): void {
    assert(this.#located < 0, "a key is added that is not there");
    this.#table.add(this.#locatedHash, ref);
    this.#size++;
  }

  /** Puts another record in the place of the one that the last {@link locate} found. */
  replace(ref: Ref): void {
    assert(this.#located >= 0, "a key is replaced that is there");
    const table = this.#locatedOld && this.#old !== undefined ? this.#old : this.#table;
    table.setRef(this.#located, ref);
  }

  /** Removes the key that the last {@link locate} found. */
  remove(): void {
    assert(this.#located >= 0, "a key is removed that is there");
    if (this.#locatedOld && this.#old !== undefined) this.#old.strike(this.#located);
    else this.#table.remove(this.#located);
    this.#size--;
  }

  /** Throws INVARIANT unless the tables hold as many keys as were added; whether each is found is up to the caller. */
  verify(): void {
    const old = this.#old?.verify(this.#moved) ?? 0;
    assert(this.#table.verify(0) + old === this.#size, "keys are counted");
    assert(this.#table.used <= FILL_MAX * this.#table.slots + 1, "a table keeps empty slots");
  }

  /** Moves some slots of the old table, or begins a new one if that is due. */
  #step(): void {
    if (this.#old !== undefined) this.#move(this.#old);
    else if (this.#table.used >= FILL_MAX * this.#table.slots) this.#begin();
    else if (this.#table.slots > this.#shape.hashSlotsMin && this.#size < FILL_MIN * this.#table.slots) {
      this.#begin();
    }
  }

  #begin(): void {
    this.#old = this.#table;
    this.#moved = 0;
    this.#table = new HashTable(this.#slotsFor(this.#size), this.#shape.hashChunkSlots);
  }

  #slotsFor(keys: number): number {
    let slots = this.#shape.hashSlotsMin;
    while (slots < ROOM * keys) slots *= 2;
    return slots;
  }

  #move(old: HashTable): void {
    const records = this.#records;
    // In step with the ratio of the sizes, so that a smaller table cannot fill up before the old one is done.
    const count = this.#shape.hashStepSlots * Math.max(1, old.slots / this.#table.slots);
    const end = Math.min(old.slots, this.#moved + count);
    for (let slot = this.#moved; slot < end; slot++) {
      if (!old.holds(slot)) continue;
      const ref = old.ref(slot);
      const start = records.keyStart(ref);
      this.#table.add(this.#hash.of(records.slab(ref), start, start + records.keyLength(ref)), ref);
    }
    old.release(this.#moved, end);
    this.#moved = end;
    if (end === old.slots) this.#old = undefined;
  }
}
