import { onAbort } from "../../base/aborts.js";
import type { KeyRange } from "../../keys/range.js";
import type { CommitEvent } from "../types.js";
import type { ChangeMaker, Shown } from "./changes.js";

/** Ends a watch. Idempotent. */
export interface Watch {
  close(): void;
}

/** Whom commits are shown to. */
export interface Subscriber<V> {
  readonly ranges: readonly KeyRange[];
  /** Makes what it is shown. */
  readonly changes: ChangeMaker<V>;
  /** Who subscribed earlier is shown a commit earlier. */
  readonly order: number;
  readonly isClosed: boolean;
  /** Whether it takes the commit of this version now. */
  takes(version: number): boolean;
  /** Returns what code of the application gave, if that is called. */
  take(version: number, remote: boolean, shown: readonly Shown<V>[]): unknown;
  /** There was no memory for what this commit changed: it was taken by nobody. */
  missed(version: number): void;
  /** Nothing more will come. */
  end(error?: Error): void;
}

/** Where a subscriber belongs. */
export interface Subscription<V> {
  readonly ranges: readonly KeyRange[];
  readonly changes: ChangeMaker<V>;
  readonly order: number;
  /** To be called when it wants no more. */
  readonly leave: (subscriber: Subscriber<V>) => void;
}

export function isListening(subscriber: Pick<Subscriber<unknown>, "isClosed">): boolean {
  return !subscriber.isClosed;
}

/** Calls a function for each commit, in the turn in which it is published. */
export class ListenerWatch<V> implements Subscriber<V>, Watch {
  readonly ranges: readonly KeyRange[];
  readonly changes: ChangeMaker<V>;
  readonly order: number;
  readonly #leave: (subscriber: Subscriber<V>) => void;
  readonly #listener: (commit: CommitEvent<V>) => unknown;
  readonly #after: number;
  readonly #unheed: (() => void) | undefined;
  #isClosed: boolean;

  /** Commits up to `after` are not shown, and none after `signal`. */
  constructor(
    subscription: Subscription<V>,
    listener: (commit: CommitEvent<V>) => void,
    after: number,
    signal?: AbortSignal,
  ) {
    this.ranges = subscription.ranges;
    this.changes = subscription.changes;
    this.order = subscription.order;
    this.#leave = subscription.leave;
    this.#listener = listener;
    this.#after = after;
    this.#isClosed = signal?.aborted === true;
    if (signal !== undefined && !this.#isClosed) this.#unheed = onAbort(signal, () => this.close());
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    this.#unheed?.();
    this.#leave(this);
  }

  takes(version: number): boolean {
    return version > this.#after;
  }

  take(version: number, remote: boolean, shown: readonly Shown<V>[]): unknown {
    return this.#listener({ version, remote, changes: shown.map(({ change }) => change) });
  }

  missed(): void {
    // Nobody can be told but by the report: there is no call for a part of a commit.
  }

  end(): void {
    this.close();
  }
}
