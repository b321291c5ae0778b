import type {
  AbstractBatchOptions,
  AbstractClearOptions,
  AbstractDatabaseOptions,
  AbstractDelOptions,
  AbstractPutOptions,
  AbstractSnapshot,
} from "abstract-level";
import type { Durability, OpenOptions } from "fulmar";

/** Options of the constructor of `FulmarLevel`. */
export interface FulmarLevelOptions<K, V> extends AbstractDatabaseOptions<K, V> {
  /**
   * How the store is opened: `durability`, `maxMemory`, `limits` and so on. Not for a store that is open
   * already. Values are bytes, so that there is no codec to choose.
   */
  readonly store?: Omit<OpenOptions<Uint8Array>, "codec">;
}

/** Options that every write takes. */
interface WriteLevel {
  /** When the promise resolves; as the store was opened unless set. */
  readonly durability?: Durability;
}

/** Options of `put`. */
export interface FulmarPutOptions<K, V> extends AbstractPutOptions<K, V>, WriteLevel {
  /** Time to live in ms; not readable from then on. */
  readonly ttl?: number;
}

/** Options of `del`. */
export interface FulmarDelOptions<K> extends AbstractDelOptions<K>, WriteLevel {}

/** Options of `batch`. A `ttl` here is that of every `put`; one of an operation's own comes before it. */
export interface FulmarBatchOptions<K, V> extends AbstractBatchOptions<K, V>, WriteLevel {
  /** Time to live in ms; not readable from then on. */
  readonly ttl?: number;
}

/** Options of `clear`. */
export interface FulmarClearOptions<K> extends AbstractClearOptions<K>, WriteLevel {}

/** Range options as the private methods get them: encoded, with their defaults. */
export interface EncodedRange {
  readonly gt?: Uint8Array;
  readonly gte?: Uint8Array;
  readonly lt?: Uint8Array;
  readonly lte?: Uint8Array;
  readonly reverse: boolean;
  /** At most so many; -1 for all. */
  readonly limit: number;
  readonly snapshot?: AbstractSnapshot;
}

/** Options of a listing as the private methods get them. */
export interface EncodedListing extends EncodedRange {
  readonly keys?: boolean;
  readonly values?: boolean;
  readonly signal?: AbortSignal;
}
