import type { Coverage } from "../record/coverage.js";
import type { CheckpointSource } from "./directory-types.js";

/** What tells long work to stop: an `AbortSignal` is one. */
export interface StopSignal {
  readonly aborted: boolean;
}

/** Progress of a backup, restore or repair. */
export interface CareProgress {
  /** `write`: the new files; `read`: checking what was written, or reading what is restored. */
  readonly phase: "read" | "write";
  /** Entries so far in this phase. */
  readonly entries: number;
  readonly bytes: number;
  /** About how many bytes the phase has. */
  readonly bytesTotal: number;
}

/** The state that a backup writes. */
export interface BackupSource extends Omit<CheckpointSource, "synced"> {
  readonly storeId: string;
  readonly incarnation: string;
  /** Own commits up to {@link CheckpointSource.seq} are all in it. */
  readonly coverage: Coverage;
}

/** What a backup holds. */
export interface BackupSummary {
  /** The file. */
  readonly path: string;
  /** The newest commit in it. */
  readonly version: number;
  readonly entries: number;
  readonly bytes: number;
}

/** What a restore made. */
export interface RestoreSummary {
  readonly directory: string;
  readonly storeId: string;
  /** The identity of the restored store, which no other ever had. */
  readonly incarnation: string;
  /** The newest commit of the backup. */
  readonly version: number;
  readonly entries: number;
}

/** A part of a file that could not be saved. */
export interface LostPart {
  readonly offset: number;
  /** 0 when nobody knows how many. */
  readonly bytes: number;
  readonly what: string;
  /** The commits that may have been there, both included; some of these numbers may never have been used. */
  readonly versions?: { readonly from: number; readonly to: number };
}

/** What a repair found in one file. */
export interface RepairedFile {
  readonly file: string;
  readonly kind: "manifest" | "checkpoint" | "segment";
  /** Entries of a checkpoint, commits of a segment. */
  readonly saved: number;
  /**
   * Of a checkpoint of which blocks are lost: entries that the log held instead, in {@link saved} of its segments, also
   * of those that were kept for watches (`historyBytes`).
   */
  readonly foundInLog?: number;
  readonly lost: readonly LostPart[];
}

/** What a repair did, or with `dryRun` would do. */
export interface RepairReport {
  /** False when the directory opens as it is, or with `dryRun`: nothing was changed. */
  readonly repaired: boolean;
  /**
   * Whether the directory needs a repair: it does not open as it is. A repair may save everything even so, and then
   * nothing stands in {@link RepairedFile.lost} of any file.
   */
  readonly damaged: boolean;
  readonly directory: string;
  /**
   * Where the files are kept that the store had before; with `dryRun` they stay where they are, and it is given only if
   * a repair that was interrupted has moved some of them there.
   */
  readonly keptIn?: string;
  /** The store's identity: a new one, after a repair. */
  readonly incarnation: string;
  /** The newest commit that was saved. */
  readonly version: number;
  /** Entries that were saved; those in checkpoint and log of a directory that is sound. */
  readonly entries: number;
  readonly files: readonly RepairedFile[];
  /** With `dryRun`: what it means that the lock of the directory could not be taken, if it could not. */
  readonly note?: string;
}
