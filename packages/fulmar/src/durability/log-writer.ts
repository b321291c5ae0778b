import { assert } from "../base/assert.js";
import { FulmarError, isNoMemory } from "../base/errors.js";
import { GROUP_BYTES_MAX, UNSYNCED_COMMITS_MAX } from "../base/limits.js";
import type { CommitLog, CommitSpace } from "./commit-log.js";
import { unknownOutcome } from "./files.js";
import { GroupBuffer, type GroupEnd } from "./group-buffer.js";
import { logFailedEarlier, logStopped } from "./log-errors.js";
import { holdsLittle, openNext, startGroup } from "./log-rotation.js";
import { appendNow } from "./log-segments.js";
import { LogSteps } from "./log-steps.js";
import { LogSync } from "./log-sync.js";
import { advanced, type LogWriterParts, maySyncInLine, type Progress } from "./log-writer-parts.js";
import { LossWindow } from "./loss-window.js";
import type { LogEnd } from "./manifest.js";
import { TurnGuard } from "./turn-guard.js";

/**
 * The log of an open directory. Commits gather in a group, which is written in line once the turn's work is done, or
 * before that once it is worth a sync of its own, and synced off the event loop while the next one gathers.
 *
 * Invariants: bytes reach the disk in the order of commits and old segments are synced before newer ones; nothing is
 * written after a refused group until its traces are durably gone; nothing at all is written after a failed sync, or
 * after an error that nobody expected, wherever it comes up.
 */
export class LogWriter implements CommitLog {
  readonly #parts: LogWriterParts;
  readonly #group: GroupBuffer;
  readonly #guard: TurnGuard;
  readonly #sync: LogSync;
  #logged: Progress;
  #synced: Progress;
  #syncTarget: number;
  #scheduled = false;
  /** Made once: a commit that finds the end of the turn scheduled makes nothing. */
  readonly #flush = this.#guarded(() => this.#syncAll());
  readonly #endTurn = this.#guarded(() => this.#turnEnded());
  readonly #ahead = this.#guarded(() => this.#syncAhead());
  #wantsLogged = false;
  #refusal: Error | undefined;
  #failure: Error | undefined;
  #closed = false;
  readonly #steps: LogSteps;
  /** Bytes handed over up to the end of the last opening that is to be synced though no commit follows it. */
  #openingEnd = 0;
  readonly #window: LossWindow;

  constructor(parts: LogWriterParts) {
    this.#parts = parts;
    this.#guard = new TurnGuard(parts.runtime);
    this.#sync = new LogSync(parts);
    this.#window = new LossWindow(parts.runtime, parts.flush, parts.end.version, this.#flush);
    this.#steps = new LogSteps({
      next: () => this.#nextStep(),
      // What those wrote that the sync woke goes with what gathered before.
      between: () => this.#sync.isUnderWay || this.#handOverGathered(),
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
    assert(!this.#group.isOpen, "one commit is finished before the next begins");
    if (this.#closed) throw new FulmarError("CLOSED", "the log is closed");
    if (this.#failure !== undefined) throw logFailedEarlier(this.#failure);
    assert(version > this.#group.version, "versions rise");
    try {
      return this.#space(version, lengthBytes);
    } catch (cause) {
      // Without memory nothing of the record is there, and an empty group, or a segment without opening, begins again.
      throw isNoMemory(cause) ? cause : this.#broken(cause);
    }
  }

  #space(version: number, lengthBytes: number): CommitSpace {
    if (this.#group.filled === 0) {
      startGroup(this.#parts, this.#group, {
        recordBytes: this.#group.recordBytes(lengthBytes, this.#parts.segments.current.seal),
        syncedThrough: this.synced,
        logged: this.#logged.end,
        mayGoOn: this.#refusal === undefined,
      });
    }
    const { salt, seal, position } = this.#parts.segments.current;
    const sealing = seal === undefined ? undefined : { seal, position };
    return this.#group.begin(salt, version, this.synced, lengthBytes, sealing);
  }

  abandon(): void {
    assert(this.#group.isOpen, "a commit is abandoned that was begun");
    this.#group.abandon();
  }

  /** May write, and so may call the observer's `refused`, when the group has become large. */
  end(): void {
    assert(this.#group.isOpen, "a commit ends that was begun");
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
      // More un-synced commits than the numbers that a recovery skips would let it give out a number twice.
      if (this.#unsyncedCommits() >= UNSYNCED_COMMITS_MAX) this.#syncNow();
      this.#steps.start();
    } else if (this.#group.isPiece && this.#syncTarget <= this.logged && this.#steps.working === undefined) {
      // Not beside a sync, which a write to the same place of the file may have to wait for.
      this.#handOver();
      this.#steps.start();
    }
    this.#schedule();
  }

  /** May write, as {@link end} may. */
  want(level: "logged" | "synced"): void {
    if (level === "synced") {
      this.#syncTarget = Math.max(this.#syncTarget, this.#group.version);
      if (!this.#sync.isUnderWay && this.#sync.isWorth(this.#group.commits)) this.#ahead();
    } else this.#wantsLogged = true;
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
    const commits = this.#write();
    // Much may have happened meanwhile.
    const mayGoOn = !this.#closed && !this.#isStuck && !holdsLittle(this.#parts);
    const goesOn = mayGoOn && openNext(this.#parts, this.#group, this.synced);
    if (goesOn) this.#write();
    // Not before: who is told may write, and nothing comes before the opening.
    this.#report(commits);
    if (!goesOn) return;
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
    this.#window.close();
  }

  /** Nothing may be written: never again, or not before the traces of what was refused are gone. */
  get #isStuck(): boolean {
    return this.#failure !== undefined || this.#refusal !== undefined;
  }

  #isFull(): boolean {
    return this.#group.filled >= GROUP_BYTES_MAX || this.#unsyncedCommits() >= UNSYNCED_COMMITS_MAX;
  }

  #unsyncedCommits(): number {
    return this.#logged.commits + this.#group.commits - (this.#sync.inLine ?? this.#synced).commits;
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
    this.#handOverGathered();
    this.#steps.start();
  }

  /** Hands over what has gathered, and syncs in line what is lone and quick. */
  #handOverGathered(): void {
    const isLone = this.#group.commits === 1;
    this.#handOver();
    if (!isLone || this.#sync.isUnderWay || this.#syncTarget <= this.synced) return;
    if (maySyncInLine(this.#parts, this.#logged, this.#synced)) this.#syncNow();
  }

  #handOver(): void {
    this.#report(this.#write());
  }

  /** Writes the group, and returns of how many commits nobody was told yet. */
  #write(): number {
    this.#wantsLogged = false;
    const group = this.#group;
    if (group.filled === 0 || this.#isStuck) return 0;
    const { content, version, crc, commits } = group;
    const written = appendNow(this.#parts.segments.current, content);
    if (written.error !== undefined) {
      this.#refuse(written.bytes, written.error);
      return 0;
    }
    group.clear();
    this.#advance({ bytes: content.length, commits, version, crc });
    return commits;
  }

  /** So many commits were handed over. Told last, as whoever is told may write and want that synced, too. */
  #report(commits: number): void {
    if (commits === 0) return;
    this.#window.add(this.#logged, this.#synced);
    if (this.#window.isDue(this.#logged, this.#synced)) this.#syncTarget = this.logged;
    this.#parts.observer.logged(this.logged, this.#window.tellable);
  }

  /** Counts records that were wholly written. */
  #advance(end: GroupEnd): void {
    const { current } = this.#parts.segments;
    this.#logged = advanced(this.#logged, current, end);
    if (current.position >= this.#parts.segmentBytes / 2) this.#parts.pool.prepare();
  }

  #syncAll(): void {
    this.#handOver();
    this.#syncTarget = Math.max(this.#syncTarget, this.logged);
    this.#steps.start();
  }

  #syncNow(): void {
    if (this.#isStuck) return;
    const reached = this.#logged;
    try {
      this.#sync.now();
    } catch (cause) {
      this.fail(unknownOutcome(cause, this.#parts.segments.current.path));
      return;
    }
    // The system tells an error of the device once: the sync under way may be the one that hears of it.
    if (this.#sync.isUnderWay) this.#sync.inLine = reached;
    else this.#reachedDisk(reached);
  }

  #reachedDisk(reached: Progress): void {
    if (this.#failure !== undefined || reached.bytes <= this.#synced.bytes) return;
    const isNews = reached.end.version > this.synced;
    this.#synced = reached;
    this.#window.synced(this.#logged, this.#synced);
    // The next one, before those are told that wait for this one: what they do next is done while the disk works.
    if (this.#sync.isWorth(this.#group.commits)) this.#ahead();
    if (isNews) this.#parts.observer.synced(reached.end.version, this.#window.tellable);
  }

  /** The commits after the last whole record were not taken. */
  #refuse(writtenBytes: number, error: Error): void {
    const { crc, version } = this.#logged.end;
    const whole = this.#group.wholeWithin(writtenBytes, { bytes: 0, commits: 0, version, crc });
    if (whole.bytes > 0) this.#advance(whole);
    this.#refusal = error;
    this.#dropGroup(error);
    // Reported after the refusal: a listener may write, and what it writes must not be taken back.
    this.#report(whole.commits);
    this.#steps.start();
  }

  #dropGroup(error: Error): void {
    const { crc, version } = this.#logged.end;
    this.#group.rewind(crc, version);
    this.#syncTarget = Math.min(this.#syncTarget, version);
    this.#parts.observer.refused(version, error);
  }

  #nextStep(): (() => Promise<void>) | undefined {
    // Whatever happened since: nothing else may be done to the files before it has ended.
    if (this.#sync.isUnderWay) return () => this.#syncOnce();
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

  /** Syncs what has gathered so far while the turn goes on. */
  #syncAhead(): void {
    this.#handOver();
    // Who was told of that may have written as much, and begun the sync.
    if (this.#isStuck || this.#sync.isUnderWay || !this.#owesSync()) return;
    this.#window.syncBegins();
    this.#sync.begin(this.#logged);
    this.#steps.start();
  }

  async #syncOnce(): Promise<void> {
    if (!this.#sync.isUnderWay) {
      this.#window.syncBegins();
      this.#sync.begin(this.#logged);
    }
    let reached: Progress | undefined;
    try {
      reached = await this.#sync.ended();
    } catch (cause) {
      this.fail(unknownOutcome(cause, this.#parts.segments.current.path));
    }
    this.#sync.over();
    // What was synced in line meanwhile is further on.
    if (reached !== undefined) this.#reachedDisk(this.#sync.takeInLine() ?? reached);
  }

  /** Cuts off whatever a refused group left, so that no crash can bring it back. */
  async #removeTraces(): Promise<void> {
    const { segments } = this.#parts;
    const done = segments.cutOff();
    try {
      await done;
    } catch (cause) {
      return this.fail(unknownOutcome(cause, segments.current.path));
    }
    // The opening of this segment may be all that is new: then the log ends behind it, durably.
    if (this.#logged.end.version === this.synced) this.#synced = this.#logged;
    this.#refusal = undefined;
    this.#syncTarget = Math.max(this.#syncTarget, this.logged);
    this.#parts.observer.refusalDurable();
  }

  /** Takes nothing more. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#window.close();
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
    this.fail(error);
    return error;
  }
}
