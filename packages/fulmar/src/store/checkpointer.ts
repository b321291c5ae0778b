import { codeOf, FulmarError } from "../base/errors.js";
import type { Runtime, Timer } from "../base/runtime/interface.js";
import type { DataDirectory } from "../durability/data-directory.js";
import type { CheckpointResult } from "../durability/directory-types.js";
import type { MemoryEngine } from "../memory/engine.js";
import type { HybridClock } from "../record/hybrid-clock.js";
import type { Committer } from "../transaction/committer.js";
import type { CheckpointPolicy, StoreStatus } from "./types.js";

/** A log shorter than this is never a reason for a checkpoint by itself, in bytes. */
const LOG_BYTES_MIN = 64 * 1024 * 1024;
/** ... and neither is one below so many times the last checkpoint: it costs more to open, and less to write. */
const LOG_TO_CHECKPOINT = 2;
/** So many segments more than the bytes of the log explain are left of unclean stops, and reason enough. */
const SEGMENTS_LEFT_MAX = 16;
/** After a failed checkpoint the next one by policy waits so long, in ms. */
const RETRY_MS = 5000;
/** After room was sought in vain the next search waits as long, then twice as long each time, up to this, in ms. */
const SEARCH_MS_MAX = 64 * RETRY_MS;

export interface CheckpointerParts {
  readonly runtime: Runtime;
  readonly directory: DataDirectory;
  readonly committer: Committer;
  readonly engine: MemoryEngine;
  readonly clock: HybridClock;
  readonly policy: Required<CheckpointPolicy>;
  readonly segmentBytes: number;
  /** Whether a checkpoint is smaller than what it holds. */
  readonly compressed: boolean;
}

/** Writes checkpoints: one at a time, by hand or by policy, beside the writes. */
export class Checkpointer {
  readonly #parts: CheckpointerParts;
  #running: Promise<CheckpointResult> | undefined;
  #timer: Timer | undefined;
  #notBeforeMs = 0;
  #search: Promise<void> | undefined;
  #searchNotBeforeMs = 0;
  #searchWaitMs = RETRY_MS;
  /** Version of the newest commit that a checkpoint holds. */
  #version: number;
  /** What that one would take if it were not compressed, about. */
  #plainBytes: number;
  #stopped = false;
  #failure: StoreStatus["checkpointError"];

  constructor(parts: CheckpointerParts) {
    this.#parts = parts;
    const { checkpoint } = parts.directory.status();
    this.#version = checkpoint?.version ?? 0;
    this.#plainBytes = checkpoint === undefined ? 0 : this.#bytesOfState();
    this.#schedule();
  }

  /** Whether some commit is in no checkpoint. */
  get dirty(): boolean {
    return this.#parts.engine.version > this.#version;
  }

  /** Why the last one in the background failed, unless one succeeded since. */
  get failure(): StoreStatus["checkpointError"] {
    return this.#failure;
  }

  /**
   * Writes a checkpoint of everything applied now. One that runs already is waited for first, since it may
   * miss the newest commits.
   */
  async run(): Promise<CheckpointResult> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    this.#running = this.#writeSomehow();
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** The same, unless the newest checkpoint, or the one that runs, holds everything: then undefined. */
  async runIfDirty(): Promise<CheckpointResult | undefined> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    return this.dirty ? this.run() : undefined;
  }

  /** Starts a checkpoint in the background if the policy asks for one; called after commits are synced. */
  consider(): void {
    if (this.#running !== undefined || this.#stopped || !this.dirty) return;
    const { runtime, policy, engine, directory, segmentBytes } = this.#parts;
    if (runtime.clock.monotonicMs() < this.#notBeforeMs) return;
    const { logBytesSinceCheckpoint, checkpoint, segments, logBytes } = directory.status();
    const bytes =
      policy.everyBytes === 0
        ? Math.max(LOG_BYTES_MIN, LOG_TO_CHECKPOINT * Math.max(checkpoint?.bytes ?? 0, this.#plainBytes))
        : policy.everyBytes;
    const commits = engine.version - this.#version;
    const crowded = segments > SEGMENTS_LEFT_MAX + logBytes / segmentBytes;
    if (crowded || logBytesSinceCheckpoint >= bytes || commits >= policy.everyCommits)
      this.#runInBackground();
  }

  /**
   * Makes room on a disk that was too full for the log, in the background: what is kept for watches alone goes, and
   * if more of the log can go than a checkpoint takes, there is one, unless the policy is that there are none.
   */
  makeRoom(): void {
    const { clock } = this.#parts.runtime;
    if (this.#stopped || this.#running !== undefined || this.#search !== undefined) return;
    if (clock.monotonicMs() < this.#searchNotBeforeMs) return;
    this.#search = this.#searchRoom().then((found) => {
      this.#search = undefined;
      this.#searchNotBeforeMs = found ? 0 : clock.monotonicMs() + this.#searchWaitMs;
      this.#searchWaitMs = found ? RETRY_MS : Math.min(2 * this.#searchWaitMs, SEARCH_MS_MAX);
    });
  }

  /** Takes no new checkpoint and waits for the one that runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#search;
    await this.#running?.catch(() => undefined);
  }

  async #searchRoom(): Promise<boolean> {
    const { directory } = this.#parts;
    const found = await directory.giveUpHistory();
    if (this.#running !== undefined || !this.#mayShrinkLog()) return found;
    try {
      await this.run();
      // The log that it let go of is kept for watches now.
      await directory.giveUpHistory();
      await directory.useRoom();
      return true;
    } catch (error) {
      this.#failed(error);
      return found;
    }
  }

  #mayShrinkLog(): boolean {
    const { directory, engine, policy } = this.#parts;
    const isAutomatic = Object.values(policy).some((every) => every !== Number.MAX_SAFE_INTEGER);
    return isAutomatic && this.dirty && directory.status().fullSegmentsBytes > engine.usage().recordBytes;
  }

  #bytesOfState(): number {
    return this.#parts.compressed ? this.#parts.engine.usage().recordBytes : 0;
  }

  #runInBackground(): void {
    this.run().catch((error: unknown) => {
      // The store works on without it: the log holds everything. The next try comes later.
      this.#notBeforeMs = this.#parts.runtime.clock.monotonicMs() + RETRY_MS;
      this.#failed(error);
    });
  }

  /** Nobody waited for the checkpoint that this came of. */
  #failed(error: unknown): void {
    const { clock, diagnostics } = this.#parts.runtime;
    // The end of the store is none of its failures.
    if (this.#stopped) return;
    const text = error instanceof Error ? error.message : String(error);
    this.#failure = { error: `${codeOf(error) ?? "INVARIANT"}: ${text}`, at: clock.wallMs() };
    diagnostics.emit("checkpoint-error", () => ({ error }));
  }

  #schedule(): void {
    const { runtime, policy } = this.#parts;
    if (policy.everyMs === Number.MAX_SAFE_INTEGER) return;
    const due = (): void => {
      if (this.dirty && this.#running === undefined) this.#runInBackground();
      if (!this.#stopped) this.#schedule();
    };
    this.#timer = runtime.timers.after(policy.everyMs, due, { background: true });
  }

  /** Where the disk is full, what is kept for watches alone goes first: without a checkpoint the log cannot shrink. */
  async #writeSomehow(): Promise<CheckpointResult> {
    try {
      return await this.#write();
    } catch (error) {
      const isFull = error instanceof FulmarError && error.code === "DISK_FULL";
      if (!isFull || !(await this.#parts.directory.giveUpHistory())) throw error;
      return this.#write();
    }
  }

  async #write(): Promise<CheckpointResult> {
    const { directory, committer, engine, clock } = this.#parts;
    if (this.#stopped) throw new FulmarError("CLOSED", "the store is closed");
    await directory.startSegment();
    const { pin, coverage } = await committer.pinSynced("store");
    const plainBytes = this.#bytesOfState();
    try {
      const result = await directory.checkpoint({
        version: pin.version,
        seq: committer.seq,
        hlc: clock.last,
        coverage,
        engine,
        read: () => pin.release(),
        synced: async () => {},
      });
      this.#version = Math.max(this.#version, pin.version);
      this.#plainBytes = plainBytes;
      this.#failure = undefined;
      return result;
    } finally {
      pin.release();
    }
  }
}
