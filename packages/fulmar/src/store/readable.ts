import { booleanOption, checkIterable, checkOptions } from "../base/options.js";
import { LookupKey } from "../keys/lookup.js";
import type { KeyRange } from "../keys/range.js";
import { NONE, type Ref } from "../memory/engine.js";
import { checkListOptions, RANGE_OPTIONS } from "./list-options.js";
import { Listing, type Selection } from "./listing.js";
import type { Entry, EntryOptions, Key, ListOptions, RangeOptions, Tombstone } from "./types.js";
import type { View } from "./views.js";

/** A listing: use `for` for all at once, `for await` to let the event loop turn in between. */
export type List<T> = Iterable<T> & AsyncIterable<T>;

/** What can be read of a store, at one state of it. */
export abstract class Readable<V = unknown> {
  readonly #view: View<V>;
  readonly #lookup: LookupKey;

  /** @internal */
  constructor(view: View<V>) {
    this.#view = view;
    this.#lookup = new LookupKey(view.reader.space);
  }

  /**
   * Number of the newest commit that it shows; in a store it grows with each commit, also across restarts.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * const { version } = await db.set("a", 1);
   * console.log(db.version === version); // true
   * ```
   */
  get version(): number {
    return this.#view.version;
  }

  /**
   * The value of a key, or undefined. The value is the caller's own: it changes by nobody else.
   *
   * With codec `bytes`, values of 65 bytes to 1 KiB that are read from one store share `ArrayBuffer`s of 8 KiB, as
   * Node's `Buffer`s do, because a buffer for each takes longer than finding it. So:
   *
   * - use `byteOffset` (a multiple of eight) and `byteLength` with `value.buffer`, in which other values are;
   * - a value that is kept keeps 8 KiB in memory, and a structured clone or message of it copies as much;
   * - its buffer does not move to another thread: Node 20 sends a copy, later versions throw;
   * - do not give it to a stream of bytes (`ReadableByteStreamController.enqueue`), which takes the buffer and so
   *   empties the others; Node 24 and later throw, as they do for a small `Buffer`.
   *
   * `value.slice()` is a copy with a buffer of its own.
   *
   * @throws INVALID_KEY, KEY_TOO_LARGE, CLOSED
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<{ name: string }>();
   * await db.set(["user", 1], { name: "Ada" });
   * console.log(db.get(["user", 1])?.name, db.get(["user", 2])); // Ada undefined
   * ```
   */
  get(key: Key): V | undefined {
    const ref = this.#find(key);
    return ref === NONE ? undefined : this.#view.reader.value(ref);
  }

  /**
   * Whether a key has a value. @throws as {@link get}
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * console.log(db.has("a"), db.has("b")); // true false
   * ```
   */
  has(key: Key): boolean {
    return this.#find(key) !== NONE;
  }

  /**
   * The values of several keys, in the same order, of one moment; bytes as {@link get} gives them.
   * @throws as {@link get}
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * console.log(db.getMany(["a", "b"])); // [ 1, undefined ]
   * ```
   */
  getMany(keys: Iterable<Key>): (V | undefined)[] {
    this.#view.assertOpen();
    const { reader } = this.#view;
    checkIterable(keys, "getMany: keys");
    // All keys first: what gives them may write in between.
    const list = [...keys];
    const nowMs = this.#view.nowMs();
    return list.map((key) => {
      const ref = this.#find(key, nowMs);
      return ref === NONE ? undefined : reader.value(ref);
    });
  }

  /**
   * Value, version, stamp and deadline of a key, or undefined. With `tombstones`, also what is known of
   * a deleted or expired key. @throws as {@link get}
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * console.log(db.entry("a")?.version); // 1
   * await db.set("b", 2, { expiresAt: 1000 }); // long ago
   * console.log(db.entry("b"), db.entry("b", { tombstones: true })?.tombstone); // undefined expired
   * ```
   */
  entry(key: Key, options?: { readonly tombstones?: false | undefined }): Entry<V> | undefined;
  entry(key: Key, options: EntryOptions): Entry<V> | Tombstone | undefined;
  entry(key: Key, options: EntryOptions = {}): Entry<V> | Tombstone | undefined {
    checkOptions(options, ["tombstones"], "entry");
    const tombstones = booleanOption(options.tombstones, "tombstones", false);
    this.#view.assertOpen();
    const { reader, at } = this.#view;
    this.#lookup.encode(key, this.#view.keyBytesMax);
    const ref = reader.engine.find(this.#lookup.bytes, at, this.#lookup.length);
    if (ref === NONE) return undefined;
    const nowMs = this.#view.nowMs();
    if (reader.isLive(ref, nowMs)) this.#view.used(ref);
    else if (!tombstones) return undefined;
    return reader.entry(ref, nowMs);
  }

  /**
   * Entries in key order, as of the moment when the iteration begins; later writes do not show. Each entry
   * is a plain object of the caller's own; bytes are as {@link get} gives them.
   *
   * An iteration keeps the state that it shows in memory until its end, or its `return()`, which a loop that is left
   * early calls; at the latest until the garbage collector has found that nobody can go on with it.
   * @throws INVALID_KEY, INVALID_ARGUMENT, UNKNOWN_OPTION here; ROLLED_BACK, CLOSED while iterating
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * for (const n of [1, 2, 3]) await db.set(["n", n], n);
   * for (const { key, value } of db.list({ prefix: ["n"], reverse: true, limit: 2 })) console.log(key, value);
   * for await (const { value } of db.list({ gte: ["n", 2] })) console.log(value); // 2, 3
   * ```
   */
  list(options: ListOptions = {}): List<Entry<V>> {
    return this.#listing(options, (reader) => (ref) => reader.liveEntry(ref));
  }

  /**
   * The keys that {@link list} would give.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * console.log([...db.keys()]); // [ 'a' ]
   * ```
   */
  keys(options: ListOptions = {}): List<Key> {
    return this.#listing(options, (reader) => (ref) => reader.key(ref));
  }

  /**
   * The values that {@link list} would give.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * console.log([...db.values()]); // [ 1 ]
   * ```
   */
  values(options: ListOptions = {}): List<V> {
    return this.#listing(options, (reader) => (ref) => reader.value(ref));
  }

  /**
   * How many keys of a range have a value. Takes time in proportion to the range.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a1", 1);
   * await db.set("b1", 2);
   * console.log(db.count(), db.count({ prefix: "a" })); // 2 1
   * ```
   */
  count(options: RangeOptions = {}): number {
    checkOptions(options, RANGE_OPTIONS, "count");
    this.#view.assertOpen();
    const { reader, at } = this.#view;
    return reader.count(this.#ranges(options), at, this.#view.nowMs());
  }

  #find(key: Key, nowMs?: number): Ref {
    this.#view.assertOpen();
    this.#lookup.encode(key, this.#view.keyBytesMax);
    return this.#view.findLive(this.#lookup.bytes, this.#lookup.length, nowMs);
  }

  #ranges(options: RangeOptions): KeyRange[] {
    return this.#view.reader.space.ranges(options, this.#view.keyBytesMax);
  }

  #listing<T>(options: ListOptions, selection: Selection<V, T>): List<T> {
    const shape = checkListOptions(options);
    this.#view.assertOpen();
    return new Listing(this.#view, this.#ranges(options), shape, selection);
  }
}
