/**
 * Every limit of the library in one place, with unit and reason. Those that `open` can lower are
 * gathered in {@link Limits}.
 */

/** Longest encoded key, in bytes: keys are copied into index nodes and compared often. */
export const KEY_BYTES_MAX = 4096;
/** How deep the tuples of a key may nest: reading one back is recursive. */
export const KEY_TUPLE_DEPTH_MAX = 64;
/** Longest encoded value, in bytes: one value must fit a frame and a log record. */
export const VALUE_BYTES_MAX = 64 * 1024 * 1024;
/** Most entries of one commit: a commit is applied in one synchronous step. */
export const COMMIT_ENTRIES_MAX = 1_000_000;
/** Most bytes of one local commit: it becomes one log record. */
export const COMMIT_BYTES_MAX = 256 * 1024 * 1024;
/** Most bytes of one log record, merged commits included: lengths above it are refused unread. */
export const RECORD_BYTES_MAX = 2 ** 31 - 64 * 1024;
/** Longest time to live or deadline, in ms: what the 53-bit deadline field holds. */
export const DEADLINE_MS_MAX = Number.MAX_SAFE_INTEGER;
/** Versions and sequence numbers jump by this after an unclean stop, so that none is ever reissued. */
export const NUMBERS_SKIPPED = 2 ** 20;
/** Highest version, sequence number or time in a data directory: what counts on from it must stay below 2^53. */
export const NUMBERS_MAX = 2 ** 53 - 2 ** 40;
/** Highest that a repair or a backup may give a new store: one jump behind it is still opened. */
export const ADOPTED_NUMBERS_MAX = NUMBERS_MAX - NUMBERS_SKIPPED;
/** Most un-synced commits: half the jump, so that the skipped numbers always cover what a crash forgot. */
export const UNSYNCED_COMMITS_MAX = NUMBERS_SKIPPED / 2;
/** A group of commits is handed to the operating system at the latest when it holds so many bytes. */
export const GROUP_BYTES_MAX = 8 * 1024 * 1024;
/** Most holes that the coverage of one origin keeps; beyond it that origin's progress is parked. */
export const COVERAGE_HOLES_MAX = 1024;
/** Most origins (incarnations) that one store knows. */
export const ORIGINS_MAX = 65_536;
/** A stamp further ahead of this node's clock is quarantined, in ms. */
export const CLOCK_DRIFT_MS_MAX = 60_000;
/** Longest store or node name, in UTF-8 bytes. */
export const NAME_BYTES_MAX = 255;

/** The limits that `open` accepts under `limits`; each may only be lowered. */
export interface Limits {
  /** Longest encoded key, in bytes; 4096 unless lowered. */
  readonly keyBytesMax: number;
  /** Longest encoded value, in bytes; 64 MiB unless lowered. */
  readonly valueBytesMax: number;
  /** Most entries of one batch; 1,000,000 unless lowered. */
  readonly commitEntriesMax: number;
  /** Most encoded bytes of one batch; 256 MiB unless lowered. */
  readonly commitBytesMax: number;
}

export const DEFAULT_LIMITS: Limits = Object.freeze({
  keyBytesMax: KEY_BYTES_MAX,
  valueBytesMax: VALUE_BYTES_MAX,
  commitEntriesMax: COMMIT_ENTRIES_MAX,
  commitBytesMax: COMMIT_BYTES_MAX,
});
