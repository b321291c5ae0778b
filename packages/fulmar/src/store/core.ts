import { codeOf, FulmarError, FulmarTypeError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import type { Clock, Timers } from "../base/runtime/interface.js";
import type { Codec } from "../codec/codec.js";
import type { DataDirectory } from "../durability/data-directory.js";
import type { CommitHistory } from "../durability/history.js";
import type { DiskRuntime } from "../durability/keyring.js";
import type { MemoryEngine } from "../memory/engine.js";
import type { Sharing } from "../memory/shared/sharing.js";
import { Coverage } from "../record/coverage.js";
import type { HybridClock } from "../record/hybrid-clock.js";
import type { OriginTable } from "../record/origins.js";
import {
  type Committed,
  Committer,
  type LocalWrite,
  type OutcomeOf,
  OWN_ORIGIN,
} from "../transaction/committer.js";
import { MemoryHistory } from "../transaction/memory-history.js";
import { MemoryLog } from "../transaction/memory-log.js";
import type { StatePin } from "../transaction/pins.js";
import type { CommitNotice } from "../transaction/publication.js";
import { Backups } from "./backup.js";
import { Checkpointer } from "./checkpointer.js";
import { encryptionStatus } from "./encryption.js";
import { Evictor } from "./evictor.js";
import { type BoundMemory, evictBy, memoryStatus } from "./memory.js";
import { Reader } from "./reader.js";
import type { ReaderHandle } from "./reader-messages.js";
import { StoreReaders } from "./readers.js";
import type { Settings } from "./settings.js";
import { Sweeper } from "./sweeper.js";
import type { CheckpointSummary, Durability, EvictOptions, EvictResult, StoreStatus } from "./types.js";
import { guardedCodec, UserCode } from "./user-code.js";
import { Vacuum } from "./vacuum.js";
import { ValuePool } from "./value-pool.js";
import { Watchers } from "./watch/watchers.js";

/** What `open` has put together before there is a store. */
export interface CoreParts<V> {
  /** With the keys of the directory's files. */
  readonly runtime: DiskRuntime;
  readonly settings: Settings<V>;
  readonly engine: MemoryEngine;
  readonly origins: OriginTable;
  readonly clock: HybridClock;
  readonly storeId: string;
  /** Undefined when other threads cannot read the store. */
  readonly sharing: Sharing | undefined;
  /** Undefined for a store without a directory. */
  readonly directory: { readonly path: string; readonly data: DataDirectory } | undefined;
  /** Undefined: memory is not limited. */
  readonly memory?: BoundMemory;
}

/** What a store is made of, wired together, and its life from open to closed. */
export class StoreCore<V> {
  readonly parts: CoreParts<V>;
  readonly codec: Codec<V>;
  readonly userCode = new UserCode();
  readonly committer: Committer;
  readonly reader: Reader<V>;
  readonly watchers: Watchers;
  readonly history: CommitHistory;
  readonly backups: Backups<V>;
  /** Where values wait between the call of a write and its commit. */
  readonly kept: ValuePool;
  readonly #readers: StoreReaders | undefined;
  readonly #checkpointer: Checkpointer | undefined;
  readonly #sweeper: Sweeper;
  readonly #vacuum: Vacuum;
  readonly #evictor: Evictor;
  readonly #syncedListeners = new Set<() => void>();
  readonly #endListeners = new Set<(cause?: Error) => void>();
  #closing: Promise<void> | undefined;

  constructor(parts: CoreParts<V>) {
    this.parts = parts;
    this.kept = new ValuePool(parts.runtime.threads);
    const { runtime, settings, engine, origins, clock, directory, memory } = parts;
    this.codec = guardedCodec(settings.codec, this.userCode);
    const pool = new ValuePool(runtime.threads);
    const expired = (): void => this.#sweeper.hasten();
    const records = { engine, origins, clock, users: memory?.residents, pool, expired };
    this.reader = new Reader(records, this.codec);
    this.#vacuum = new Vacuum(runtime, {
      vacuum: (records) => this.#vacuumSome(records),
      failed: (cause) => this.#memoryFailed(cause),
    });
    const recovered = directory?.data.recovered ?? { version: 0, seq: 0, coverage: new Coverage() };
    const { version, seq, coverage } = recovered;
    const start = { runtime, engine, origins, clock, limits: settings.limits, version, seq, coverage };
    const bound = memory === undefined ? start : { ...start, memoryLimit: memory.limit };
    this.committer = new Committer(bound, {
      published: (notices) => this.#published(notices),
      synced: () => this.#synced(),
      refused: (error) => this.#refused(error),
      evicted: () => this.#evictor.expect(),
      failed: (error) => this.#failed(error),
      letGo: () => this.#vacuum.consider(),
    });
    const { committer } = this;
    const memoryHistory = new MemoryHistory(settings.historyBytes, engine.version);
    this.history = directory?.data.history ?? memoryHistory;
    committer.attach(
      directory?.data.startLog(committer) ?? new MemoryLog(committer, engine.version, memoryHistory),
    );
    const watched = { engine, committer, history: this.history, diagnostics: runtime.diagnostics };
    this.watchers = new Watchers({ ...watched, keyBytesMax: settings.limits.keyBytesMax });
    this.backups = new Backups(parts, this.committer, () => this.#sweeper.drain());
    this.#readers = this.#createReaders();
    this.#sweeper = new Sweeper({
      runtime,
      nowMs: () => clock.nowMs(),
      nextDeadline: () => engine.nextDeadline(),
      finishMerge: () => this.finishMerge(),
      sweep: (limit) => this.committer.sweep(limit),
    });
    this.#sweeper.expect(engine.nextDeadline());
    this.#evictor = new Evictor({
      runtime,
      isTight: () => memory?.limit.isTight === true,
      evict: (count) => this.#evictStep(count),
    });
    if (directory !== undefined) {
      const { checkpoint: policy, segmentBytes, compressed } = settings;
      const base = { runtime, directory: directory.data, committer, engine, clock };
      this.#checkpointer = new Checkpointer({ ...base, policy, segmentBytes, compressed });
    }
  }

  get engine(): MemoryEngine {
    return this.parts.engine;
  }

  get limits(): Limits {
    return this.parts.settings.limits;
  }

  get clock(): Clock {
    return this.parts.runtime.clock;
  }

  get timers(): Timers {
    return this.parts.runtime.timers;
  }

  /** Whether writes are possible. */
  get writable(): boolean {
    return this.#closing === undefined && this.committer.failure === undefined;
  }

  assertOpen(): void {
    if (this.#closing !== undefined) throw new FulmarError("CLOSED", "the store is closed: open it again");
  }

  /** See {@link Committer.finishMerge}. Code that the store calls changes nothing, and has nothing moved meanwhile. */
  finishMerge(): void {
    if (!this.userCode.isRunning) this.committer.finishMerge();
  }

  /** See {@link Committer.commit}. What the writes were decided on comes after a {@link finishMerge}. */
  commit(writes: readonly LocalWrite[], level: Durability | undefined): Promise<Committed>;
  commit<T>(
    writes: readonly LocalWrite[],
    level: Durability | undefined,
    outcomeOf: OutcomeOf<T>,
  ): Promise<T>;
  commit<T>(writes: readonly LocalWrite[], level: Durability | undefined, outcomeOf?: OutcomeOf<T>) {
    this.assertOpen();
    this.userCode.assertOutside();
    const done = this.committer.commit(writes, level ?? this.parts.settings.durability, outcomeOf);
    for (const write of writes) if (write.deadline !== 0) this.#sweeper.expect(write.deadline);
    return done;
  }

  /** The same for writes for which nothing was read. */
  commitBlind(writes: readonly LocalWrite[], level: Durability | undefined): Promise<Committed> {
    this.finishMerge();
    return this.commit(writes, level);
  }

  sweep(limit: number): number {
    this.assertOpen();
    this.userCode.assertOutside();
    return this.committer.sweep(limit);
  }

  /** After a merge, which may have brought deadlines. */
  expectDeadlines(): void {
    this.#sweeper.expect(this.engine.nextDeadline());
  }

  readerHandle(): ReaderHandle {
    this.assertOpen();
    if (this.#readers !== undefined) return this.#readers.handle();
    const message = "other threads can read a store only if it was opened with shared: true";
    throw new FulmarTypeError("INVALID_ARGUMENT", message);
  }

  /** Pins the newest state, for as long as somebody can reach `holder` at most: see {@link Pins.pin}. */
  pin(holder?: object): StatePin {
    this.assertOpen();
    return this.committer.pin(this.engine.version, "user", holder);
  }

  evict(goal: EvictOptions): Promise<EvictResult> {
    this.userCode.assertOutside();
    const { committer, timers } = this;
    return evictBy({ committer, timers, assertOpen: () => this.assertOpen() }, this.parts.memory, goal);
  }

  /** Makes a store that was opened with less memory than it takes fit, as far as that goes. */
  async evictExcess(): Promise<void> {
    const { memory } = this.parts;
    if (memory?.victims === undefined || !memory.limit.isExceeded) return;
    // A full disk refuses this like any commit, and the writes to come say so; reads need no room.
    await this.evict({}).catch(() => undefined);
  }

  /**
   * Resolves when every commit so far is on stable storage, and that what has expired by now is gone. Where the disk
   * does not take the latter, nothing of what was written is lost, and whoever waits for that is not told.
   */
  async flush(): Promise<void> {
    // A deadline of what it replaces is not known any more, but shown.
    this.finishMerge();
    const written = this.committer.flush();
    if (!this.#sweeper.isDue) return written;
    const swept = this.#sweeper.drain().then(() => this.committer.flush());
    await Promise.all([written, swept.catch(() => undefined)]);
  }

  async checkpoint(): Promise<CheckpointSummary> {
    if (this.#checkpointer !== undefined) {
      await this.#sweeper.drain();
      const { version, entries, bytes } = await this.#checkpointer.run();
      return { version, entries, bytes };
    }
    return { version: this.engine.version, entries: this.engine.usage().entries, bytes: 0 };
  }

  /** Undefined when there was nothing to write. */
  async checkpointIfDirty(): Promise<CheckpointSummary | undefined> {
    if (this.#checkpointer !== undefined) await this.#sweeper.drain();
    const result = await this.#checkpointer?.runIfDirty();
    if (result === undefined) return undefined;
    const { version, entries, bytes } = result;
    return { version, entries, bytes };
  }

  /** Calls `listener` after each sync; returns the way to stop. */
  onSynced(listener: () => void): () => void {
    this.#syncedListeners.add(listener);
    return () => this.#syncedListeners.delete(listener);
  }

  /** Calls `listener` when the store closes or fails; returns the way to stop. */
  onEnd(listener: (cause?: Error) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  status(): StoreStatus {
    const { engine, parts, committer } = this;
    const { eviction } = parts.settings;
    const usage = engine.usage();
    const base = {
      state: this.#state(),
      name: parts.settings.name,
      storeId: parts.storeId,
      incarnation: parts.origins.id(OWN_ORIGIN),
      entries: usage.entries,
      tombstones: usage.tombstones,
      version: {
        applied: engine.version,
        logged: Math.min(engine.version, committer.loggedVersion),
        synced: committer.syncedVersion,
        published: committer.publishedVersion,
      },
      nextSeq: committer.seq + 1,
      dirty: this.#checkpointer?.dirty ?? false,
      history: { oldest: this.history.oldest, bytes: this.history.bytes },
      memory: memoryStatus(usage, { engine, committer, memory: parts.memory, eviction }),
    };
    if (parts.directory === undefined) return base;
    const { settings } = parts;
    const { data } = parts.directory;
    const { segments, logBytes, checkpoint } = data.status();
    const log = { segments, bytes: logBytes };
    const encryption = settings.isEncrypted ? { encryption: encryptionStatus(data.keyIds()) } : {};
    const failure = this.#checkpointer?.failure;
    const failed = failure === undefined ? {} : { checkpointError: failure };
    const stored = { ...base, directory: parts.directory.path, log, ...failed, ...encryption };
    return checkpoint === undefined ? stored : { ...stored, checkpoint };
  }

  #evictStep(count: number): number {
    const { entries, done } = this.committer.evict({ bytes: undefined, entries: count });
    // Nobody waits for it: what the log refuses is back, and what cannot be written now the next write says.
    done.catch(() => undefined);
    return entries;
  }

  #createReaders(): StoreReaders | undefined {
    const { runtime, origins, clock, sharing, settings } = this.parts;
    if (sharing === undefined || settings.shared === undefined) return undefined;
    const { limits, codec, shared } = settings;
    const letGo = (): void => this.#vacuum.consider();
    const base = { runtime, origins, clock, sharing, limits };
    return new StoreReaders({ ...base, codec: codec.name, ...shared, letGo });
  }

  #state(): StoreStatus["state"] {
    if (this.#closing !== undefined) return "closed";
    return this.committer.failure === undefined ? "open" : "failed";
  }

  #published(notices: readonly CommitNotice[]): void {
    this.watchers.publish(notices);
    // States from before keep what was replaced.
    this.committer.pins.entrust();
    // What was deleted or changed its size may leave memory to give back.
    this.#vacuum.consider();
  }

  #vacuumSome(records: number): boolean {
    // A state holds its records where they are.
    if (records > 0) this.committer.pins.entrust();
    return this.engine.vacuum(records);
  }

  #refused(error: Error): void {
    if (codeOf(error) === "DISK_FULL") this.#checkpointer?.makeRoom();
    this.#sweeper.retry();
    this.#evictor.retry();
    this.watchers.wake();
  }

  /** Nobody waits for what happened: whoever writes next is told. */
  #memoryFailed(cause: unknown): void {
    this.committer.failed(new FulmarError("STORE_FAILED", "memory could not be tidied up", { cause }));
  }

  #synced(): void {
    this.#checkpointer?.consider();
    if (this.#syncedListeners.size === 0) return;
    for (const listener of [...this.#syncedListeners]) this.#tell(listener);
  }

  /** Called from within the log: what a listener throws must not break the path of commits. */
  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.parts.runtime.diagnostics.emit("listener-error", () => ({ error }));
    }
  }

  #failed(error: Error): void {
    this.#end(error);
    this.watchers.end(error);
  }

  #end(cause?: Error): void {
    this.#sweeper.stop();
    this.#evictor.stop();
    const listeners = [...this.#endListeners];
    this.#endListeners.clear();
    for (const listener of listeners) this.#tell(() => listener(cause));
  }

  async #close(): Promise<void> {
    this.#end();
    this.committer.stopMerging();
    this.#readers?.close();
    const { directory, clock } = this.parts;
    // Whoever wrote at a weaker level than `full` has no promise left that could tell of a failure: this one does.
    let failure: unknown;
    await this.committer.flush().catch((error: unknown) => {
      failure = error;
    });
    // The clock may stand earlier at the next open: what somebody was told is gone does not come back.
    await this.flush().catch(() => undefined);
    await Promise.all([this.#checkpointer?.stop(), this.backups.stop()]);
    this.#vacuum.stop();
    this.watchers.end();
    const clean = this.committer.failure === undefined;
    // The last numbers given out, also to what was refused since.
    const { seq, lastVersion: version } = this.committer;
    await directory?.data.close({ seq, hlc: clock.last, version, clean });
    if (failure !== undefined) throw failure;
  }
}
