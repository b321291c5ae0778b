import { assert } from "../base/assert.js";
import { FulmarError } from "../base/errors.js";
import type { DirectoryLock } from "../base/runtime/interface.js";
import type { MemoryEngine } from "../memory/engine.js";
import type { OriginTable } from "../record/origins.js";
import { writeCheckpoint } from "./checkpoint-run.js";
import type { CommitLog, LogObserver } from "./commit-log.js";
import type {
  CheckpointResult,
  CheckpointSource,
  DirectoryOptions,
  DirectoryStatus,
  FinalState,
  Recovered,
} from "./directory-types.js";
import { refuseDirectories } from "./file-places.js";
import { attempt, removeFile, syncFile } from "./files.js";
import { createStore, holdsStore, makeRoot, syncAncestors } from "./first-open.js";
import { type CommitHistory, type PastSegment, SegmentHistory } from "./history.js";
import { LogCursor } from "./history-cursor.js";
import type { DiskRuntime } from "./keyring.js";
import { type Layout, layoutOf } from "./layout.js";
import { LogSegments } from "./log-segments.js";
import { LogWriter } from "./log-writer.js";
import { MadeDirectories } from "./made-directories.js";
import type { LogEnd } from "./manifest.js";
import { listOrphanCheckpoints, removeAll } from "./orphans.js";
import { Presence } from "./presence.js";
import { type Opened, recover } from "./recovery.js";
import { OLDER_FORMATS, upgrade } from "./upgrade.js";

/** A data directory, held by its lock: manifest, log and checkpoints of one store. */
export class DataDirectory {
  readonly #runtime: DiskRuntime;
  readonly #layout: Layout;
  readonly #lock: DirectoryLock;
  readonly #origins: OriginTable;
  readonly #options: DirectoryOptions;
  readonly #opened: Opened;
  readonly #segments: LogSegments;
  readonly #past: SegmentHistory;
  readonly #presence: Presence;
  #log: LogWriter | undefined;
  #running: Promise<CheckpointResult> | undefined;
  #bytesAtCheckpoint = 0;
  #checkpointed = false;
  /** The key of the checkpoint, if there is one and it is encrypted. */
  #checkpointKey: string | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    runtime: DiskRuntime,
    layout: Layout,
    lock: DirectoryLock,
    origins: OriginTable,
    options: DirectoryOptions,
    opened: Opened,
  ) {
    this.#runtime = runtime;
    this.#layout = layout;
    this.#lock = lock;
    this.#origins = origins;
    this.#options = options;
    this.#opened = opened;
    this.#checkpointKey = opened.checkpointKey;
    this.#segments = new LogSegments(runtime, opened.segments);
    this.#past = new SegmentHistory(options.historyBytes ?? 0, opened.history);
    const { manifest } = opened;
    const syncedEnd = (): LogEnd => this.#syncedEnd();
    this.#presence = new Presence({ runtime, layout, lock, manifest, segments: this.#segments, syncedEnd });
    opened.pool.checkFirst(() => this.#assertPresent());
  }

  /**
   * Locks the directory, creating it when it is missing or empty, and loads what it holds into
   * `engine`, which must be empty. The store's incarnation becomes number 1 of `origins`, which must
   * be empty too. Rejects with LOCKED, NOT_A_STORE, CORRUPT, FORMAT_NEWER, PATH_UNUSABLE, ENCRYPTION_KEY_MISSING,
   * ENCRYPTION_KEY_WRONG, NOT_ENCRYPTED or an error of the disk. The runtime's keyring is erased when the
   * directory closes. A directory that cannot be opened is left as it was.
   */
  static async open(
    runtime: DiskRuntime,
    path: string,
    engine: MemoryEngine,
    origins: OriginTable,
    options: DirectoryOptions,
  ): Promise<DataDirectory> {
    assert(origins.size === 0 && engine.version === 0, "a directory is opened into an empty store");
    const made = new MadeDirectories(runtime.fileSystem);
    try {
      const layout = layoutOf(runtime.fileSystem, await makeRoot(runtime, path, made));
      // Before the lock, which leaves a file: a directory of somebody else is not touched at all.
      await holdsStore(runtime, layout);
      return await DataDirectory.#openLocked(runtime, layout, engine, origins, options);
    } catch (error) {
      await made.unmake();
      throw error;
    }
  }

  static async #openLocked(
    runtime: DiskRuntime,
    layout: Layout,
    engine: MemoryEngine,
    origins: OriginTable,
    options: DirectoryOptions,
  ): Promise<DataDirectory> {
    const lock = await runtime.fileSystem.lock(layout.root);
    try {
      const created = !(await holdsStore(runtime, layout));
      await refuseDirectories(runtime, layout);
      if (created) {
        await syncAncestors(runtime, layout.root);
        await createStore(runtime, layout);
      } else await upgrade(runtime, layout, options.olderFormats ?? OLDER_FORMATS);
      const opened = await recover({ runtime, layout, engine, origins, options, created });
      return new DataDirectory(runtime, layout, lock, origins, options, opened);
    } catch (error) {
      runtime.keyring?.erase();
      await lock.release();
      throw error;
    }
  }

  get recovered(): Recovered {
    return this.#opened.recovered;
  }

  /** The commits that the log still holds. */
  get history(): CommitHistory {
    const [runtime, origins, past] = [this.#runtime, this.#origins, this.#past];
    const segments = (): PastSegment[] => [...past.list, ...this.#segments.past];
    const parts = { runtime, storeId: this.#opened.recovered.storeId, origins, segments };
    return {
      get oldest(): number {
        return segments()[0].base;
      },
      get bytes(): number {
        return past.bytes;
      },
      cursor: (after, exact) => new LogCursor(parts, after, exact),
    };
  }

  /** Begins appending; once only. */
  startLog(observer: LogObserver): CommitLog {
    assert(this.#log === undefined && this.#closing === undefined, "a directory has one log");
    const { flush, inlineSync, segmentBytes } = this.#options;
    const { pool, end } = this.#opened;
    const [runtime, origins, segments] = [this.#runtime, this.#origins, this.#segments];
    const policy = { flush, inlineSync, segmentBytes };
    const parts = { runtime, origins, segments, pool, observer, presence: this.#presence, end };
    this.#log = new LogWriter({ ...parts, ...policy });
    return this.#log;
  }

  /**
   * Has the log go on in a new segment, unless the present one holds little. A recovery from a checkpoint of what
   * was appended before reads nothing of the log that the checkpoint holds already. Rejects when files are lost.
   */
  async startSegment(): Promise<void> {
    if (this.#closing !== undefined) return;
    await this.#assertPresent();
    await this.#log?.startSegment();
  }

  /** Looks whether the files are where the next open will look for them; if not, the log fails. Does not reject. */
  async look(): Promise<FulmarError | undefined> {
    const lost = this.#closing === undefined ? await this.#presence.look() : undefined;
    if (lost !== undefined) this.#log?.fail(lost);
    return lost;
  }

  /**
   * Writes a checkpoint while commits go on, and lets go of the log that it replaces. One at a time.
   * When it rejects the store is as it was.
   */
  checkpoint(source: CheckpointSource): Promise<CheckpointResult> {
    assert(this.#running === undefined, "one checkpoint at a time");
    if (this.#closing !== undefined) return Promise.reject(new FulmarError("CLOSED", "the store is closed"));
    this.#running = this.#checkpoint(source).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Removes what is kept for watches alone, for a disk that is full; whether any of it went. */
  async giveUpHistory(): Promise<boolean> {
    // What has these names by now may be all that there is of another store.
    if (this.#past.list.length === 0 || (await this.look()) !== undefined) return false;
    let removed = 0;
    for (const { path } of this.#past.clear()) {
      try {
        await removeFile(this.#runtime.fileSystem, path);
        removed++;
      } catch (error) {
        this.#runtime.diagnostics.emit("remove-failed", () => ({ path, error }));
      }
    }
    return removed > 0;
  }

  /** Prepares the next segment of the log, for which there was no room before. */
  async useRoom(): Promise<void> {
    await this.#opened.pool.resume();
  }

  /** Makes it durable that this store has met a peer, so that it keeps tombstones from now on. */
  rememberPeers(): Promise<void> {
    return this.#opened.manifest.update((now) => ({ ...now, hadPeers: true }));
  }

  /** What is asked for after each sync, so that it must not take long. */
  status(): DirectoryStatus {
    const { checkpoint } = this.#opened.manifest.manifest;
    const { version, bytes } = checkpoint;
    const appended = this.#log?.appendedBytes ?? 0;
    const logBytes = this.#segments.bytes;
    return {
      segments: this.#segments.count,
      logBytes,
      fullSegmentsBytes: logBytes - this.#segments.current.position,
      ...(checkpoint.number > 0
        ? { checkpoint: { version, bytes, running: this.#running !== undefined } }
        : {}),
      logBytesSinceCheckpoint:
        appended - this.#bytesAtCheckpoint + (this.#checkpointed ? 0 : this.#opened.replayedBytes),
    };
  }

  /** The ids of the keys that files need, sorted, the one for new files first; undefined stands for plain files. */
  keyIds(): (string | undefined)[] {
    const { checkpoint } = this.#opened.manifest.manifest;
    const used = new Set([...this.#segments.keyIds, ...this.#past.list.map(({ keyId }) => keyId)]);
    if (checkpoint.number > 0) used.add(this.#checkpointKey);
    const current = this.#runtime.keyring?.currentId;
    used.delete(current);
    return [current, ...[...used].sort()];
  }

  /** Closes the log, records an orderly end and releases the lock. Idempotent. Rejects when files are lost. */
  close(final: FinalState): Promise<void> {
    this.#closing ??= this.#close(final);
    return this.#closing;
  }

  async #checkpoint(source: CheckpointSource): Promise<CheckpointResult> {
    const bytesBefore = this.#log?.appendedBytes ?? 0;
    const { manifest } = this.#opened;
    const [runtime, layout] = [this.#runtime, this.#layout];
    const { compressed = false } = this.#options;
    const stopped = (): boolean => this.#closing !== undefined;
    const name = await writeCheckpoint(
      { runtime, layout, origins: this.#origins, compressed, stopped },
      manifest.manifest,
      source,
    );
    assert(source.version <= this.#syncedEnd().version, "a checkpoint holds synced commits only");
    await this.#assertPresent();
    const firstSegment = this.#segments.firstFor(source.version);
    const { entries, ...checkpoint } = name;
    await manifest.update((now) => ({
      ...now,
      // The checkpoint may hold tombstones although an attempt to note the first peer failed.
      hadPeers: now.hadPeers || source.engine.keepTombstones,
      checkpoint,
      firstSegment,
      synced: this.#syncedEnd(),
    }));
    // Again: a manifest that is no copy of the one that was changed still needs what is let go of below.
    await this.#assertPresent();
    this.#bytesAtCheckpoint = bytesBefore;
    this.#checkpointed = true;
    this.#checkpointKey = runtime.keyring?.currentId;
    await this.#letGo(firstSegment, checkpoint.number);
    return { version: checkpoint.version, number: checkpoint.number, bytes: checkpoint.bytes, entries };
  }

  /** The checkpoint stands: what is not removed now is removed at the next open. */
  async #letGo(firstSegment: number, checkpoint: number): Promise<void> {
    const [runtime, layout] = [this.#runtime, this.#layout];
    try {
      const keyId = runtime.keyring?.currentId;
      for (const segment of this.#past.add(this.#segments.dropBefore(firstSegment), keyId)) {
        // One that is used again holds its old bytes for long, and these are not to be of another key, or plain.
        if (segment.keyId === keyId) await this.#opened.pool.retire(segment.path);
        else await removeFile(runtime.fileSystem, segment.path);
      }
      await removeAll(runtime, await listOrphanCheckpoints(runtime, layout, checkpoint));
    } catch (error) {
      runtime.diagnostics.emit("remove-failed", () => ({ path: layout.root, error }));
    }
  }

  async #assertPresent(): Promise<void> {
    const lost = await this.look();
    if (lost !== undefined) throw lost;
  }

  #syncedEnd(): LogEnd {
    return this.#log?.syncedEnd ?? this.#opened.end;
  }

  async #close(final: FinalState): Promise<void> {
    const { pool } = this.#opened;
    try {
      await this.#running?.catch(() => undefined);
      await this.#log?.close();
      const lost = await this.#presence.look();
      await pool.close(lost === undefined);
      if (this.#log?.failure !== undefined) return;
      if (lost !== undefined) throw lost;
      if (final.clean) await this.#recordEnd(final);
    } finally {
      await this.#letFilesGo();
    }
  }

  /** Whatever fails, the directory is free afterwards. */
  async #letFilesGo(): Promise<void> {
    try {
      await this.#segments.close();
    } finally {
      try {
        await this.#opened.manifest.close();
      } finally {
        this.#runtime.keyring?.erase();
        await this.#lock.release();
      }
    }
  }

  /** Gives unused space back, and states where the log ends so that damage to its last record is seen. */
  async #recordEnd(final: FinalState): Promise<void> {
    const { handle, position } = this.#segments.current;
    if (handle !== undefined) {
      await attempt("truncate", handle.path, handle.truncate(position));
      await syncFile(handle);
    }
    await this.#segments.close();
    const synced = this.#syncedEnd();
    const { version, seq, hlc } = final;
    await this.#opened.manifest.update((now) => ({ ...now, clean: true, synced, version, seq, hlc }));
  }
}
