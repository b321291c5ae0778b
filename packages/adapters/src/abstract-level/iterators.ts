import { AbstractIterator, AbstractKeyIterator, AbstractValueIterator } from "abstract-level";
import type { Entry, Key, Snapshot } from "fulmar";
import type { FulmarLevel } from "./level.js";
import type { EncodedListing } from "./options.js";
import { Walk, type WalkSource } from "./walk.js";

/** The state that an iteration shows, and whether it was taken for this iteration alone. */
export interface IteratedState {
  readonly state: Snapshot<Uint8Array>;
  readonly owned: boolean;
}

type Pair = [Uint8Array | undefined, Uint8Array | undefined];

/** Entries in order of key. Each yields `[key, value]`, without what was not asked for. */
export class LevelIterator<K, V> extends AbstractIterator<FulmarLevel<K, V>, K, V> {
  readonly #walk: Walk<unknown, Pair>;

  constructor(db: FulmarLevel<K, V>, options: EncodedListing, iterated: IteratedState) {
    super(db, options as object);
    this.#walk = new Walk<unknown, Pair>(pairSource(iterated, options), options);
  }

  protected _next(): Promise<Pair | undefined> {
    return this.#walk.next();
  }

  protected _nextv(size: number): Promise<Pair[]> {
    return this.#walk.take(size);
  }

  protected _seek(target: Uint8Array): void {
    this.#walk.seek(target);
  }

  protected async _close(): Promise<void> {
    this.#walk.close();
  }
}

/** The keys that {@link LevelIterator} would give. */
export class LevelKeyIterator<K, V> extends AbstractKeyIterator<FulmarLevel<K, V>, K> {
  readonly #walk: Walk<Key, Uint8Array>;

  constructor(db: FulmarLevel<K, V>, options: EncodedListing, iterated: IteratedState) {
    super(db, options as object);
    this.#walk = new Walk(
      { ...iterated, list: (state, range) => state.keys(range), select: bytesOf },
      options,
    );
  }

  protected _next(): Promise<Uint8Array | undefined> {
    return this.#walk.next();
  }

  protected _nextv(size: number): Promise<Uint8Array[]> {
    return this.#walk.take(size);
  }

  protected _seek(target: Uint8Array): void {
    this.#walk.seek(target);
  }

  protected async _close(): Promise<void> {
    this.#walk.close();
  }
}

/** The values that {@link LevelIterator} would give. */
export class LevelValueIterator<K, V> extends AbstractValueIterator<FulmarLevel<K, V>, K, V> {
  readonly #walk: Walk<Uint8Array, Uint8Array>;

  constructor(db: FulmarLevel<K, V>, options: EncodedListing, iterated: IteratedState) {
    super(db, options as object);
    const list: WalkSource<Uint8Array, Uint8Array>["list"] = (state, range) => state.values(range);
    this.#walk = new Walk({ ...iterated, list, select: (value) => value }, options);
  }

  protected _next(): Promise<Uint8Array | undefined> {
    return this.#walk.next();
  }

  protected _nextv(size: number): Promise<Uint8Array[]> {
    return this.#walk.take(size);
  }

  protected _seek(target: Uint8Array): void {
    this.#walk.seek(target);
  }

  protected async _close(): Promise<void> {
    this.#walk.close();
  }
}

/** Reads no more of the store than the caller wants to see. */
function pairSource(iterated: IteratedState, options: EncodedListing): WalkSource<unknown, Pair> {
  const { keys, values } = options;
  if (keys === false && values === false) {
    return { ...iterated, list: (state, range) => state.keys(range), select: () => [undefined, undefined] };
  }
  if (values === false) {
    const select = (key: unknown): Pair => [bytesOf(key as Key), undefined];
    return { ...iterated, list: (state, range) => state.keys(range), select };
  }
  if (keys === false) {
    const select = (value: unknown): Pair => [undefined, value as Uint8Array];
    return { ...iterated, list: (state, range) => state.values(range), select };
  }
  const select = (entry: unknown): Pair => {
    const { key, value } = entry as Entry<Uint8Array>;
    return [bytesOf(key), value];
  };
  return { ...iterated, list: (state, range) => state.list(range), select };
}

/** Ranges of the database hold byte arrays only. */
function bytesOf(key: Key): Uint8Array {
  return key as Uint8Array;
}
