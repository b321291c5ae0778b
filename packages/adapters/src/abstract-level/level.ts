import {
  type AbstractBatchOperation,
  type AbstractChainedBatch,
  AbstractLevel,
  type AbstractOpenOptions,
  type AbstractSnapshot,
} from "abstract-level";
import { type BatchOperation, open, type Readable, type Store } from "fulmar";
import { givenStore, isObject, refusal } from "../check.js";
import { deleteAll } from "./clear.js";
import { type IteratedState, LevelIterator, LevelKeyIterator, LevelValueIterator } from "./iterators.js";
import { checkPresence } from "./location.js";
import type {
  EncodedListing,
  EncodedRange,
  FulmarBatchOptions,
  FulmarClearOptions,
  FulmarDelOptions,
  FulmarLevelOptions,
  FulmarPutOptions,
} from "./options.js";
import { listOptions } from "./range.js";
import { LevelSnapshot, stateOf } from "./snapshot.js";

type ReadOptions = { readonly snapshot?: AbstractSnapshot };
type WriteOptions = FulmarPutOptions<unknown, unknown>;
type EncodedOperation = { readonly key: Uint8Array; readonly ttl?: number } & (
  | { readonly type: "put"; readonly value: Uint8Array }
  | { readonly type: "del" }
);

/**
 * An `abstract-level` database over a Fulmar store: sublevels, hooks, encodings, iterators, explicit and
 * implicit snapshots and `getSync`, on top of what the store promises. Its keys are the keys of the store
 * that are byte arrays, in the same order; keys are at most 4095 bytes.
 *
 * The location is a directory, made when it is missing; or a store that is open already, which whoever opened
 * it closes; or nothing, for a database in memory. Everything else is as in `abstract-level`.
 *
 * @example
 * ```ts
 * import { FulmarLevel } from "@fulmar/adapters/abstract-level";
 *
 * const db = new FulmarLevel<string, { name: string }>("./data", { valueEncoding: "json" });
 * await db.put("user:1", { name: "Ada" });
 * await db.put("session", { name: "Ada" }, { ttl: 60_000, durability: "relaxed" });
 * for await (const [key, value] of db.iterator({ gte: "user:", lt: "user;" })) console.log(key, value);
 * await db.close();
 * ```
 */
export class FulmarLevel<K = string, V = string> extends AbstractLevel<Uint8Array, K, V> {
  readonly #location: string | undefined;
  readonly #storeOptions: FulmarLevelOptions<K, V>["store"];
  readonly #given: Store<Uint8Array> | undefined;
  #store: Store<Uint8Array> | undefined;

  constructor(location?: string | Store<Uint8Array>, options: FulmarLevelOptions<K, V> = {}) {
    const { store, ...levelOptions } = checkedOptions(options);
    const given = givenStore(location, "the location");
    const directory = typeof location === "object" ? location.status().directory : location;
    const opensDirectory = typeof location === "string";
    super(manifest(directory !== undefined, opensDirectory), levelOptions);
    this.#location = opensDirectory ? location : undefined;
    this.#given = given;
    this.#storeOptions = store;
  }

  /**
   * The store beneath, for what Level has no word for: transactions, watches, backups. Keys of this database
   * are byte arrays there. @throws an Error with code LEVEL_DATABASE_NOT_OPEN unless the database is open
   */
  get store(): Store<Uint8Array> {
    if (this.#store !== undefined) return this.#store;
    throw Object.assign(new Error("Database is not open"), { code: "LEVEL_DATABASE_NOT_OPEN" });
  }

  /** Adds a key, or replaces its value; with a deadline and a durability of its own, if you like. */
  override put(key: K, value: V): Promise<void>;
  override put<KO = K, VO = V>(key: KO, value: VO, options: FulmarPutOptions<KO, VO>): Promise<void>;
  override put(key: K, value: V, options?: FulmarPutOptions<K, V>): Promise<void> {
    return super.put(key, value, options as FulmarPutOptions<K, V>);
  }

  /** Deletes a key; no error if it is absent. */
  override del(key: K): Promise<void>;
  override del<KO = K>(key: KO, options: FulmarDelOptions<KO>): Promise<void>;
  override del(key: K, options?: FulmarDelOptions<K>): Promise<void> {
    return super.del(key, options as FulmarDelOptions<K>);
  }

  /** Applies all operations or none, as one commit. */
  override batch(operations: AbstractBatchOperation<this, K, V>[]): Promise<void>;
  override batch<KO = K, VO = V>(
    operations: AbstractBatchOperation<this, KO, VO>[],
    options: FulmarBatchOptions<KO, VO>,
  ): Promise<void>;
  override batch(): AbstractChainedBatch<this, K, V>;
  override batch(
    ...args: [] | [AbstractBatchOperation<this, K, V>[], FulmarBatchOptions<K, V>?]
  ): Promise<void> | AbstractChainedBatch<this, K, V> {
    // Level tells the two forms apart by the number of arguments.
    return args.length === 0 ? super.batch() : super.batch(args[0], args[1] as FulmarBatchOptions<K, V>);
  }

  /**
   * Deletes a range, `limit` keys of it at most. Up to 50,000 keys go as one commit, and more in commits of
   * so many.
   */
  override clear(): Promise<void>;
  override clear<KO = K>(options: FulmarClearOptions<KO>): Promise<void>;
  override clear(options?: FulmarClearOptions<K>): Promise<void> {
    return super.clear(options as FulmarClearOptions<K>);
  }

  protected async _open(options: AbstractOpenOptions): Promise<void> {
    if (this.#given !== undefined) {
      this.#store = this.#given;
      return;
    }
    if (this.#location !== undefined) await checkPresence(this.#location, options);
    this.#store = await open<Uint8Array>(this.#location, { ...this.#storeOptions, codec: "bytes" });
  }

  protected async _close(): Promise<void> {
    const store = this.#store;
    // Also a close that fails lets go of everything.
    this.#store = undefined;
    if (store !== this.#given) await store?.close();
  }

  protected async _get(key: Uint8Array, options: ReadOptions): Promise<Uint8Array | undefined> {
    return this.#readable(options).get(key);
  }

  protected _getSync(key: Uint8Array, options: ReadOptions): Uint8Array | undefined {
    return this.#readable(options).get(key);
  }

  protected async _getMany(
    keys: readonly Uint8Array[],
    options: ReadOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    return this.#readable(options).getMany(keys);
  }

  protected async _has(key: Uint8Array, options: ReadOptions): Promise<boolean> {
    return this.#readable(options).has(key);
  }

  protected async _hasMany(keys: readonly Uint8Array[], options: ReadOptions): Promise<boolean[]> {
    const readable = this.#readable(options);
    return keys.map((key) => readable.has(key));
  }

  protected async _put(key: Uint8Array, value: Uint8Array, options: WriteOptions): Promise<void> {
    await this.store.set(key, value, { ...levelOf(options), ...lifetimeOf(options) });
  }

  protected async _del(key: Uint8Array, options: WriteOptions): Promise<void> {
    await this.store.delete(key, levelOf(options));
  }

  protected async _batch(operations: readonly EncodedOperation[], options: WriteOptions): Promise<void> {
    await this.store.batch(operations.map(storeOperation), levelOf(options));
  }

  protected async _clear(options: EncodedRange & WriteOptions): Promise<void> {
    const { limit } = options;
    const range = limit < 0 ? listOptions(options) : { ...listOptions(options), limit };
    await deleteAll(this.store, this.#readable(options).keys(range), levelOf(options));
  }

  protected _iterator(options: EncodedListing): LevelIterator<K, V> {
    return new LevelIterator(this, options, this.#iterated(options));
  }

  protected _keys(options: EncodedListing): LevelKeyIterator<K, V> {
    return new LevelKeyIterator(this, options, this.#iterated(options));
  }

  protected _values(options: EncodedListing): LevelValueIterator<K, V> {
    return new LevelValueIterator(this, options, this.#iterated(options));
  }

  protected _snapshot(options: object): LevelSnapshot {
    return new LevelSnapshot(this.store.snapshot(), options);
  }

  #readable(options: ReadOptions): Readable<Uint8Array> {
    return stateOf(options.snapshot) ?? this.store;
  }

  #iterated(options: EncodedListing): IteratedState {
    const state = stateOf(options.snapshot);
    return state === undefined ? { state: this.store.snapshot(), owned: true } : { state, owned: false };
  }
}

/** Options of the constructor; as in Level, null stands for none. */
function checkedOptions<K, V>(options: FulmarLevelOptions<K, V> | null): FulmarLevelOptions<K, V> {
  if (options === null) return {};
  if (!isObject(options)) throw refusal("FulmarLevel: options must be an object");
  return options;
}

/** What this database can do, in the words of Level. */
function manifest(permanence: boolean, opensDirectory: boolean) {
  return {
    encodings: { view: true },
    has: true,
    getSync: true,
    seek: true,
    implicitSnapshots: true,
    explicitSnapshots: true,
    permanence,
    createIfMissing: opensDirectory,
    errorIfExists: opensDirectory,
    signals: { iterators: true },
  };
}

function levelOf({ durability }: WriteOptions): Pick<WriteOptions, "durability"> {
  return durability === undefined ? {} : { durability };
}

function lifetimeOf({ ttl }: { readonly ttl?: number }): { readonly ttl?: number } {
  return ttl === undefined ? {} : { ttl };
}

function storeOperation(operation: EncodedOperation): BatchOperation<Uint8Array> {
  const { type, key } = operation;
  return type === "put"
    ? { type: "set", key, value: operation.value, ...lifetimeOf(operation) }
    : { type: "delete", key };
}
