import { type EntryFields, entryBytes, writeEntry } from "../record/entry.js";
import type { Changed } from "./committer-types.js";
import type { EntrySource } from "./entry-source.js";

/** The entries of a commit. */
export interface CommitBody {
  readonly entryCount: number;
  readonly entriesBytes: number;
  readonly entries: EntrySource;
  /** Their keys, in the same order. */
  readonly changed: Changed;
}

/** Tombstones as entries of a commit. */
export function bodyOf(tombstones: readonly EntryFields[]): CommitBody {
  const entriesBytes = tombstones.reduce((sum, { key, flags }) => sum + entryBytes(key.length, 0, flags), 0);
  const write: EntrySource["write"] = (index, bytes, at) => writeEntry(bytes, at, tombstones[index]);
  return { entryCount: tombstones.length, entriesBytes, entries: { write }, changed: tombstones };
}

/** A commit with tombstones for keys of which it has none itself, in front of its entries. */
export function inFront(tombstones: readonly EntryFields[], body: CommitBody): CommitBody {
  const front = bodyOf(tombstones);
  const split = front.entryCount;
  const write: EntrySource["write"] = (index, bytes, at) =>
    index < split ? front.entries.write(index, bytes, at) : body.entries.write(index - split, bytes, at);
  return {
    entryCount: split + body.entryCount,
    entriesBytes: front.entriesBytes + body.entriesBytes,
    entries: { write },
    changed: [...front.changed, ...body.changed],
  };
}
