import { assert } from "../base/assert.js";
import type { Clock } from "../base/runtime/interface.js";
import type { LogSegments } from "./log-segments.js";
import type { LogWriterParts, Progress } from "./log-writer-parts.js";
import { ZeroFill } from "./zero-fill.js";

/** A group of fewer commits waits for others, however fast the disk is: a trip to another thread costs as much. */
const WORTH_COMMITS_MIN = 16;
/** What a commit takes of the event loop, roughly, its caller's work included. */
const COMMIT_MS = 0.01;
/** How far the notion of how long a sync takes follows one that took longer: it may just have waited for the loop. */
const SLOWER_SHARE = 1 / 16;

/**
 * The sync of the log that is under way, at most one, and whether what has gathered is worth the next.
 *
 * If all who wait for the log waited for the same sync, the disk would idle while they go on, and they while it
 * syncs. So once a group has taken about as long to gather as a sync takes, it is synced without waiting
 * for more: two halves take turns, one at the disk and one on the event loop.
 */
export class LogSync {
  /** Synced in line while another sync is under way: told once that one has ended well. */
  inLine: Progress | undefined;
  readonly #clock: Clock;
  readonly #segments: LogSegments;
  readonly #fill: ZeroFill;
  readonly #presence: LogWriterParts["presence"];
  #underWay:
    | {
        readonly reached: Progress;
        readonly done: Promise<void>;
        /** What is wrong with the files, if they are looked at beside the sync and something is. */
        readonly lost: Promise<Error | undefined> | undefined;
        readonly begunMs: number;
      }
    | undefined;
  /** How long a sync takes; less than those took that ended while the event loop was busy. Huge before the first. */
  #tookMs = Number.MAX_VALUE;

  constructor({ runtime, segments, segmentBytes, presence }: LogWriterParts) {
    this.#clock = runtime.clock;
    this.#segments = segments;
    this.#fill = new ZeroFill(segmentBytes);
    this.#presence = presence;
  }

  get isUnderWay(): boolean {
    return this.#underWay !== undefined;
  }

  /** Whether a group of so many commits may be synced by itself. */
  isWorth(commits: number): boolean {
    return commits >= WORTH_COMMITS_MIN && commits * COMMIT_MS >= this.#tookMs;
  }

  /** Begins one that brings the log as far as `reached`, which is where it ends now. */
  begin(reached: Progress): void {
    assert(this.#underWay === undefined, "one sync ends before the next begins");
    this.#fill.ahead(this.#segments.current);
    const begunMs = this.#clock.monotonicMs();
    const lost = this.#presence.isDue ? this.#presence.look() : undefined;
    this.#underWay = { reached, done: this.#segments.sync(), lost, begunMs };
  }

  /** What was synced in line while another sync, which has ended now, could still fail. */
  takeInLine(): Progress | undefined {
    const reached = this.inLine;
    this.inLine = undefined;
    return reached;
  }

  /** Syncs in line, whatever is under way beside. Throws what the sync throws. */
  now(): void {
    this.#fill.ahead(this.#segments.current);
    this.#segments.syncNow();
  }

  /**
   * Waits for the sync under way, and tells what it reached. Throws what the sync throws, or that what was synced is
   * not what the next open will find.
   */
  async ended(): Promise<Progress> {
    assert(this.#underWay !== undefined, "what is waited for is under way");
    const { reached, done, lost, begunMs } = this.#underWay;
    await done;
    const tookMs = this.#clock.monotonicMs() - begunMs;
    this.#tookMs = Math.min(tookMs, this.#tookMs + (tookMs - this.#tookMs) * SLOWER_SHARE);
    const error = await lost;
    if (error !== undefined) throw error;
    return reached;
  }

  /**
   * The one that ended is not under way any more. To be called by who waited for it, and at once: what others write
   * before that turn must not begin another.
   */
  over(): void {
    assert(this.#underWay !== undefined, "what is over was under way");
    this.#underWay = undefined;
  }
}
