import { assert } from "../../base/assert.js";
import { deadlineOf, entryLength, isTombstone } from "../../record/entry.js";
import { type KeyTracker, type MemoryUsage, NONE, type Ref } from "../engine.js";
import type { SharedBuffers } from "../shared/buffers.js";
import { BareLeaves } from "./bare-leaves.js";
import { HashIndex } from "./hash-index.js";
import { KeyTree } from "./key-tree.js";
import { type Node, NodePool } from "./node-pool.js";
import type { OrderSorter } from "./order-sorter.js";
import { OrderTree } from "./order-tree.js";
import { OriginOrder } from "./origin-order.js";
import { RangeEnd } from "./range-end.js";
import { QUEUED, SUPERSEDED } from "./record-marks.js";
import { Records } from "./records.js";
import type { EngineShape } from "./shape.js";

const TWO_32 = 4294967296;
/** Nodes that a key adds at most: where each on its way through three high trees is full, and a queue's page. */
const NODES_PER_COMMIT = 20;
/** What a key takes in trees and queues on average, and some more, in bytes. */
const INDEX_BYTES_PER_KEY = 48;

/**
 * All records, every order that they are kept in, and the accounting: each step keeps these in
 * agreement. Which versions are kept, and how long, is the engine's decision.
 */
export class OffHeapIndexes {
  readonly records: Records;
  readonly hash: HashIndex;
  readonly keys: KeyTree;
  /** What of the keys a scan for values need not look at. */
  readonly bare: BareLeaves;
  /** Where the last scan ends among the keys. */
  readonly lastEnd = new RangeEnd();
  /** Every version of every key by origin, where that is asked for. */
  readonly origins: OriginOrder;
  /** Newest versions with a deadline, without tombstones: upper and lower word of the deadline. */
  readonly deadlines: OrderTree;
  /** Pages of queues. */
  readonly pages: NodePool;
  /** Is told of every key that gets or loses its value. */
  tracker: KeyTracker | undefined;
  readonly #shared: SharedBuffers | undefined;
  #entries = 0;
  #tombstones = 0;

  /** `shared` is where memory comes from that other threads may read. */
  constructor(
    shape: EngineShape,
    secret: readonly [number, number],
    isTracked: boolean,
    shared?: SharedBuffers,
  ) {
    this.#shared = shared;
    this.records = new Records(shape, isTracked, shared?.slabs);
    this.hash = new HashIndex(this.records, shape, secret);
    this.keys = new KeyTree(this.records, shape, shared?.chunks);
    this.bare = new BareLeaves(this.keys, this.records);
    this.origins = new OriginOrder(this.records, shape);
    this.deadlines = new OrderTree(shape);
    this.pages = new NodePool(shape);
  }

  usage(): MemoryUsage {
    return {
      entries: this.#entries,
      tombstones: this.#tombstones,
      oldVersions: this.records.count - this.hash.size,
      recordBytes: this.records.entryBytes,
      overheadBytes: this.#allocatedBytes() - this.records.entryBytes,
    };
  }

  /** See `MemoryEngine.usedBytes`. */
  get usedBytes(): number {
    const { arena, links } = this.records;
    return arena.usedBytes + links.usedBytes + this.hash.allocatedBytes + this.#nodeBytes();
  }

  growthBytes(keys: number): number {
    const nodes = NODES_PER_COMMIT * this.pages.nodeWords * 4;
    return this.hash.growthBytes(keys) + nodes + keys * INDEX_BYTES_PER_KEY;
  }

  /** The earliest deadline; Infinity without one. */
  nextDeadline(): number {
    const { deadlines } = this;
    if (deadlines.size === 0) return Number.POSITIVE_INFINITY;
    const leaf = deadlines.firstLeaf();
    return deadlines.nodes.group(leaf) * TWO_32 + deadlines.nodes.minor(leaf, 0);
  }

  /** The newest record of the key of a record. */
  newestOf(ref: Ref): Ref {
    const start = this.records.keyStart(ref);
    return this.hash.find(this.records.slab(ref), start, start + this.records.keyLength(ref));
  }

  /** The version that replaced `ref`: the newest of the key leads to it. */
  newerOf(ref: Ref): Ref {
    let newer = this.newestOf(ref);
    while (newer !== NONE && this.records.older(newer) !== ref) newer = this.records.older(newer);
    assert(newer !== NONE, "a replaced version is below the newest of its key");
    return newer;
  }

  /**
   * Allocates now what a change of one key takes but for its record, so that nothing fails half-way for want of it.
   */
  makeRoom(hasDeadline: boolean): void {
    this.pages.makeRoom();
    // Where memory is shared a record names itself what it replaced.
    if (this.records.olderWord === 0) this.records.links.makeRoom();
    this.keys.nodes.pool.makeRoom();
    if (hasDeadline) this.deadlines.nodes.pool.makeRoom();
    this.origins.makeRoom();
    this.tracker?.makeRoom();
  }

  /** The same for a record that is to be freed, or listed elsewhere. Readers on other threads have nodes copied. */
  makeRoomToVacuum(): void {
    this.pages.makeRoom();
    this.keys.nodes.pool.makeRoom();
  }

  /**
   * Puts an entry on top of the newest version of its key, as the hash index just found it, or did not; returns its
   * record. There is room for everything else, and when there is no memory for the record, nothing is changed.
   */
  put(newest: Ref, version: number, bytes: Uint8Array, at: number, length: number): Ref {
    const ref = this.records.add(version, QUEUED, bytes, at, length);
    if (newest === NONE) this.#addFirst(ref);
    else if (this.records.versionOf(newest) < version) this.#supersede(newest, ref);
    else this.#replaceNewest(newest, ref);
    return ref;
  }

  /** Adds the first version of the key that the hash index just did not find. */
  #addFirst(ref: Ref): void {
    const { records } = this;
    this.#find(ref);
    this.origins.admit(ref);
    this.#enter(ref);
    if (this.tracker !== undefined && !records.isTombstone(ref)) this.tracker.entered(ref, false);
  }

  /** Has hash index and order of keys lead to the first version of a key: both, or neither where there is no memory. */
  #find(ref: Ref): void {
    const { records } = this;
    const slab = records.slab(ref);
    const start = records.keyStart(ref);
    const end = start + records.keyLength(ref);
    let isAdded = false;
    try {
      this.hash.add(ref);
      isAdded = true;
      this.keys.insert(slab, start, end, ref);
    } catch (error) {
      if (isAdded) {
        this.hash.locateAnyway(slab, start, end);
        this.hash.remove();
      }
      records.lower(ref, QUEUED);
      records.free(ref);
      throw error;
    }
  }

  /** Takes note of the only version of a key, in everything but hash index and order of keys. */
  enterLoaded(ref: Ref, deadlines: OrderSorter): void {
    const { records } = this;
    const slab = records.slab(ref);
    const at = records.offset(ref);
    if (this.#count(slab, at, 1)) return;
    const deadline = deadlineOf(slab, at);
    if (deadline !== Number.POSITIVE_INFINITY) {
      deadlines.add(Math.floor(deadline / TWO_32), deadline >>> 0, ref);
    }
    this.tracker?.entered(ref, false);
  }

  /** Puts a version above the newest of its key, which the hash index just found. */
  #supersede(newest: Ref, ref: Ref): void {
    this.records.setOlder(ref, newest);
    this.#leave(newest);
    this.records.copySlot(newest, ref);
    this.records.raise(newest, SUPERSEDED);
    this.#exchange(newest, ref);
    this.origins.admit(ref);
    this.#enter(ref);
    if (this.tracker !== undefined) this.#tell(this.tracker, newest, ref, false);
  }

  /**
   * Puts a version above the newest of its key in the very memory of that, so that nothing that leads to the key
   * has to be told; returns where that has moved. Neither of them is a tombstone or has a deadline.
   */
  overwrite(newest: Ref, version: number, bytes: Uint8Array, at: number, length: number): Ref {
    const older = this.records.addInPlaceOf(newest, version, QUEUED, bytes, at, length);
    this.records.raise(older, SUPERSEDED);
    this.tracker?.replaced(older, newest);
    return older;
  }

  /** Puts a version in the place of the newest of its key, which is known to no index any more then. */
  #replaceNewest(newest: Ref, ref: Ref): void {
    this.records.setOlder(ref, this.records.older(newest));
    this.#leave(newest);
    this.origins.expel(newest);
    this.records.copySlot(newest, ref);
    this.#exchange(newest, ref);
    this.origins.admit(ref);
    this.#enter(ref);
    if (this.tracker !== undefined) this.#tell(this.tracker, newest, ref, false);
    this.records.discard(newest);
  }

  /**
   * Takes the newest version of a key away and frees it. Returns the version before it, which is the
   * newest again, or NONE. Where memory is private, it takes none.
   */
  removeNewest(ref: Ref): Ref {
    const { records } = this;
    const slab = records.slab(ref);
    const start = records.keyStart(ref);
    const end = start + records.keyLength(ref);
    assert(this.hash.locateAnyway(slab, start, end) === ref, "only the newest version is taken from the top");
    this.#leave(ref);
    this.origins.expel(ref);
    const older = records.older(ref);
    if (older === NONE) {
      this.hash.remove();
      this.keys.remove(slab, start, end, ref);
      if (this.tracker !== undefined && !records.isTombstone(ref)) this.tracker.left(ref);
    } else {
      this.#exchange(ref, older);
      records.lower(older, SUPERSEDED);
      records.copySlot(ref, older);
      this.#enter(older);
      if (this.tracker !== undefined) this.#tell(this.tracker, ref, older, true);
    }
    records.free(ref);
    return older;
  }

  /** Takes a version away that `newer` replaced, and frees it. */
  removeOld(ref: Ref, newer: Ref): void {
    assert(this.records.older(newer) === ref, "an old version is taken from under the next one");
    this.records.setOlder(newer, this.records.older(ref));
    this.origins.expel(ref);
    this.records.free(ref);
  }

  /**
   * Puts the newest record of a key, at an index of a leaf of the key tree, elsewhere; how many bytes it has. Readers
   * on other threads find it in either place, with the same bytes: it has no older version, and nothing is to come to
   * the old place.
   */
  relocate(leaf: Node, index: number): number {
    const { records } = this;
    const ref = this.keys.nodes.ref(leaf, index, true);
    assert(records.older(ref) === NONE, "a record with older versions is not moved");
    // Before anything changes: what is moved may go from one order by origin to another.
    this.origins.makeRoom();
    const copy = records.copy(ref);
    const slab = records.slab(copy);
    const at = records.offset(copy);
    const start = records.keyStart(copy);
    // Nothing but the copy takes memory: where there was none for it, nothing has changed.
    const located = this.hash.locateAnyway(slab, start, start + records.keyLength(copy));
    assert(located === ref, "a newest record is moved");
    this.hash.replace(copy);
    // Not before the copy is whole, and not after the old place may be used again.
    this.keys.nodes.publishRef(leaf, index, copy);
    this.origins.expel(ref);
    this.origins.admit(copy);
    const deadline = deadlineOf(slab, at);
    if (deadline !== Number.POSITIVE_INFINITY && !isTombstone(slab, at)) {
      this.deadlines.remove(Math.floor(deadline / TWO_32), deadline >>> 0, ref);
      this.deadlines.add(Math.floor(deadline / TWO_32), deadline >>> 0, copy);
    }
    if (!isTombstone(slab, at)) this.tracker?.moved(copy);
    records.vacate(ref);
    return entryLength(slab, at);
  }

  /** Puts one record in the place of another of the same key, which the hash index just located. */
  #exchange(old: Ref, ref: Ref): void {
    const { records } = this;
    const start = records.keyStart(ref);
    this.hash.replace(ref);
    this.keys.replace(records.slab(ref), start, start + records.keyLength(ref), old, ref);
  }

  /** One record is the newest of its key in the place of another. */
  #tell(tracker: KeyTracker, before: Ref, ref: Ref, isBack: boolean): void {
    const had = !this.records.isTombstone(before);
    const has = !this.records.isTombstone(ref);
    if (had && has) tracker.replaced(before, ref);
    else if (had) tracker.left(before);
    else if (has) tracker.entered(ref, isBack);
  }

  /** Counts a key more or less; whether by a tombstone. */
  #count(slab: Uint8Array, at: number, by: 1 | -1): boolean {
    if (isTombstone(slab, at)) {
      this.#tombstones += by;
      return true;
    }
    this.#entries += by;
    return false;
  }

  /** A record becomes the newest of its key. */
  #enter(ref: Ref): void {
    const slab = this.records.slab(ref);
    const at = this.records.offset(ref);
    if (this.#count(slab, at, 1)) return;
    const deadline = deadlineOf(slab, at);
    if (deadline === Number.POSITIVE_INFINITY) return;
    this.deadlines.add(Math.floor(deadline / TWO_32), deadline >>> 0, ref);
  }

  /** A record is the newest of its key no more. */
  #leave(ref: Ref): void {
    const slab = this.records.slab(ref);
    const at = this.records.offset(ref);
    if (this.#count(slab, at, -1)) return;
    const deadline = deadlineOf(slab, at);
    if (deadline === Number.POSITIVE_INFINITY) return;
    this.deadlines.remove(Math.floor(deadline / TWO_32), deadline >>> 0, ref);
  }

  #nodeBytes(): number {
    const trees = this.keys.nodes.pool.usedBytes + this.origins.usedBytes;
    return trees + this.deadlines.nodes.pool.usedBytes + this.pages.usedBytes;
  }

  #allocatedBytes(): number {
    return (
      (this.#shared?.idleBytes ?? 0) +
      this.records.arena.slabs.allocatedBytes +
      this.records.links.allocatedBytes +
      this.hash.allocatedBytes +
      this.keys.nodes.pool.allocatedBytes +
      this.origins.allocatedBytes +
      this.deadlines.nodes.pool.allocatedBytes +
      this.pages.allocatedBytes
    );
  }
}
