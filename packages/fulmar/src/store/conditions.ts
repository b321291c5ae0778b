import { equalBytes } from "../base/bytes.js";
import { FulmarTypeError } from "../base/errors.js";
import { DEADLINE_MS_MAX } from "../base/limits.js";
import { checkOptions, integerOption } from "../base/options.js";
import { listOf, type Unfilled } from "../base/uncounted.js";
import { LATEST, LIVING, NONE, type Ref } from "../memory/engine.js";
import { keyOf, valueView } from "../record/entry.js";
import type { Committed, LocalWrite, OutcomeOf } from "../transaction/committer.js";
import { checkStep, incremented, type Step } from "./increment.js";
import { RANGE_OPTIONS } from "./list-options.js";
import type { Scope } from "./scope.js";
import { checkDurability } from "./settings.js";
import type { Durability, Entry, Key, RangeOptions, WriteOptions, Written } from "./types.js";

/** What a conditional write came to. */
export type Outcome<V = unknown> =
  | ({ readonly ok: true } & Written<V>)
  | {
      readonly ok: false;
      /** What stood in the way; undefined when it was that the key is absent. */
      readonly current: Entry<V> | undefined;
    };

/** What an increment resolves to. `By` is the type of what was added. */
export type Incremented<V = unknown, By extends number | bigint = number | bigint> = Written<V> & {
  /** The counter after it: a number when a number was added, a bigint when that was one. */
  readonly value: By extends bigint ? bigint : number;
};

/** Options of a conditional write. */
export type ConditionalOptions = Pick<WriteOptions, "durability" | "ttl" | "expiresAt">;

const OPTIONS = ["durability", "ttl", "expiresAt"] as const;
const FOR_EVER = Number.POSITIVE_INFINITY;

/**
 * Writes that depend on what is there. A condition is decided once, on the newest state, with nothing
 * between the decision and the commit; the log holds what came of it, never the question, so that no
 * recovery decides differently.
 */
export class Conditions<In, Out> {
  readonly #core: Scope<In, Out>["core"];
  readonly #reader: Scope<In, Out>["reader"];
  readonly #encoder: Scope<In, Out>["encoder"];

  constructor({ core, reader, encoder }: Scope<In, Out>) {
    this.#core = core;
    this.#reader = reader;
    this.#encoder = encoder;
  }

  /** Sets a key that has no value. */
  async create(key: Key, value: In, options: ConditionalOptions): Promise<Outcome<Out>> {
    checkOptions(options, OPTIONS, "create");
    const level = checkDurability(options.durability);
    const write = this.#encoder.setting(key, value, options);
    const ref = this.#deciding(write.key);
    return ref === NONE ? this.#commit(write, level) : this.#refused(ref);
  }

  /** Sets or, for `next` undefined, deletes a key whose value is `expected`; undefined stands for none. */
  async compareAndSwap(
    key: Key,
    expected: Out | undefined,
    next: In | undefined,
    options: ConditionalOptions,
  ): Promise<Outcome<Out>> {
    checkOptions(options, OPTIONS, "compareAndSwap");
    const level = checkDurability(options.durability);
    const wanted = expected === undefined ? undefined : this.#encoder.stored(key, expected);
    const write =
      next === undefined ? this.#deletion(key, options) : this.#encoder.setting(key, next, options);
    const ref = this.#deciding(write.key);
    return this.#holds(ref, wanted) ? this.#commit(write, level) : this.#refused(ref);
  }

  /** Adds to a counter. Its deadline stays, unless the options give another. Throws when the call is wrong. */
  increment(key: Key, by: Step, options: ConditionalOptions): Promise<Incremented<Out>> {
    checkOptions(options, OPTIONS, "increment");
    const level = checkDurability(options.durability);
    const step = checkStep(by, key);
    this.#core.assertOpen();
    const reader = this.#reader;
    const encoded = this.#encoder.key(key);
    const ref = this.#deciding(encoded);
    const value = incremented(ref === NONE ? undefined : reader.value(ref), step, key);
    const isTimed = options.ttl !== undefined || options.expiresAt !== undefined;
    const lifetime = isTimed || ref === NONE ? options : { expiresAt: reader.expiresAt(ref) ?? FOR_EVER };
    const write = this.#encoder.counting(key, encoded, value, lifetime);
    const outcomeOf: OutcomeOf<Incremented<Out>> = ({ version, stamp }) => {
      const outcome: Unfilled<Incremented<Out>> = {};
      outcome.version = version;
      outcome.stamp = stamp;
      outcome.value = value;
      return outcome as Incremented<Out>;
    };
    return this.#core.commit(listOf(write), level, outcomeOf);
  }

  /** Time that a key has left, in ms: Infinity without a deadline, undefined without a value. */
  ttl(key: Key): number | undefined {
    this.#core.assertOpen();
    const reader = this.#reader;
    const ref = this.#live(this.#encoder.key(key));
    if (ref === NONE) return undefined;
    const expiresAt = reader.expiresAt(ref);
    return expiresAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, expiresAt - reader.nowMs());
  }

  /** Gives a key that has a value another deadline: `ttl` ms from now; Infinity for none. */
  async touch(key: Key, ttl: number, options: Pick<WriteOptions, "durability">): Promise<Outcome<Out>> {
    checkOptions(options, ["durability"], "touch");
    const level = checkDurability(options.durability);
    // Not undefined, which stands for no deadline of its own, and so would take away the one that is there.
    if (ttl !== FOR_EVER) integerOption(ttl ?? null, "ttl", 0, 1, DEADLINE_MS_MAX);
    const encoded = this.#encoder.key(key);
    const ref = this.#deciding(encoded);
    if (ref === NONE) return { ok: false, current: undefined };
    const { engine } = this.#core;
    // The commit copies it before anything moves.
    const value = valueView(engine.slab(ref), engine.offset(ref));
    return this.#commit(this.#encoder.renewal(encoded, new Uint8Array(value), { ttl }), level);
  }

  /** Deletes every key of a range that has a value. */
  async clear(
    range: RangeOptions,
    options: Pick<WriteOptions, "durability">,
  ): Promise<Written<Out> & { readonly deleted: number }> {
    checkOptions(range, RANGE_OPTIONS, "clear");
    checkOptions(options, ["durability"], "clear");
    const level = checkDurability(options.durability);
    this.#core.assertOpen();
    const { engine, limits } = this.#core;
    const reader = this.#reader;
    this.#core.finishMerge();
    const nowMs = reader.nowMs();
    const writes: LocalWrite[] = [];
    for (const { from, to } of reader.space.ranges(range, limits.keyBytesMax)) {
      const cursor = engine.scan({ from, to }, LATEST, false, LIVING);
      for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
        if (!reader.isLive(ref, nowMs)) continue;
        // One more is enough for the commit to be refused as too large.
        if (writes.length > limits.commitEntriesMax) break;
        writes.push(this.#encoder.removal(keyOf(engine.slab(ref), engine.offset(ref))));
      }
    }
    return { ...(await this.#core.commit(writes, level)), deleted: writes.length };
  }

  /** The same for what a commit follows. */
  #deciding(key: Uint8Array): Ref {
    this.#core.finishMerge();
    return this.#live(key);
  }

  /** The newest record of a key, or NONE if it has no value. */
  #live(key: Uint8Array): Ref {
    this.#core.assertOpen();
    const reader = this.#reader;
    const ref = reader.engine.find(key, LATEST);
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

  #commit(write: LocalWrite, level: Durability | undefined): Promise<Outcome<Out>> {
    return this.#core.commit(listOf(write), level, done);
  }

  #refused(ref: Ref): Outcome<Out> {
    return { ok: false, current: ref === NONE ? undefined : this.#reader.liveEntry(ref) };
  }
}

/** What a conditional write resolves to that was done. */
export function done({ version, stamp }: Committed): { readonly ok: true } & Committed {
  const outcome: Unfilled<{ readonly ok: true } & Committed> = {};
  outcome.ok = true;
  outcome.version = version;
  outcome.stamp = stamp;
  return outcome as { readonly ok: true } & Committed;
}
