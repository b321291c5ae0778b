import { checkOptions } from "../base/options.js";
import { bytesCodec, type Codec, type RangeDecoder, rangeDecoder } from "../codec/codec.js";
import { isEmptyRange, type KeyRange } from "../keys/range.js";
import type { KeySpace } from "../keys/space.js";
import type { Batch, Wanted } from "../memory/shared/batch.js";
import { deadlineOf, keyOf, valueLengthOf, valueStart } from "../record/entry.js";
import { checkListOptions, type ListShape, RANGE_OPTIONS } from "./list-options.js";
import type { SharedSource } from "./shared-source.js";
import type { Entry, Key, ListOptions, RangeOptions } from "./types.js";

/**
 * What a reader on another thread can read of a store or of one of its namespaces: one state, until the reader is
 * refreshed. Every method that reads throws CLOSED and REVOKED as those of a reader do.
 */
export abstract class SharedReadable<V = unknown> {
  readonly #source: SharedSource;
  readonly #space: KeySpace;
  readonly #isBytes: boolean;
  readonly #decode: RangeDecoder<V>;

  /** @internal */
  constructor(source: SharedSource, space: KeySpace, codec: Codec<V>) {
    this.#source = source;
    this.#space = space;
    this.#isBytes = (codec as unknown) === bytesCodec;
    this.#decode = rangeDecoder(codec, (bytes, from, to) => source.pool.copy(bytes, from, to));
  }

  /** Number of the newest commit in the state that this reader shows. */
  get version(): number {
    return this.#source.state.version;
  }

  /** The value of a key, or undefined; bytes as `Store.get` gives them. @throws INVALID_KEY, KEY_TOO_LARGE */
  get(key: Key): V | undefined {
    const bytes = this.#source.value(this.#encode(key));
    if (bytes === undefined) return undefined;
    // The copy is nobody else's already.
    return this.#isBytes ? (bytes as V) : this.#decode(bytes, 0, bytes.length);
  }

  /** Whether a key has a value. @throws INVALID_KEY, KEY_TOO_LARGE */
  has(key: Key): boolean {
    return this.#source.has(this.#encode(key));
  }

  /** Value, version, stamp and deadline of a key, or undefined. @throws INVALID_KEY, KEY_TOO_LARGE */
  entry(key: Key): Entry<V> | undefined {
    const found = this.#source.entry(this.#encode(key));
    return found === undefined ? undefined : this.#entry(found.bytes, 0, found.version);
  }

  /**
   * Entries in key order, of the state that the reader shows when the iteration begins. It throws REVOKED when
   * the reader is refreshed meanwhile. @throws INVALID_KEY, INVALID_ARGUMENT, UNKNOWN_OPTION
   */
  list(options: ListOptions = {}): Iterable<Entry<V>> {
    return this.#listing(options, "entries", ({ bytes, starts, versions }, i) =>
      this.#entry(bytes[i], starts[i], versions[i]),
    );
  }

  /** The keys that {@link list} would give. */
  keys(options: ListOptions = {}): Iterable<Key> {
    return this.#listing(options, "keys", ({ bytes, starts }, i) => this.#key(bytes[i], starts[i]));
  }

  /** The values that {@link list} would give. */
  values(options: ListOptions = {}): Iterable<V> {
    return this.#listing(options, "entries", ({ bytes, starts }, i) => this.#value(bytes[i], starts[i]));
  }

  /** How many keys of a range have a value. Takes time in proportion to the range. */
  count(options: RangeOptions = {}): number {
    checkOptions(options, RANGE_OPTIONS, "count");
    let count = 0;
    const shape = { reverse: false, limit: Number.POSITIVE_INFINITY };
    for (const batch of this.#source.batches(this.#ranges(options), shape, "count")) count += batch.count;
    return count;
  }

  #encode(key: Key): Uint8Array {
    return this.#space.encode(key, this.#source.limits.keyBytesMax);
  }

  #ranges(options: RangeOptions): KeyRange[] {
    const ranges = this.#space.ranges(options, this.#source.limits.keyBytesMax);
    return ranges.filter((range) => !isEmptyRange(range));
  }

  #key(bytes: Uint8Array, at: number): Key {
    return this.#space.decode(keyOf(bytes, at));
  }

  #value(bytes: Uint8Array, at: number): V {
    const start = valueStart(bytes, at);
    return this.#decode(bytes, start, start + valueLengthOf(bytes, at));
  }

  #entry(bytes: Uint8Array, at: number, version: number): Entry<V> {
    const stamp = this.#source.stamp(bytes, at);
    const entry = { key: this.#key(bytes, at), value: this.#value(bytes, at), version, stamp };
    const deadline = deadlineOf(bytes, at);
    return Number.isFinite(deadline) ? { ...entry, expiresAt: deadline } : entry;
  }

  #listing<T>(options: ListOptions, wanted: Wanted, select: (batch: Batch, index: number) => T): Iterable<T> {
    const shape = checkListOptions(options);
    const ranges = this.#ranges(options);
    const walk = (): Iterator<T, undefined> => this.#walk(ranges, shape, wanted, select);
    return { [Symbol.iterator]: walk };
  }

  *#walk<T>(
    ranges: readonly KeyRange[],
    shape: ListShape,
    wanted: Wanted,
    select: (batch: Batch, index: number) => T,
  ): Generator<T, undefined> {
    const { state } = this.#source;
    for (const batch of this.#source.batches(ranges, shape, wanted)) {
      for (let i = 0; i < batch.count; i++) {
        this.#source.assertAt(state);
        yield select(batch, i);
      }
    }
    return undefined;
  }
}
