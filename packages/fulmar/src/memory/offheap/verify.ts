import { assert } from "../../base/assert.js";
import { deadlineOf, entryLength, isTombstone } from "../../record/entry.js";
import { LATEST, NONE, type PinOwner, type Ref } from "../engine.js";
import type { OffHeapIndexes } from "./indexes.js";
import type { TreeDigests } from "./key-tree-digest.js";
import { verifyKeyTree } from "./key-tree-verify.js";
import type { LeavingBytes } from "./leaving.js";
import { verifyOrder } from "./order-verify.js";
import { verifyOrigins } from "./origin-verify.js";
import type { PinSet } from "./pins.js";
import { DISCARDED, HELD, KEPT, LEAVING, QUEUED, SUPERSEDED } from "./record-marks.js";
import type { Records } from "./records.js";
import type { RefQueue } from "./ref-queue.js";

/** The whole state of an off-heap engine. */
export interface OffHeapState {
  readonly indexes: OffHeapIndexes;
  readonly digests: TreeDigests;
  readonly pins: PinSet;
  readonly queue: RefQueue;
  readonly released: readonly RefQueue[];
  readonly garbage: boolean;
  readonly leaving: LeavingBytes;
  readonly version: number;
  readonly settled: number;
  readonly keepTombstones: boolean;
  /** Memory that waits for readers on other threads. */
  readonly waiting: { readonly cells: number; readonly nodes: number } | undefined;
}

/** Throws INVARIANT if anything contradicts anything else, or is kept without need. */
export function verifyEngine(state: OffHeapState): void {
  const { indexes, queue, released } = state;
  const { records, hash } = indexes;
  assert(state.settled <= state.version, "what is settled was applied");
  hash.verify();
  const { refs: newest, separators } = verifyKeyTree(
    indexes.keys,
    records,
    state.digests,
    state.waiting?.nodes ?? 0,
  );
  assert(newest.length === hash.size, "the order of keys and the hash index have the same keys");
  const all = new Set<Ref>();
  for (const ref of newest) verifyChain(state, ref, all);
  assert(all.size === records.count, "every version is in a chain");
  const held = verifyPins(state, all) + verifyReleased(state, all);
  const discarded = verifyQueue(state, all);
  const listed = [...all].filter((ref) => records.has(ref, HELD)).length;
  const linked = [...all].filter((ref) => records.older(ref) !== NONE).length;
  records.links.verify();
  assert(
    records.links.used === (records.olderWord === 0 ? linked : 0),
    "a link is of a record that replaced another",
  );
  assert(listed === held, "a record with the mark of a held one is listed");
  verifyLeaving(state, newest, discarded);
  verifyOrigins(indexes, all);
  verifyDeadlines(indexes, newest);
  verifyUsage(indexes, newest, all);
  verifyMemory(indexes, [...all, ...discarded, ...separators], state.waiting?.cells ?? 0);
  let pages = queue.pages;
  for (const held of [...released, ...[...state.pins].map((pinned) => pinned.held)]) pages += held.pages;
  indexes.pages.verify();
  assert(indexes.pages.used === pages, "every page in use is of a queue");
}

function verifyChain(state: OffHeapState, newest: Ref, all: Set<Ref>): void {
  const { records, hash } = state.indexes;
  const start = records.keyStart(newest);
  const end = start + records.keyLength(newest);
  const slab = records.slab(newest);
  assert(hash.find(slab, start, end) === newest, "the hash index leads to every key");
  let newer: Ref = NONE;
  for (let ref = newest; ref !== NONE; ref = records.older(ref)) {
    assert(!all.has(ref), "a record is in one chain, once");
    all.add(ref);
    assert(records.hasKey(ref, slab, start, end), "a chain has one key");
    assert(newer === NONE || records.versionOf(newer) > records.versionOf(ref), "versions of a key descend");
    assert(records.has(ref, SUPERSEDED) === (newer !== NONE), "replaced versions are marked");
    verifyRecord(state, ref, newer);
    newer = ref;
  }
}

function verifyRecord(state: OffHeapState, ref: Ref, newer: Ref): void {
  const { records } = state.indexes;
  const version = records.versionOf(ref);
  const isSettled = version <= state.settled;
  assert(version <= state.version, "no record is of a commit to come");
  assert(isSettled || records.has(ref, QUEUED), "records that are not settled are marked");
  assert(!records.has(ref, DISCARDED), "a discarded record is in no chain");
  const isBare =
    isTombstone(records.slab(ref), records.offset(ref)) &&
    records.older(ref) === NONE &&
    !records.has(ref, QUEUED) &&
    !state.keepTombstones;
  const isFinal = newer === NONE ? isBare : !records.has(newer, QUEUED);
  assert(
    !isFinal || records.has(ref, HELD),
    "what nobody needs is freed, and what a pin needs is held by it",
  );
}

/** Checks what pinned versions hold; returns how much that is. */
function verifyPins({ indexes, pins }: OffHeapState, all: ReadonlySet<Ref>): number {
  const { records } = indexes;
  const seen = new Set<Ref>();
  for (const { version, count, held } of pins) {
    assert(count > 0, "a pinned version has a pin");
    for (const ref of held) {
      assert(all.has(ref) && records.has(ref, HELD) && !seen.has(ref), "a held record is listed once");
      seen.add(ref);
      let newer = indexes.newestOf(ref);
      while (newer !== ref && records.older(newer) !== ref) newer = records.older(newer);
      const top = newer === ref ? LATEST : records.versionOf(newer);
      assert(
        records.versionOf(ref) <= version && version < top,
        "a record is held by a version that sees it",
      );
    }
  }
  return seen.size;
}

/** Checks what released pins held, which is not held by others; returns how much that is. */
function verifyReleased({ indexes, released, garbage, pins }: OffHeapState, all: ReadonlySet<Ref>): number {
  const held = new Set([...pins].flatMap((pinned) => [...pinned.held]));
  const refs = released.flatMap((queue) => [...queue]);
  assert(garbage || refs.length === 0, "what is put off is known to be");
  for (const queue of released) assert(queue.size > 0, "an empty list is forgotten");
  for (const ref of refs) {
    assert(all.has(ref) && indexes.records.has(ref, HELD), "a released record is still there");
    assert(!held.has(ref), "a record is listed once");
    held.add(ref);
  }
  return refs.length;
}

/** Checks the queue of what is not settled or overdue; returns the discarded records in it. */
function verifyQueue(state: OffHeapState, all: ReadonlySet<Ref>): Ref[] {
  const { indexes, queue, settled, garbage } = state;
  const { records } = indexes;
  const discarded: Ref[] = [];
  const seen = new Set<Ref>();
  let before = 0;
  for (const ref of queue) {
    const version = records.versionOf(ref);
    assert(!seen.has(ref) && records.has(ref, QUEUED), "a record is queued once");
    assert(version >= before, "queued records are in order");
    assert(version > settled || garbage, "what is overdue is known to be");
    assert(records.has(ref, DISCARDED) !== all.has(ref), "a queued record is in a chain, or discarded");
    if (records.has(ref, DISCARDED)) discarded.push(ref);
    seen.add(ref);
    before = version;
  }
  for (const ref of all) assert(seen.has(ref) === records.has(ref, QUEUED), "what is marked is queued");
  return discarded;
}

function verifyLeaving(
  { indexes, leaving, pins }: OffHeapState,
  newest: readonly Ref[],
  discarded: readonly Ref[],
): void {
  const { records } = indexes;
  const owners = new Map<Ref, PinOwner>();
  for (const { held, owner } of pins) for (const ref of held) owners.set(ref, owner);
  let bytes = 0;
  let kept = 0;
  const count = (ref: Ref, newer: Ref): void => {
    const owner = owners.get(ref);
    const isMarked = records.has(ref, KEPT | LEAVING);
    assert(
      isMarked || owner === undefined || owner === "user",
      "what only the store's own pins hold is marked",
    );
    if (records.has(ref, KEPT)) {
      assert(!records.has(ref, LEAVING), "a record that goes is counted once");
      assert(
        mayBeKept(records, ref, newer, owner),
        "what is kept was replaced or deleted, and no user sees it",
      );
      kept += records.bytesOf(ref);
    }
    if (!records.has(ref, LEAVING)) return;
    assert(mayLeave(records, ref, newer), "what goes was replaced or deleted, and not for good yet");
    bytes += records.bytesOf(ref);
  };
  for (const ref of discarded) count(ref, NONE);
  for (const first of newest) {
    let newer: Ref = NONE;
    for (let ref = first; ref !== NONE; ref = records.older(ref)) {
      count(ref, newer);
      newer = ref;
    }
  }
  assert(bytes === leaving.bytes, "bytes that go once commits are settled are counted");
  assert(kept === leaving.keptBytes, "bytes that only pins of no user keep are counted");
}

/** Whether a record may be marked as leaving, which `newer` replaced if that is not NONE. */
function mayLeave(records: Records, ref: Ref, newer: Ref): boolean {
  if (records.has(ref, DISCARDED)) return true;
  if (newer !== NONE) return records.has(newer, QUEUED);
  return records.isTombstone(ref) && records.has(ref, QUEUED);
}

/** Whether a record may be marked as kept, of which a pin of `owner` may be the holder. */
function mayBeKept(records: Records, ref: Ref, newer: Ref, owner: PinOwner | undefined): boolean {
  if (records.has(ref, HELD)) return owner !== "user";
  if (newer !== NONE && records.has(newer, QUEUED)) return true;
  return records.isTombstone(ref) && records.older(ref) !== NONE;
}

function verifyDeadlines(indexes: OffHeapIndexes, newest: readonly Ref[]): void {
  const { records } = indexes;
  const current = new Set(newest);
  const deadlines = verifyOrder(indexes.deadlines, (group, minor, ref) => {
    assert(current.has(ref), "only newest entries are queued to expire");
    assert(!isTombstone(records.slab(ref), records.offset(ref)), "tombstones do not expire");
    const deadline = deadlineOf(records.slab(ref), records.offset(ref));
    assert(deadline === group * 2 ** 32 + minor, "entries are queued by their deadline");
  });
  const expiring = newest.filter((ref) => {
    const slab = records.slab(ref);
    const at = records.offset(ref);
    return !isTombstone(slab, at) && deadlineOf(slab, at) !== Number.POSITIVE_INFINITY;
  });
  assert(deadlines === expiring.length, "every newest entry with a deadline is queued");
}

function verifyUsage(indexes: OffHeapIndexes, newest: readonly Ref[], all: ReadonlySet<Ref>): void {
  const { records } = indexes;
  const usage = indexes.usage();
  const tombstones = newest.filter((ref) => isTombstone(records.slab(ref), records.offset(ref))).length;
  assert(usage.tombstones === tombstones, "tombstones are counted");
  assert(usage.entries === newest.length - tombstones, "entries are counted");
  assert(usage.oldVersions === all.size - newest.length, "old versions are counted");
  let bytes = 0;
  for (const ref of all) bytes += entryLength(records.slab(ref), records.offset(ref));
  assert(usage.recordBytes === bytes, "record bytes are counted");
}

/** Every cell that is handed out is a record or a separator, and no free cell is either. */
function verifyMemory(indexes: OffHeapIndexes, refs: readonly Ref[], waiting: number): void {
  const { arena } = indexes.records;
  assert(new Set(refs).size === refs.length, "no memory is used twice");
  assert(arena.verify() === refs.length + waiting, "all memory in use is known");
  for (const ref of refs) assert(arena.isLive(ref), "what is in use is not free");
}
