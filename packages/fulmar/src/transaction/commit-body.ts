import { type EntryFields, entryBytes, writeEntry } from "../record/entry.js";
import type { Changed } from "./committer-types.js";

/** The entries of a commit. */
export interface CommitBody {
  readonly entryCount: number;
  readonly entriesBytes: number;
  /** Their keys, in the same order. */
  readonly changed: Changed;
  /** Writes the entry of this index at `at`, one after the other, and returns the position after it. */
  write(index: number, bytes: Uint8Array, at: number): number;
}

/** Tombstones as entries of a commit. */
export function bodyOf(tombstones: readonly EntryFields[]): CommitBody {
  const entriesBytes = tombstones.reduce((sum, { key, flags }) => sum + entryBytes(key.length, 0, flags), 0);
  return {
    entryCount: tombstones.length,
    entriesBytes,
    changed: tombstones,
    write: (index, bytes, at) => writeEntry(bytes, at, tombstones[index]),
  };
}

/** A commit with tombstones for keys of which it has none itself, in front of its entries. */
export function inFront(tombstones: readonly EntryFields[], body: CommitBody): CommitBody {
  const front = bodyOf(tombstones);
  const split = front.entryCount;
  return {
    entryCount: split + body.entryCount,
    entriesBytes: front.entriesBytes + body.entriesBytes,
    changed: [...front.changed, ...body.changed],
    write: (index, bytes, at) =>
      index < split ? front.write(index, bytes, at) : body.write(index - split, bytes, at),
  };
}
