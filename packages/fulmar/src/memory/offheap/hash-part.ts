import { assert } from "../../base/assert.js";
import { isNoMemory } from "../../base/errors.js";
import { NONE, type Ref } from "../engine.js";
import { GROUP_SLOTS, HashTable, NO_PLACE, type Place } from "./hash-table.js";
import type { KeyHash } from "./key-hash.js";
import type { Records } from "./records.js";
import { type EngineShape, exponentOf } from "./shape.js";

/** A table is replaced when more than this part of its slots is used. */
const FILL_MAX = 0.9;
/** A table is replaced by a smaller one when less than this part of its slots is used. */
const FILL_MIN = 0.25;
/** At most so much of a new table is used: more would be filled up soon, less would lie idle. */
const FILL_NEW = 0.65;
/** What is between two sizes of the tables of one part. */
const GROWTH = 1.5;
/** How much of the first part's table is used when keys were announced, and by how much less of the last's. */
const FILL_ANNOUNCED = 0.88;
const FILL_ANNOUNCED_RANGE = 0.13;

/** A table made for keys that did not come is replaced if less than this is used: less than of any new one. */
const FILL_LOADED_MIN = 0.42;
/** How many times a trim moves what a change moves. */
const TRIMMED_TOGETHER = 16;

/**
 * Finds the newest records of a share of the keys by the hashes of these. When the table fills up or empties
 * out, a new one is begun, and each change moves a few groups over until the old one is empty: no change
 * ever pays for a whole table. Groups are moved in order, beginning behind one that no key passed and always up
 * to such a one; so where a key is now follows from its hash alone.
 */
export class HashPart {
  readonly #records: Records;
  readonly #shape: EngineShape;
  readonly #hash: KeyHash;
  /** Which part it is, between 0 and 1. */
  readonly #phase: number;
  readonly #groupsMin: number;
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

  /** `index` is the part's number. No two parts have tables of the same sizes, or all would be replaced at once. */
  constructor(records: Records, shape: EngineShape, hash: KeyHash, index: number) {
    this.#records = records;
    this.#shape = shape;
    this.#hash = hash;
    this.#phase = index / shape.hashParts;
    this.#groupsMin =
      Math.max(1, shape.hashGroupsMin >>> exponentOf(shape.hashParts)) * GROWTH ** this.#phase;
    this.#table = new HashTable(Math.ceil(this.#groupsMin), shape.hashChunkGroups);
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
    return HashTable.bytesFor(this.#groupsFor(table.size + keys), this.#shape.hashChunkGroups);
  }

  find(hash: number, bytes: Uint8Array, from: number, to: number): Ref {
    const table = this.#tableOf(hash);
    const place = table.find(this.#records, hash, bytes, from, to);
    return place === NO_PLACE ? NONE : table.ref(place);
  }

  /** Like {@link find}; what is found can be replaced or removed, and what is not can be added. */
  locate(hash: number, bytes: Uint8Array, from: number, to: number): Ref {
    this.#step();
    return this.#seek(hash, bytes, from, to);
  }

  /** The same where nothing is to be refused: a part of the way to another table waits until there is memory for it. */
  locateAnyway(hash: number, bytes: Uint8Array, from: number, to: number): Ref {
    try {
      this.#step();
    } catch (error) {
      if (!isNoMemory(error)) throw error;
    }
    return this.#seek(hash, bytes, from, to);
  }

  /** The same while more may be to come, so that the table does not become smaller. */
  locateLoading(hash: number, bytes: Uint8Array, from: number, to: number): Ref {
    this.#stepUp();
    return this.#seek(hash, bytes, from, to);
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

  /** Makes room for about so many keys. The part is empty. */
  announce(keys: number): void {
    assert(this.size === 0 && this.#old === undefined, "keys are announced to an empty index");
    const fill = FILL_ANNOUNCED - this.#phase * FILL_ANNOUNCED_RANGE;
    const groups = Math.max(this.#groupsMin, keys / (fill * GROUP_SLOTS));
    this.#table = new HashTable(Math.ceil(groups), this.#shape.hashChunkGroups);
    this.#locatedTable = this.#table;
  }

  /** Adds a key that is surely new. More may be to come, so the table does not become smaller. */
  append(hash: number, ref: Ref): void {
    this.#stepUp();
    this.#tableOf(hash).add(hash, ref);
  }

  /** Takes a part of the way to a smaller table, if this one turned out to be far too large; whether there is more. */
  trim(): boolean {
    const { size, slots, groups } = this.#table;
    const isRoomy = size < FILL_LOADED_MIN * slots && this.#groupsFor(size) < groups;
    if (this.#old === undefined && isRoomy) this.#begin();
    for (let moves = 0; moves < TRIMMED_TOGETHER && this.#old !== undefined; moves++) this.#move(this.#old);
    return this.#old !== undefined;
  }

  /** Reads what a hash leads to, so that it is at hand when a key is added. */
  touch(hash: number): number {
    return this.#table.touch(hash);
  }

  /** Throws INVARIANT unless the tables are sound; whether each key is found is up to the caller. */
  verify(): void {
    const hashOf = (ref: Ref): number => this.#hashOf(ref);
    this.#table.verify(hashOf);
    this.#old?.verify(hashOf);
    assert(this.#table.size <= FILL_MAX * this.#table.slots + 1, "a table keeps empty slots");
  }

  #seek(hash: number, bytes: Uint8Array, from: number, to: number): Ref {
    const table = this.#tableOf(hash);
    this.#locatedHash = hash;
    this.#locatedTable = table;
    this.#located = table.find(this.#records, hash, bytes, from, to);
    return this.#located === NO_PLACE ? NONE : table.ref(this.#located);
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
    const isThin = table.groups > Math.ceil(this.#groupsMin) && table.size < FILL_MIN * table.slots;
    if (isThin && this.#old === undefined) this.#begin();
    else this.#stepUp();
  }

  #stepUp(): void {
    if (this.#old !== undefined) this.#move(this.#old);
    else if (this.#table.size >= FILL_MAX * this.#table.slots) this.#begin();
  }

  #begin(): void {
    const old = this.#table;
    // First: there may be no memory for it.
    const table = new HashTable(this.#groupsFor(old.size), this.#shape.hashChunkGroups);
    let first = 0;
    while (first < old.groups && old.isPassed(first)) first++;
    this.#old = old;
    this.#first = (first + 1) % old.groups;
    this.#moved = 0;
    this.#table = table;
    // At once: a key that is added may pass the group before the first.
    this.#move(old);
  }

  /** Groups of the smallest new table, of the sizes of this part, for so many keys. */
  #groupsFor(keys: number): number {
    const least = keys / (FILL_NEW * GROUP_SLOTS);
    const steps = Math.max(0, Math.ceil(Math.log(least / this.#groupsMin) / Math.log(GROWTH)));
    return Math.ceil(this.#groupsMin * GROWTH ** steps);
  }

  #move(old: HashTable): void {
    // In step with the ratio of the sizes, so that a smaller table cannot fill up before the old one is done.
    const count = this.#shape.hashStepGroups * Math.max(1, Math.ceil(old.groups / this.#table.groups));
    const end = Math.min(old.groups, this.#moved + count);
    while (this.#moved < end) this.#moveRun(old);
    if (this.#moved < old.groups) return;
    assert(old.size === 0, "a table is left without keys");
    this.#old = undefined;
  }

  /** Moves groups up to one that no key passed. When there is no memory for them, all stay where they are found. */
  #moveRun(old: HashTable): void {
    let groups = 0;
    try {
      // Keys of the last groups may lie in the first ones, beyond the end of the round.
      for (let isPassed = true; isPassed && groups < old.groups; groups++) {
        const group = this.#groupToMove(old, groups);
        isPassed = old.isPassed(group);
        this.#copyGroup(old, group);
      }
    } catch (error) {
      for (let i = 0; i <= groups; i++) this.#takeBack(old, this.#groupToMove(old, i));
      throw error;
    }
    for (let i = 0; i < groups; i++) old.clear(this.#groupToMove(old, i));
    this.#moved += groups;
  }

  #groupToMove(old: HashTable, ahead: number): number {
    return (this.#first + this.#moved + ahead) % old.groups;
  }

  #copyGroup(old: HashTable, group: number): void {
    const taken = this.#taken;
    const count = old.copyAll(group, taken);
    this.#records.touch(taken, count);
    for (let i = 0; i < count; i++) this.#table.add(this.#hashOf(taken[i]), taken[i]);
  }

  /** Removes from the new table what was copied there of a group. */
  #takeBack(old: HashTable, group: number): void {
    const count = old.copyAll(group, this.#taken);
    for (const ref of this.#taken.subarray(0, count)) {
      const hash = this.#hashOf(ref);
      const place = this.#table.placeOf(hash, ref);
      if (place !== NO_PLACE) this.#table.remove(hash, place);
    }
  }
}
