import { codeOf, FulmarError } from "../base/errors.js";
import { COMMIT_BYTES_MAX } from "../base/limits.js";
import type { Timer } from "../base/runtime/interface.js";
import type { Coverage } from "../record/coverage.js";
import type { MergeResult, StorePort } from "../store/port.js";
import { MERGE_RETRY_LEAST_MS, MERGE_RETRY_MOST_MS } from "./protocol/limits.js";
import { Stage, type StagedPages } from "./stage.js";

export interface InboxOptions {
  readonly port: StorePort;
  readonly stagedBytesMax: number;
  readonly progressive: boolean;
  /** Something was merged: on whose account is known by `from`, or undefined for staged pages of several peers. */
  readonly merged: (result: MergeResult, from: object | undefined) => void;
  readonly failed: (error: Error) => void;
  /** What this node states to its peers has changed. */
  readonly changed: () => void;
}

/** Figures for the status. */
export interface InboxCounts {
  merges: number;
  failures: number;
  /** Times that a pull was published in parts because it outgrew `stagedBytesMax`. */
  overflows: number;
  /** Times that an unfinished pull was thrown away. */
  expired: number;
}

/** How this node stands towards what one peer may send. */
export interface Standing {
  readonly staged: Coverage | undefined;
  readonly epoch: number;
  readonly pulling: boolean;
  readonly stalled: boolean;
}

/** The receiving half that all sessions share: the stage, and the way into the store. */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #stage = new Stage();
  readonly counts: InboxCounts = { merges: 0, failures: 0, overflows: 0, expired: 0 };
  #failuresInRow = 0;
  #retry: Timer | undefined;
  #closed = false;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  get stagedBytes(): number {
    return this.#stage.bytes;
  }

  /** A failed merge is waited out: nothing is taken meanwhile. */
  get stalled(): boolean {
    return this.#retry !== undefined;
  }

  /** Nothing can be taken now: the store cannot write, or what is staged waits to be published and is at its limit. */
  get blocked(): boolean {
    return this.stalled || (this.#stage.publishing && this.#stage.bytes >= this.#options.stagedBytesMax);
  }

  get epoch(): number {
    return this.#stage.epoch;
  }

  standing(session: object): Standing {
    const stage = this.#stage;
    const othersPull = stage.owner !== undefined && stage.owner !== session;
    return {
      staged: othersPull ? undefined : stage.beyond(this.#own()),
      epoch: stage.epoch,
      pulling: othersPull,
      stalled: this.blocked,
    };
  }

  /** Whether a cut that starts at `from` may be merged without the stage. */
  isDirect(from: Coverage, epoch: number, onStage: boolean): boolean {
    const own = this.#own();
    if (!own.includes(from)) return false;
    // A starting point of another epoch may have included what is staged no more.
    return !onStage || (epoch === this.#stage.epoch && this.#stage.isIdle(own));
  }

  /** Whether a cut that starts at `from` fits what is merged and staged. */
  fits(from: Coverage, epoch: number, onStage: boolean): boolean {
    if (onStage && epoch !== this.#stage.epoch) return false;
    return this.#stage.virtual(this.#own()).includes(from);
  }

  /** Asks for the right to stage a cut of several pages. */
  claim(session: object): boolean {
    return this.#stage.claim(session, this.#now());
  }

  aim(to: Coverage): void {
    this.#stage.aim(to);
  }

  /** Keeps a page of a staged cut, and publishes when nothing that was aimed at is missing any more. */
  stage(page: Uint8Array, claims: Coverage, isWhole: boolean): void {
    this.#stage.add(page, claims, isWhole, this.#now());
    if (!isWhole && this.#stage.bytes > this.#options.stagedBytesMax + COMMIT_BYTES_MAX) {
      throw new FulmarError("PROTOCOL_VIOLATION", "a commit that is longer than any may be");
    }
    this.#publish();
  }

  /** The session's pull is complete, broken off, or its connection gone. */
  release(session: object): void {
    if (!this.#stage.release(session)) return;
    this.#publish();
    this.#options.changed();
  }

  /** Merges one whole cut at once. False when the store could not; nothing is then merged. */
  async merge(page: Uint8Array, adds: Coverage, from: object): Promise<boolean> {
    return (await this.#merge(page.length === 0 ? [] : [page], adds, from)) !== undefined;
  }

  /** To be called now and then while peers are connected. */
  tick(): void {
    const now = this.#now();
    const ended = this.#stage.endLease(now);
    if (ended) this.#publish();
    const expired = this.#stage.expire(now);
    if (expired) this.counts.expired++;
    if (ended || expired) this.#options.changed();
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#retry = undefined;
  }

  #own(): Coverage {
    return this.#options.port.coverage();
  }

  #now(): number {
    return this.#options.port.runtime.clock.monotonicMs();
  }

  #publish(): void {
    const stage = this.#stage;
    if (this.#closed || this.stalled || stage.publishing || !stage.holdsNews()) return;
    const isComplete = stage.isComplete(this.#own());
    const overflows = stage.bytes > this.#options.stagedBytesMax;
    const isPart = stage.pages > 0 && stage.isWhole && (overflows || this.#options.progressive);
    if (!isComplete && !isPart) return;
    if (!isComplete && !this.#options.progressive) this.counts.overflows++;
    const taken = stage.take(isComplete);
    void this.#publishTaken(taken);
  }

  async #publishTaken(taken: StagedPages): Promise<void> {
    const merged = await this.#merge(taken.pages, taken.claims, undefined);
    this.#stage.published(taken, merged?.refused, this.#own());
    if (this.#closed) return;
    this.#options.changed();
    this.#publish();
  }

  /** Undefined when the store could not: nothing is merged then. */
  async #merge(
    pages: readonly Uint8Array[],
    adds: Coverage,
    from: object | undefined,
  ): Promise<MergeResult | undefined> {
    if (this.#closed) return undefined;
    try {
      const result = await this.#options.port.merge(pages, adds);
      this.#failuresInRow = 0;
      this.counts.merges++;
      if (!this.#closed) this.#options.merged(result, from);
      return result;
    } catch (cause) {
      this.#stall(cause);
      return undefined;
    }
  }

  /** The store cannot take anything at present, a full disk for instance: wait longer each time. */
  #stall(cause: unknown): void {
    if (this.#closed) return;
    this.counts.failures++;
    const { timers, random } = this.#options.port.runtime;
    const ceilingMs = Math.min(
      MERGE_RETRY_MOST_MS,
      MERGE_RETRY_LEAST_MS * 2 ** Math.min(10, this.#failuresInRow),
    );
    this.#failuresInRow++;
    this.#retry?.cancel();
    const delayMs = Math.ceil(ceilingMs / 2) + random.below(Math.ceil(ceilingMs / 2));
    this.#retry = timers.after(delayMs, () => this.#resume(), { background: true });
    this.#options.failed(
      cause instanceof Error ? cause : new FulmarError("STORE_FAILED", String(codeOf(cause))),
    );
    this.#options.changed();
  }

  #resume(): void {
    this.#retry = undefined;
    this.#publish();
    this.#options.changed();
  }
}
