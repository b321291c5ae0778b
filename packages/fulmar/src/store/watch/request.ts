import { FulmarTypeError } from "../../base/errors.js";
import {
  booleanOption,
  checkOptions,
  integerOption,
  isBytes,
  isList,
  isMadeBy,
  isRevoked,
} from "../../base/options.js";
import type { Key } from "../../keys/key.js";
import { type KeyRange, successor } from "../../keys/range.js";
import type { KeySpace } from "../../keys/space.js";
import { RANGE_OPTIONS } from "../list-options.js";
import type { CommitEvent, RangeOptions } from "../types.js";
import type { QueueLimits } from "./event-queue.js";

/** How a watch is read; every member has a default. */
export interface WatchOptions {
  /**
   * The version after which to begin: every later commit is shown, also those of earlier runs of the process,
   * as long as the history holds them. Without it, those from now on.
   */
  readonly since?: number | undefined;
  /**
   * While the consumer is behind, one event with the latest change of each key takes the place of all commits
   * that wait. False unless set.
   */
  readonly coalesce?: boolean | undefined;
  /** Ends the watch with ABORTED. */
  readonly signal?: AbortSignal | undefined;
  readonly limits?: WatchLimits | undefined;
}

/** How much may wait in memory for a consumer, besides one commit; what is beyond is read from the history later. */
export interface WatchLimits {
  /** Bytes of keys and values, and about 128 for each change and commit; 8 MiB unless set. */
  readonly bytes?: number | undefined;
  /** Commits; 1024 unless set. Not when they coalesce. */
  readonly commits?: number | undefined;
}

/** How a listener is called. What resumes or waits (`since`, `coalesce`, `limits`) is read as a stream. */
export interface ListenOptions {
  /** Ends the watch, as `close` does. One that came before lets nothing begin. */
  readonly signal?: AbortSignal | undefined;
}

/** With a function, or as a stream. */
export type WatchHow<V> = ((commit: CommitEvent<V>) => void) | WatchOptions;

/** {@link WatchOptions}, checked and completed. */
export interface WatchPlan {
  readonly since: number | undefined;
  readonly coalesce: boolean;
  readonly signal: AbortSignal | undefined;
  readonly limits: QueueLimits;
}

const MOST = Number.MAX_SAFE_INTEGER;

/** @throws UNKNOWN_OPTION, INVALID_ARGUMENT */
export function watchPlan(options: WatchOptions): WatchPlan {
  checkOptions(options, ["since", "coalesce", "signal", "limits"], "watch");
  const { since, signal, limits } = options;
  const coalesce = booleanOption(options.coalesce, "watch: coalesce", false);
  checkSignal(signal);
  checkOptions(limits, ["bytes", "commits"], "watch limits");
  return {
    since: since === undefined ? undefined : integerOption(since, "since", 0, 0, MOST),
    coalesce,
    signal,
    limits: {
      bytes: integerOption(limits?.bytes, "limits.bytes", 8 * 1024 * 1024, 1, MOST),
      commits: integerOption(limits?.commits, "limits.commits", 1024, 1, 1_000_000),
    },
  };
}

/** @throws UNKNOWN_OPTION, INVALID_ARGUMENT */
export function listenSignal(options: ListenOptions | undefined): AbortSignal | undefined {
  checkOptions(options, ["signal"], "watch with a listener");
  checkSignal(options?.signal);
  return options?.signal;
}

function checkSignal(signal: unknown): void {
  if (signal === undefined || isMadeBy(signal, AbortSignal)) return;
  throw new FulmarTypeError("INVALID_ARGUMENT", "watch: signal must be an AbortSignal");
}

/** What to watch: one key, or a range. @throws as `encodeKey`, UNKNOWN_OPTION, INVALID_ARGUMENT */
export function watchedRanges(keys: Key | RangeOptions, space: KeySpace, keyBytesMax: number): KeyRange[] {
  if (isRange(keys)) {
    checkOptions(keys, RANGE_OPTIONS, "watch");
    return space.ranges(keys, keyBytesMax);
  }
  const key = space.encode(keys, keyBytesMax);
  return [{ from: key, to: successor(key) }];
}

function isRange(keys: Key | RangeOptions): keys is RangeOptions {
  return typeof keys === "object" && keys !== null && !isRevoked(keys) && !isList(keys) && !isBytes(keys);
}
