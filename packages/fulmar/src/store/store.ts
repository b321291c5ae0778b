import { checkOptions, integerOption, NO_OPTIONS } from "../base/options.js";
import type { OptionsOfBigint, OptionsOfBytes, OptionsOfText } from "../codec/codec.js";
import type { BackupSummary } from "../durability/care-types.js";
import { attempt } from "./attempt.js";
import { type BackupOptions, checkCareOptions, checkPath } from "./backup.js";
import type { StoreCore } from "./core.js";
import { digest, digestAsync } from "./digest.js";
import {
  Namespace,
  type NamespaceOptions,
  namespaceScope,
  type SchemaOptions,
  storeScope,
} from "./namespace.js";
import { namespaceNames } from "./namespaces.js";
import type { ReaderHandle } from "./reader-messages.js";
import type { SchemaInput, SchemaOutput, StandardSchema } from "./schema.js";
import { type TransactionBody, type TransactOptions, Transactor } from "./transact.js";
import type { CheckpointSummary, EvictOptions, EvictResult, RangeOptions, StoreStatus } from "./types.js";
import { Writable } from "./writable.js";

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
export class Store<V = unknown> extends Writable<V> {
  readonly #core: StoreCore<V>;
  readonly #transactor: Transactor<V>;

  /** @internal Stores come from `open`. */
  constructor(core: StoreCore<V>) {
    const scope = storeScope(core);
    super(scope);
    this.#core = core;
    this.#transactor = new Transactor(scope);
  }

  /**
   * A part of the store with keys of its own, which may have a schema, a codec and a time to live of its own. A
   * transaction can span several. It is there with its first entry and gone with its last; the same name always
   * leads to the same entries, so give it the same schema and codec each time. Listings, counts and watches of the
   * store itself do not show them. @throws INVALID_ARGUMENT, UNKNOWN_OPTION, KEY_TOO_LARGE
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open();
   * const sessions = db.namespace<{ user: string }>("sessions", { ttl: 30 * 60_000 });
   * await sessions.set("a1", { user: "ada" });
   * console.log(sessions.get("a1"), db.get("a1")); // { user: 'ada' } undefined
   * ```
   */
  namespace<S extends StandardSchema>(
    name: string,
    options: SchemaOptions<S>,
  ): Namespace<SchemaInput<S>, SchemaOutput<S>>;
  namespace(name: string, options: OptionsOfBytes<NamespaceOptions<Uint8Array>>): Namespace<Uint8Array>;
  namespace(name: string, options: OptionsOfText<NamespaceOptions<string>>): Namespace<string>;
  namespace(name: string, options: OptionsOfBigint<NamespaceOptions<bigint>>): Namespace<bigint>;
  namespace<T = V>(name: string, options?: NamespaceOptions<T>): Namespace<T>;
  namespace<In, Out>(
    name: string,
    options: NamespaceOptions<Out> & { readonly schema?: StandardSchema<In, Out> } = {},
  ): Namespace<In, Out> {
    return new Namespace(name, namespaceScope(this.#core, name, options));
  }

  /**
   * The names of the namespaces in which something can be read now, in order. Takes time in proportion to their
   * number, and to what was deleted or has expired in front of the first entry of each. @throws CLOSED
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open();
   * await db.namespace("users").set("ada", 36);
   * await db.namespace("jobs").set(1, "later");
   * console.log(db.namespaces()); // [ 'jobs', 'users' ]
   * ```
   */
  namespaces(): string[] {
    this.#core.assertOpen();
    const { reader } = this.#core;
    const nowMs = reader.nowMs();
    return namespaceNames((range) => reader.firstKey(range, nowMs));
  }

  /**
   * Runs `body` with a transaction that reads one state of the store and its own writes, and commits its
   * writes together at the end, if nothing that it read was changed meanwhile; otherwise `body` runs again.
   * Strictly serializable in the order of versions: what commits did so as if it had run alone at that
   * moment. Without a writer it never conflicts. `body` may await anything, holds no lock, and must do
   * everything through its transaction.
   *
   * A transaction within `body` is refused (NESTED_TRANSACTION) where that can be told: until `body` returns, or
   * first awaits. A later one is a transaction of its own, as if somebody else ran it, and so is any write
   * beside `tx`: what it commits stays when `body` runs again, and if `body` read the same keys it conflicts with
   * itself, each time, until the retries end in CONFLICT.
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
  transact<T>(body: TransactionBody<V, T>, options: TransactOptions = NO_OPTIONS): Promise<T> {
    return this.#transactor.transact(body, options);
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
   * Resolves when every write so far is on stable storage, and that what has expired by now is gone. Rejects with
   * DURABILITY_UNKNOWN after a failed sync, with DIRECTORY_LOST when files of the directory are gone.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>("./data", { durability: "relaxed" });
   * for (const n of [1, 2, 3]) void db.set(n, n);
   * await db.flush(); // now a power cut takes none of them
   * ```
   */
  flush(): Promise<void> {
    return attempt(() => {
      this.#core.assertOpen();
      return this.#core.flush();
    });
  }

  /**
   * Writes everything into a new checkpoint, beside the writes, and lets go of the log before it. With
   * no directory it resolves at once. Rejects with DISK_FULL or IO_ERROR, which leaves the store as it was.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>("./data");
   * await db.set("a", 1);
   * const { entries } = await db.checkpoint();
   * console.log(entries > 0); // true
   * ```
   */
  checkpoint(): Promise<CheckpointSummary> {
    return attempt(() => {
      this.#core.assertOpen();
      return this.#core.checkpoint();
    });
  }

  /**
   * The same, if some commit is in no checkpoint yet, as `status().dirty` says; otherwise, and with no directory, it
   * resolves to undefined and writes nothing. For a checkpoint before an exit, or at quiet hours. Rejects as
   * {@link checkpoint}.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>("./data");
   * await db.set("a", 1);
   * console.log((await db.checkpointIfDirty())?.version === db.version); // true
   * console.log(await db.checkpointIfDirty()); // undefined
   * ```
   */
  checkpointIfDirty(): Promise<CheckpointSummary | undefined> {
    return attempt(() => {
      this.#core.assertOpen();
      return this.#core.checkpointIfDirty();
    });
  }

  /**
   * Writes everything that is synced when it begins into one file, beside the writes, and checks it by reading
   * it back. `target` is a file that must not exist, or a directory, in which it gets a name of its own. Only
   * what is complete has that name; what a crash leaves is removed by the next backup into the same directory.
   * `restore` makes a store of it. Of a store that has failed it holds all that memory shows, also what was not
   * acknowledged.
   *
   * Rejects with ALREADY_EXISTS, PATH_UNUSABLE, ABORTED, CLOSED, DISK_FULL, ACCESS_DENIED or IO_ERROR, and
   * leaves nothing then.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>("./data");
   * await db.set("a", 1);
   * const { path } = await db.backup("./monday.backup", { signal: AbortSignal.timeout(60_000) });
   * console.log(path);
   * ```
   */
  backup(target: string, options: BackupOptions = {}): Promise<BackupSummary> {
    return attempt(() => {
      checkCareOptions(options, [], "backup");
      checkPath(target, "backup");
      this.#core.assertOpen();
      return this.#core.backups.run(target, options);
    });
  }

  /**
   * Turns expired entries into tombstones now, at most `limit` of them, and returns how many. The store
   * does so by itself, too.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.set("session", "ada", { ttl: 1 });
   * await new Promise((resolve) => setTimeout(resolve, 10));
   * // Swept or not:
   * console.log(db.has("session")); // false
   * while (db.sweep() > 0); // now its memory is free
   * ```
   */
  sweep(limit = 1000): number {
    return this.#core.sweep(integerOption(limit, "limit", 1000, 1, 1_000_000));
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
    return attempt(() => {
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
   * equal on replicas that hold the same entries. Covers keys, stamps and value checksums, also of tombstones: of those
   * that a store without peers lets go of, for a moment after large deletions.
   *
   * The first call after opening hashes every entry in one turn, a few microseconds each, so seconds for a million;
   * from then on a call costs what changed since the last one, and a write a little more. `digestAsync` does that
   * first work in pieces.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * const before = db.digest();
   * await db.set("a", 1); // a write of its own, with another stamp
   * console.log(db.digest() === before); // false
   * ```
   */
  digest(options?: RangeOptions): string {
    return digest(this.#core, options);
  }

  /**
   * What `digest` gives, of a state of the store between the call and the moment when it resolves. What has to be
   * hashed for that is hashed in pieces of about 2 ms, between which the event loop goes on. While everything is
   * written faster than it is hashed, one state is pinned and hashed whole. Rejects with CLOSED when the store is
   * closed meanwhile, and ROLLED_BACK when the log refused commits that were hashed.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * const fingerprint = await db.digestAsync({ prefix: "a" });
   * console.log(fingerprint === db.digest({ prefix: "a" })); // true
   * ```
   */
  digestAsync(options?: RangeOptions): Promise<string> {
    return digestAsync(this.#core, options);
  }

  /**
   * State, identity and figures. Works on a closed store, too.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>("./data", { name: "front door" });
   * await db.set("a", 1);
   * const { name, entries, dirty } = db.status();
   * console.log(name, entries, dirty); // front door 1 true
   * ```
   */
  status(): StoreStatus {
    return this.#core.status();
  }

  /**
   * Syncs what is written, removes what has expired and releases the directory. Idempotent; later calls of other
   * methods fail with CLOSED. Rejects, with everything released, when the last sync failed (DURABILITY_UNKNOWN), when
   * files of the directory are gone (DIRECTORY_LOST), or when the log refuses what is still pending (DISK_FULL,
   * IO_ERROR).
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * const db = await open<number>("./data");
   * await db.set("a", 1);
   * await db.close(); // or `await using db = ...`
   * ```
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
