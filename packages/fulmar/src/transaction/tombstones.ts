import { EMPTY_BYTES } from "../base/bytes.js";
import { type MemoryEngine, NONE, type Ref } from "../memory/engine.js";
import {
  deadlineOf,
  type EntryFields,
  EVICTED,
  EXPIRED,
  hlcOf,
  keyOf,
  originOf,
  seqOf,
  TOMBSTONE,
  valueChecksumOf,
} from "../record/entry.js";

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
