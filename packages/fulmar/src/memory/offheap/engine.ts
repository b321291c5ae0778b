import { assert } from "../../base/assert.js";
import { isNoMemory } from "../../base/errors.js";
import { isEmptyRange, type KeyRange } from "../../keys/range.js";
import { entryLength, flagsOf, HAS_DEADLINE, keyLengthOf, keyStart } from "../../record/entry.js";
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
  type ScanOptions,
} from "../engine.js";
import type { Sharing } from "../shared/sharing.js";
import { Compaction } from "./compaction.js";
import { type CursorSource, NOTHING, visibleFrom } from "./cursors.js";
import { Garbage } from "./garbage.js";
import { OffHeapIndexes } from "./indexes.js";
import { TreeDigests } from "./key-tree-digest.js";
import { LeavingBytes } from "./leaving.js";
import { OffHeapLoader } from "./loader.js";
import type { OffHeapOptions } from "./options.js";
import { deadlineCursor, originCursor } from "./order-cursors.js";
import { OriginBuilder } from "./origin-builder.js";
import { Overwriting } from "./overwriting.js";
import { PinSet } from "./pins.js";
import { DISCARDED, QUEUED } from "./record-marks.js";
import type { Records } from "./records.js";
import { ScanCursor } from "./scan-cursor.js";
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
  readonly #garbage: Garbage;
  readonly #pins: PinSet;
  readonly #compaction: Compaction;
  readonly #shape: EngineShape;
  readonly #leaving: LeavingBytes;
  readonly #overwriting: Overwriting;
  #originBuilder: OriginBuilder | undefined;
  readonly #sharing: Sharing | undefined;
  #version = 0;
  /** The newest version that is shown while later ones are hidden; LATEST when none is. */
  #shown = LATEST;

  constructor(options: OffHeapOptions) {
    const shape = { ...DEFAULT_SHAPE, ...options.shape };
    const { sharing, secret = [0, 0], tracked = false } = options;
    this.indexes = new OffHeapIndexes(shape, secret, tracked, sharing?.buffers);
    this.#shape = shape;
    this.#hash = options.hash;
    this.#records = this.indexes.records;
    this.#digests = new TreeDigests(this.indexes.keys, this.#records, options.hash);
    const loosened = (): void => this.#compaction.reconsider();
    this.#pins = new PinSet(this.indexes.pages, (held) => this.#garbage.letGo(held), loosened);
    this.#leaving = new LeavingBytes(this.#records, this.#pins, () => this.keepTombstones, sharing);
    const { indexes } = this;
    const { vacuumAtOnce } = shape;
    this.#garbage = new Garbage({ indexes, pins: this.#pins, leaving: this.#leaving, vacuumAtOnce });
    this.#overwriting = new Overwriting(this.indexes, this.#pins, this.#digests);
    this.#sharing = sharing;
    sharing?.bind(this);
    this.#compaction = new Compaction(this.indexes, this.#pins, shape, sharing);
  }

  get version(): number {
    return Math.min(this.#version, this.#shown);
  }

  get settled(): number {
    return this.#garbage.settled;
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
    return this.#garbage.keepTombstones;
  }

  set keepTombstones(keep: boolean) {
    assert(keep || !this.keepTombstones, "tombstones are kept for good once they are kept");
    this.#garbage.keepTombstones = keep;
  }

  isKept(version: number): boolean {
    return this.#pins.isAnchored(version);
  }

  find(key: Uint8Array, at: number, length = key.length): Ref {
    const newest = this.indexes.hash.find(key, 0, length);
    const through = Math.min(at, this.#shown);
    return newest === NONE || through === LATEST ? newest : visibleFrom(this.indexes, newest, through);
  }

  scan(range: KeyRange, at: number, reverse: boolean, options: ScanOptions = {}): Cursor {
    if (isEmptyRange(range)) return NOTHING;
    return new ScanCursor(this, range, Math.min(at, this.#shown), reverse, options);
  }

  get isOrderedByOrigin(): boolean {
    return this.indexes.origins.state === "complete";
  }

  orderByOrigin(): boolean {
    if (this.isOrderedByOrigin) return true;
    const { orderedAtOnce } = this.#shape;
    const builder =
      this.#originBuilder ?? new OriginBuilder(this, this.pin(this.settled, "store"), orderedAtOnce);
    // If it fails, the next call begins anew.
    this.#originBuilder = undefined;
    if (!builder.step()) this.#originBuilder = builder;
    return this.isOrderedByOrigin;
  }

  forgetOrder(): void {
    assert(this.isOrderedByOrigin, "only a complete order is forgotten");
    this.indexes.origins.forget();
  }

  byOrigin(origin: number, afterSeq: number, throughSeq: number, at: number): Cursor {
    return originCursor(this, origin, afterSeq, throughSeq, Math.min(at, this.#shown));
  }

  byDeadline(throughMs: number, fromMs = 0): Cursor {
    return deadlineCursor(this, fromMs, throughMs);
  }

  nextDeadline(): number {
    return this.indexes.nextDeadline();
  }

  digest(range: KeyRange, at: number): Digest {
    if (at >= this.#version && !this.isHiding) return this.#digests.digest(range);
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
    assert(version > this.settled, "a settled commit takes no more entries");
    assert(length === entryLength(bytes, at), "an entry is as long as it says");
    const start = keyStart(bytes, at);
    const newest = this.indexes.hash.locate(bytes, start, start + keyLengthOf(bytes, at));
    const isInPlace = newest !== NONE && this.#overwriting.makesWay(newest, bytes, at, length);
    // All that may fail for want of memory comes before anything changes.
    this.indexes.makeRoom((flagsOf(bytes, at) & HAS_DEADLINE) !== 0);
    const ref = isInPlace ? newest : this.indexes.put(newest, version, bytes, at, length);
    const before = isInPlace ? this.indexes.overwrite(ref, version, bytes, at, length) : newest;
    this.#leaving.put(before, ref);
    this.#version = version;
    this.#garbage.queue.push(ref);
    if (this.#garbage.isLeft) this.#garbage.vacuum(VACUUMED_PER_PUT);
    this.#sharing?.reclaim();
  }

  get isHiding(): boolean {
    return this.#shown !== LATEST;
  }

  hide(): void {
    assert(!this.isHiding, "one commit is shown before the next is hidden");
    assert(this.indexes.tracker === undefined, "a tracker is told what can be read");
    this.#shown = this.#version;
  }

  show(): void {
    assert(this.isHiding, "what is shown was hidden");
    this.#shown = LATEST;
  }

  /** Commits without entries may have come before what is hidden: then they are newer than what is shown. */
  #isBelowHidden(version: number): boolean {
    return this.#version <= this.#shown || version < this.#version;
  }

  settle(version: number): void {
    if (version <= this.settled) return;
    assert(this.#isBelowHidden(version), "what is hidden is not settled");
    this.#sharing?.publish(version);
    // A commit without entries advances nothing but the version, also of what is shown.
    this.#version = Math.max(this.#version, version);
    if (this.isHiding) this.#shown = Math.max(this.#shown, version);
    this.#garbage.settle(version);
    this.#sharing?.reclaim();
  }

  vacuum(records: number, isMoving = true): boolean {
    const wasGarbage = this.#garbage.isLeft;
    if (wasGarbage) this.#garbage.vacuum(records);
    // Before anything moves: what readers have done with is room for that.
    this.#sharing?.reclaim();
    return this.#garbage.isLeft || (isMoving && this.#compaction.step(wasGarbage ? 0 : records));
  }

  rollback(version: number): void {
    assert(version >= this.settled, "what is settled is not rolled back");
    assert(this.#isBelowHidden(version), "what is hidden is taken back by any rollback");
    this.#version = Math.min(this.version, version);
    this.#shown = LATEST;
    const dropped = this.#pins.dropAbove(version);
    const records = this.#records;
    const { queue } = this.#garbage;
    for (let ref = queue.last(); ref !== NONE; ref = queue.last()) {
      if (records.versionOf(ref) <= version) break;
      this.#makeRoomToGoBack();
      queue.pop();
      this.#leaving.rollback(ref);
      records.lower(ref, QUEUED);
      if (records.has(ref, DISCARDED)) {
        records.free(ref);
        continue;
      }
      const older = this.indexes.removeNewest(ref);
      if (older !== NONE) this.#garbage.reconsiderNewest(older);
    }
    if (dropped.length > 0) this.#compaction.reconsider();
    for (const held of dropped) this.#garbage.letGo(held);
    this.#sharing?.reclaim();
  }

  /** With readers on other threads, nodes that change are copied: where there is no memory for that, they go. */
  #makeRoomToGoBack(): void {
    if (this.#sharing === undefined) return;
    try {
      this.indexes.keys.nodes.pool.makeRoom();
    } catch (error) {
      if (!isNoMemory(error)) throw error;
      this.#sharing.detachAll();
    }
  }

  pin(version: number, owner: PinOwner = "user"): Pin {
    assert(version >= this.settled && version <= this.version, "a pin is between settled and newest");
    return this.#pins.pin(version, owner);
  }

  load(): BulkLoader {
    assert(this.#version === 0 && this.#records.count === 0, "only an empty engine is loaded");
    const keepsTombstones = (): boolean => this.keepTombstones;
    return new OffHeapLoader(this.indexes, this.#shape, keepsTombstones, (version) => {
      this.#version = version;
      this.#garbage.settle(version);
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
      queue: this.#garbage.queue,
      released: this.#garbage.released,
      garbage: this.#garbage.isLeft,
      leaving: this.#leaving,
      version: this.#version,
      settled: this.settled,
      keepTombstones: this.keepTombstones,
      waiting: this.#sharing?.waiting,
    });
  }
}
