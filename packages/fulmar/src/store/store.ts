import { checkOptions, integerOption } from "../base/options.js";
import type { BackupSummary } from "../durability/care-types.js";
import { ALL_KEYS } from "../keys/range.js";
import { resolveRange } from "../keys/resolve.js";
import { LATEST, NONE } from "../memory/engine.js";
import type { Committed, LocalWrite } from "../transaction/committer.js";
import { Atomic } from "./atomic.js";
import { type BackupOptions, checkCareOptions, checkPath } from "./backup.js";
import { type ConditionalOptions, Conditions, type Incremented, type Outcome } from "./conditions.js";
import type { StoreCore } from "./core.js";
import { RANGE_OPTIONS } from "./list-options.js";
import { Readable } from "./readable.js";
import type { ReaderHandle } from "./reader-messages.js";
import { checkDurability } from "./settings.js";
import { Snapshot } from "./snapshot.js";
import { type TransactionBody, type TransactOptions, Transactor } from "./transact.js";
import type {
  BatchOperation,
  CheckpointSummary,
  CommitEvent,
  EvictOptions,
  EvictResult,
  Key,
  RangeOptions,
  StoreStatus,
  WriteOptions,
  Written,
} from "./types.js";
import { NewestView, PinnedView } from "./views.js";
import type { WatchHow, WatchOptions } from "./watch/request.js";
import type { WatchStream } from "./watch/stream.js";
import type { Watch } from "./watch/subscriber.js";
import { WriteEncoder } from "./write-encoder.js";

const NO_OPTIONS: WriteOptions = Object.freeze({});
const SET_OPTIONS = ["durability", "ttl", "expiresAt", "previous"] as const;

/**
 * An ordered map from keys to values that lives in memory and, with a directory, on disk. Reads are
 * synchronous and show every write at once; the promise of a write resolves when it is durable at its
 * level. Get one from `open`.
 *
 * @example
 * ```ts
 * import { open } from "fulmar";
 *
 * const db = await open();
 * await db.set("user:1", { name: "Ada" });
 * console.log(db.get("user:1"));
 * await db.close();
 * ```
 */
export class Store<V = unknown> extends Readable<V> {
  readonly #core: StoreCore<V>;
  readonly #encoder: WriteEncoder<V>;
  readonly #transactor: Transactor<V>;
  readonly #conditions: Conditions<V>;

  /** @internal Stores come from `open`. */
  constructor(core: StoreCore<V>) {
    super(new NewestView(core));
    this.#core = core;
    const { codec, limits, reader } = core;
    this.#encoder = new WriteEncoder({ codec, limits, nowMs: () => reader.nowMs() });
    this.#transactor = new Transactor(core, this.#encoder);
    this.#conditions = new Conditions(core, this.#encoder);
  }

  /**
   * Sets a key. Readers see it at once; the promise resolves when it is durable at its level.
   *
   * Rejects with INVALID_KEY, KEY_TOO_LARGE, INVALID_VALUE, VALUE_TOO_LARGE or INVALID_ARGUMENT when
   * the call is wrong; with MEMORY_FULL when it does not fit into `maxMemory`; with DISK_FULL or IO_ERROR
   * when the log refused it, and then it is taken back; with DURABILITY_UNKNOWN after a failed sync; with
   * STORE_FAILED or CLOSED.
   */
  set(key: Key, value: V, options: WriteOptions = NO_OPTIONS): Promise<Written<V>> {
    // Spelt out: a closure for each call of the method that is called most would be felt.
    try {
      if (options !== NO_OPTIONS) checkOptions(options, SET_OPTIONS, "set");
      return this.#writeOne(this.#encoder.setting(key, value, options), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Deletes a key; no error if it is absent. Rejects as {@link set}. */
  delete(key: Key, options: Pick<WriteOptions, "durability" | "previous"> = {}): Promise<Written<V>> {
    return this.#attempt(() => {
      checkOptions(options, ["durability", "previous"], "delete");
      return this.#writeOne(this.#encoder.deletion(key), options);
    });
  }

  /**
   * Applies all operations or none, as one commit: for readers, in the log, for watchers and on peers.
   * Of two operations on one key the later counts. Rejects as {@link set}, and with COMMIT_TOO_LARGE.
   */
  batch(
    operations: Iterable<BatchOperation<V>>,
    options: Pick<WriteOptions, "durability"> = {},
  ): Promise<Written<V>> {
    return this.#attempt(() => {
      checkOptions(options, ["durability"], "batch");
      const writes = Array.from(operations, (operation) => this.#encoder.operation(operation));
      return this.#core.commit(writes, this.#level(options));
    });
  }

  /**
   * Deletes every key of a range as one commit; `deleted` says how many. Rejects as {@link set}, and with
   * COMMIT_TOO_LARGE when they are too many for one: clear smaller ranges then.
   */
  clear(
    range: RangeOptions = {},
    options: Pick<WriteOptions, "durability"> = {},
  ): Promise<Written<V> & { readonly deleted: number }> {
    return this.#conditions.clear(range, options);
  }

  /**
   * Sets a key that has no value; otherwise it resolves to `ok: false` with the `current` entry. What comes
   * of it is decided at once, on the newest state. Rejects as {@link set}.
   */
  create(key: Key, value: V, options: ConditionalOptions = {}): Promise<Outcome<V>> {
    return this.#conditions.create(key, value, options);
  }

  /**
   * Sets a key to `next` if its value is `expected`, and otherwise resolves to `ok: false` with the `current`
   * entry. `undefined` stands for no value: expected, the key must be absent; as next, it is deleted. Values
   * are compared as the codec encodes them (JSON objects: with their members in the same order); to compare
   * by version, use {@link atomic}. Rejects as {@link set}.
   */
  compareAndSwap(
    key: Key,
    expected: V | undefined,
    next: V | undefined,
    options: ConditionalOptions = {},
  ): Promise<Outcome<V>> {
    return this.#conditions.compareAndSwap(key, expected, next, options);
  }

  /**
   * Adds to a counter and resolves to its new `value`: an integer below 2^53, or a bigint where the codec
   * holds bigints. An absent one counts from zero; a deadline stays unless the options give another. Rejects
   * as {@link set}, and with NOT_AN_INTEGER or INTEGER_OVERFLOW, with nothing changed.
   */
  increment(key: Key, by: number | bigint = 1, options: ConditionalOptions = {}): Promise<Incremented<V>> {
    return this.#conditions.increment(key, by, options);
  }

  /**
   * Time that a key has left, in ms: Infinity without a deadline, undefined without a value.
   * @throws as {@link get}
   */
  ttl(key: Key): number | undefined {
    return this.#conditions.ttl(key);
  }

  /** Lets a key expire `ttl` ms from now; `ok: false` if it has no value. Rejects as {@link set}. */
  touch(key: Key, ttl: number, options: Pick<WriteOptions, "durability"> = {}): Promise<Outcome<V>> {
    return this.#conditions.touch(key, ttl, options);
  }

  /** Takes the deadline of a key away; `ok: false` if it has no value. Rejects as {@link set}. */
  persist(key: Key, options: Pick<WriteOptions, "durability"> = {}): Promise<Outcome<V>> {
    return this.#conditions.touch(key, Number.POSITIVE_INFINITY, options);
  }

  /**
   * Begins an operation of checks and writes that is done as one commit if every check holds.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * const { version } = await db.set("job:1", "ready");
   * const outcome = await db
   *   .atomic()
   *   .check({ key: "job:1", version })
   *   .set("job:1", "taken")
   *   .commit();
   * console.log(outcome.ok, db.get("job:1")); // true taken
   * ```
   */
  atomic(): Atomic<V> {
    return new Atomic({ core: this.#core, encoder: this.#encoder });
  }

  /**
   * One state of the store, to read from at leisure: what is written later does not show. Close it when it
   * is no more needed (`using` does).
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * const snapshot = db.snapshot();
   * await db.set("a", 2);
   * console.log(snapshot.get("a"), db.get("a")); // 1 2
   * snapshot.close();
   * ```
   */
  snapshot(): Snapshot<V> {
    return new Snapshot(new PinnedView(this.#core));
  }

  /**
   * Runs `body` with a transaction that reads one state of the store and its own writes, and commits its
   * writes together at the end, if nothing that it read was changed meanwhile; otherwise `body` runs again.
   * Strictly serializable in the order of versions: what commits did so as if it had run alone at that
   * moment. Without a writer it never conflicts. `body` may await anything, holds no lock, and must do
   * everything through its transaction.
   *
   * Resolves to what `body` gave, once the commit is durable at its level. Rejects with what `body` threw,
   * and then nothing is done; with a `ConflictError` (CONFLICT) after the last retry; with TIMEOUT, ABORTED,
   * NESTED_TRANSACTION, TRANSACTION_TOO_LARGE, NOT_AN_INTEGER, INTEGER_OVERFLOW; and as {@link set}.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * const db = await open<number>();
   * await db.batch([
   *   { type: "set", key: "a", value: 50 },
   *   { type: "set", key: "b", value: 0 },
   * ]);
   * await db.transact((tx) => {
   *   const amount = Math.min(20, tx.get("a") ?? 0);
   *   tx.set("a", (tx.get("a") ?? 0) - amount);
   *   tx.set("b", (tx.get("b") ?? 0) + amount);
   * });
   * console.log(db.get("a"), db.get("b")); // 30 20
   * await db.close();
   * ```
   */
  transact<T>(body: TransactionBody<V, T>, options: TransactOptions = {}): Promise<T> {
    return this.#transactor.transact(body, options);
  }

  /**
   * Shows each published commit that changes a key, or keys of a range: whole, in order of version, and never
   * before it is durable at its level (`relaxed` at least, with a directory): to a function, whose errors are
   * reported on the diagnostics channel `fulmar:watch-error`, or as a stream, which can resume from an earlier
   * version. @throws INVALID_KEY, KEY_TOO_LARGE, INVALID_ARGUMENT, UNKNOWN_OPTION, CLOSED
   */
  watch(keys: Key | RangeOptions, listener: (commit: CommitEvent<V>) => void): Watch;
  watch(keys: Key | RangeOptions, options?: WatchOptions): WatchStream<V>;
  watch(keys: Key | RangeOptions, how: WatchHow<V> = {}): Watch | WatchStream<V> {
    this.#core.assertOpen();
    return this.#core.watchers.watch(keys, how);
  }

  /**
   * A handle with which `openReader` lets another thread of this process read the store, beside its writes and
   * without asking them. It serves one reader. @throws INVALID_ARGUMENT when the store was not opened with
   * `shared: true`, or has as many readers as it can; CLOSED
   */
  readerHandle(): ReaderHandle {
    return this.#core.readerHandle();
  }

  /**
   * Resolves when every write so far is on stable storage. Rejects with DURABILITY_UNKNOWN after a failed
   * sync.
   */
  flush(): Promise<void> {
    return this.#attempt(() => {
      this.#core.assertOpen();
      return this.#core.committer.flush();
    });
  }

  /**
   * Writes everything into a new checkpoint, beside the writes, and lets go of the log before it. With
   * no directory it resolves at once. Rejects with DISK_FULL or IO_ERROR, which leaves the store as it was.
   */
  checkpoint(): Promise<CheckpointSummary> {
    return this.#attempt(() => {
      this.#core.assertOpen();
      return this.#core.checkpoint();
    });
  }

  /**
   * Writes everything that is synced when it begins into one file, beside the writes, and checks it by reading
   * it back. `target` is a file that must not exist, or a directory, in which it gets a name of its own. Only
   * what is complete has that name; what a crash leaves is removed by the next backup into the same directory.
   * `restore` makes a store of it.
   *
   * Rejects with ALREADY_EXISTS, PATH_UNUSABLE, ABORTED, CLOSED, DISK_FULL, ACCESS_DENIED or IO_ERROR, and
   * leaves nothing then.
   */
  backup(target: string, options: BackupOptions = {}): Promise<BackupSummary> {
    return this.#attempt(() => {
      checkCareOptions(options, [], "backup");
      checkPath(target, "backup");
      this.#core.assertOpen();
      return this.#core.backups.run(target, options);
    });
  }

  /**
   * Turns expired entries into tombstones now, at most `limit` of them, and returns how many. The store
   * does so by itself, too.
   */
  sweep(limit = 1000): number {
    this.#core.assertOpen();
    return this.#core.committer.sweep(integerOption(limit, "limit", 1000, 1, 1_000_000));
  }

  /**
   * Evicts keys by the policy that the store was opened with: so many, or until so many bytes are free, or
   * until there is some room below `maxMemory`. Resolves when that survives the process. The store does so
   * by itself when memory is full. Rejects with INVALID_ARGUMENT without a policy; otherwise as {@link set}.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using cache = await open(undefined, { maxMemory: 64 * 1024 * 1024, eviction: "sieve" });
   * await cache.set("page:1", "<h1>Hello</h1>");
   * const { entries } = await cache.evict({ entries: 1 });
   * console.log(entries, cache.status().memory.usedBytes);
   * ```
   */
  evict(options: EvictOptions = {}): Promise<EvictResult> {
    return this.#attempt(() => {
      checkOptions(options, ["bytes", "entries"], "evict");
      this.#core.assertOpen();
      const { bytes, entries } = options;
      const most = Number.MAX_SAFE_INTEGER;
      if (bytes !== undefined) integerOption(bytes, "bytes", 0, 1, most);
      if (entries !== undefined) integerOption(entries, "entries", 0, 1, most);
      return this.#core.evict(options);
    });
  }

  /**
   * A fingerprint of a range (of everything, the store's own data included, without one): hexadecimal,
   * equal on replicas that hold the same entries. Covers keys, stamps and value checksums.
   */
  digest(options?: RangeOptions): string {
    checkOptions(options, RANGE_OPTIONS, "digest");
    this.#core.assertOpen();
    const range = options === undefined ? ALL_KEYS : resolveRange(options, this.#core.limits.keyBytesMax);
    const { count, sum } = this.#core.engine.digest(range, LATEST);
    const words = Array.from(sum, (word) => word.toString(16).padStart(8, "0")).reverse();
    return `${words.join("")}-${count.toString(16)}`;
  }

  /** State, identity and figures. Works on a closed store, too. */
  status(): StoreStatus {
    return this.#core.status();
  }

  /**
   * Syncs what is written and releases the directory. Idempotent; later calls of other methods fail with
   * CLOSED. Rejects, with everything released, when the last sync failed (DURABILITY_UNKNOWN), or when the
   * log refuses what is still pending (DISK_FULL, IO_ERROR).
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A wrong call rejects like any other failure, so that callers have one place to look. */
  #attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return work();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #level(options: Pick<WriteOptions, "durability">): WriteOptions["durability"] {
    return checkDurability(options.durability);
  }

  #writeOne(write: LocalWrite, options: WriteOptions): Promise<Written<V>> {
    const level = this.#level(options);
    if (options.previous !== true) return this.#core.commit([write], level);
    const { reader, engine } = this.#core;
    this.#core.assertOpen();
    const ref = engine.find(write.key, LATEST);
    const nowMs = reader.nowMs();
    const previous = ref === NONE || !reader.isLive(ref, nowMs) ? undefined : reader.entry(ref, nowMs);
    const done = this.#core.commit([write], level);
    return previous === undefined ? done : done.then((committed: Committed) => ({ ...committed, previous }));
  }
}
