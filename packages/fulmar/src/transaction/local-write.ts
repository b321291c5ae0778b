import { FulmarRangeError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import type { Checksum } from "../base/runtime/interface.js";
import { OWN_PREFIX } from "../keys/key.js";
import { entryBytes, TOMBSTONE, writeEntry } from "../record/entry.js";
import type { Stamp } from "../record/stamp.js";
import type { EntrySource } from "./entry-source.js";
import type { WantedChange } from "./memory-limit.js";

/** The origin number of the store itself in its dictionary. */
export const OWN_ORIGIN = 1;

/** One change of a local commit, encoded but not stamped yet. */
export interface LocalWrite {
  readonly key: Uint8Array;
  /** Empty for a deletion. */
  readonly value: Uint8Array;
  readonly flags: number;
  readonly deadline: number;
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
export class StampedWrites implements EntrySource {
  readonly #writes: readonly LocalWrite[];
  readonly #stamp: Stamp;
  readonly #checksum: Checksum;

  constructor(writes: readonly LocalWrite[], stamp: Stamp, checksum: Checksum) {
    this.#writes = writes;
    this.#stamp = stamp;
    this.#checksum = checksum;
  }

  write(index: number, bytes: Uint8Array, at: number): number {
    const { key, value, flags, deadline } = this.#writes[index];
    const { hlc, seq } = this.#stamp;
    const valueChecksum = this.#checksum.crc32(value, 0, value.length, 0);
    return writeEntry(bytes, at, {
      key,
      value,
      flags,
      origin: OWN_ORIGIN,
      hlc,
      seq,
      deadline,
      valueChecksum,
    });
  }
}
