import { assert } from "../../base/assert.js";
import { NONE, type Ref } from "../engine.js";
import { GROUP_SLOTS, HashTable, NO_PLACE, type Place } from "./hash-table.js";
import { KeyHash } from "./key-hash.js";
import type { Records } from "./records.js";
import type { EngineShape } from "./shape.js";

/** A table is replaced when more than this part of its slots is used. */
const FILL_MAX = 0.9;
/** A table is replaced by a smaller one when less than this part of its slots is used. */
const FILL_MIN = 0.25;
/** Slots of a new table for each present key: more would lie idle, fewer would be filled up sooner. */
const ROOM = 1.75;
/** Slots for each key that is announced, and keys that may be announced at most. */
const ROOM_ANNOUNCED = 1.2;
const ANNOUNCED_MAX = 2 ** 28;
/** Keys that are appended together, so that their groups are read at the same time. */
const APPENDED_TOGETHER = 32;

/**
 * Finds the newest record of a key by a hash of the key. When the table fills up or empties out, a new
 * one is begun, and each change moves a few groups over until the old one is empty: no change ever pays
 * for a whole table. Groups are moved in order, beginning behind one that no key passed and always up to
 * such a one; so where a key is now follows from its hash alone. A table grows by half: more than two thirds of
 * the slots are in use on average.
 */
export class HashIndex {
  readonly #records: Records;
  readonly #shape: EngineShape;
  readonly #hash: KeyHash;
  #table: HashTable;
  /** The table that is being emptied, if there is one. `#moved` groups from `#first` on are done. */
  #old: HashTable | undefined;
  #first = 0;
  #moved = 0;
  readonly #taken = new Uint32Array(GROUP_SLOTS);
  /** Where the last {@link locate} ended. */
  #located: Place = NO_PLACE;
  #locatedTable: HashTable;
  #locatedHash = 0;
  /** Keys that were appended, but are in no table yet. */
  readonly #appendedHashes = new Uint32Array(APPENDED_TOGETHER);
  readonly #appendedRefs = new Uint32Array(APPENDED_TOGETHER);
  #appended = 0;
  /** What was read ahead: kept, so that it is read at all. */
  #touched = 0;

  constructor(records: Records, shape: EngineShape, secret: readonly [number, number]) {
    this.#records = records;
    this.#shape = shape;
    this.#hash = new KeyHash(secret);
    this.#table = new HashTable(shape.hashGroupsMin, shape.hashChunkGroups);
    this.#locatedTable = this.#table;
  }

  get size(): number {
    return this.#table.size + (this.#old?.size ?? 0);
  }

  get allocatedBytes(): number {
    return this.#table.allocatedBytes + (this.#old?.allocatedBytes ?? 0);
  }

  /** Bytes that the tables may grow by when so many keys are added. */
  growthBytes(keys: number): number {
    const table = this.#table;
    const missing = table.bytesMax - table.allocatedBytes;
    if (this.#old !== undefined) return missing + this.#old.chunkBytes;
    if (table.size + keys < FILL_MAX * table.slots) return missing;
    return HashTable.bytesFor(this.#groupsFor(ROOM * (table.size + keys)), this.#shape.hashChunkGroups);
  }

  find(bytes: Uint8Array, from: number, to: number): Ref {
    const hash = this.#hash.of(bytes, from, to);
    const table = this.#tableOf(hash);
    const place = table.find(this.#records, hash, bytes, from, to);
    return place === NO_PLACE ? NONE : table.ref(place);
  }

  /** Like {@link find}; what is found can be replaced or removed, and what is not can be added. */
  locate(bytes: Uint8Array, from: number, to: number): Ref {
    this.#step();
    const hash = this.#hash.of(bytes, from, to);
    const table = this.#tableOf(hash);
    this.#locatedHash = hash;
    this.#locatedTable = table;
    this.#located = table.find(this.#records, hash, bytes, from, to);
    return this.#located === NO_PLACE ? NONE : table.ref(this.#located);
  }

  /** Adds the key that the last {@link locate} did not find. */
  add(ref: Ref): void {
    assert(this.#located === NO_PLACE, "a key is added that is not there");
    this.#locatedTable.add(this.#locatedHash, ref);
  }

  /** Puts another record in the place of the one that the last {@link locate} found. */
  replace(ref: Ref): void {
    assert(this.#located !== NO_PLACE, "a key is replaced that is there");
    this.#locatedTable.setRef(this.#located, ref);
  }

  /** Removes the key that the last {@link locate} found. */
  remove(): void {
    assert(this.#located !== NO_PLACE, "a key is removed that is there");
    this.#locatedTable.remove(this.#locatedHash, this.#located);
  }

  /** Makes room for so many keys. The index is empty. */
  announce(keys: number): void {
    assert(this.size === 0 && this.#old === undefined, "keys are announced to an empty index");
    const slots = Math.min(keys, ANNOUNCED_MAX) * ROOM_ANNOUNCED;
    this.#table = new HashTable(this.#groupsFor(slots), this.#shape.hashChunkGroups);
    this.#locatedTable = this.#table;
  }

  /** Adds the key `bytes[from, to)`, surely a new one. It is found after {@link finishAppending}. */
  append(bytes: Uint8Array, from: number, to: number, ref: Ref): void {
    this.#appendedHashes[this.#appended] = this.#hash.of(bytes, from, to);
    this.#appendedRefs[this.#appended++] = ref;
    if (this.#appended === APPENDED_TOGETHER) this.finishAppending();
  }

  finishAppending(): void {
    this.#touched = this.#table.touch(this.#appendedHashes, this.#appended);
    for (let i = 0; i < this.#appended; i++) {
      this.#stepUp();
      const hash = this.#appendedHashes[i];
      this.#tableOf(hash).add(hash, this.#appendedRefs[i]);
    }
    this.#appended = 0;
  }

  /** Throws INVARIANT unless the tables are sound; whether each key is found is up to the caller. */
  verify(): void {
    const hashOf = (ref: Ref): number => this.#hashOf(ref);
    assert(this.#appended === 0 && Number.isFinite(this.#touched), "every key is in a table");
    this.#table.verify(hashOf);
    this.#old?.verify(hashOf);
    assert(this.#table.size <= FILL_MAX * this.#table.slots + 1, "a table keeps empty slots");
  }

  #hashOf(ref: Ref): number {
    const start = this.#records.keyStart(ref);
    return this.#hash.of(this.#records.slab(ref), start, start + this.#records.keyLength(ref));
  }

  /** The table that a key is in, or belongs in. */
  #tableOf(hash: number): HashTable {
    const old = this.#old;
    if (old === undefined) return this.#table;
    const distance = old.home(hash) - this.#first;
    return (distance < 0 ? distance + old.groups : distance) < this.#moved ? this.#table : old;
  }

  /** Moves some groups of the old table, or begins a new one if that is due. */
  #step(): void {
    const table = this.#table;
    const isThin = table.groups > this.#shape.hashGroupsMin && table.size < FILL_MIN * table.slots;
    if (isThin && this.#old === undefined) this.#begin();
    else this.#stepUp();
  }

  /** The same for a table that waits for keys that were announced: it does not become smaller. */
  #stepUp(): void {
    if (this.#old !== undefined) this.#move(this.#old);
    else if (this.#table.size >= FILL_MAX * this.#table.slots) this.#begin();
  }

  #begin(): void {
    const old = this.#table;
    let first = 0;
    while (first < old.groups && old.isPassed(first)) first++;
    this.#old = old;
    this.#first = (first + 1) % old.groups;
    this.#moved = 0;
    this.#table = new HashTable(this.#groupsFor(ROOM * old.size), this.#shape.hashChunkGroups);
    // At once: a key that is added may pass the group before the first.
    this.#move(old);
  }

  /** Groups of the smallest table with so many slots. */
  #groupsFor(slots: number): number {
    return Math.max(this.#shape.hashGroupsMin, Math.ceil(slots / GROUP_SLOTS));
  }

  #move(old: HashTable): void {
    // In step with the ratio of the sizes, so that a smaller table cannot fill up before the old one is done.
    const count = this.#shape.hashStepGroups * Math.max(1, Math.ceil(old.groups / this.#table.groups));
    const end = Math.min(old.groups, this.#moved + count);
    let isPassed = false;
    // Keys of the last groups may lie in the first ones, beyond the end of the round.
    while (this.#moved < end || isPassed) {
      const group = (this.#first + this.#moved) % old.groups;
      isPassed = old.isPassed(group);
      this.#moveGroup(old, group);
      this.#moved++;
    }
    if (this.#moved < old.groups) return;
    assert(old.size === 0, "a table is left without keys");
    this.#old = undefined;
  }

  #moveGroup(old: HashTable, group: number): void {
    const taken = this.#taken;
    const count = old.takeAll(group, taken);
    this.#touched = this.#records.touch(taken, count);
    for (let i = 0; i < count; i++) this.#table.add(this.#hashOf(taken[i]), taken[i]);
  }
}
