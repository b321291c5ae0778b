import { FulmarError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import { checkOptions } from "../base/options.js";
import type { Clock, ThreadChannel, Threads } from "../base/runtime/interface.js";
import { bytesCodec, type Codec, type RangeDecoder, rangeDecoder } from "../codec/codec.js";
import { decodeKey, encodeKey, userRanges } from "../keys/key.js";
import { isEmptyRange, type KeyRange } from "../keys/range.js";
import { resolveRange } from "../keys/resolve.js";
import { NONE, type Ref } from "../memory/engine.js";
import {
  type Batch,
  copyBytes,
  copyValue,
  isLiveAt,
  readBatch,
  type Wanted,
} from "../memory/shared/batch.js";
import { ReaderTree } from "../memory/shared/reader-tree.js";
import { ReaderSession, type ReaderState } from "../memory/shared/session.js";
import { SharedView } from "../memory/shared/view.js";
import {
  deadlineOf,
  flagsOf,
  hlcOf,
  keyOf,
  originOf,
  seqOf,
  valueLengthOf,
  valueStart,
} from "../record/entry.js";
import { OriginTable } from "../record/origins.js";
import { checkListOptions, type ListShape, RANGE_OPTIONS } from "./list-options.js";
import type { AttachedMessage, OwnerMessage } from "./reader-messages.js";
import type { Entry, Key, ListOptions, RangeOptions } from "./types.js";
import { ValuePool } from "./value-pool.js";

/** Entries that the first read of an iteration copies; each further one twice as many, up to a bound. */
const FIRST_BATCH = 16;
const BATCH_MAX = 1024;

/** What a reader is made of. */
export interface SharedReaderParts<V> {
  readonly channel: ThreadChannel;
  readonly attached: AttachedMessage;
  readonly clock: Clock;
  readonly threads: Threads;
  readonly codec: Codec<V>;
}

/**
 * Reads a store from another thread than the one that opened it, without asking that one: from shared memory.
 * A reader shows one state, the newest that was durable at its level when the reader was opened or last
 * refreshed, until {@link refresh} takes it on. It waits for nobody, and nobody for it. Get one from
 * `openReader`.
 *
 * Each state that a reader stays at keeps what the store replaced since in memory. Therefore a reader that has
 * not read for a while (`idleMs` of the store's option `shared`) loses its state: reads throw REVOKED until it
 * is refreshed. Refresh before each piece of work, and this never happens.
 *
 * Every method that reads throws CLOSED when the reader or the store is closed, and REVOKED as told above or
 * when the store let go of the reader.
 */
export class SharedReader<V = unknown> {
  readonly #channel: ThreadChannel;
  readonly #clock: Clock;
  readonly #isBytes: boolean;
  readonly #decode: RangeDecoder<V>;
  readonly #take: (length: number) => Uint8Array;
  readonly #limits: Limits;
  readonly #origins = new OriginTable();
  readonly #view: SharedView;
  readonly #session: ReaderSession;
  readonly #tree: ReaderTree;
  #state: ReaderState;
  #latestMs = 0;

  /** @internal Readers come from `openReader`. */
  constructor(parts: SharedReaderParts<V>) {
    const { channel, attached, clock, threads, codec } = parts;
    this.#channel = channel;
    this.#clock = clock;
    const pool = new ValuePool(threads);
    this.#isBytes = (codec as unknown) === bytesCodec;
    this.#decode = rangeDecoder(codec, (bytes, from, to) => pool.copy(bytes, from, to));
    this.#take = (length) => pool.take(length);
    this.#limits = attached.limits;
    const learn = (): void => this.#learn();
    this.#view = new SharedView(attached.layout, learn);
    this.#session = new ReaderSession(attached.control, attached.block, learn);
    this.#tree = new ReaderTree(this.#view, attached.control, this.#session);
    for (const [kind, number, buffer] of attached.buffers) this.#view.map(kind, number, buffer);
    for (const id of attached.origins) this.#origins.intern(id);
    this.#state = this.#session.refresh();
  }

  /** Number of the newest commit in the state that this reader shows. */
  get version(): number {
    return this.#state.version;
  }

  /** Goes on to the newest state; returns {@link version}. @throws CLOSED, REVOKED, TIMEOUT */
  refresh(): number {
    this.#state = this.#session.refresh();
    return this.#state.version;
  }

  /** The value of a key, or undefined; bytes as `Store.get` gives them. @throws INVALID_KEY, KEY_TOO_LARGE */
  get(key: Key): V | undefined {
    const encoded = this.#encode(key);
    const bytes = this.#session.read(() => {
      const ref = this.#findLive(encoded);
      return ref === NONE ? undefined : copyValue(this.#view, ref, this.#take);
    });
    if (bytes === undefined) return undefined;
    // The copy is nobody else's already.
    return this.#isBytes ? (bytes as V) : this.#decode(bytes, 0, bytes.length);
  }

  /** Whether a key has a value. @throws INVALID_KEY, KEY_TOO_LARGE */
  has(key: Key): boolean {
    const encoded = this.#encode(key);
    return this.#session.read(() => this.#findLive(encoded) !== NONE);
  }

  /** Value, version, stamp and deadline of a key, or undefined. @throws INVALID_KEY, KEY_TOO_LARGE */
  entry(key: Key): Entry<V> | undefined {
    const found = this.#copy(key);
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
    return this.#listing(options, "keys", ({ bytes, starts }, i) => decodeKey(keyOf(bytes[i], starts[i])));
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
    for (const batch of this.#batches(this.#ranges(options), shape, "count")) count += batch.count;
    return count;
  }

  /** Lets go of the store. Idempotent. */
  close(): Promise<void> {
    this.#session.close();
    this.#channel.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal Something that the store told. */
  receive(message: OwnerMessage): void {
    if (message.type === "memory") this.#view.map(message.kind, message.number, message.buffer);
    else if (message.type === "origins") for (const id of message.origins) this.#origins.intern(id);
  }

  #learn(): void {
    for (let news = this.#channel.receive(); news !== undefined; news = this.#channel.receive()) {
      this.receive(news as OwnerMessage);
    }
  }

  #encode(key: Key): Uint8Array {
    return encodeKey(key, this.#limits.keyBytesMax);
  }

  #ranges(options: RangeOptions): KeyRange[] {
    return userRanges(resolveRange(options, this.#limits.keyBytesMax)).filter(
      (range) => !isEmptyRange(range),
    );
  }

  /**
   * The machine's clock, unless the store's own was ahead of it when the state was published. It never goes back:
   * what has expired stays so.
   */
  #nowMs(): number {
    this.#latestMs = Math.max(this.#latestMs, this.#clock.wallMs(), this.#state.timeMs);
    return this.#latestMs;
  }

  /** The record of a key if it can be read now; within a read. */
  #findLive(encoded: Uint8Array): Ref {
    const ref = this.#tree.find(encoded, this.#state.version);
    if (ref === NONE) return NONE;
    const flags = flagsOf(this.#view.slab(ref), this.#view.offset(ref));
    // Most entries have no flag: then no clock is read.
    return flags === 0 || isLiveAt(this.#view, ref, this.#nowMs()) ? ref : NONE;
  }

  /** A copy of the live entry of a key. */
  #copy(key: Key): { readonly bytes: Uint8Array; readonly version: number } | undefined {
    const encoded = this.#encode(key);
    const view = this.#view;
    return this.#session.read(() => {
      const ref = this.#findLive(encoded);
      if (ref === NONE) return undefined;
      const length = view.checkedLength(ref, true);
      const bytes = new Uint8Array(length);
      copyBytes(view, ref, length, bytes, 0);
      return { bytes, version: view.versionOf(ref) };
    });
  }

  #value(bytes: Uint8Array, at: number): V {
    const start = valueStart(bytes, at);
    return this.#decode(bytes, start, start + valueLengthOf(bytes, at));
  }

  #entry(bytes: Uint8Array, at: number, version: number): Entry<V> {
    const origin = originOf(bytes, at);
    if (origin > this.#origins.size) this.#learn();
    const entry = {
      key: decodeKey(keyOf(bytes, at)),
      value: this.#value(bytes, at),
      version,
      stamp: { hlc: hlcOf(bytes, at), origin: this.#origins.id(origin), seq: seqOf(bytes, at) },
    };
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
    const state = this.#state;
    for (const batch of this.#batches(ranges, shape, wanted)) {
      for (let i = 0; i < batch.count; i++) {
        if (this.#state !== state) throw refreshed();
        yield select(batch, i);
      }
    }
    return undefined;
  }

  /** Each batch is a read of its own, all of one state and one moment. */
  *#batches(ranges: readonly KeyRange[], { reverse, limit }: ListShape, wanted: Wanted): Generator<Batch> {
    const state = this.#state;
    const nowMs = this.#nowMs();
    let left = limit;
    let size = wanted === "count" ? Number.POSITIVE_INFINITY : FIRST_BATCH;
    for (const whole of reverse ? [...ranges].reverse() : ranges) {
      let range: KeyRange | undefined = whole;
      while (range !== undefined && left > 0 && !isEmptyRange(range)) {
        if (this.#state !== state) throw refreshed();
        const request = {
          range,
          reverse,
          version: state.version,
          nowMs,
          wanted,
          limit: Math.min(left, size),
        };
        const batch: Batch = this.#session.read(() => readBatch(this.#view, this.#tree, request));
        yield batch;
        left -= batch.count;
        size = Math.min(2 * size, wanted === "count" ? size : BATCH_MAX);
        range = batch.rest;
      }
    }
  }
}

function refreshed(): FulmarError {
  return new FulmarError("REVOKED", "the reader was refreshed during this iteration: begin it again");
}
