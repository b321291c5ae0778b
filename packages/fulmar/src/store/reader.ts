import type { Codec } from "../codec/codec.js";
import { decodeKey } from "../keys/key.js";
import { LATEST, type MemoryEngine, NONE, type Ref } from "../memory/engine.js";
import {
  deadlineOf,
  EXPIRED,
  flagsOf,
  HAS_DEADLINE,
  hlcOf,
  keyOf,
  originOf,
  seqOf,
  TOMBSTONE,
  valueView,
} from "../record/entry.js";
import type { HybridClock } from "../record/hybrid-clock.js";
import type { OriginTable } from "../record/origins.js";
import type { Stamp } from "../record/stamp.js";
import type { Entry, Key } from "./types.js";

/** Turns records of the engine into what applications see. Nothing that it returns is a view of memory. */
export class Reader<V> {
  readonly engine: MemoryEngine;
  readonly #origins: OriginTable;
  readonly #clock: HybridClock;
  readonly #codec: Codec<V>;

  constructor(engine: MemoryEngine, origins: OriginTable, clock: HybridClock, codec: Codec<V>) {
    this.engine = engine;
    this.#origins = origins;
    this.#clock = clock;
    this.#codec = codec;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** The newest record of a key if it can be read now; NONE if it is absent, deleted or expired. */
  findLive(key: Uint8Array): Ref {
    const ref = this.engine.find(key, LATEST);
    if (ref === NONE) return NONE;
    const flags = flagsOf(this.engine.slab(ref), this.engine.offset(ref));
    // Most entries have no flag: then no clock is read.
    if (flags === 0) return ref;
    return this.isLive(ref, (flags & HAS_DEADLINE) === 0 ? 0 : this.nowMs()) ? ref : NONE;
  }

  /** Whether a record can be read at a moment: not deleted, and its deadline not reached. */
  isLive(ref: Ref, nowMs: number): boolean {
    const bytes = this.engine.slab(ref);
    const at = this.engine.offset(ref);
    const flags = flagsOf(bytes, at);
    if ((flags & TOMBSTONE) !== 0) return false;
    return (flags & HAS_DEADLINE) === 0 || deadlineOf(bytes, at) > nowMs;
  }

  key(ref: Ref): Key {
    return decodeKey(keyOf(this.engine.slab(ref), this.engine.offset(ref)));
  }

  value(ref: Ref): V {
    return this.#codec.decode(valueView(this.engine.slab(ref), this.engine.offset(ref)));
  }

  stamp(ref: Ref): Stamp {
    const bytes = this.engine.slab(ref);
    const at = this.engine.offset(ref);
    return { hlc: hlcOf(bytes, at), origin: this.#origins.id(originOf(bytes, at)), seq: seqOf(bytes, at) };
  }

  expiresAt(ref: Ref): number | undefined {
    const deadline = deadlineOf(this.engine.slab(ref), this.engine.offset(ref));
    return Number.isFinite(deadline) ? deadline : undefined;
  }

  /** The entry as applications see it; expired but unswept ones count as expired tombstones. */
  entry(ref: Ref, nowMs: number): Entry<V> {
    const flags = flagsOf(this.engine.slab(ref), this.engine.offset(ref));
    const base = {
      key: this.key(ref),
      version: this.engine.versionOf(ref),
      stamp: this.stamp(ref),
    };
    const expiresAt = this.expiresAt(ref);
    const timed = expiresAt === undefined ? base : { ...base, expiresAt };
    if (this.isLive(ref, nowMs)) return { ...timed, value: this.value(ref) };
    const deleted = (flags & TOMBSTONE) !== 0 && (flags & EXPIRED) === 0;
    return { ...timed, value: undefined as V, tombstone: deleted ? "deleted" : "expired" };
  }

  /** Copies the value bytes now, to be decoded when somebody asks. */
  lazyValue(ref: Ref): () => V {
    const bytes = valueView(this.engine.slab(ref), this.engine.offset(ref)).slice();
    return () => this.#codec.decode(bytes);
  }
}
