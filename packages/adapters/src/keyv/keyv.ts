import { EventEmitter } from "node:events";
import type { OpenOptions, Store } from "fulmar";
import type { KeyvEntry, KeyvStoreAdapter, StoredData } from "keyv";
import { checkList, checkObjects, refusal } from "../check.js";
import { StoreSource } from "../store-source.js";

/** Options of `FulmarKeyv`: how its store is opened. Not for a store that is open already. */
export type FulmarKeyvOptions = OpenOptions;

/**
 * A Fulmar store as the storage of a `Keyv`. Keys are strings of the store; a time to live is the store's own,
 * so that an expired key is gone for every reader, and `setMany`, `deleteMany` and `clear` are one commit each.
 *
 * The source is a directory, made when it is missing, opened at the first use and closed by `disconnect`; or a
 * store that is open already, which whoever opened it closes; or nothing, for a store in memory. The codec must
 * hold what Keyv serializes to: `json` (default) or `text` for Keyv's own serializer. One adapter is for one
 * Keyv, because a Keyv tells it its namespace; several adapters can share a store.
 *
 * @example
 * ```ts
 * import { FulmarKeyv } from "@fulmar/adapters/keyv";
 * import { Keyv } from "keyv";
 *
 * const keyv = new Keyv({ store: new FulmarKeyv("./cache"), namespace: "pages", throwOnErrors: true });
 * await keyv.set("home", "<h1>Hello</h1>", 60_000);
 * console.log(await keyv.get("home"));
 * await keyv.disconnect();
 * ```
 */
export class FulmarKeyv extends EventEmitter implements Omit<KeyvStoreAdapter, "setMany"> {
  /**
   * What Keyv reads: it gives an iterator only to storages that carry one of the dialects of its own adapters,
   * of which SQLite's, a table in a file, is nearest.
   */
  readonly opts: { readonly dialect: "sqlite"; readonly url: string; [option: string]: unknown };
  /** Set by Keyv. Without one, `clear` and `iterator` are of every string key of the store. */
  namespace?: string | undefined;
  readonly #source: StoreSource<unknown>;

  constructor(source?: string | Store<string> | Store, options: FulmarKeyvOptions = {}) {
    super();
    this.#source = new StoreSource(source as string | Store | undefined, options);
    this.opts = { dialect: "sqlite", url: typeof source === "string" ? source : "" };
  }

  /** What is stored for a key. A failure is also emitted as `error`, since Keyv keeps it to itself. */
  async get<Value>(key: string): Promise<StoredData<Value> | undefined> {
    try {
      const store = await this.#source.store();
      return store.get(key) as StoredData<Value> | undefined;
    } catch (error) {
      if (this.listenerCount("error") > 0) this.emit("error", error);
      throw error;
    }
  }

  /** What is stored for several keys, of one moment. */
  async getMany<Value>(keys: string[]): Promise<StoredData<Value | undefined>[]> {
    checkList(keys, "the keys of getMany");
    const store = await this.#source.store();
    return store.getMany(keys) as StoredData<Value | undefined>[];
  }

  /** Sets a key; `ttl` in ms. Resolves when it is durable as the store was opened. */
  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    const store = await this.#source.store();
    await store.set(key, value, lifetimeOf(ttl));
    return true;
  }

  /** Sets several keys or none, as one commit; `true` for each. */
  async setMany(entries: KeyvEntry[]): Promise<boolean[]> {
    checkObjects(entries, "the entries of setMany");
    const store = await this.#source.store();
    await store.batch(
      entries.map(({ key, value, ttl }) => ({ type: "set", key, value, ...lifetimeOf(ttl) }) as const),
    );
    return entries.map(() => true);
  }

  /** Deletes a key; whether it was there. */
  async delete(key: string): Promise<boolean> {
    const store = await this.#source.store();
    // Nothing comes between this question and the deletion.
    if (!store.has(key)) return false;
    await store.delete(key);
    return true;
  }

  /** Deletes several keys as one commit; whether all of them were there. */
  async deleteMany(keys: string[]): Promise<boolean> {
    checkList(keys, "the keys of deleteMany");
    const store = await this.#source.store();
    const present = keys.filter((key) => store.has(key));
    if (present.length > 0) await store.batch(present.map((key) => ({ type: "delete", key }) as const));
    return present.length === keys.length;
  }

  /** Whether a key has a value. */
  async has(key: string): Promise<boolean> {
    return (await this.#source.store()).has(key);
  }

  /** Whether each of several keys has a value. */
  async hasMany(keys: string[]): Promise<boolean[]> {
    checkList(keys, "the keys of hasMany");
    const store = await this.#source.store();
    return keys.map((key) => store.has(key));
  }

  /** Deletes every key of the namespace as one commit. */
  async clear(): Promise<void> {
    const store = await this.#source.store();
    await store.clear({ prefix: prefixOf(this.namespace) });
  }

  /** What is stored in a namespace, in order of key, as of the moment when the iteration begins. */
  async *iterator<Value>(namespace?: string): AsyncGenerator<(string | Awaited<Value> | undefined)[], void> {
    const store = await this.#source.store();
    for await (const { key, value } of store.list({ prefix: prefixOf(namespace) })) {
      yield [key as string, value as Awaited<Value>];
    }
  }

  /** Closes the store, if this adapter opened it. A later use opens it again. */
  disconnect(): Promise<void> {
    return this.#source.close();
  }
}

/** Keyv sets its namespace and a colon before every key. */
function prefixOf(namespace: string | undefined): string {
  if (namespace === undefined || namespace === "") return "";
  if (typeof namespace !== "string") throw refusal("a namespace must be a string");
  return `${namespace}:`;
}

/** Deadlines in whole ms; what is over when it is written is gone in the next. */
function lifetimeOf(ttl: number | undefined): { readonly ttl?: number } {
  if (ttl === undefined || ttl === null || ttl === Number.POSITIVE_INFINITY) return {};
  // The store says what else is no lifetime.
  return { ttl: typeof ttl === "number" ? Math.max(1, Math.ceil(ttl)) : ttl };
}
