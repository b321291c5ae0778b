import { bytesCodec, type Codec, type RangeDecoder, rangeDecoder } from "../codec/codec.js";
import type { KeyRange } from "../keys/range.js";
import { type KeySpace, STORE_KEYS } from "../keys/space.js";
import { LATEST, LIVING, type MemoryEngine, NONE, type Ref } from "../memory/engine.js";
import type { Victims } from "../memory/eviction/victims.js";
import {
  deadlineOf,
  ENTRY_HEADER_BYTES,
  EVICTED,
  EXPIRED,
  flagsOf,
  HAS_DEADLINE,
  hlcOf,
  keyLengthOf,
  keyOf,
  keyStart,
  originOf,
  seqOf,
  TOMBSTONE,
  valueLengthOf,
  valueStart,
} from "../record/entry.js";
import { hasDeadlineIn, hlcIn, keyLengthIn, originIn, seqIn, valueLengthIn } from "../record/entry-words.js";
import type { HybridClock } from "../record/hybrid-clock.js";
import type { OriginTable } from "../record/origins.js";
import type { Stamp } from "../record/stamp.js";
import type { Entry, Key, Tombstone } from "./types.js";
import type { ValuePool } from "./value-pool.js";

/** What a reader reads from. */
export interface ReaderParts {
  readonly engine: MemoryEngine;
  readonly origins: OriginTable;
  readonly clock: HybridClock;
  /** Told of each record that is read by its key, if it is there. */
  readonly users: Pick<Victims, "touch"> | undefined;
  readonly pool: ValuePool;
  /** Called when somebody is told that a record is gone whose deadline has passed. */
  readonly expired: () => void;
}

/** Turns records of the engine into what applications see. Nothing that it returns is a view of memory. */
export class Reader<V> {
  readonly engine: MemoryEngine;
  /** The keys that it knows. */
  readonly space: KeySpace;
  readonly codec: Codec<V>;
  readonly origins: OriginTable;
  readonly #parts: ReaderParts;
  readonly #clock: HybridClock;
  readonly #decode: RangeDecoder<V>;
  readonly #users: Pick<Victims, "touch"> | undefined;
  readonly #pool: ValuePool;
  readonly #isBytes: boolean;

  constructor(parts: ReaderParts, codec: Codec<V>, space = STORE_KEYS) {
    const { engine, origins, clock, users, pool } = parts;
    this.#parts = parts;
    this.#users = users;
    this.engine = engine;
    this.origins = origins;
    this.#clock = clock;
    this.codec = codec;
    this.space = space;
    this.#pool = pool;
    this.#isBytes = (codec as unknown) === bytesCodec;
    this.#decode = rangeDecoder(codec, (bytes, from, to) => pool.copy(bytes, from, to));
  }

  /** One for the same records with keys and values of another kind. */
  within<W>(space: KeySpace, codec: Codec<W>): Reader<W> {
    return new Reader(this.#parts, codec, space);
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  /**
   * The newest record of the key `key[0, length)` if it can be read now, or at `nowMs`; NONE if it is absent, deleted
   * or expired.
   */
  findLive(key: Uint8Array, length: number, nowMs?: number): Ref {
    const ref = this.engine.find(key, LATEST, length);
    if (ref === NONE) return NONE;
    const flags = flagsOf(this.engine.slab(ref), this.engine.offset(ref));
    // Most entries have no flag: then no clock is read.
    if (flags !== 0 && !this.isLive(ref, (flags & HAS_DEADLINE) === 0 ? 0 : (nowMs ?? this.nowMs())))
      return NONE;
    if (this.#users !== undefined) this.#users.touch(ref);
    return ref;
  }

  /** The newest record of a key was read by it. */
  touch(ref: Ref): void {
    this.#users?.touch(ref);
  }

  /** Whether a record can be read at a moment: not deleted, and its deadline not reached. */
  isLive(ref: Ref, nowMs: number): boolean {
    const bytes = this.engine.slab(ref);
    const at = this.engine.offset(ref);
    const flags = flagsOf(bytes, at);
    if ((flags & TOMBSTONE) !== 0) return false;
    if ((flags & HAS_DEADLINE) === 0 || deadlineOf(bytes, at) > nowMs) return true;
    this.#parts.expired();
    return false;
  }

  key(ref: Ref): Key {
    const bytes = this.engine.slab(ref);
    const at = this.engine.offset(ref);
    const start = keyStart(bytes, at);
    return this.space.decode(bytes, start, start + keyLengthOf(bytes, at));
  }

  value(ref: Ref): V {
    const bytes = this.engine.slab(ref);
    const at = this.engine.offset(ref);
    const start = valueStart(bytes, at);
    return this.#valueIn(this.engine.words(ref), bytes, start, start + valueLengthOf(bytes, at));
  }

  /** The value in `bytes[from, to)`, which are of a record; `words` are the same memory. */
  #valueIn(words: Uint32Array | undefined, bytes: Uint8Array, from: number, to: number): V {
    if (this.#isBytes) return this.#pool.copy(bytes, from, to, words) as V;
    return this.#decode(bytes, from, to);
  }

  stamp(ref: Ref): Stamp {
    const bytes = this.engine.slab(ref);
    const at = this.engine.offset(ref);
    return { hlc: hlcOf(bytes, at), origin: this.origins.id(originOf(bytes, at)), seq: seqOf(bytes, at) };
  }

  expiresAt(ref: Ref): number | undefined {
    const deadline = deadlineOf(this.engine.slab(ref), this.engine.offset(ref));
    return Number.isFinite(deadline) ? deadline : undefined;
  }

  /** The entry of a record that can be read. */
  liveEntry(ref: Ref): Entry<V> {
    const words = this.engine.words(ref);
    const bytes = this.engine.slab(ref);
    const at = this.engine.offset(ref);
    const word = at >>> 2;
    if (words === undefined || hasDeadlineIn(words, word)) return this.#anyEntry(ref, words, bytes, at);
    const keyAt = at + ENTRY_HEADER_BYTES;
    const valueAt = keyAt + keyLengthIn(words, word);
    const key = this.space.decode(bytes, keyAt, valueAt);
    const version = this.engine.versionOf(ref);
    const origin = this.origins.id(originIn(words, word));
    const stamp = { hlc: hlcIn(words, word), origin, seq: seqIn(words, word) };
    // Last, because the codec may be anybody's code.
    const value = this.#valueIn(words, bytes, valueAt, valueAt + valueLengthIn(words, word));
    return { key, value, version, stamp };
  }

  /** The same for one that may have a deadline, byte by byte. */
  #anyEntry(ref: Ref, words: Uint32Array | undefined, bytes: Uint8Array, at: number): Entry<V> {
    const keyAt = keyStart(bytes, at);
    const valueAt = keyAt + keyLengthOf(bytes, at);
    const key = this.space.decode(bytes, keyAt, valueAt);
    const version = this.engine.versionOf(ref);
    const stamp = this.stamp(ref);
    const deadline = deadlineOf(bytes, at);
    const value = this.#valueIn(words, bytes, valueAt, valueAt + valueLengthOf(bytes, at));
    if (deadline === Number.POSITIVE_INFINITY) return { key, value, version, stamp };
    return { key, value, version, stamp, expiresAt: deadline };
  }

  /** How many records of some ranges can be read now. */
  count(ranges: readonly KeyRange[], at: number, nowMs: number): number {
    let count = 0;
    for (const range of ranges) {
      const cursor = this.engine.scan(range, at, false, LIVING);
      for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) if (this.isLive(ref, nowMs)) count++;
    }
    return count;
  }

  /** The encoded key of the first record of a range that can be read, where it lies in memory. */
  firstKey(range: KeyRange, nowMs: number): Uint8Array | undefined {
    const cursor = this.engine.scan(range, LATEST, false, LIVING);
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      if (this.isLive(ref, nowMs)) return keyOf(this.engine.slab(ref), this.engine.offset(ref));
    }
    return undefined;
  }

  /** The entry as applications see it; expired but unswept ones count as expired tombstones. */
  entry(ref: Ref, nowMs: number): Entry<V> | Tombstone {
    if (this.isLive(ref, nowMs)) return this.liveEntry(ref);
    const flags = flagsOf(this.engine.slab(ref), this.engine.offset(ref));
    const expiresAt = this.expiresAt(ref);
    return {
      key: this.key(ref),
      value: undefined,
      version: this.engine.versionOf(ref),
      stamp: this.stamp(ref),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      tombstone: reasonOf(flags),
    };
  }
}

/** Why a key has no value, by the flags of its entry; one that is past its deadline may not be swept yet. */
export function reasonOf(flags: number): "deleted" | "expired" | "evicted" {
  if ((flags & EVICTED) !== 0) return "evicted";
  return (flags & TOMBSTONE) !== 0 && (flags & EXPIRED) === 0 ? "deleted" : "expired";
}
