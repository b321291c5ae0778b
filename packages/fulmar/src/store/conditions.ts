import { equalBytes } from "../base/bytes.js";
import { FulmarTypeError } from "../base/errors.js";
import { DEADLINE_MS_MAX } from "../base/limits.js";
import { checkOptions, integerOption } from "../base/options.js";
import { userRanges } from "../keys/key.js";
import { resolveRange } from "../keys/resolve.js";
import { LATEST, NONE, type Ref } from "../memory/engine.js";
import { keyOf, valueView } from "../record/entry.js";
import type { LocalWrite } from "../transaction/committer.js";
import type { StoreCore } from "./core.js";
import { checkStep, incremented, type Step } from "./increment.js";
import { RANGE_OPTIONS } from "./list-options.js";
import { checkDurability } from "./settings.js";
import type { Entry, Key, RangeOptions, WriteOptions, Written } from "./types.js";
import type { WriteEncoder } from "./write-encoder.js";

/** What a conditional write came to. */
export type Outcome<V = unknown> =
  | ({ readonly ok: true } & Written<V>)
  | {
      readonly ok: false;
      /** What stood in the way; undefined when it was that the key is absent. */
      readonly current: Entry<V> | undefined;
    };

/** What an increment resolves to. */
export type Incremented<V = unknown> = Written<V> & {
  /** The counter after it. */
  readonly value: number | bigint;
};

/** Options of a conditional write. */
export type ConditionalOptions = Pick<WriteOptions, "durability" | "ttl" | "expiresAt">;

const OPTIONS = ["durability", "ttl", "expiresAt"] as const;

/**
 * Writes that depend on what is there. A condition is decided once, on the newest state, with nothing
 * between the decision and the commit; the log holds what came of it, never the question, so that no
 * recovery decides differently.
 */
export class Conditions<V> {
  readonly #core: StoreCore<V>;
  readonly #encoder: WriteEncoder<V>;

  constructor(core: StoreCore<V>, encoder: WriteEncoder<V>) {
    this.#core = core;
    this.#encoder = encoder;
  }

  /** Sets a key that has no value. */
  async create(key: Key, value: V, options: ConditionalOptions): Promise<Outcome<V>> {
    checkOptions(options, OPTIONS, "create");
    const write = this.#encoder.setting(key, value, options);
    const ref = this.#live(write.key);
    return ref === NONE ? this.#commit(write, options) : this.#refused(ref);
  }

  /** Sets or, for `next` undefined, deletes a key whose value is `expected`; undefined stands for none. */
  async compareAndSwap(
    key: Key,
    expected: V | undefined,
    next: V | undefined,
    options: ConditionalOptions,
  ): Promise<Outcome<V>> {
    checkOptions(options, OPTIONS, "compareAndSwap");
    const wanted = expected === undefined ? undefined : this.#encoder.keptSetting(key, expected, {}).value;
    const write =
      next === undefined ? this.#deletion(key, options) : this.#encoder.setting(key, next, options);
    const ref = this.#live(write.key);
    return this.#holds(ref, wanted) ? this.#commit(write, options) : this.#refused(ref);
  }

  /** Adds to a counter. Its deadline stays, unless the options give another. */
  async increment(key: Key, by: Step, options: ConditionalOptions): Promise<Incremented<V>> {
    checkOptions(options, OPTIONS, "increment");
    const step = checkStep(by, key);
    this.#core.assertOpen();
    const { reader } = this.#core;
    const ref = this.#live(this.#encoder.key(key));
    const value = incremented(ref === NONE ? undefined : reader.value(ref), step, key);
    const isTimed = options.ttl !== undefined || options.expiresAt !== undefined;
    const expiresAt = isTimed || ref === NONE ? undefined : reader.expiresAt(ref);
    const lifetime = expiresAt === undefined ? options : { expiresAt };
    const write = this.#encoder.setting(key, value as V, lifetime);
    return { ...(await this.#core.commit([write], checkDurability(options.durability))), value };
  }

  /** Time that a key has left, in ms: Infinity without a deadline, undefined without a value. */
  ttl(key: Key): number | undefined {
    this.#core.assertOpen();
    const { reader } = this.#core;
    const ref = this.#live(this.#encoder.key(key));
    if (ref === NONE) return undefined;
    const expiresAt = reader.expiresAt(ref);
    return expiresAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, expiresAt - reader.nowMs());
  }

  /** Gives a key that has a value another deadline: `ttl` ms from now; Infinity for none. */
  async touch(key: Key, ttl: number, options: Pick<WriteOptions, "durability">): Promise<Outcome<V>> {
    checkOptions(options, ["durability"], "touch");
    const isKept = ttl === Number.POSITIVE_INFINITY;
    const lifetime = isKept ? {} : { ttl: integerOption(ttl, "ttl", 0, 1, DEADLINE_MS_MAX) };
    const encoded = this.#encoder.key(key);
    const ref = this.#live(encoded);
    if (ref === NONE) return { ok: false, current: undefined };
    const { engine } = this.#core;
    // The commit copies it before anything moves.
    const value = valueView(engine.slab(ref), engine.offset(ref));
    return this.#commit(this.#encoder.renewal(encoded, new Uint8Array(value), lifetime), options);
  }

  /** Deletes every key of a range that has a value. */
  async clear(
    range: RangeOptions,
    options: Pick<WriteOptions, "durability">,
  ): Promise<Written<V> & { readonly deleted: number }> {
    checkOptions(range, RANGE_OPTIONS, "clear");
    checkOptions(options, ["durability"], "clear");
    const level = checkDurability(options.durability);
    this.#core.assertOpen();
    const { reader, engine, limits } = this.#core;
    const nowMs = reader.nowMs();
    const writes: LocalWrite[] = [];
    for (const { from, to } of userRanges(resolveRange(range, limits.keyBytesMax))) {
      const cursor = engine.scan({ from, to }, LATEST, false);
      for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
        if (!reader.isLive(ref, nowMs)) continue;
        // One more is enough for the commit to be refused as too large.
        if (writes.length > limits.commitEntriesMax) break;
        writes.push(this.#encoder.removal(keyOf(engine.slab(ref), engine.offset(ref))));
      }
    }
    return { ...(await this.#core.commit(writes, level)), deleted: writes.length };
  }

  /** The newest record of a key, or NONE if it has no value. */
  #live(key: Uint8Array): Ref {
    this.#core.assertOpen();
    const { reader, engine } = this.#core;
    const ref = engine.find(key, LATEST);
    return ref === NONE || !reader.isLive(ref, reader.nowMs()) ? NONE : ref;
  }

  #holds(ref: Ref, wanted: Uint8Array | undefined): boolean {
    if (ref === NONE || wanted === undefined) return ref === NONE && wanted === undefined;
    const { engine } = this.#core;
    return equalBytes(valueView(engine.slab(ref), engine.offset(ref)), wanted);
  }

  #deletion(key: Key, { ttl, expiresAt }: ConditionalOptions): LocalWrite {
    if (ttl === undefined && expiresAt === undefined) return this.#encoder.deletion(key);
    throw new FulmarTypeError("INVALID_ARGUMENT", "a deletion has no ttl and no expiresAt");
  }

  async #commit(write: LocalWrite, options: Pick<WriteOptions, "durability">): Promise<Outcome<V>> {
    const done = await this.#core.commit([write], checkDurability(options.durability));
    return { ok: true, ...done };
  }

  #refused(ref: Ref): Outcome<V> {
    const { reader } = this.#core;
    return { ok: false, current: ref === NONE ? undefined : reader.entry(ref, reader.nowMs()) };
  }
}
