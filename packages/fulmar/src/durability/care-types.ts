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
