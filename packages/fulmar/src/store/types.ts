import type { Limits } from "../base/limits.js";
import type { Runtime } from "../base/runtime/interface.js";
import type { Codec, CodecNameFor } from "../codec/codec.js";
import type { Key } from "../keys/key.js";
import type { Stamp } from "../record/stamp.js";
import type { Encryption, EncryptionStatus } from "./encryption.js";

export type { Key } from "../keys/key.js";

/**
 * When the promise of a write resolves. `memory`: applied; lost with the process, or later when the log has no space
 * for it. `relaxed`: handed to the operating system, survives a killed process. `full`: on stable storage, survives a
 * power cut.
 */
export type Durability = "memory" | "relaxed" | "full";

/** Reports long work while a store opens: how many of about how many entries are loaded. */
export type ProgressListener = (progress: {
  readonly phase: "checkpoint" | "log";
  readonly entries: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}) => void;

/** When a store writes a checkpoint by itself; whichever comes first. */
export interface CheckpointPolicy {
  /** After so many commits since the last one. Unlimited unless set. */
  readonly everyCommits?: number | undefined;
  /** After so many ms, if anything changed. Unlimited unless set. */
  readonly everyMs?: number | undefined;
  /**
   * After so many bytes of log; without it, when the log is twice as long as the last checkpoint, taken as if it
   * were not compressed (64 MiB at least). A shorter log is read faster at the next open, a longer one costs fewer
   * bytes written. A disk too full for the log is a reason, too, if more of the log can go than a checkpoint takes,
   * unless this is `Number.MAX_SAFE_INTEGER` and nothing else is set: then there are none but those by hand.
   */
  readonly everyBytes?: number | undefined;
}

/**
 * What happens when memory is full. `none`: the write is refused. Otherwise keys are evicted: the least
 * recently used (`lru`), the least frequently used, aged (`lfu`), any (`random`), by ARC or SIEVE, or those
 * that expire next, of the keys that expire at all (`nearest-expiry`).
 */
export type Eviction = "none" | "lru" | "lfu" | "random" | "arc" | "sieve" | "nearest-expiry";

/** How much to evict by hand; without a member, as much as makes room for the next writes. */
export interface EvictOptions {
  /** At least so many bytes of records, if there are. */
  readonly bytes?: number | undefined;
  /** At most so many keys. */
  readonly entries?: number | undefined;
}

/** What was evicted. */
export interface EvictResult {
  readonly entries: number;
  /** Bytes that their records took in memory. */
  readonly bytes: number;
}

/** How readers on other threads are treated. */
export interface SharedPolicy {
  /**
   * A reader that has not read for so many ms, or up to twice as long, loses the state that it stayed at, if
   * that keeps anything in memory; 60,000 unless set.
   */
  readonly idleMs?: number | undefined;
}

/** How a store is opened; every member has a default. */
export interface OpenOptions<V = unknown> {
  /** Level of writes that do not choose one: `full` with a directory, `memory` without. */
  readonly durability?: Durability | undefined;
  /** How values become bytes: `json` (default), `bytes`, `text`, `bigint`, or your own. */
  readonly codec?: Codec<V> | CodecNameFor<V> | undefined;
  /** A label for people, in status and logs. At most 255 bytes. */
  readonly name?: string | undefined;
  readonly limits?: { readonly [Name in keyof Limits]?: Limits[Name] | undefined } | undefined;
  /** Size at which a log segment is followed by the next, in bytes; 16 MiB unless set, 64 KiB at least. */
  readonly segmentBytes?: number | undefined;
  /**
   * Time, in ms, in which all was acknowledged that a power cut can take back of `relaxed`; 1000 unless set. A
   * sync begins after half of it. While it takes longer than the other half, `relaxed` writes wait for it.
   */
  readonly flushInterval?: number | undefined;
  /**
   * Most commits that a power cut can take back although they were acknowledged as `relaxed`; 100,000 unless set, up to
   * 500,000. A sync begins at half of them, and what goes beyond all of them is acknowledged once enough is synced.
   */
  readonly flushCommits?: number | undefined;
  /** The same in bytes of the log; 16 MiB unless set, at most 1 GiB. A larger commit waits for its sync. */
  readonly flushBytes?: number | undefined;
  /**
   * `inline` syncs a lone commit in the calling turn, unless more than 64 KiB that nobody waited for have to reach the
   * disk with it: faster for one writer, but it blocks the event loop meanwhile.
   */
  readonly sync?: "background" | "inline" | undefined;
  readonly checkpoint?: CheckpointPolicy | undefined;
  /**
   * Whether checkpoints and backups are compressed: smaller files and fewer bytes written, for more work of the
   * processor when they are written and read. Can change from one open to the next; `none` unless set.
   */
  readonly compression?: "none" | "deflate" | undefined;
  /**
   * Most bytes of commits that are kept so that watches can resume or catch up: with a directory, segments of
   * the log that no recovery needs any more, 64 MiB unless set; without one, in memory, 1 MiB unless set.
   */
  readonly historyBytes?: number | undefined;
  /**
   * Encrypts the files with AES-256-GCM. New files are written under the present key; those of earlier ones, and
   * plain ones, stay readable and are replaced by the next checkpoint: `status().encryption` tells which keys are
   * needed still. Plain unless set. Only with a directory. What it does not hide is listed in SECURITY.md.
   */
  readonly encryption?: Encryption | undefined;
  /**
   * Most memory that entries and their indexes may take, in bytes, as `status().memory.usedBytes` counts
   * them; 1 MiB at least, unlimited unless set. A write that would exceed it evicts others, or is refused
   * with MEMORY_FULL. What was replaced or evicted and only a checkpoint, a backup, a peer that is sent it, or readers
   * on other threads still show is allowed beside it, as much again at most: `keptBytes` of the status.
   */
  readonly maxMemory?: number | undefined;
  /** What goes when memory is full; `none` unless set. Only with `maxMemory`, and not for a store with peers. */
  readonly eviction?: Eviction | undefined;
  /**
   * Is told how far loading is. What it throws or rejects with is reported on the diagnostics channel
   * `fulmar:progress-error`, and opening goes on.
   */
  readonly onProgress?: ProgressListener | undefined;
  /**
   * Whether worker threads of this process can read the store; see `Store.readerHandle`. Costs four bytes a key,
   * and memory that waits for the next need: up to a quarter of what is in use, or 64 MiB. What deletions and changes
   * of size leave is moved together and comes back as in any other store, but for what the states keep that readers
   * stay at. False unless set.
   */
  readonly shared?: boolean | SharedPolicy | undefined;
  /** The surroundings; Node's unless set. The simulator gives its own. */
  readonly runtime?: Runtime | undefined;
}

/** How a single write is done. */
export interface WriteOptions {
  /** A stronger or weaker level for this write only. */
  readonly durability?: Durability | undefined;
  /**
   * Time to live in ms; not readable from then on. Infinity, or no deadline given: for ever, whatever there was
   * before; in a namespace with a `ttl` of its own, that long when no deadline is given.
   *
   * The clock never goes back as long as the store is open: set back, it stands until the machine's has caught up,
   * and nothing expires meanwhile; a peer's that is ahead sets it forward. Where it stands earlier at the next open,
   * nothing comes back whose deadline had passed at the last `close`, `flush`, `checkpoint` or, for what is restored,
   * `backup`, nor what the store has removed since. It removes what a reader found expired at once: only a crash in
   * between, or a power cut before the next sync, leaves a key to an earlier clock.
   */
  readonly ttl?: number | undefined;
  /** The same as an absolute time in ms since 1970, or Infinity. Not together with `ttl`. */
  readonly expiresAt?: number | undefined;
  /** Also return the entry that was replaced. */
  readonly previous?: boolean | undefined;
}

/** What a write resolves to. */
export interface Written<V = unknown> {
  /** The commit's number in this store. */
  readonly version: number;
  readonly stamp: Stamp;
  /** With `previous: true`: the entry that was replaced, if there was one. */
  readonly previous?: Entry<V>;
}

/** What the store holds for a key. */
export interface Entry<V = unknown> {
  readonly key: Key;
  readonly value: V;
  readonly version: number;
  readonly stamp: Stamp;
  /** Wall ms since 1970, if the entry expires. */
  readonly expiresAt?: number;
  /** Never set, unlike in a {@link Tombstone}: it tells one from the other. */
  readonly tombstone?: undefined;
}

/** What is known of a key that has no value any more, and is asked for with `tombstones: true`. */
export interface Tombstone {
  readonly key: Key;
  readonly value: undefined;
  readonly version: number;
  readonly stamp: Stamp;
  /** Wall ms since 1970, if the entry expired. */
  readonly expiresAt?: number;
  /** What became of the value. */
  readonly tombstone: "deleted" | "expired" | "evicted";
}

/** What to find of a key. */
export interface EntryOptions {
  /** Also what is known of a deleted, expired or evicted key. Default: false. */
  readonly tombstones?: boolean | undefined;
}

/** Which keys: those that satisfy everything that is given, `prefix` and bounds together; without any, all. */
export interface RangeOptions {
  /** Strings that begin so; for a tuple, tuples that begin with these elements. */
  readonly prefix?: Key | undefined;
  readonly gt?: Key | undefined;
  readonly gte?: Key | undefined;
  readonly lt?: Key | undefined;
  readonly lte?: Key | undefined;
}

/** Which keys, in which direction, and how many. */
export interface ListOptions extends RangeOptions {
  readonly reverse?: boolean | undefined;
  /** At most so many entries. */
  readonly limit?: number | undefined;
}

/** One step of a batch. */
export type BatchOperation<V = unknown> =
  | {
      readonly type: "set";
      readonly key: Key;
      readonly value: V;
      readonly ttl?: number | undefined;
      readonly expiresAt?: number | undefined;
    }
  | { readonly type: "delete"; readonly key: Key };

/** One change of a published commit; `type` tells which. */
export type Change<V = unknown> = SetChange<V> | DeleteChange;

/** A key has a value now. That is decoded for each look: printing or copying the change is one. */
export interface SetChange<V = unknown> {
  readonly type: "set";
  readonly key: Key;
  readonly value: V;
  readonly stamp: Stamp;
  /** Wall ms since 1970, if the entry expires. */
  readonly expiresAt?: number;
  /** By a local or a merged write. */
  readonly reason: "written";
}

/** A key has no value any more. */
export interface DeleteChange {
  readonly type: "delete";
  readonly key: Key;
  readonly value: undefined;
  readonly stamp: Stamp;
  /** Never set, as a deletion does not expire. */
  readonly expiresAt?: undefined;
  readonly reason: "deleted" | "expired" | "evicted";
}

/** Commits that a watch could not show. Read again what you need: it is of version `through` or later. */
export interface Gap {
  /** Everything up to this version was shown. */
  readonly after: number;
  /** Everything behind this version is shown, or told in another gap to who falls behind its limits again. */
  readonly through: number;
}

/** A commit as watchers see it: whole, in order, and never before it is durable at its level. */
export interface CommitEvent<V = unknown> {
  /** The commit's; with `coalesce` that of the newest commit in it. */
  readonly version: number;
  /** Whether it was merged from a peer; with `coalesce` whether one of them was. */
  readonly remote: boolean;
  readonly changes: readonly Change<V>[];
  /** Set on an event that stands for missing commits, which has no changes. */
  readonly gap?: Gap;
}

/** Figures and state of a store; numbers of commits are versions. */
export interface StoreStatus {
  readonly state: "open" | "failed" | "closed";
  readonly name: string;
  /** The data directory, if there is one. */
  readonly directory?: string;
  readonly storeId: string;
  /** The identity that this store's writes are stamped with. */
  readonly incarnation: string;
  readonly entries: number;
  readonly tombstones: number;
  readonly version: {
    readonly applied: number;
    readonly logged: number;
    readonly synced: number;
    readonly published: number;
  };
  /** The sequence number that the next local commit gets. */
  readonly nextSeq: number;
  /** Whether there are commits that no checkpoint holds. */
  readonly dirty: boolean;
  readonly log?: { readonly segments: number; readonly bytes: number };
  /** The oldest version that a watch can resume from, and bytes that are kept for that only. */
  readonly history: { readonly oldest: number; readonly bytes: number };
  readonly checkpoint?: { readonly version: number; readonly bytes: number; readonly running: boolean };
  /**
   * Why the last checkpoint in the background failed, as "CODE: message", and when, in ms since 1970. Unset
   * again by the next checkpoint that succeeds. Until then the log grows, and nothing is lost.
   */
  readonly checkpointError?: { readonly error: string; readonly at: number };
  /** Set in a store that was opened with `encryption`. */
  readonly encryption?: EncryptionStatus;
  readonly memory: {
    readonly recordBytes: number;
    readonly overheadBytes: number;
    readonly oldVersions: number;
    /**
     * Bytes in use, to the cell: what entries, indexes and the eviction policy take, without free space that
     * is kept for them. This is what `maxMemory` limits, less {@link leavingBytes} and less what of
     * {@link keptBytes} is not above `maxMemory`.
     */
    readonly usedBytes: number;
    /** The part of it that is replaced or deleted, and goes once the log has that. */
    readonly leavingBytes: number;
    /**
     * The part of it that is replaced or deleted, and that only a checkpoint, a backup, a peer that is sent it, or
     * readers on other threads still show; it goes when these are done, or have gone on.
     */
    readonly keptBytes: number;
    /** `maxMemory`, if it is set. */
    readonly limitBytes?: number;
    readonly eviction: Eviction;
    /** What was evicted since the store was opened; what a full disk brought back counts, too. */
    readonly evicted: EvictResult;
    /**
     * States that are held open, by snapshots, iterations that have begun, transactions, checkpoints, backups and
     * peers; not those of readers on other threads. Each keeps what was replaced since in memory, which
     * {@link oldVersions} counts. Where `oldestMs` only grows, something is not closed.
     */
    readonly pinned: {
      readonly states: number;
      /** The newest commit in the oldest of them, if there is one. */
      readonly oldestVersion?: number;
      /** For how long that has been open, in ms by the store's clock. */
      readonly oldestMs?: number;
    };
  };
}

/** What a checkpoint holds. */
export interface CheckpointSummary {
  /** The newest commit in it. */
  readonly version: number;
  readonly entries: number;
  readonly bytes: number;
}
