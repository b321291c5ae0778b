import type { MirrorContext } from "./context.js";
import type { Refusal, Skipped } from "./counters.js";

/** The state and figures of one mirror. */
export interface MirrorStatus {
  /** Whether nothing is left to do: no scan, no queued path, no incomplete file. */
  readonly idle: boolean;
  readonly files: number;
  readonly directories: number;
  /** Bytes of all mirrored files. */
  readonly bytes: number;
  /** Paths that wait for their turn or are worked on. */
  readonly pending: number;
  /** Files whose content is not complete in the store yet. */
  readonly waiting: number;
  /** Paths that something on this disk keeps from being written. */
  readonly blocked: number;
  readonly scanning: boolean;
  readonly conflicts: number;
  /** Files whose content was read. */
  readonly filesRead: number;
  readonly uploaded: number;
  readonly downloaded: number;
  readonly skipped: Skipped;
  /** Paths in the store that are not put on this disk, by reason. */
  readonly refused: Partial<Record<Refusal, number>>;
  readonly errors: number;
  readonly lastError: string | undefined;
}

export function mirrorStatus(
  context: MirrorContext,
  skipped: Skipped,
  work: { pending: number; blocked: number; scanning: boolean },
): MirrorStatus {
  const { index, counters, waiting } = context;
  const { conflicts, filesRead, uploaded, downloaded, errors, lastError } = counters;
  const refused: Partial<Record<Refusal, number>> = {};
  for (const reason of counters.refused.values()) refused[reason] = (refused[reason] ?? 0) + 1;
  return {
    idle: work.pending === 0 && !work.scanning && waiting.size === 0,
    files: index.files,
    directories: index.directories,
    bytes: index.bytes,
    ...work,
    waiting: waiting.size,
    conflicts,
    filesRead,
    uploaded,
    downloaded,
    skipped,
    refused,
    errors,
    lastError,
  };
}
