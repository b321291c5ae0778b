import { FulmarRangeError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import { entryBytes } from "../record/entry.js";

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
