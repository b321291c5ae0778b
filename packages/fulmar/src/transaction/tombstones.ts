import { EMPTY_BYTES } from "../base/bytes.js";
import { type MemoryEngine, NONE, type Ref } from "../memory/engine.js";
import {
  deadlineOf,
  type EntryFields,
  EVICTED,
  EXPIRED,
  entryBytes,
  hlcOf,
  keyOf,
  originOf,
  seqOf,
  TOMBSTONE,
  valueChecksumOf,
  writeEntry,
} from "../record/entry.js";
import type { EntrySource } from "./entry-source.js";

/**
 * The tombstones for entries whose deadline is at or before `nowMs`, at most `limit`. They keep stamp
 * and value checksum of what expired, so that digests do not tell who has swept and who has not.
 */
export function expiryCommit(engine: MemoryEngine, nowMs: number, limit: number): EntryFields[] {
  const expired: EntryFields[] = [];
  const cursor = engine.byDeadline(nowMs);
  while (expired.length < limit) {
    const ref = cursor.next();
    if (ref === NONE) break;
    expired.push(tombstoneFor(engine, ref, EXPIRED));
  }
  return expired;
}

/** The tombstones for keys that have to go; for those whose deadline has passed, it says so. */
export function evictionCommit(engine: MemoryEngine, refs: readonly Ref[], nowMs: number): EntryFields[] {
  return refs.map((ref) => {
    const isExpired = deadlineOf(engine.slab(ref), engine.offset(ref)) <= nowMs;
    return tombstoneFor(engine, ref, isExpired ? EXPIRED : EVICTED);
  });
}

export function bytesOfTombstones(tombstones: readonly EntryFields[]): number {
  return tombstones.reduce((sum, { key, flags }) => sum + entryBytes(key.length, 0, flags), 0);
}

/** Tombstones as entries of a commit. */
export function entriesOf(tombstones: readonly EntryFields[]): EntrySource {
  return { write: (index, bytes, at) => writeEntry(bytes, at, tombstones[index]) };
}

function tombstoneFor(engine: MemoryEngine, ref: Ref, reason: number): EntryFields {
  const bytes = engine.slab(ref);
  const at = engine.offset(ref);
  return {
    key: keyOf(bytes, at),
    value: EMPTY_BYTES,
    flags: TOMBSTONE | reason,
    origin: originOf(bytes, at),
    hlc: hlcOf(bytes, at),
    seq: seqOf(bytes, at),
    deadline: 0,
    valueChecksum: valueChecksumOf(bytes, at),
  };
}
