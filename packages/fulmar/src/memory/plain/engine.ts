import { assert } from "../../base/assert.js";
import { compareBytes, readU64 } from "../../base/bytes.js";
import type { KeyRange } from "../../keys/range.js";
import { entryLength, isTombstone, keyLengthOf, keyOf, keyStart } from "../../record/entry.js";
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
import { deadlineCursor, originCursor, scanCursor } from "./cursors.js";
import { bytesOf, KEY_OVERHEAD_BYTES, PlainIndexes, RECORD_OVERHEAD_BYTES } from "./indexes.js";
import { PinSet } from "./pins.js";
import { type PlainRecord, visibleIn } from "./record.js";
import { verifyEngine } from "./verify.js";
import { VersionQueue } from "./version-queue.js";

/**
 * The simple engine: plain JavaScript objects and sorted arrays. Correctness and clarity come first; it
 * is what the off-heap engine is tested against. Search and change cost O(log n), digests O(range).
 */
export function createPlainEngine(options: EngineOptions): MemoryEngine {
  return new PlainEngine(options);
}

class PlainEngine implements MemoryEngine {
  readonly #options: EngineOptions;
  readonly #indexes = new PlainIndexes();
  readonly #unsettled = new VersionQueue();
  readonly #pins = new PinSet((held) => {
    for (const record of held) this.#reconsider(record);
  });
  #version = 0;
  /** The newest version that is shown while later ones are hidden; LATEST when none is. */
  #shown = LATEST;
  #settled = 0;
  #keepTombstones = false;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  get version(): number {
    return Math.min(this.#version, this.#shown);
  }

  get settled(): number {
    return this.#settled;
  }

  get usedBytes(): number {
    return this.#indexes.usedBytes;
  }

  get leavingBytes(): number {
    let bytes = 0;
    for (const record of this.#unsettled.live()) {
      if (record.older !== undefined) bytes += bytesOf(record.older);
      const isKept = !record.tombstone || this.#keepTombstones;
      if (!isKept && record.newer === undefined) bytes += bytesOf(record);
    }
    return bytes;
  }

  get keptBytes(): number {
    let bytes = 0;
    for (const { owner, held } of this.#pins) {
      if (owner === "user") continue;
      for (const record of held) {
        bytes += bytesOf(record);
        const { newer } = record;
        const isGoing = newer?.tombstone === true && !this.#keepTombstones;
        if (isGoing && newer.newer === undefined) bytes += bytesOf(newer);
      }
    }
    return bytes;
  }

  get keepTombstones(): boolean {
    return this.#keepTombstones;
  }

  set keepTombstones(keep: boolean) {
    assert(keep || !this.#keepTombstones, "tombstones are kept for good once they are kept");
    this.#keepTombstones = keep;
  }

  find(key: Uint8Array, at: number, length = key.length): Ref {
    const chain = this.#indexes.chainOf(key, 0, length);
    return chain === undefined ? NONE : (visibleIn(chain, Math.min(at, this.#shown))?.ref ?? NONE);
  }

  scan(range: KeyRange, at: number, reverse: boolean): Cursor {
    return scanCursor(this.#indexes.chains, range, Math.min(at, this.#shown), reverse);
  }

  get isOrderedByOrigin(): boolean {
    return this.#indexes.origins !== undefined;
  }

  orderByOrigin(): boolean {
    this.#indexes.orderByOrigin();
    return true;
  }

  forgetOrder(): void {
    this.#indexes.forgetOrder();
  }

  byOrigin(origin: number, afterSeq: number, throughSeq: number, at: number): Cursor {
    const { origins } = this.#indexes;
    assert(origins !== undefined, "the order by origin is asked for before it is read");
    return originCursor(origins.get(origin), afterSeq, throughSeq, Math.min(at, this.#shown));
  }

  byDeadline(throughMs: number, fromMs = 0): Cursor {
    return deadlineCursor(this.#indexes.deadlines, fromMs, throughMs);
  }

  nextDeadline(): number {
    return this.#indexes.deadlines.first?.deadline ?? Number.POSITIVE_INFINITY;
  }

  digest(range: KeyRange, at: number): Digest {
    return digestOf(this, this.scan(range, at, false), this.#options.hash);
  }

  /** Remembers no digests. */
  prepareDigest(): undefined {
    return undefined;
  }

  slab(ref: Ref): Uint8Array {
    return this.#indexes.table.get(ref).bytes;
  }

  words(): undefined {
    return undefined;
  }

  offset(_ref: Ref): number {
    return 0;
  }

  versionOf(ref: Ref): number {
    return this.#indexes.table.get(ref).version;
  }

  bytesOf(ref: Ref): number {
    return bytesOf(this.#indexes.table.get(ref));
  }

  bytesFor(entryBytes: number): number {
    return RECORD_OVERHEAD_BYTES + entryBytes;
  }

  indexGrowthBytes(keys: number): number {
    return keys * KEY_OVERHEAD_BYTES;
  }

  hasPins(owner?: PinOwner): boolean {
    return this.#pins.hasAny(owner);
  }

  isPinned(ref: Ref, byUser = false): boolean {
    return this.#pins.sees(this.#indexes.table.get(ref).version, byUser);
  }

  slot(ref: Ref): number {
    return this.#indexes.table.get(ref).slot;
  }

  setSlot(ref: Ref, slot: number): void {
    assert(this.#options.tracked, "only an engine that tracks its keys has slots");
    this.#indexes.table.get(ref).slot = slot;
  }

  put(version: number, bytes: Uint8Array, at: number, length: number): void {
    assert(version >= this.#version, "versions never decrease");
    assert(version > this.#settled, "a settled commit takes no more entries");
    this.#version = version;
    this.#unsettled.push(this.#insert(version, bytes, at, length));
  }

  get isHiding(): boolean {
    return this.#shown !== LATEST;
  }

  hide(): void {
    assert(!this.isHiding, "one commit is shown before the next is hidden");
    assert(this.#indexes.tracker === undefined, "a tracker is told what can be read");
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
    if (version <= this.#settled) return;
    assert(this.#isBelowHidden(version), "what is hidden is not settled");
    this.#settled = version;
    // A commit without entries advances nothing but the version, also of what is shown.
    this.#version = Math.max(this.#version, version);
    if (this.isHiding) this.#shown = Math.max(this.#shown, version);
    for (const record of this.#unsettled.takeThrough(version)) {
      if (record.older !== undefined) this.#reconsider(record.older);
      this.#reconsider(record);
    }
  }

  /** Nothing is ever put off here. */
  vacuum(): boolean {
    return false;
  }

  rollback(version: number): void {
    assert(version >= this.#settled, "what is settled is not rolled back");
    assert(this.#isBelowHidden(version), "what is hidden is taken back by any rollback");
    this.#version = Math.min(this.version, version);
    this.#shown = LATEST;
    const touched: PlainRecord[] = this.#pins.dropAbove(version).flatMap((held) => [...held]);
    for (const record of this.#unsettled.takeAbove(version)) {
      if (record.older !== undefined) touched.push(record.older);
      this.#indexes.removeNewest(record);
    }
    for (const record of touched) this.#reconsider(record);
  }

  pin(version: number, owner: PinOwner = "user"): Pin {
    assert(version >= this.#settled && version <= this.version, "a pin is between settled and newest");
    return this.#pins.pin(version, owner);
  }

  load(): BulkLoader {
    assert(this.#version === 0 && this.#indexes.table.size === 0, "only an empty engine is loaded");
    let last: Uint8Array | undefined;
    let versionMax = 0;
    let [isPutting, isFinished] = [false, false];
    return {
      announce: () => {},
      expect: () => {},
      step: () => true,
      addAll: (bytes, at, count) => {
        assert(!isPutting && !isFinished, "entries in order come first");
        let next = at;
        for (let i = 0; i < count; i++) {
          const version = readU64(bytes, next);
          const length = entryLength(bytes, next + 8);
          versionMax = Math.max(versionMax, version);
          const isWanted = this.#keepTombstones || !isTombstone(bytes, next + 8);
          const key = keyOf(bytes, next + 8);
          assert(last === undefined || compareBytes(last, key) < 0, "loaded keys ascend");
          last = key;
          if (isWanted) this.#insert(version, bytes, next + 8, length);
          next += 8 + length;
        }
        return next;
      },
      put: (version, bytes, at, length) => {
        assert(!isFinished && version >= versionMax, "versions never decrease");
        if (version > versionMax) this.settle(versionMax);
        [isPutting, versionMax] = [true, version];
        this.put(version, bytes, at, length);
      },
      finish: (version) => {
        assert(!isFinished && version >= versionMax, "a load ends at or above its versions");
        isFinished = true;
        this.settle(version);
        this.#version = version;
        this.#settled = version;
      },
    };
  }

  track(tracker: KeyTracker): void {
    this.#indexes.tracker = tracker;
  }

  usage(): MemoryUsage {
    return this.#indexes.usage();
  }

  verify(): void {
    verifyEngine({
      indexes: this.#indexes,
      pins: this.#pins,
      unsettled: this.#unsettled,
      version: this.#version,
      settled: this.#settled,
      keepTombstones: this.#keepTombstones,
    });
  }

  #insert(version: number, bytes: Uint8Array, at: number, length: number): PlainRecord {
    assert(length === entryLength(bytes, at), "an entry is as long as it says");
    const copy = new Uint8Array(length);
    copy.set(bytes.subarray(at, at + length));
    const start = keyStart(copy, 0);
    const end = start + keyLengthOf(copy, 0);
    const chain = this.#indexes.chainOf(copy, start, end);
    if (chain === undefined) return this.#indexes.addFirst(copy.slice(start, end), version, copy);
    if (chain.newest.version < version) return this.#indexes.supersede(chain, version, copy);
    return this.#indexes.replaceNewest(chain, version, copy);
  }

  /** Frees a record that neither a rollback nor a pin can need, or leaves it with the pin that does. */
  #reconsider(record: PlainRecord): void {
    if (!record.live || !this.#isFinal(record)) return;
    const { newer } = record;
    // To readers on other threads a deletion that hides nothing is nothing.
    const pinned =
      newer === undefined
        ? this.#pins.anchoredFrom(record.version)
        : this.#pins.highest(record.version, newer.version);
    if (pinned !== undefined) {
      pinned.held.add(record);
      return;
    }
    if (newer === undefined) {
      this.#indexes.removeNewest(record);
      return;
    }
    this.#indexes.removeOld(record, newer);
    // It may have been the last that a tombstone hid.
    this.#reconsider(newer);
  }

  /** Whether only pins can still keep a record: no rollback uncovers it, and it is no reader's newest entry. */
  #isFinal(record: PlainRecord): boolean {
    if (record.newer !== undefined) return record.newer.version <= this.#settled;
    const hides = record.older !== undefined;
    return record.tombstone && !this.#keepTombstones && !hides && record.version <= this.#settled;
  }
}
