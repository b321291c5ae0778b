import { isNoMemory } from "../../base/errors.js";
import { NONE, type Ref } from "../engine.js";
import type { Sharing } from "../shared/sharing.js";
import type { OffHeapIndexes } from "./indexes.js";
import { COUNT, NEXT } from "./key-node-layout.js";
import { NO_NODE, type Node } from "./node-pool.js";
import type { PinSet } from "./pins.js";
import { DISCARDED, HELD, QUEUED, SUPERSEDED } from "./record-marks.js";
import type { EngineShape } from "./shape.js";
import type { Slabs } from "./slabs.js";

/** It begins when so much of the slabs is not in use, beside half of the largest slab ... */
const WASTE = 1 / 8;
/** ... and so many of the largest slabs at least: a store that grows has one that was just begun, and some cells. */
const WASTE_SLABS_MIN = 1 + 1 / 8;
/** It is tried again when waste has changed by this part of the largest slab. */
const RETRY = 1 / 4;
/** A slab is emptied if no more than this part of it is in use. */
const SPARSE = 0.75;
/** Slabs emptied in one round: few, because what is in them needs room elsewhere before they go. */
const RETIRED_MIN = 4;
const RETIRED_SHARE = 1 / 4;
/** What is moved takes somewhat more room than it did: not every span is full. */
const ROOM = 1.1;
/** How many small records a look at a leaf counts for, and so many bytes of a large one for one more. */
const LEAF_COST = 8;
const BYTES_COST = 4096;
/** How many small records it counts for to retire or to restore a slab: all of its spans with room are listed. */
const SLAB_COST = 256;
/** So many steps, some in each turn of the event loop, a round waits for readers on other threads; and at its end. */
const WAITS_MAX = 1024;
const FROM_THE_START = new Uint8Array(0);

/**
 * Gives memory back after many deletions or a change of sizes. Memory is in slabs, of which a few records
 * keep all: so the emptiest slabs are retired, and a walk through the key tree, a slice at a time, moves
 * what they hold to where there is room.
 *
 * Only newest records are moved that are settled and that no anchored pin sees: a reader of a pinned version in this
 * thread may keep a reference for as long as the pin. What cannot be moved stays, and its slab is restored.
 *
 * Readers on other threads keep no reference from one of their short reads to the next, so that their pins anchor
 * nothing. They come to a record or a separator by one word, which is exchanged for the new place in one atomic
 * store, with the same bytes in both places; and the old one is used again only when all reads are over that may
 * have met it. A round waits for that before it restores slabs, but not for ever.
 */
export class Compaction {
  readonly #indexes: OffHeapIndexes;
  readonly #pins: PinSet;
  readonly #sharing: Sharing | undefined;
  readonly #slabs: Slabs;
  readonly #slabBytes: number;
  /** Slabs that this round is going to retire. */
  #chosen: number[] = [];
  /** Slabs that this round empties; those that went since are among them. */
  readonly #retired: number[] = [];
  /** What a round does at present: one slab, or one leaf, after the other. */
  #phase: "rest" | "retire" | "walk" | "wait" | "restore" = "rest";
  /** The epoch at whose end all was moved, until no read goes on that began before. */
  #awaited: number | undefined;
  /** Steps for which this phase did nothing but wait for readers. */
  #waits = 0;
  /** The walk goes on at this key; undefined at its end. */
  #from: Uint8Array | undefined = FROM_THE_START;
  /** Waste when a round ended, or could not begin: it makes no sense to try again before that changes. */
  #triedWaste = Number.NEGATIVE_INFINITY;
  /** Waste when this round began, and bytes that records used then. */
  #begunWaste = 0;
  #begunUsed = 0;
  /** Whether a pin kept a record where it is, since the last pin was released. */
  #wasPinned = false;
  /** Whether such a pin was released in this round. */
  #isFreed = false;

  constructor(indexes: OffHeapIndexes, pins: PinSet, shape: EngineShape, sharing: Sharing | undefined) {
    this.#indexes = indexes;
    this.#pins = pins;
    this.#sharing = sharing;
    this.#slabs = indexes.records.arena.slabs;
    this.#slabBytes = shape.slabBytes;
  }

  /** Moves about so many records at most, fewer large ones; true if there are more to move. */
  step(records: number): boolean {
    if (this.#phase === "rest") {
      // The last round could not be waited for to its end, and what it gained comes only now.
      if (this.#awaited !== undefined && this.#isReclaimed()) this.#triedWaste = Number.NEGATIVE_INFINITY;
      if (!this.#begin()) return false;
    }
    for (let left = records; left > 0; ) {
      left -= this.#advance(left);
      if (this.#phase === "rest") return this.#isDue();
    }
    return true;
  }

  /** To be called when an anchored pin is released: what it kept where it is can be moved. */
  reconsider(): void {
    if (!this.#wasPinned) return;
    this.#wasPinned = false;
    this.#isFreed = true;
    this.#triedWaste = Number.NEGATIVE_INFINITY;
  }

  /** Bytes of slabs that no record needs, and that do not wait for readers either. */
  #waste(): number {
    return this.#slabs.dataBytes - this.#indexes.records.arena.liveBytes;
  }

  #isDue(): boolean {
    const waste = this.#waste();
    const allocated = this.#slabs.dataBytes;
    const least = Math.max(this.#slabBytes * WASTE_SLABS_MIN, this.#slabBytes / 2 + allocated * WASTE);
    if (waste < least) return false;
    return Math.abs(waste - this.#triedWaste) >= this.#slabBytes * RETRY;
  }

  /** Chooses the slabs with the most to gain, if what is gained by emptying them is at least one new slab. */
  #begin(): boolean {
    if (!this.#isDue()) return false;
    this.#triedWaste = this.#waste();
    this.#begunWaste = this.#triedWaste;
    this.#begunUsed = this.#indexes.records.arena.usedBytes;
    this.#isFreed = false;
    const { arena } = this.#indexes.records;
    const shared = [...arena.slabs.bytes.keys()].filter((slab) => arena.slabs.isShared(slab));
    const sparse = shared
      .filter((slab) => this.#isSparse(slab))
      .sort((a, b) => this.#wasteIn(b) - this.#wasteIn(a))
      .slice(0, Math.max(RETIRED_MIN, Math.floor(shared.length * RETIRED_SHARE)));
    const live = sparse.reduce((sum, slab) => sum + arena.liveBytesOf(slab), 0);
    const waste = sparse.reduce((sum, slab) => sum + this.#wasteIn(slab), 0);
    // What is waste elsewhere takes some of it; half, because its cells are of other sizes.
    const elsewhere = Math.max(0, this.#waste() - waste) / 2;
    const needed = Math.max(0, live * ROOM - elsewhere);
    // Small slabs are not worth a walk through all keys, however much room there is for what they hold.
    if (live + waste - needed < this.#slabs.nextBytes) return false;
    this.#chosen = sparse;
    this.#waits = 0;
    this.#phase = "retire";
    return true;
  }

  #isSparse(slab: number): boolean {
    return this.#indexes.records.arena.liveBytesOf(slab) <= SPARSE * this.#slabs.bytes[slab].length;
  }

  #wasteIn(slab: number): number {
    return this.#slabs.bytes[slab].length - this.#indexes.records.arena.liveBytesOf(slab);
  }

  /** Takes the next step of the round and returns what it cost. */
  #advance(limit: number): number {
    if (this.#phase === "retire") return this.#retireNext();
    if (this.#phase === "wait") return this.#wait(limit);
    if (this.#phase === "restore") return this.#restoreNext();
    // Rather later than at the cost of reads, but not for ever.
    if (this.#sharing?.isCrowded() === true && this.#waits++ < WAITS_MAX) return limit;
    const cost = LEAF_COST + this.#compactNext(limit);
    // Records that were deleted meanwhile may have been the last in the slabs.
    const isOver = this.#from === undefined || !this.#indexes.records.arena.slabs.hasRetired;
    if (isOver) {
      this.#phase = "wait";
      this.#awaited = this.#sharing?.endEpoch();
      this.#waits = 0;
    }
    return cost;
  }

  /** Has readers on other threads come to the end of what they read: until then, a slab is not empty. */
  #wait(limit: number): number {
    // Once more with the next step.
    if (!this.#isReclaimed() && this.#waits++ < WAITS_MAX) return limit;
    this.#phase = "restore";
    return 0;
  }

  /** Whether no read goes on any more that began before all was moved. */
  #isReclaimed(): boolean {
    const [sharing, awaited] = [this.#sharing, this.#awaited];
    if (sharing === undefined || awaited === undefined) return true;
    if (!sharing.reclaimThrough(awaited)) return false;
    this.#awaited = undefined;
    return true;
  }

  #retireNext(): number {
    const { arena } = this.#indexes.records;
    const slab = this.#chosen.shift();
    // It was chosen some steps ago: it may have gone since, and its number may stand for another.
    if (slab !== undefined && arena.slabs.isShared(slab) && this.#isSparse(slab)) {
      arena.retire(slab);
      this.#retired.push(slab);
    }
    if (this.#chosen.length === 0) this.#phase = this.#retired.length === 0 ? "restore" : "walk";
    return SLAB_COST;
  }

  #restoreNext(): number {
    const { arena } = this.#indexes.records;
    const slab = this.#retired.pop();
    if (slab !== undefined && arena.slabs.isRetired(slab)) arena.restore(slab);
    if (this.#retired.length === 0) this.#end();
    return SLAB_COST;
  }

  #end(): void {
    this.#phase = "rest";
    this.#from = FROM_THE_START;
    // A round that gained something may be followed by another at once.
    const isWorthIt = this.#isFreed || this.#begunWaste - this.#waste() >= this.#slabBytes / 2;
    // Moving changes nothing of what is used: so much was deleted meanwhile, and has not been tried.
    const deleted = this.#begunUsed - this.#indexes.records.arena.usedBytes;
    const isOutdated = deleted >= this.#slabBytes * RETRY;
    this.#triedWaste = isWorthIt || isOutdated ? Number.NEGATIVE_INFINITY : this.#waste();
  }

  /** Goes on with the walk, or to its end where there is no memory for what is to be moved; returns the cost. */
  #compactNext(limit: number): number {
    try {
      return this.#compactLeaf(limit);
    } catch (error) {
      if (!isNoMemory(error)) throw error;
      this.#from = undefined;
      return limit;
    }
  }

  /** Moves what a leaf, and the way to it, have in retired slabs, until that has cost `limit`; returns the cost. */
  #compactLeaf(limit: number): number {
    const { keys } = this.#indexes;
    const { nodes } = keys;
    const from = this.#from ?? FROM_THE_START;
    let node = keys.root;
    for (let level = keys.height; level > 0; level--) {
      const index = keys.nodes.childIndex(node, from, 0, from.length, 0);
      if (index > 0 && this.#isRetired(nodes.ref(node, index, false))) nodes.moveSeparator(node, index);
      node = nodes.child(node, index);
    }
    let cost = 0;
    const anchored = this.#pins.anchoredThrough;
    for (let index = nodes.get(node, COUNT) - 1; index >= 0; index--) {
      const ref = nodes.ref(node, index, true);
      if (!this.#isRetired(ref) || !this.#isMovable(ref, anchored)) continue;
      // The rest of this leaf has its turn later.
      if (cost >= limit) return cost;
      cost += 1 + this.#indexes.relocate(node, index) / BYTES_COST;
    }
    this.#from = this.#firstKeyBehind(node);
    return cost;
  }

  #firstKeyBehind(leaf: Node): Uint8Array | undefined {
    const { keys, records } = this.#indexes;
    const next = keys.nodes.get(leaf, NEXT);
    if (next === NO_NODE) return undefined;
    const ref = keys.nodes.ref(next, 0, true);
    const start = records.keyStart(ref);
    return records.slab(ref).slice(start, start + records.keyLength(ref));
  }

  #isRetired(ref: Ref): boolean {
    const { slabs } = this.#indexes.records.arena;
    return slabs.isRetired(ref >>> slabs.slabShift);
  }

  /** Whether nobody but the indexes names a record; `anchored` is the highest version that is pinned so. */
  #isMovable(ref: Ref, anchored: number): boolean {
    const { records } = this.#indexes;
    if (records.has(ref, SUPERSEDED | QUEUED | HELD | DISCARDED) || records.older(ref) !== NONE) return false;
    if (records.versionOf(ref) > anchored) return true;
    this.#wasPinned = true;
    return false;
  }
}
