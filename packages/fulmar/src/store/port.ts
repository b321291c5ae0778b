import { FulmarTypeError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import type { Runtime } from "../base/runtime/interface.js";
import type { Cursor, MemoryEngine } from "../memory/engine.js";
import type { Coverage } from "../record/coverage.js";
import type { OriginId, OriginTable } from "../record/origins.js";
import type { Refusal } from "../transaction/merge.js";

export type { Refusal } from "../transaction/merge.js";

export interface MergeResult {
  /** The commit that holds the merge; the present version if nothing changed. */
  readonly version: number;
  /** Entries that won their key. */
  readonly applied: number;
  /** Entries that lost to what was there, or were there already. */
  readonly stale: number;
  readonly refused: readonly Refusal[];
}

/** One consistent state for others: synced commits only, pinned until released. */
export interface Cut {
  readonly version: number;
  /** What that state covers, this store's own commits included. */
  readonly coverage: Coverage;
  /** Entries of one origin with `afterSeq < seq <= throughSeq` in that state, in order of seq. */
  entries(origin: OriginId, afterSeq: number, throughSeq: number): Cursor;
  release(): void;
}

/** What replication needs of a store and no application should touch. */
export interface StorePort {
  readonly runtime: Runtime;
  readonly name: string;
  /** This store's present identity as a writer. */
  readonly incarnation: OriginId;
  readonly limits: Limits;
  /** The dictionary that the entries in the engine, and those given to {@link merge}, are numbered by. */
  readonly origins: OriginTable;
  /** For reading records by Ref, never for changing. */
  readonly engine: MemoryEngine;
  /** Walks everything in memory and throws INVARIANT if anything contradicts. For tests. */
  verify(): void;
  /** Whether writes and merges are still possible. */
  readonly writable: boolean;
  /** What is merged and synced, this store's own commits included. Not to be changed. */
  coverage(): Coverage;
  cut(): Cut;
  /**
   * Merges entries (pages of back-to-back encoded entries, numbered by {@link origins}, already checked
   * to be well-formed) in one commit, by last-writer-wins, and adds `adds` to the coverage, less what
   * was refused. Pass an empty coverage when the sender's starting point is not covered here. Resolves
   * when synced. Rejects when the store cannot write: nothing has then been merged or covered.
   */
  merge(pages: readonly Uint8Array[], adds: Coverage): Promise<MergeResult>;
  /** Calls `listener` whenever {@link coverage} may have grown; returns the way to stop. */
  onSynced(listener: () => void): () => void;
  /** Calls `listener` once when the store closes or fails for good; returns the way to stop. */
  onEnd(listener: (cause?: Error) => void): () => void;
  /**
   * From now on deletions leave tombstones, commits are synced without anyone waiting, and versions are
   * kept until synced. Durable when it resolves, and what {@link Cut.entries} reads is built, which takes about
   * half a second for each million keys, in slices; to be called before the first peer is met.
   */
  beginReplication(): Promise<void>;
  /**
   * Writes or deletes (undefined) one key of the store's own data, under prefix F6, and replicates it like
   * any other.
   */
  setReserved(key: Uint8Array, value: Uint8Array | undefined): Promise<unknown>;
}

const PORTS = new WeakMap<object, StorePort>();

/** Called once by each store. */
export function registerPort(store: object, port: StorePort): void {
  PORTS.set(store, port);
}

/** The port of an open store. */
export function portOf(store: object): StorePort {
  const port = PORTS.get(store);
  if (port === undefined)
    throw new FulmarTypeError("INVALID_ARGUMENT", "expected a store that open() returned");
  return port;
}
