import { EMPTY_BYTES } from "../base/bytes.js";
import type { MemoryEngine } from "../memory/engine.js";
import { NONE } from "../memory/engine.js";
import {
  type EntryFields,
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
export function deadlineCommit(engine: MemoryEngine, nowMs: number, limit: number): EntryFields[] {
  const expired: EntryFields[] = [];
  const cursor = engine.byDeadline(nowMs);
  while (expired.length < limit) {
    const ref = cursor.next();
    if (ref === NONE) break;
    const bytes = engine.slab(ref);
    const at = engine.offset(ref);
    expired.push({
      key: keyOf(bytes, at),
      value: EMPTY_BYTES,
      flags: TOMBSTONE | EXPIRED,
      origin: originOf(bytes, at),
      hlc: hlcOf(bytes, at),
      seq: seqOf(bytes, at),
      deadline: 0,
      valueChecksum: valueChecksumOf(bytes, at),
    });
  }
  return expired;
}
