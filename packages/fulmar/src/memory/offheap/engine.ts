import { assert } from "../../base/assert.js";
import { isEmptyRange, type KeyRange } from "../../keys/range.js";
import { entryLength, isTombstone, keyLengthOf, keyStart } from "../../record/entry.js";
import { digestOf } from "../digest.js";
import {
  type BulkLoader,
  type Cursor,
  type Digest,
  type EngineOptions,
  type KeyTracker,
  LATEST,
  type MemoryEngine,
  type MemoryUsage,
  NONE,
  type Pin,
  type PinOwner,
  type Ref,
} from "../engine.js";
import type { PinnedVersion } from "../pinned-versions.js";
import type { Sharing } from "../shared/sharing.js";
import { Compaction } from "./compaction.js";
import { type CursorSource, NOTHING, ScanCursor, visibleFrom } from "./cursors.js";
import { OffHeapIndexes } from "./indexes.js";
import { TreeDigests } from "./key-tree-digest.js";
import { LeavingBytes } from "./leaving.js";
import { OffHeapLoader } from "./loader.js";
import type { OffHeapOptions } from "./options.js";
import { deadlineCursor, originCursor } from "./order-cursors.js";
import { OriginBuilder } from "./origin-builder.js";
import { Overwriting } from "./overwriting.js";
import { PinSet } from "./pins.js";
import { DISCARDED, HELD, QUEUED, SUPERSEDED } from "./record-marks.js";
import type { Records } from "./records.js";
import { RefQueue } from "./ref-queue.js";
import { DEFAULT_SHAPE, type EngineShape } from "./shape.js";
import { verifyEngine } from "./verify.js";

/** Records that each write vacuums while there is garbage: twice as many as it can make, so that it comes to an end. */
const VACUUMED_PER_PUT = 2;

/**
 * The engine of a real store: records and indexes lie in typed arrays outside of the JavaScript heap. No object stands
 * for a key or a record, so that the garbage collector has nothing to do however many there are.
 */
export function createEngine(options: OffHeapOptions): MemoryEngine {
  return new OffHeapEngine(options);
}

class OffHeapEngine implements MemoryEngine, CursorSource {
  readonly indexes: OffHeapIndexes;
  readonly #hash: EngineOptions["hash"];
  readonly #records: Records;
  readonly #digests: TreeDigests;
  /**
   * Records whose commits are not settled, discarded ones among them, in the order of their versions. In front may
   * stand some that are settled, whose turn vacuum has put off: they count as un-settled in all but the version.
   */
  readonly #queue: RefQueue;
  readonly #pins: PinSet;
  /** What released pins held and vacuum has not looked at yet; none is empty. */
  readonly #released: RefQueue[] = [];
  readonly #compaction: Compaction;
  readonly #shape: EngineShape;
  /** Whether vacuum has anything to do. */
  #garbage = false;
  readonly #leaving: LeavingBytes;
  readonly #overwriting: Overwriting;
  #originBuilder: OriginBuilder | undefined;
  readonly #sharing: Sharing | undefined;
  #version = 0;
  #settled = 0;
  #keepTombstones = false;

  constructor(options: OffHeapOptions) {
    const shape = { ...DEFAULT_SHAPE, ...options.shape };
    const { sharing, secret = [0, 0], tracked = false } = options;
    this.indexes = new OffHeapIndexes(shape, secret, tracked, sharing?.buffers);
    this.#shape = shape;
    this.#hash = options.hash;
    this.#records = this.indexes.records;
    this.#digests = new TreeDigests(this.indexes.keys, this.#records, options.hash);
    this.#queue = new RefQueue(this.indexes.pages);
    const loosened = (): void => this.#compaction.reconsider();
    this.#pins = new PinSet(this.indexes.pages, (held) => this.#letGo(held), loosened);
    this.#leaving = new LeavingBytes(this.#records, this.#pins, () => this.#keepTombstones, sharing);
    this.#overwriting = new Overwriting(this.indexes, this.#pins, this.#digests);
    this.#sharing = sharing;
    sharing?.bind(this);
    this.#compaction = new Compaction(this.indexes, this.#pins, shape, sharing);
  }

  get version(): number {
    return this.#version;
  }

  get settled(): number {
    return this.#settled;
  }

  get usedBytes(): number {
    // What only waits for readers on other threads is bounded elsewhere, and evicting more does not free it.
    return this.indexes.usedBytes - (this.#sharing?.waitingNodeBytes ?? 0);
  }

  get leavingBytes(): number {
    return this.#leaving.bytes;
  }

  get keptBytes(): number {
    return this.#leaving.keptBytes;
  }

  get keepTombstones(): boolean {
    return this.#keepTombstones;
  }

  set keepTombstones(keep: boolean) {
    assert(keep || !this.#keepTombstones, "tombstones are kept for good once they are kept");
    this.#keepTombstones = keep;
  }

  isKept(version: number): boolean {
    return this.#pins.isAnchored(version);
  }

  find(key: Uint8Array, at: number, length = key.length): Ref {
    const newest = this.indexes.hash.find(key, 0, length);
    return newest === NONE || at === LATEST ? newest : visibleFrom(this.indexes, newest, at);
  }

  scan(range: KeyRange, at: number, reverse: boolean, whole = false): Cursor {
    return isEmptyRange(range) ? NOTHING : new ScanCursor(this, range, at, reverse, whole);
  }

  get isOrderedByOrigin(): boolean {
    return this.indexes.origins.state === "complete";
  }

  orderByOrigin(): boolean {
    if (this.isOrderedByOrigin) return true;
    const { orderedAtOnce } = this.#shape;
    this.#originBuilder ??= new OriginBuilder(this, this.pin(this.#settled, "store"), orderedAtOnce);
    if (this.#originBuilder.step()) this.#originBuilder = undefined;
    return this.isOrderedByOrigin;
  }

  forgetOrder(): void {
    this.indexes.origins.forget();
  }

  byOrigin(origin: number, afterSeq: number, throughSeq: number, at: number): Cursor {
    return originCursor(this, origin, afterSeq, throughSeq, at);
  }

  byDeadline(throughMs: number, fromMs = 0): Cursor {
    return deadlineCursor(this, fromMs, throughMs);
  }

  nextDeadline(): number {
    return this.indexes.nextDeadline();
  }

  digest(range: KeyRange, at: number): Digest {
    if (at >= this.#version) return this.#digests.digest(range);
    return digestOf(this, this.scan(range, at, false), this.#hash);
  }

  prepareDigest(from: Uint8Array, to: Uint8Array | undefined, groups: number): Uint8Array | undefined {
    return this.#digests.prepare(from, to, groups);
  }

  slab(ref: Ref): Uint8Array {
    return this.#records.slab(ref);
  }

  words(ref: Ref): Uint32Array | undefined {
    return this.#records.words(ref);
  }

  offset(ref: Ref): number {
    return this.#records.offset(ref);
  }

  versionOf(ref: Ref): number {
    return this.#records.versionOf(ref);
  }

  bytesOf(ref: Ref): number {
    return this.#records.bytesOf(ref);
  }

  bytesFor(entryBytes: number): number {
    return this.#records.bytesFor(entryBytes);
  }

  indexGrowthBytes(keys: number): number {
    return this.indexes.growthBytes(keys);
  }

  hasPins(owner?: PinOwner): boolean {
    return this.#pins.hasAny(owner);
  }

  isPinned(ref: Ref, byUser = false): boolean {
    const version = this.#records.versionOf(ref);
    return this.#pins.sees(version, byUser) || (!byUser && this.#sharing?.willPin(version) === true);
  }

  slot(ref: Ref): number {
    return this.#records.slotOf(ref);
  }

  setSlot(ref: Ref, slot: number): void {
    this.#records.setSlot(ref, slot);
  }

  put(version: number, bytes: Uint8Array, at: number, length: number): void {
    assert(version >= this.#version, "versions never decrease");
    assert(version > this.#settled, "a settled commit takes no more entries");
    assert(length === entryLength(bytes, at), "an entry is as long as it says");
    const start = keyStart(bytes, at);
    const newest = this.indexes.hash.locate(bytes, start, start + keyLengthOf(bytes, at));
    const isInPlace = newest !== NONE && this.#overwriting.makesWay(newest, bytes, at, length);
    const ref = isInPlace ? newest : this.#records.add(version, QUEUED, bytes, at, length);
    this.indexes.pages.makeRoom();
    const before = isInPlace ? this.indexes.overwrite(ref, version, bytes, at, length) : newest;
    if (!isInPlace) this.indexes.put(newest, ref);
    this.#leaving.put(before, ref);
    this.#version = version;
    this.#queue.push(ref);
    if (this.#garbage) this.#vacuumGarbage(VACUUMED_PER_PUT);
    this.#sharing?.reclaim();
  }

  settle(version: number): void {
    if (version <= this.#settled) return;
    this.#sharing?.publish(version);
    this.#settled = version;
    // A commit without entries advances nothing but the version.
    this.#version = Math.max(this.#version, version);
    this.#vacuumQueue(this.#shape.vacuumAtOnce);
    this.#garbage ||= this.#isQueueOverdue();
    this.#sharing?.reclaim();
  }

  vacuum(records: number, isMoving = true): boolean {
    const wasGarbage = this.#garbage;
    if (wasGarbage) this.#vacuumGarbage(records);
    // Before anything moves: what readers have done with is room for that.
    this.#sharing?.reclaim();
    return this.#garbage || (isMoving && this.#compaction.step(wasGarbage ? 0 : records));
  }

  rollback(version: number): void {
    assert(version >= this.#settled, "what is settled is not rolled back");
    const dropped = this.#pins.dropAbove(version);
    const records = this.#records;
    for (let ref = this.#queue.last(); ref !== NONE; ref = this.#queue.last()) {
      if (records.versionOf(ref) <= version) break;
      this.#queue.pop();
      this.#leaving.rollback(ref);
      records.lower(ref, QUEUED);
      if (records.has(ref, DISCARDED)) {
        records.free(ref);
        continue;
      }
      const older = this.indexes.removeNewest(ref, true);
      if (older !== NONE) this.#reconsiderNewest(older);
    }
    this.#version = Math.min(this.#version, version);
    if (dropped.length > 0) this.#compaction.reconsider();
    for (const held of dropped) this.#letGo(held);
    this.#sharing?.reclaim();
  }

  pin(version: number, owner: PinOwner = "user"): Pin {
    assert(version >= this.#settled && version <= this.#version, "a pin is between settled and newest");
    return this.#pins.pin(version, owner);
  }

  load(): BulkLoader {
    assert(this.#version === 0 && this.#records.count === 0, "only an empty engine is loaded");
    const keepsTombstones = (): boolean => this.#keepTombstones;
    return new OffHeapLoader(this.indexes, this.#shape, keepsTombstones, (version) => {
      this.#version = version;
      this.#settled = version;
    });
  }

  track(tracker: KeyTracker): void {
    this.indexes.tracker = tracker;
  }

  usage(): MemoryUsage {
    return this.indexes.usage();
  }

  verify(): void {
    verifyEngine({
      indexes: this.indexes,
      digests: this.#digests,
      pins: this.#pins,
      queue: this.#queue,
      released: this.#released,
      garbage: this.#garbage,
      leaving: this.#leaving,
      version: this.#version,
      settled: this.#settled,
      keepTombstones: this.#keepTombstones,
      waiting: this.#sharing?.waiting,
    });
  }

  #vacuumGarbage(records: number): void {
    this.#vacuumReleased(records - this.#vacuumQueue(records));
    this.#garbage = this.#released.length > 0 || this.#isQueueOverdue();
  }

  /** Takes what a pinned version held, now that it does so no more. */
  #letGo(held: RefQueue): void {
    if (held.size === 0) return;
    this.#released.push(held);
    this.#vacuumReleased(this.#shape.vacuumAtOnce);
    this.#garbage ||= this.#released.length > 0;
  }

  /** Whether a record waits in the queue although it is settled. */
  #isQueueOverdue(): boolean {
    const ref = this.#queue.first();
    return ref !== NONE && this.#records.versionOf(ref) <= this.#settled;
  }

  /** Gives settled records their turn, `limit` at most; returns how many. */
  #vacuumQueue(limit: number): number {
    const records = this.#records;
    for (let done = 0; done < limit; done++) {
      const ref = this.#queue.first();
      if (ref === NONE || records.versionOf(ref) > this.#settled) return done;
      this.#queue.shift();
      this.#leaving.settle(ref);
      records.lower(ref, QUEUED);
      if (records.has(ref, DISCARDED)) {
        records.free(ref);
        continue;
      }
      const older = records.older(ref);
      if (older === NONE) this.#reconsiderNewest(ref);
      else this.#reconsiderOld(older, ref);
    }
    return limit;
  }

  /** Reconsiders what released pins held, `limit` records at most. */
  #vacuumReleased(limit: number): void {
    const records = this.#records;
    for (let left = limit; left > 0 && this.#released.length > 0; left--) {
      const [held] = this.#released;
      const ref = held.first();
      held.shift();
      if (held.size === 0) this.#released.shift();
      // Only now: as long as the mark is there, nobody else frees a record that is still listed.
      records.lower(ref, HELD);
      if (records.has(ref, SUPERSEDED)) this.#reconsiderOld(ref, this.indexes.newerOf(ref));
      else this.#reconsiderNewest(ref);
    }
  }

  /** Leaves the version that `newer` replaced with a pin that sees it, or frees it, and `newer` if it only hid that. */
  #reconsiderOld(ref: Ref, newer: Ref): void {
    const records = this.#records;
    // A rollback of the newer one would uncover it; its own turn comes when that is settled.
    if (records.has(newer, QUEUED) || records.has(ref, HELD)) return;
    if (this.#hold(ref, this.#pins.highest(records.versionOf(ref), records.versionOf(newer)), newer)) return;
    this.#leaving.letGo(ref);
    this.indexes.removeOld(ref, newer);
    // It may have been the last that a tombstone hid.
    this.#reconsiderNewest(newer);
  }

  /** Frees a tombstone that hides nothing, if it need not stay and no pin sees it: to readers' pins it is nothing. */
  #reconsiderNewest(ref: Ref): void {
    const records = this.#records;
    if (records.has(ref, SUPERSEDED | QUEUED | HELD)) return;
    if (records.older(ref) !== NONE || !isTombstone(records.slab(ref), records.offset(ref))) return;
    // What it hid is gone, and it does not count as kept for that any more: if it stays, then for its own sake.
    this.#leaving.letGo(ref);
    const anchored = this.#pins.anchoredFrom(records.versionOf(ref));
    if (this.#keepTombstones || this.#hold(ref, anchored, NONE)) return;
    this.indexes.removeNewest(ref);
  }

  /** Lists a record, below `newer`, with a pinned version that sees it; false when there is none. */
  #hold(ref: Ref, pinned: PinnedVersion<RefQueue> | undefined, newer: Ref): boolean {
    if (pinned === undefined) return false;
    this.#records.raise(ref, HELD);
    pinned.held.push(ref);
    this.#leaving.held(ref, pinned.owner, newer);
    return true;
  }
}
