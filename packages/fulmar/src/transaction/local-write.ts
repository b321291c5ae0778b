import { FulmarRangeError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import type { Checksum } from "../base/runtime/interface.js";
import type { Unfilled } from "../base/uncounted.js";
import { OWN_PREFIX } from "../keys/key.js";
import { type EntryContent, type EntryStamp, entryBytes, TOMBSTONE, writeStamped } from "../record/entry.js";
import type { Stamp } from "../record/stamp.js";
import type { CommitBody } from "./commit-body.js";
import type { Committed } from "./committer-types.js";
import type { WantedChange } from "./memory-limit.js";

/** The origin number of the store itself in its dictionary. */
export const OWN_ORIGIN = 1;

/** One change of a local commit, encoded but not stamped yet. */
export type LocalWrite = EntryContent;

/** A write of a codec's value. */
export class EncodedWrite implements LocalWrite {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: number;
  readonly deadline: number;

  constructor(key: Uint8Array, value: Uint8Array, flags: number, deadline: number) {
    this.key = key;
    this.value = value;
    this.flags = flags;
    this.deadline = deadline;
  }
}

/** Bytes of the entries of a local commit. Throws COMMIT_TOO_LARGE over a limit. */
export function checkedSize(writes: readonly LocalWrite[], limits: Limits): number {
  if (writes.length > limits.commitEntriesMax) {
    const message = `a batch of ${writes.length} entries is over the limit of ${limits.commitEntriesMax}`;
    throw new FulmarRangeError("COMMIT_TOO_LARGE", message);
  }
  let size = 0;
  for (const write of writes) size += entryBytes(write.key.length, write.value.length, write.flags);
  if (size > limits.commitBytesMax && writes.length > 1) {
    const message = `a batch of ${size} bytes is over the limit of ${limits.commitBytesMax}: split it`;
    throw new FulmarRangeError("COMMIT_TOO_LARGE", message);
  }
  return size;
}

/** What writes need in memory. The store's own data is written whether there is room or not. */
export function wantedRoom(writes: readonly LocalWrite[]): WantedChange[] {
  return writes
    .filter(({ key }) => key[0] !== OWN_PREFIX)
    .map(({ key, value, flags }) => ({
      key,
      entryBytes: entryBytes(key.length, value.length, flags),
      isDeletion: (flags & TOMBSTONE) !== 0,
    }));
}

/** The writes of a local commit as entries under its stamp. */
export class StampedWrites implements CommitBody, EntryStamp {
  readonly origin = OWN_ORIGIN;
  readonly hlc: number;
  readonly seq: number;
  readonly entryCount: number;
  readonly entriesBytes: number;
  readonly changed: readonly LocalWrite[];
  readonly #stamp: Stamp;
  readonly #checksum: Checksum;

  constructor(writes: readonly LocalWrite[], entriesBytes: number, stamp: Stamp, checksum: Checksum) {
    this.#stamp = stamp;
    this.hlc = stamp.hlc;
    this.seq = stamp.seq;
    this.entryCount = writes.length;
    this.entriesBytes = entriesBytes;
    this.changed = writes;
    this.#checksum = checksum;
  }

  /** What the commit resolves to. */
  committedAt(version: number): Committed {
    const committed: Unfilled<Committed> = {};
    committed.version = version;
    committed.stamp = this.#stamp;
    return committed as Committed;
  }

  write(index: number, bytes: Uint8Array, at: number): number {
    const write = this.changed[index];
    const valueChecksum = this.#checksum.crc32(write.value, 0, write.value.length, 0);
    return writeStamped(bytes, at, write, this, valueChecksum);
  }
}
