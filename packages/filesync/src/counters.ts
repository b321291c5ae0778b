/**
 * Why something in the store is not put on the disk. `name`: the path is not allowed. `link`: a symbolic link
 * stands in the way or above. `special`: a socket, device or pipe does. `case`: differs from a neighbour by case
 * only. `metadata`, `content`: damaged or forged.
 */
export type Refusal = "name" | "link" | "special" | "case" | "metadata" | "content";

/** So many refused paths are remembered. */
export const REFUSED_MAX = 10_000;

/** What a mirror did and met since it started. */
export interface MirrorCounters {
  /** Files whose content was read. */
  filesRead: number;
  /** Files and directories written to the store, or deleted there. */
  uploaded: number;
  /** Files and directories written to the disk, or deleted there. */
  downloaded: number;
  /** Paths changed here and elsewhere at once; the later write won. */
  conflicts: number;
  /** Paths that peers have and that may not be written here, with the reason; the first {@link REFUSED_MAX}. */
  readonly refused: Map<string, Refusal>;
  /** Operations that the system refused; they are tried again at the next rescan. */
  errors: number;
  lastError: string | undefined;
}

export function newCounters(): MirrorCounters {
  return {
    filesRead: 0,
    uploaded: 0,
    downloaded: 0,
    conflicts: 0,
    refused: new Map(),
    errors: 0,
    lastError: undefined,
  };
}

/** Things on the disk that are not mirrored, as of the last scan. */
export interface Skipped {
  symlinks: number;
  /** Sockets, devices and pipes. */
  special: number;
  /** Names that other systems could not take. */
  names: number;
  /** Directories that could not be read, and what lies in those that may not be entered. */
  unreadable: number;
}

export function noneSkipped(): Skipped {
  return { symlinks: 0, special: 0, names: 0, unreadable: 0 };
}
