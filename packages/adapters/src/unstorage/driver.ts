import type { BatchOperation, Change, Key, OpenOptions, Store, Watch } from "fulmar";
import type { Driver, StorageMeta, TransactionOptions, WatchCallback } from "unstorage";
import { checkObjects, isObject, refusal } from "../check.js";
import { StoreSource } from "../store-source.js";
import { BaseKeys } from "./keys.js";
import { bytesOfRaw, decodeText, encodeText } from "./values.js";

/** Options of `fulmarDriver`. */
export interface FulmarDriverOptions {
  /**
   * A directory, made when it is missing, opened at the first use and closed by `dispose`; or a store with codec
   * `bytes` that is open already, which whoever opened it closes. Without one, a store in memory.
   */
  readonly store?: string | Store<Uint8Array>;
  /** How the store is opened. Not for one that is open already. */
  readonly open?: Omit<OpenOptions<Uint8Array>, "codec">;
  /** Set before every key, with a colon. */
  readonly base?: string;
  /** Time to live in seconds of items that are set without one of their own. */
  readonly ttl?: number;
}

/** A driver of unstorage that has all that a driver can have. */
export type FulmarDriver = Required<Driver<FulmarDriverOptions, Promise<Store<Uint8Array>>>>;

type Items = readonly {
  readonly key: string;
  readonly value: string;
  readonly options?: TransactionOptions;
}[];

/**
 * A driver of unstorage over a Fulmar store. Items are strings and bytes of the store under string keys, `ttl`
 * (seconds) is exact, `watch` tells what any user of the store, a peer, or expiry changes, and `getMeta` knows
 * `mtime`, `size` in bytes and the `ttl` that is left. `setItems` and `clear` are one commit each.
 *
 * @example
 * ```ts
 * import { fulmarDriver } from "@fulmar/adapters/unstorage";
 * import { createStorage } from "unstorage";
 *
 * const storage = createStorage({ driver: fulmarDriver({ store: "./data", base: "app" }) });
 * await storage.setItem("user:1", { name: "Ada" }, { ttl: 3600 });
 * console.log(await storage.getItem("user:1"), await storage.getKeys("user"));
 * await storage.dispose();
 * ```
 */
export function fulmarDriver(options: FulmarDriverOptions = {}): FulmarDriver {
  if (!isObject(options)) throw refusal("fulmarDriver: options must be an object");
  if (options.open !== undefined && !isObject(options.open))
    throw refusal("open must be an object of options");
  const source = new StoreSource<Uint8Array>(options.store, { ...options.open, codec: "bytes" });
  const keys = new BaseKeys(options.base);
  return {
    name: "fulmar",
    flags: { ttl: true },
    options,
    getInstance: () => source.store(),
    ...reading(source, keys),
    ...writing(source, keys, options.ttl),
    ...watching(source, keys),
  };
}

function reading(source: StoreSource<Uint8Array>, keys: BaseKeys) {
  return {
    async hasItem(key: string): Promise<boolean> {
      return (await source.store()).has(keys.toStore(key));
    },
    async getItem(key: string): Promise<string | null> {
      return decodeText((await source.store()).get(keys.toStore(key)));
    },
    async getItems(items: readonly { readonly key: string }[]) {
      checkObjects(items, "the items of getItems");
      const store = await source.store();
      const values = store.getMany(items.map(({ key }) => keys.toStore(key)));
      return items.map(({ key }, index) => ({ key, value: decodeText(values[index]) }));
    },
    async getItemRaw(key: string): Promise<Uint8Array | null> {
      return (await source.store()).get(keys.toStore(key)) ?? null;
    },
    async getKeys(base: string): Promise<string[]> {
      const found: string[] = [];
      const store = await source.store();
      for await (const key of store.keys({ prefix: keys.prefixOf(base) })) found.push(fromStore(keys, key));
      return found;
    },
    async getMeta(key: string): Promise<StorageMeta | null> {
      const store = await source.store();
      const entry = store.entry(keys.toStore(key));
      if (entry === undefined) return null;
      const left = await store.ttl(keys.toStore(key));
      const meta = { mtime: mtimeOf(entry.stamp.hlc), size: entry.value.length };
      return left === undefined || left === Number.POSITIVE_INFINITY ? meta : { ...meta, ttl: left / 1000 };
    },
  };
}

function writing(source: StoreSource<Uint8Array>, keys: BaseKeys, ttlDefault: number | undefined) {
  /** Of the first that say how long. */
  const lifetime = (...options: readonly (TransactionOptions | undefined)[]) =>
    lifetimeOf(options.map(ttlOf).find((ttl) => ttl !== undefined && ttl !== null) ?? ttlDefault);
  return {
    async setItem(key: string, value: string, options?: TransactionOptions): Promise<void> {
      const store = await source.store();
      await store.set(keys.toStore(key), encodeText(value), lifetime(options));
    },
    async setItems(items: Items, commonOptions?: TransactionOptions): Promise<void> {
      checkObjects(items, "the items of setItems");
      const store = await source.store();
      const operations = items.map(
        ({ key, value, options }): BatchOperation<Uint8Array> => ({
          type: "set",
          key: keys.toStore(key),
          value: encodeText(value),
          ...lifetime(options, commonOptions),
        }),
      );
      await store.batch(operations);
    },
    async setItemRaw(key: string, value: unknown, options?: TransactionOptions): Promise<void> {
      const bytes = bytesOfRaw(value);
      const store = await source.store();
      await store.set(keys.toStore(key), bytes, lifetime(options));
    },
    async removeItem(key: string): Promise<void> {
      const store = await source.store();
      if (store.has(keys.toStore(key))) await store.delete(keys.toStore(key));
    },
    async clear(base: string): Promise<void> {
      await (await source.store()).clear({ prefix: keys.prefixOf(base) });
    },
  };
}

function watching(source: StoreSource<Uint8Array>, keys: BaseKeys) {
  const watches = new Set<Watch>();
  return {
    async watch(callback: WatchCallback): Promise<() => void> {
      if (typeof callback !== "function") throw refusal("watch: the callback must be a function");
      const store = await source.store();
      // Asynchronous, so that what one call throws keeps nobody from being told of the next change.
      const tell = async ({ type, key }: Change<Uint8Array>): Promise<void> => {
        await callback(type === "set" ? "update" : "remove", fromStore(keys, key));
      };
      const watch = store.watch({ prefix: keys.prefixOf("") }, async ({ changes }) => {
        await Promise.all(changes.map(tell));
      });
      watches.add(watch);
      return () => {
        watches.delete(watch);
        watch.close();
      };
    },
    async dispose(): Promise<void> {
      for (const watch of watches) watch.close();
      watches.clear();
      await source.close();
    },
  };
}

/** Ranges of the driver hold strings only. */
function fromStore(keys: BaseKeys, key: Key): string {
  return keys.fromStore(key as string);
}

/** When a stamp was made; see the page of stamps: hybrid time counts 4096ths of a ms from 2020. */
function mtimeOf(hlc: number): Date {
  return new Date(Math.floor(hlc / 4096) + Date.UTC(2020, 0, 1));
}

function ttlOf(options: TransactionOptions | undefined): unknown {
  if (options === undefined || options === null) return undefined;
  if (!isObject(options)) throw refusal("the options of an item must be an object");
  return options.ttl;
}

/** Seconds in whole ms. As in other drivers, none and 0 stand for ever. */
function lifetimeOf(ttl: unknown): { readonly ttl?: number } {
  if (ttl === undefined || ttl === null || ttl === 0 || ttl === Number.POSITIVE_INFINITY) return {};
  // The store says what else is no lifetime.
  return { ttl: typeof ttl === "number" ? Math.max(1, Math.ceil(ttl * 1000)) : (ttl as number) };
}
