import type { MemoryEngine } from "../memory/engine.js";
import type { Coverage } from "../record/coverage.js";
import type { OriginId } from "../record/origins.js";
import type { FlushPolicy } from "./commit-log.js";
import type { OlderFormat } from "./upgrade.js";

/** Progress of opening or verifying: how much of the present phase's bytes has been read. */
export interface DirectoryProgress {
  readonly phase: "checkpoint" | "log";
  readonly entries: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

export interface DirectoryOptions {
  /** Size at which a log segment is followed by the next, in bytes. */
  readonly segmentBytes: number;
  readonly flush: FlushPolicy;
  /** Sync a lone small group in the calling turn, blocking the event loop meanwhile. */
  readonly inlineSync: boolean;
  /** Most bytes of segments that are kept for readers of the history, besides the live log; 0 unless set. */
  readonly historyBytes?: number;
  /**
   * Whether keys will be evicted. A directory that had peers is refused then, and a copied one counts as one
   * that never met any.
   */
  readonly evicts?: boolean;
  /** Whether checkpoints are compressed; they are read either way. */
  readonly compressed?: boolean;
  readonly onProgress?: (progress: DirectoryProgress) => void;
  /** Readers of older formats; those that there are unless given. */
  readonly olderFormats?: ReadonlyMap<number, OlderFormat>;
}

/** What opening a data directory found. */
export interface Recovered {
  /** The last version that counts as used: found, plus the jump after an unclean stop. */
  readonly version: number;
  /** The last sequence number of {@link incarnation} that counts as used, the jump included. */
  readonly seq: number;
  /** The highest hybrid time of any stamp found. */
  readonly hlc: number;
  /** Coverage of foreign origins, and of this store's own up to the last commit found. */
  readonly coverage: Coverage;
  /** Whether the last writer closed in order. */
  readonly clean: boolean;
  /** Whether the directory was created by this open. */
  readonly created: boolean;
  /** The store's identity, as 32 hexadecimal digits; copies of a directory share it. */
  readonly storeId: string;
  readonly incarnation: OriginId;
  readonly hadPeers: boolean;
  /** Entries read from the checkpoint and the log. */
  readonly entries: number;
  /** Commits replayed from the log. */
  readonly commits: number;
  /** Bytes of a torn tail that were cut off: commits that were never acknowledged as synced. */
  readonly cutBytes: number;
}

/** The state that a checkpoint writes: one settled version, pinned by the caller until it was read. */
export interface CheckpointSource {
  readonly version: number;
  /** The last sequence number used at `version`. */
  readonly seq: number;
  /** The highest hybrid time used at `version`. */
  readonly hlc: number;
  /** Coverage at `version`. Must not change while the checkpoint runs. */
  readonly coverage: Coverage;
  readonly engine: MemoryEngine;
  /**
   * Called once nothing more is read from the engine, unless reading fails. The pin need not stay for the rest, and
   * while it stays every overwrite costs twice as much.
   */
  read(): void;
  /** Resolves when every commit up to `version` is synced; rejects when that cannot be. */
  synced(): Promise<void>;
}

export interface CheckpointResult {
  readonly version: number;
  readonly number: number;
  readonly entries: number;
  readonly bytes: number;
}

export interface DirectoryStatus {
  readonly segments: number;
  readonly logBytes: number;
  readonly checkpoint?: { readonly version: number; readonly bytes: number; readonly running: boolean };
  /** Bytes of the log in segments that nothing is written to any more: a checkpoint lets go of them, at least. */
  readonly fullSegmentsBytes: number;
  /** Bytes of log that a recovery would replay. */
  readonly logBytesSinceCheckpoint: number;
}

/** What an orderly close states about the last commit. */
export interface FinalState {
  readonly seq: number;
  readonly hlc: number;
  readonly version: number;
  /** False when the log failed or the caller cannot vouch for the numbers. */
  readonly clean: boolean;
}

/**
 * One thing that verification found. `problem`: the directory will not open. `history`: damage to what is kept for
 * watches that resume, which nothing else needs but a repair. `note`: harmless, worth knowing.
 */
export interface Finding {
  readonly severity: "problem" | "history" | "note";
  /** Of a problem: what an open rejects with. Bytes of another format are not damaged, and nothing is to repair. */
  readonly code?: "CORRUPT" | "FORMAT_NEWER" | "FORMAT_OLDER";
  readonly file: string;
  readonly offset?: number;
  readonly message: string;
}

/** What verifying a data directory found. */
export interface VerifyReport {
  /** What was verified: a data directory, or the file that a backup is. */
  readonly kind: "directory" | "backup";
  /**
   * Whether the directory opens with everything that was ever acknowledged as synced, as far as its bytes tell.
   * Damage to the {@link Finding.severity | history} leaves it true.
   */
  readonly ok: boolean;
  readonly clean: boolean;
  readonly storeId: string;
  readonly incarnation: OriginId;
  readonly version: number;
  readonly checkpoint?: {
    readonly number: number;
    readonly version: number;
    readonly entries: number;
    readonly bytes: number;
  };
  readonly segments: number;
  readonly commits: number;
  readonly entries: number;
  readonly findings: readonly Finding[];
}
