import { equalBytes } from "../../base/bytes.js";
import type { KeyRange } from "../../keys/range.js";
import { LATEST, type MemoryEngine, NONE, type Ref } from "../../memory/engine.js";
import { EXPIRED, flagsOf, hlcOf, keyOf, originOf, seqOf } from "../../record/entry.js";
import { isInRanges, type ReadSet } from "./read-set.js";
import type { Trail } from "./trail.js";

/** A key that changed after a transaction read it, or, with snapshot isolation, after it began. */
export interface Conflict {
  readonly key: Uint8Array;
  /** The version that the transaction saw: 0 for none. */
  readonly expected: number;
  /** The version that is there now. */
  readonly found: number;
}

/** What is looked for, and where. */
export interface Validation {
  readonly engine: MemoryEngine;
  readonly trail: Trail;
  /** The version that the transaction read, which it must still have pinned. */
  readonly since: number;
}

/** Conflicts that are reported; looking for more would only cost. */
const CONFLICTS_MAX = 16;

/**
 * What changed of what a transaction read. Validation against all commits since the snapshot, as in
 * backward-oriented optimistic concurrency control (Kung and Robinson 1981), with ranges instead of
 * predicates. Nothing may be awaited between this and the commit.
 *
 * Sound because of the pin on `since`: whatever was visible there and was deleted since is still covered by
 * its tombstone, so that every change shows as a newest version above `since`. A key that was absent, was
 * written and was deleted again may have left no trace: then it is absent as it was read.
 */
export function readConflicts(validation: Validation, reads: ReadSet): Conflict[] {
  // Most transactions meet nobody.
  if (validation.engine.version <= validation.since) return [];
  const conflicts: Conflict[] = [];
  for (const { key, version } of reads.points) {
    const found = changedSince(validation, key);
    if (found !== 0) conflicts.push({ key, expected: version, found });
    if (conflicts.length >= CONFLICTS_MAX) return conflicts;
  }
  const ranges = reads.ranges();
  if (ranges.length === 0) return conflicts;
  const changed = validation.trail.since(validation.since, reads.rangeEntries);
  if (changed === undefined) scanRanges(validation, ranges, conflicts);
  else findInRanges(validation, changed, ranges, conflicts);
  return conflicts;
}

/** Which of the keys that a transaction writes were changed since its snapshot: the first committer wins. */
export function writeConflicts(validation: Validation, keys: Iterable<Uint8Array>): Conflict[] {
  const { engine, since } = validation;
  if (engine.version <= since) return [];
  const conflicts: Conflict[] = [];
  for (const key of keys) {
    const found = changedSince(validation, key);
    if (found !== 0) conflicts.push({ key, expected: versionAt(engine, key, since), found });
    if (conflicts.length >= CONFLICTS_MAX) break;
  }
  return conflicts;
}

/** The newest version of a key if it is above the transaction's and shows something else; 0 otherwise. */
function changedSince(validation: Validation, key: Uint8Array): number {
  const ref = validation.engine.find(key, LATEST);
  return ref === NONE ? 0 : changeBy(validation, ref, key);
}

function changeBy(validation: Validation, ref: Ref, key: Uint8Array): number {
  const version = validation.engine.versionOf(ref);
  return version <= validation.since || isLoggedExpiry(validation, ref, key) ? 0 : version;
}

/**
 * Whether the newest record of a key is but the logged end of the one that the transaction saw: it keeps that one's
 * stamp, which no write in between would have left. Expiry is no write. Whoever read the key alive is judged by its
 * deadline, which counts from the moment when it passed and not from when that was logged.
 */
function isLoggedExpiry({ engine, since }: Validation, ref: Ref, key: Uint8Array): boolean {
  const bytes = engine.slab(ref);
  const at = engine.offset(ref);
  if ((flagsOf(bytes, at) & EXPIRED) === 0) return false;
  const before = engine.find(key, since);
  if (before === NONE) return false;
  const was = engine.slab(before);
  const place = engine.offset(before);
  const isSameWriter = originOf(was, place) === originOf(bytes, at) && seqOf(was, place) === seqOf(bytes, at);
  return isSameWriter && hlcOf(was, place) === hlcOf(bytes, at);
}

/** A key that was read in several ways, or changed several times, is one conflict. */
function isKnown(conflicts: readonly Conflict[], key: Uint8Array): boolean {
  return conflicts.some((conflict) => equalBytes(conflict.key, key));
}

function versionAt(engine: MemoryEngine, key: Uint8Array, at: number): number {
  const ref = engine.find(key, at);
  return ref === NONE ? 0 : engine.versionOf(ref);
}

function findInRanges(
  validation: Validation,
  changed: readonly Uint8Array[],
  ranges: readonly KeyRange[],
  conflicts: Conflict[],
): void {
  const { engine, since } = validation;
  for (const key of changed) {
    if (conflicts.length >= CONFLICTS_MAX) return;
    if (!isInRanges(key, ranges) || isKnown(conflicts, key)) continue;
    const found = changedSince(validation, key);
    if (found !== 0) conflicts.push({ key, expected: versionAt(engine, key, since), found });
  }
}

function scanRanges(validation: Validation, ranges: readonly KeyRange[], conflicts: Conflict[]): void {
  const { engine, since } = validation;
  for (const range of ranges) {
    const cursor = engine.scan(range, LATEST, false);
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      if (engine.versionOf(ref) <= since) continue;
      const key = keyOf(engine.slab(ref), engine.offset(ref));
      const found = changeBy(validation, ref, key);
      if (found === 0 || isKnown(conflicts, key)) continue;
      conflicts.push({ key, expected: versionAt(engine, key, since), found });
      if (conflicts.length >= CONFLICTS_MAX) return;
    }
  }
}
