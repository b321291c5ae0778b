import type { Ref } from "../memory/engine.js";
import type { CoverageChange } from "../record/commit.js";
import type { OriginCoverage } from "../record/coverage.js";
import { type EntryFields, entryBytes, writeEntry } from "../record/entry.js";
import type { OriginId } from "../record/origins.js";
import type { Changed } from "./committer-types.js";

/** The entries of a commit. */
export interface CommitBody {
  readonly entryCount: number;
  readonly entriesBytes: number;
  /** Their keys, in the same order. */
  readonly changed: Changed;
  /** Writes the entry of this index at `at`, one after the other, and returns the position after it. */
  write(index: number, bytes: Uint8Array, at: number): number;
  /** Only if they are in memory already, where nobody sees them yet: writes all of them, and returns where they end. */
  copyHidden?(bytes: Uint8Array, at: number): number;
}

/** What a commit has beside its entries; mostly nothing. */
export interface CommitExtras {
  /** What has to be evicted for it. */
  readonly victims: readonly Ref[];
  readonly changes: readonly CoverageChange[];
  /** What it brings origins to. */
  readonly covered: Iterable<readonly [OriginId, OriginCoverage]>;
  readonly remote: boolean;
}

/** No entries, victims or origins. */
export const NOBODY: readonly never[] = [];
export const NO_EXTRAS: CommitExtras = { victims: NOBODY, changes: NOBODY, covered: NOBODY, remote: false };

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
