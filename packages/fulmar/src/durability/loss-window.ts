import type { Runtime, Timer } from "../base/runtime/interface.js";
import type { FlushPolicy } from "./commit-log.js";
import type { Progress } from "./log-writer-parts.js";

/** A sync begins once this part of what may be lost is there. The rest is for what comes while it is under way. */
const PART = 0.5;

type TimeRuntime = Pick<Runtime, "clock" | "timers">;

/**
 * What a power cut may take back although it was acknowledged: commits that the operating system has and that are not
 * synced. The policy limits their number, their bytes and the time in which they were made. At half of each limit a
 * sync begins; what comes beyond a limit is not told of before enough is synced. So a slow disk holds writers back, and
 * does not lose more.
 */
export class LossWindow {
  readonly #runtime: TimeRuntime;
  readonly #policy: FlushPolicy;
  readonly #passed: () => void;
  /** Groups that nobody may be told of yet, the oldest first. */
  readonly #held: Progress[] = [];
  #tellable: number;
  /** Since when there are commits that no sync covers which has begun, and that the sync under way covers. */
  #open: Span | undefined;
  #covered: Span | undefined;

  /** Everything up to `version` is synced. `passed` is called when half of the interval has passed. */
  constructor(runtime: TimeRuntime, policy: FlushPolicy, version: number, passed: () => void) {
    this.#runtime = runtime;
    this.#policy = policy;
    this.#tellable = version;
    this.#passed = passed;
  }

  /** Who waits for a commit up to this version to be logged, only, may be told. */
  get tellable(): number {
    return this.#tellable;
  }

  /** Takes note of commits that were handed over, and that make `logged` of what was before. */
  add(logged: Progress, synced: Progress): void {
    this.#open ??= new Span(this.#runtime, this.#policy.intervalMs, this.#passed);
    // Behind a group that is beyond the limits everything is.
    if (this.#holds(logged, synced, 1)) this.#tellable = logged.end.version;
    else this.#held.push(logged);
  }

  /** Whether so much is not synced that a sync should begin. */
  isDue(logged: Progress, synced: Progress): boolean {
    return this.#held.length > 0 || !this.#holds(logged, synced, PART);
  }

  /** A sync begins, of everything that was handed over. */
  syncBegins(): void {
    // Beside another one it is no news: what that one covers is older.
    if (this.#covered !== undefined) return;
    this.#covered = this.#open;
    this.#open = undefined;
  }

  /** A sync has ended well. */
  synced(logged: Progress, synced: Progress): void {
    this.#covered?.cancel();
    this.#covered = undefined;
    if (logged.commits === synced.commits) {
      this.#open?.cancel();
      this.#open = undefined;
    }
    for (let [first] = this.#held; first !== undefined; [first] = this.#held) {
      if (first.commits > synced.commits && !this.#holds(first, synced, 1)) return;
      this.#tellable = first.end.version;
      this.#held.shift();
    }
  }

  /** Nothing is told of any more. */
  close(): void {
    this.#open?.cancel();
    this.#covered?.cancel();
    this.#open = undefined;
    this.#covered = undefined;
  }

  /** Whether what is not synced is within a part of the limits. */
  #holds(logged: Progress, synced: Progress, part: number): boolean {
    const { commits, bytes } = this.#policy;
    if (this.#covered?.isOver || this.#open?.isOver) return false;
    const within = logged.bytes - synced.bytes <= bytes * part;
    return within && logged.commits - synced.commits <= commits * part;
  }
}

/** The time since the first of some commits was handed over. */
class Span {
  readonly #runtime: TimeRuntime;
  readonly #endMs: number;
  #timer: Timer;
  #isOver = false;

  constructor(runtime: TimeRuntime, intervalMs: number, passed: () => void) {
    const { clock, timers } = runtime;
    this.#runtime = runtime;
    this.#endMs = clock.monotonicMs() + intervalMs;
    const begun = Math.max(1, Math.floor(intervalMs * PART));
    const rest = Math.max(1, intervalMs - begun);
    this.#timer = timers.after(
      begun,
      () => {
        this.#timer = timers.after(rest, () => this.#end(), { background: true });
        passed();
      },
      { background: true },
    );
  }

  /** By the clock too: a program that computes for long keeps every timer waiting, and is told of commits meanwhile. */
  get isOver(): boolean {
    return this.#isOver || this.#runtime.clock.monotonicMs() >= this.#endMs;
  }

  cancel(): void {
    this.#timer.cancel();
  }

  #end(): void {
    this.#isOver = true;
  }
}
