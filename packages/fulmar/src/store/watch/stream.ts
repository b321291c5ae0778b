import { onAbort } from "../../base/aborts.js";
import { FulmarError } from "../../base/errors.js";
import type { CommitHistory, HistoryCursor, PastCommit } from "../../durability/history.js";
import { keyText } from "../../keys/key-text.js";
import { inRange, type KeyRange } from "../../keys/range.js";
import { entryLength, keyLengthOf, keyStart } from "../../record/entry.js";
import type { CommitEvent } from "../types.js";
import type { ChangeMaker, Shown } from "./changes.js";
import { EventQueue } from "./event-queue.js";
import type { WatchPlan } from "./request.js";
import type { Subscriber, Subscription, Watch } from "./subscriber.js";

/** What a stream needs of its store. */
export interface StreamSource {
  readonly history: CommitHistory;
  published(): number;
  newest(): number;
  /** Calls `wake` once, when more is published or commits were refused. */
  onPublished(wake: () => void): void;
}

type Result<V> = IteratorResult<CommitEvent<V>, undefined>;

/**
 * The commits that change what is watched: whole, in order, each once. For one consumer, who takes them by
 * `for await`; leaving the loop closes it.
 *
 * What the consumer has not taken yet waits in memory within the limits of the watch. Beyond them nothing
 * waits: the stream goes on from the history of commits once the consumer has caught up. Where the history
 * does not reach back that far, one event with {@link CommitEvent.gap} says which versions are missing.
 *
 * Throws, while iterating: COMPACTED (details: `since`, `version`, `oldest`) when the history does not hold
 * what follows `since`: watch again with `since: version`, then read what you need, which is of that version
 * or later. ABORTED after the signal; STORE_FAILED when the store failed, after everything that was
 * published before; CORRUPT or IO_ERROR when the log cannot be read back. Ends when the store is closed.
 */
export class WatchStream<V = unknown> implements Subscriber<V>, Watch, AsyncIterableIterator<CommitEvent<V>> {
  /** @internal */
  readonly ranges: readonly KeyRange[];
  readonly changes: ChangeMaker<V>;
  /** @internal */
  readonly order: number;
  readonly #leave: (subscriber: Subscriber<V>) => void;
  readonly #source: StreamSource;
  readonly #plan: WatchPlan;
  readonly #unheed: (() => void) | undefined;
  readonly #queue: EventQueue<V>;
  /** Commits sealed before it was there are not announced to it: up to here they come from the history. */
  readonly #barrier: number;
  /** Everything up to here was queued, or does not concern it. */
  #position: number;
  /** Whether commits are queued as they are published; otherwise they are read from the history. */
  #isLive: boolean;
  #isExact: boolean;
  #cursor: HistoryCursor | undefined;
  #isClosed = false;
  /** Nothing more will be published. */
  #isEnding = false;
  /** The history cannot be read any more either. */
  #isStopped = false;
  #error: Error | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #wake: (() => void) | undefined;

  /** @internal Streams come from `watch`. */
  constructor(subscription: Subscription<V>, source: StreamSource, plan: WatchPlan) {
    this.ranges = subscription.ranges;
    this.changes = subscription.changes;
    this.order = subscription.order;
    this.#leave = subscription.leave;
    this.#source = source;
    this.#plan = plan;
    this.#queue = new EventQueue(plan.limits, plan.coalesce);
    this.#barrier = source.newest();
    this.#position = plan.since ?? this.#barrier;
    this.#isLive = plan.since === undefined;
    this.#isExact = plan.since !== undefined;
    this.#unheed = plan.signal && onAbort(plan.signal, () => this.#aborted());
    if (plan.signal?.aborted === true) this.#aborted();
    else if (this.#position > this.#barrier) this.#fail(this.#compacted());
  }

  /** @internal */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next commit, once there is one. Calls are answered in order. */
  next(): Promise<Result<V>> {
    const result = this.#turn.then(() => this.#next());
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Closes it, as leaving a loop does. */
  async return(): Promise<Result<V>> {
    this.close();
    return { done: true, value: undefined };
  }

  /** Ends it at once: what waits is dropped, and whoever waits for a commit hears that it is over. */
  close(): void {
    this.#queue.clear();
    this.#isClosed = true;
    this.#unheed?.();
    this.#leave(this);
    this.#awake();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** @internal */
  takes(version: number): boolean {
    if (!this.#isLive || version <= this.#position) return false;
    if (!this.#queue.isFull) return true;
    this.#fallBehind(version);
    return false;
  }

  /** @internal */
  take(version: number, remote: boolean, shown: readonly Shown<V>[]): void {
    this.#queue.push(version, remote, shown);
    this.#position = version;
    this.#awake();
  }

  /** @internal */
  missed(version: number): void {
    this.#fallBehind(version);
    this.#awake();
  }

  /** @internal What is queued can still be taken; with an error also what can be read back. */
  end(error?: Error): void {
    this.#isEnding = true;
    this.#isStopped ||= error === undefined;
    this.#error ??= error;
    this.#awake();
  }

  /** From this commit on it reads from the history. */
  #fallBehind(version: number): void {
    this.#isLive = false;
    this.#position = version - 1;
  }

  #aborted(): void {
    const cause: unknown = this.#plan.signal?.reason;
    this.#fail(new FulmarError("ABORTED", "the signal ended the watch", { cause }));
  }

  #fail(error: Error): void {
    this.#error = error;
    this.close();
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  async #next(): Promise<Result<V>> {
    for (;;) {
      const event = this.#queue.shift();
      if (event !== undefined) return { done: false, value: event };
      if (this.#isClosed || this.#isStopped || (this.#isLive && this.#isEnding)) return this.#finish();
      if (this.#isLive) await this.#sleep();
      else await this.#catchUp();
    }
  }

  #finish(): Result<V> {
    const error = this.#error;
    this.#error = undefined;
    this.close();
    if (error !== undefined) throw error;
    return { done: true, value: undefined };
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Fills the queue from the history, or goes live when nothing is left to read. */
  async #catchUp(): Promise<void> {
    const { history, published } = this.#source;
    const through = published();
    if (this.#position >= through) {
      if (this.#isAnnounced()) this.#goLive();
      else await this.#publishing();
      return;
    }
    try {
      const begun = this.#cursor;
      const from = this.#position;
      this.#cursor ??= history.cursor(from, this.#isExact);
      const reached = await this.#cursor.read(through, (commit) => this.#takePast(commit));
      if (this.#isClosed) return;
      if (reached !== undefined) {
        this.#position = Math.max(this.#position, reached);
        // Not when its consumer comes again: what is published until then may not be kept.
        if (this.#position >= published() && this.#isAnnounced()) this.#goLive();
        return;
      }
      this.#cursor = undefined;
      // What comes next may well be kept, although the place where that cursor stood is not.
      if (begun === undefined && this.#position === from) await this.#missed();
    } catch (error) {
      if (!this.#isClosed) this.#fail(error as Error);
    }
  }

  /** Whether what is published from now on is announced to it: all but what was sealed before it was there. */
  #isAnnounced(): boolean {
    const { published, newest } = this.#source;
    return this.#isEnding || published() >= Math.min(this.#barrier, newest());
  }

  /** Until more is published, or refused. */
  #publishing(): Promise<void> {
    this.#source.onPublished(() => this.#awake());
    return this.#sleep();
  }

  #goLive(): void {
    this.#isLive = true;
    this.#isExact = false;
    this.#cursor = undefined;
  }

  #takePast({ version, remote, bytes, at, entryCount }: PastCommit): boolean {
    // It may have been closed while a part of the history was on its way.
    if (this.#isClosed) return false;
    // Of two entries of one key the later counts, in the place of the earlier.
    const places = new Map<string, number>();
    for (let i = 0, next = at; i < entryCount; i++) {
      const start = keyStart(bytes, next);
      const key = bytes.subarray(start, start + keyLengthOf(bytes, next));
      if (this.ranges.some((range) => inRange(key, range))) places.set(keyText(key), next);
      next += entryLength(bytes, next);
    }
    this.#isExact = false;
    this.#position = version;
    if (places.size > 0) {
      const shown = Array.from(places.values(), (place) => this.changes.make(bytes, place));
      this.#queue.push(version, remote, shown);
    }
    return !this.#queue.isFull && !this.#isStopped;
  }

  /**
   * The history does not hold what comes next. What comes behind the gap is announced to it from this moment on, and
   * waits in memory: were it to be read from the history, the next commit could be missing again, and each after it.
   */
  async #missed(): Promise<void> {
    if (this.#isExact) {
      this.#fail(this.#compacted());
      return;
    }
    // What is on its way could be missing as well: it is told with the rest.
    if (!this.#isAnnounced()) return this.#publishing();
    const through = this.#source.published();
    this.#queue.pushGap({ after: this.#position, through });
    this.#position = through;
    this.#goLive();
  }

  #compacted(): FulmarError {
    const since = this.#position;
    const { history, published } = this.#source;
    const [version, oldest] = [published(), history.oldest];
    const message =
      `the commits behind version ${since} are not kept (oldest: ${oldest}): ` +
      `watch again with since: ${version}, then read what you need`;
    return new FulmarError("COMPACTED", message, { since, version, oldest });
  }
}
