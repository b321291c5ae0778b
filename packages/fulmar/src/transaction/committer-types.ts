import type { Limits } from "../base/limits.js";
import type { Runtime } from "../base/runtime/interface.js";
import type { MemoryEngine } from "../memory/engine.js";
import type { Coverage } from "../record/coverage.js";
import type { HybridClock } from "../record/hybrid-clock.js";
import type { OriginTable } from "../record/origins.js";
import type { Stamp } from "../record/stamp.js";
import type { MemoryLimit } from "./memory-limit.js";
import type { Refusal } from "./merge.js";
import type { CommitNotice } from "./publication.js";

export interface Committed {
  readonly version: number;
  readonly stamp: Stamp;
}

/** Makes what the promise of a commit resolves to. Must not change the store. */
export type OutcomeOf<T> = (committed: Committed) => T;

/** What a commit changed. */
export type Changed = readonly { readonly key: Uint8Array }[];

export interface Merged {
  readonly version: number;
  readonly applied: number;
  readonly stale: number;
  readonly refused: readonly Refusal[];
}

export interface CommitterParts {
  readonly runtime: Runtime;
  readonly engine: MemoryEngine;
  readonly origins: OriginTable;
  readonly clock: HybridClock;
  readonly limits: Limits;
  /** The numbers to continue from. */
  readonly version: number;
  readonly seq: number;
  readonly coverage: Coverage;
  /** Undefined: as much as there is. */
  readonly memoryLimit?: Pick<MemoryLimit, "admit" | "choose" | "giveBack">;
}

/** What an eviction removed. */
export interface Evicted {
  readonly entries: number;
  /** Bytes of their records in memory. */
  readonly bytes: number;
}

export interface CommitterListener {
  /** More is published; the notices are of those commits that somebody watches, in order. */
  published(notices: readonly CommitNotice[]): void;
  /** The synced coverage grew, or commits were synced. */
  synced(): void;
  /** The log refused commits, and memory shows nothing of them any more. */
  refused(error: Error): void;
  /** Keys were evicted to make room for a commit. */
  evicted(): void;
  /** The store cannot write any more. */
  failed(error: Error): void;
  /** Something was let go of, and memory may have put off a part of that. */
  letGo(): void;
}
