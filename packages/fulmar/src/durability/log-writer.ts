import { assert } from "../base/assert.js";
import { FulmarError } from "../base/errors.js";
import { GROUP_BYTES_MAX, UNSYNCED_COMMITS_MAX } from "../base/limits.js";
import type { CommitLog, CommitSpace } from "./commit-log.js";
import { unknownOutcome } from "./files.js";
import { FlushInterval } from "./flush-interval.js";
import { GroupBuffer, type GroupEnd } from "./group-buffer.js";
import { logFailedEarlier, logStopped } from "./log-errors.js";
import { holdsLittle, openNext } from "./log-rotation.js";
import { appendNow, endOf } from "./log-segments.js";
import { LogSteps } from "./log-steps.js";
import type { LogWriterParts, Progress } from "./log-writer-parts.js";
import type { LogEnd } from "./manifest.js";
import { headerBytes } from "./segment-format.js";
import { TurnGuard } from "./turn-guard.js";
import { ZeroFill } from "./zero-fill.js";

/** Largest group that `inlineSync` syncs in the calling turn. */
const INLINE_BYTES_MAX = 64 * 1024;

/**
 * The log of an open directory. Commits gather in a group; a group is written in line once the turn's
 * work is done, and synced off the event loop while the next one gathers.
 *
 * Invariants: bytes reach the disk in the order of commits and old segments are synced before newer ones; nothing is
 * written after a refused group until its traces are durably gone; nothing at all is written after a failed sync, or
 * after an error that nobody expected, wherever it comes up.
 */
export class LogWriter implements CommitLog {
  readonly #parts: LogWriterParts;
  readonly #group: GroupBuffer;
  readonly #guard: TurnGuard;
  readonly #fill: ZeroFill;
  #logged: Progress;
  #synced: Progress;
  /** Synced in line while another sync is under way: told once that one has ended well. */
  #syncedInLine: Progress | undefined;
  #syncTarget: number;
  #begun = false;
  #scheduled = false;
  /** Made once: a commit that finds the end of the turn scheduled makes nothing. */
  readonly #flush = this.#guarded(() => this.#syncAll());
  readonly #endTurn = this.#guarded(() => this.#turnEnded());
  #wantsLogged = false;
  #refusal: Error | undefined;
  #failure: Error | undefined;
  #closed = false;
  readonly #steps: LogSteps;
  /** Bytes handed over up to the end of the last opening that is to be synced though no commit follows it. */
  #openingEnd = 0;
  readonly #interval: FlushInterval;

  constructor(parts: LogWriterParts) {
    this.#parts = parts;
    this.#guard = new TurnGuard(parts.runtime);
    this.#fill = new ZeroFill(parts.segmentBytes);
    this.#interval = new FlushInterval(parts.runtime.timers, parts.flush.intervalMs, this.#flush);
    this.#steps = new LogSteps({
      next: () => this.#nextStep(),
      between: () => this.#handOver(),
      ended: () => this.#tellSyncedInLine(),
      broken: (cause) => this.#broken(cause),
    });
    const { crc, version } = parts.end;
    this.#group = new GroupBuffer(parts.runtime.checksum, parts.origins, crc, version);
    this.#logged = { commits: 0, bytes: 0, end: parts.end };
    this.#synced = this.#logged;
    this.#syncTarget = version;
  }

  get logged(): number {
    return this.#logged.end.version;
  }

  get synced(): number {
    return this.#synced.end.version;
  }

  /** Everything before this is on stable storage. */
  get syncedEnd(): LogEnd {
    return this.#synced.end;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Bytes handed over since the log was started. */
  get appendedBytes(): number {
    return this.#logged.bytes;
  }

  begin(version: number, lengthBytes: number): CommitSpace {
    assert(!this.#begun, "one commit is finished before the next begins");
    if (this.#closed) throw new FulmarError("CLOSED", "the log is closed");
    if (this.#failure !== undefined) throw logFailedEarlier(this.#failure);
    assert(version > this.#group.version, "versions rise");
    try {
      const space = this.#space(version, lengthBytes);
      this.#begun = true;
      return space;
    } catch (cause) {
      throw this.#broken(cause);
    }
  }

  #space(version: number, lengthBytes: number): CommitSpace {
    const { segments } = this.#parts;
    if (this.#group.filled === 0) {
      this.#startGroup(this.#group.recordBytes(lengthBytes, segments.current.seal));
    }
    const { salt, seal, position } = segments.current;
    const sealing = seal === undefined ? undefined : { seal, position };
    return this.#group.begin(salt, version, this.synced, lengthBytes, sealing);
  }

  /** May write, and so may call the observer's `refused`, when the group has become large. */
  end(): void {
    assert(this.#begun, "a commit ends that was begun");
    this.#begun = false;
    try {
      this.#closeRecord();
    } catch (cause) {
      this.#broken(cause);
    }
  }

  #closeRecord(): void {
    this.#group.end();
    const end = this.#parts.segments.current.position + this.#group.filled;
    const overflows = end >= this.#parts.segments.limit(this.#parts.segmentBytes) && this.#parts.pool.ready;
    if (overflows || this.#isFull()) {
      this.#handOver();
      this.#boundUnsynced();
      this.#steps.start();
    }
    this.#schedule();
  }

  want(level: "logged" | "synced"): void {
    if (level === "synced") this.#syncTarget = Math.max(this.#syncTarget, this.#group.version);
    else this.#wantsLogged = true;
    this.#schedule();
  }

  /**
   * Goes on in a new segment unless the present one holds little: what a checkpoint is about to hold then lies
   * in segments that a recovery from it does not read. Resolves when the new one is on stable storage, whatever
   * follows, or when the log goes on in the present one because there is no other.
   */
  startSegment(): Promise<void> {
    return this.#goOnInNext().catch((cause) => void this.#broken(cause));
  }

  async #goOnInNext(): Promise<void> {
    if (holdsLittle(this.#parts)) return;
    await this.#parts.pool.prepared();
    this.#handOver();
    // Much may have happened meanwhile.
    if (this.#closed || this.#failure !== undefined || this.#refusal !== undefined) return;
    if (holdsLittle(this.#parts) || !openNext(this.#parts, this.#group, this.synced)) return;
    this.#handOver();
    this.#openingEnd = this.#logged.bytes;
    this.#steps.start();
    while (this.#owesOpening() && this.#steps.working !== undefined) await this.#steps.step;
  }

  async close(): Promise<void> {
    this.#closed = true;
    while (this.#failure === undefined) {
      this.#flush();
      if (this.#steps.working === undefined) break;
      await this.#steps.working;
    }
    await this.#steps.working;
    this.#interval.cancel();
  }

  #isFull(): boolean {
    return this.#group.filled >= GROUP_BYTES_MAX || this.#unsyncedCommits() >= UNSYNCED_COMMITS_MAX;
  }

  #unsyncedCommits(): number {
    return this.#logged.commits + this.#group.commits - (this.#syncedInLine ?? this.#synced).commits;
  }

  #schedule(): void {
    if (this.#scheduled || this.#failure !== undefined) return;
    this.#scheduled = true;
    this.#guard.run(this.#endTurn);
  }

  #turnEnded(): void {
    this.#scheduled = false;
    if (this.#refusal !== undefined) {
      // Nothing may be written yet, so what gathers meanwhile has to stay within bounds.
      if (this.#isFull()) this.#dropGroup(this.#refusal);
      return;
    }
    // During a sync the next group gathers, unless somebody waits only for the write.
    if (this.#steps.working !== undefined && !this.#wantsLogged) return;
    const lone = this.#group.commits === 1 && this.#group.filled <= INLINE_BYTES_MAX;
    this.#handOver();
    if (
      this.#parts.inlineSync &&
      lone &&
      this.#steps.working === undefined &&
      this.#syncTarget > this.synced
    ) {
      this.#syncNow();
    }
    this.#steps.start();
  }

  /** Decides where a group goes, before its first record is encoded: records carry the segment's salt. */
  #startGroup(recordBytes: number): void {
    const { current } = this.#parts.segments;
    const full = current.position + recordBytes > this.#parts.segments.limit(this.#parts.segmentBytes);
    const mayGoOn = full && this.#refusal === undefined && current.position > headerBytes(current.seal);
    if (mayGoOn && openNext(this.#parts, this.#group, this.synced)) return;
    // The opening of the present segment was refused together with its first group.
    if (current.position === headerBytes(current.seal)) {
      const { segment, position } = this.#logged.end;
      this.#group.open(current.salt, this.synced, segment, position, current.seal);
    }
  }

  #handOver(): void {
    this.#wantsLogged = false;
    const group = this.#group;
    if (group.filled === 0 || this.#failure !== undefined || this.#refusal !== undefined) return;
    const { content } = group;
    const written = appendNow(this.#parts.segments.current, content);
    if (written.error !== undefined) {
      this.#refuse(written.bytes, written.error);
      return;
    }
    const { version, crc, commits } = group;
    group.clear();
    this.#advance({ bytes: content.length, commits, version, crc });
    if (commits > 0) this.#parts.observer.logged(this.logged);
    this.#applyPolicy();
  }

  /** Counts records that were wholly written. */
  #advance(end: GroupEnd): void {
    const { current } = this.#parts.segments;
    current.position += end.bytes;
    this.#logged = {
      commits: this.#logged.commits + end.commits,
      bytes: this.#logged.bytes + end.bytes,
      end: endOf(current, end.crc, end.version),
    };
    if (current.position >= this.#parts.segmentBytes / 2) this.#parts.pool.prepare();
  }

  #applyPolicy(): void {
    const { flush } = this.#parts;
    const commits = this.#logged.commits - this.#synced.commits;
    const bytes = this.#logged.bytes - this.#synced.bytes;
    if (commits === 0) return;
    if (commits >= flush.commits || bytes >= flush.bytes) this.#syncTarget = this.logged;
    this.#interval.begin();
  }

  #syncAll(): void {
    this.#handOver();
    this.#syncTarget = Math.max(this.#syncTarget, this.logged);
    this.#steps.start();
  }

  /** More un-synced commits than the numbers that a recovery skips would let it give out a number twice. */
  #boundUnsynced(): void {
    if (this.#unsyncedCommits() >= UNSYNCED_COMMITS_MAX) this.#syncNow();
  }

  #syncNow(): void {
    if (this.#failure !== undefined || this.#refusal !== undefined) return;
    const reached = this.#logged;
    this.#fill.ahead(this.#parts.segments.current);
    try {
      this.#parts.segments.syncNow();
    } catch (cause) {
      this.#fail(unknownOutcome(cause, this.#parts.segments.current.path));
      return;
    }
    // The system tells an error of the device once: the sync under way may be the one that hears of it.
    if (this.#steps.working === undefined) this.#reachedDisk(reached);
    else this.#syncedInLine = reached;
  }

  /** No sync is under way that could still fail. */
  #tellSyncedInLine(): void {
    const reached = this.#syncedInLine;
    this.#syncedInLine = undefined;
    if (reached !== undefined) this.#reachedDisk(reached);
  }

  #reachedDisk(reached: Progress): void {
    if (this.#failure !== undefined || reached.bytes <= this.#synced.bytes) return;
    const isNews = reached.end.version > this.synced;
    this.#synced = reached;
    if (this.#synced.commits === this.#logged.commits) this.#interval.cancel();
    if (isNews) this.#parts.observer.synced(reached.end.version);
  }

  /** The commits after the last whole record were not taken. */
  #refuse(writtenBytes: number, error: Error): void {
    const { crc, version } = this.#logged.end;
    const whole = this.#group.wholeWithin(writtenBytes, { bytes: 0, commits: 0, version, crc });
    if (whole.bytes > 0) this.#advance(whole);
    this.#refusal = error;
    this.#dropGroup(error);
    // Reported after the refusal: a listener may write, and what it writes must not be taken back.
    if (whole.commits > 0) this.#parts.observer.logged(this.logged);
    this.#steps.start();
  }

  #dropGroup(error: Error): void {
    const { crc, version } = this.#logged.end;
    this.#group.rewind(crc, version);
    this.#syncTarget = Math.min(this.#syncTarget, version);
    this.#parts.observer.refused(version, error);
  }

  #nextStep(): (() => Promise<void>) | undefined {
    if (this.#failure !== undefined) return undefined;
    if (this.#refusal !== undefined) return () => this.#removeTraces();
    return this.#owesSync() ? () => this.#syncOnce() : undefined;
  }

  #owesSync(): boolean {
    return Math.min(this.#syncTarget, this.logged) > this.synced || this.#owesOpening();
  }

  #owesOpening(): boolean {
    return Math.min(this.#openingEnd, this.#logged.bytes) > this.#synced.bytes;
  }

  async #syncOnce(): Promise<void> {
    const reached = this.#logged;
    this.#fill.ahead(this.#parts.segments.current);
    try {
      await this.#parts.segments.sync();
    } catch (cause) {
      this.#fail(unknownOutcome(cause, this.#parts.segments.current.path));
      return;
    }
    this.#reachedDisk(reached);
    this.#tellSyncedInLine();
  }

  /** Cuts off whatever a refused group left, so that no crash can bring it back. */
  async #removeTraces(): Promise<void> {
    const { current } = this.#parts.segments;
    const { handle, position } = current;
    assert(handle !== undefined, "the present segment is open");
    try {
      await handle.truncate(position);
      await handle.syncData();
    } catch (cause) {
      this.#fail(unknownOutcome(cause, current.path));
      return;
    }
    current.capacity = Math.min(current.capacity, position);
    current.syncedPosition = position;
    // The opening of this segment may be all that is new: then the log ends behind it, durably.
    if (this.#logged.end.version === this.synced) this.#synced = this.#logged;
    this.#refusal = undefined;
    this.#syncTarget = Math.max(this.#syncTarget, this.logged);
    this.#parts.observer.refusalDurable();
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#interval.cancel();
    this.#group.clear();
    this.#parts.observer.failed(error);
  }

  #guarded(task: () => void): () => void {
    return () => {
      try {
        task();
      } catch (cause) {
        this.#broken(cause);
      }
    };
  }

  /** After an error that nobody expected nothing is built on what was done: all who wait, and who come, are told. */
  #broken(cause: unknown): Error {
    // Thrown by whoever was told of a failure: nobody waits any more, and it must not get lost.
    if (this.#failure !== undefined) throw cause;
    const error = logStopped(cause);
    this.#fail(error);
    return error;
  }
}
