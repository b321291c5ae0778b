import { booleanOption, checkIterable, checkOptions, NO_OPTIONS } from "../base/options.js";
import { listOf } from "../base/uncounted.js";
import { LATEST, NONE } from "../memory/engine.js";
import type { Committed, LocalWrite } from "../transaction/committer.js";
import { Atomic } from "./atomic.js";
import { attempt } from "./attempt.js";
import { type ConditionalOptions, Conditions, type Incremented, type Outcome } from "./conditions.js";
import { Readable } from "./readable.js";
import { registerScope, type Scope } from "./scope.js";
import { checkDurability } from "./settings.js";
import { Snapshot } from "./snapshot.js";
import type { BatchOperation, CommitEvent, Key, RangeOptions, WriteOptions, Written } from "./types.js";
import { NewestView, PinnedView } from "./views.js";
import type { ListenOptions, WatchHow, WatchOptions } from "./watch/request.js";
import type { WatchStream } from "./watch/stream.js";
import type { Watch } from "./watch/subscriber.js";

const DELETE_OPTIONS = ["durability", "previous"] as const;
const SET_OPTIONS = ["durability", "ttl", "expiresAt", "previous"] as const;

/**
 * What can be read and written of a store, or of one of its namespaces. `In` is what is written, `Out` what is
 * read: the same, unless a schema makes one of the other.
 */
export abstract class Writable<In = unknown, Out = In> extends Readable<Out> {
  readonly #scope: Scope<In, Out>;
  readonly #conditions: Conditions<In, Out>;

  /** @internal */
  constructor(scope: Scope<In, Out>) {
    super(new NewestView(scope));
    this.#scope = scope;
    this.#conditions = new Conditions(scope);
    registerScope(this, scope);
  }

  /**
   * Sets a key. Readers see it at once; the promise resolves when it is durable at its level.
   *
   * Rejects with INVALID_KEY, KEY_TOO_LARGE, INVALID_VALUE, VALUE_TOO_LARGE or INVALID_ARGUMENT when
   * the call is wrong; with MEMORY_FULL when it does not fit into `maxMemory` or a store; with DISK_FULL or IO_ERROR
   * when the log refused it, and then it is taken back; with DURABILITY_UNKNOWN after a failed sync; with
   * DIRECTORY_LOST when files of the directory are gone; with STORE_FAILED or CLOSED.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * const { previous } = await db.set("greeting", "hello", { ttl: 60_000, previous: true });
   * console.log(db.get("greeting"), previous); // hello undefined
   * ```
   */
  set(key: Key, value: In, options: WriteOptions = NO_OPTIONS): Promise<Written<Out>> {
    // Spelt out: a closure for each call of the method that is called most would be felt.
    try {
      checkOptions(options, SET_OPTIONS, "set");
      const { encoder } = this.#scope;
      // The value before is decoded in between, which may change bytes that belong to the codec.
      if (options.previous === true) return this.#writeOne(encoder.keptSetting(key, value, options), options);
      return this.#writeOne(encoder.setting(key, value, options), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Deletes a key; no error if it is absent. Rejects as {@link set}.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * const { previous } = await db.delete("a", { previous: true });
   * console.log(db.has("a"), previous?.value); // false 1
   * ```
   */
  delete(key: Key, options: Pick<WriteOptions, "durability" | "previous"> = {}): Promise<Written<Out>> {
    return attempt(() => {
      checkOptions(options, DELETE_OPTIONS, "delete");
      return this.#writeOne(this.#scope.encoder.deletion(key), options);
    });
  }

  /**
   * Applies all operations or none, as one commit: for readers, in the log, for watchers and on peers.
   * Of two operations on one key the later counts. Rejects as {@link set}, and with COMMIT_TOO_LARGE.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.batch([
   *   { type: "set", key: "a", value: 1, ttl: 60_000 },
   *   { type: "delete", key: "b" },
   * ]);
   * ```
   */
  batch(
    operations: Iterable<BatchOperation<In>>,
    options: Pick<WriteOptions, "durability"> = {},
  ): Promise<Written<Out>> {
    return attempt(() => {
      checkOptions(options, ["durability"], "batch");
      const { core, encoder } = this.#scope;
      const writes: LocalWrite[] = listOf();
      checkIterable(operations, "batch: operations");
      for (const operation of operations) writes.push(encoder.operation(operation));
      return core.commitBlind(writes, checkDurability(options.durability));
    });
  }

  /**
   * Deletes every key of a range as one commit; `deleted` says how many. Rejects as {@link set}, and with
   * COMMIT_TOO_LARGE when they are too many for one: clear smaller ranges then.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set(["cart", 1], 5);
   * const { deleted } = await db.clear({ prefix: ["cart"] });
   * console.log(deleted); // 1
   * ```
   */
  clear(
    range: RangeOptions = {},
    options: Pick<WriteOptions, "durability"> = {},
  ): Promise<Written<Out> & { readonly deleted: number }> {
    return this.#conditions.clear(range, options);
  }

  /**
   * Sets a key that has no value; otherwise it resolves to `ok: false` with the `current` entry. What comes
   * of it is decided at once, on the newest state. Rejects as {@link set}.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * console.log((await db.create("lock", "ada")).ok); // true
   * const second = await db.create("lock", "bob");
   * if (!second.ok) console.log(second.current?.value); // ada
   * ```
   */
  create(key: Key, value: In, options: ConditionalOptions = {}): Promise<Outcome<Out>> {
    return this.#conditions.create(key, value, options);
  }

  /**
   * Sets a key to `next` if its value is `expected`, and otherwise resolves to `ok: false` with the `current`
   * entry. `undefined` stands for no value: expected, the key must be absent; as next, it is deleted. Values
   * are compared as the codec encodes them (JSON objects: with their members in the same order); to compare
   * by version, use {@link atomic}. Rejects as {@link set}.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.set("job", "ready");
   * console.log((await db.compareAndSwap("job", "ready", "taken")).ok); // true
   * console.log((await db.compareAndSwap("job", "ready", "taken")).ok); // false
   * ```
   */
  compareAndSwap(
    key: Key,
    expected: Out | undefined,
    next: In | undefined,
    options: ConditionalOptions = {},
  ): Promise<Outcome<Out>> {
    return this.#conditions.compareAndSwap(key, expected, next, options);
  }

  /**
   * Adds to a counter and resolves to its new `value`: an integer below 2^53, or a bigint where the codec
   * holds bigints, as one of your own may (docs/transactions.md has one); to the built-in ones they are an
   * INVALID_VALUE. An absent one counts from zero; a deadline stays unless the options give another. Rejects
   * as {@link set}, and with NOT_AN_INTEGER or INTEGER_OVERFLOW, with nothing changed.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * const { value } = await db.increment("visits", 2);
   * console.log(value, db.get("visits")); // 2 2
   * ```
   */
  increment(key: Key, by?: number, options?: ConditionalOptions): Promise<Incremented<Out, number>>;
  increment(key: Key, by: bigint, options?: ConditionalOptions): Promise<Incremented<Out, bigint>>;
  increment(key: Key, by?: number | bigint, options?: ConditionalOptions): Promise<Incremented<Out>>;
  increment(
    key: Key,
    by: number | bigint = 1,
    options: ConditionalOptions = NO_OPTIONS,
  ): Promise<Incremented<Out>> {
    try {
      return this.#conditions.increment(key, by, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Time that a key has left, in ms: Infinity without a deadline, undefined without a value.
   * @throws as {@link get}
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.set("a", "for ever");
   * await db.set("b", "for a minute", { ttl: 60_000 });
   * console.log(db.ttl("a"), (db.ttl("b") ?? 0) > 50_000, db.ttl("c")); // Infinity true undefined
   * ```
   */
  ttl(key: Key): number | undefined {
    return this.#conditions.ttl(key);
  }

  /**
   * Lets a key expire `ttl` ms from now; `ok: false` if it has no value. Rejects as {@link set}.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.set("session", "ada", { ttl: 1000 });
   * await db.touch("session", 60_000);
   * console.log((db.ttl("session") ?? 0) > 1000); // true
   * ```
   */
  touch(key: Key, ttl: number, options: Pick<WriteOptions, "durability"> = {}): Promise<Outcome<Out>> {
    return this.#conditions.touch(key, ttl, options);
  }

  /**
   * Takes the deadline of a key away; `ok: false` if it has no value. Rejects as {@link set}.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.set("session", "ada", { ttl: 1000 });
   * await db.persist("session");
   * console.log(db.ttl("session")); // Infinity
   * ```
   */
  persist(key: Key, options: Pick<WriteOptions, "durability"> = {}): Promise<Outcome<Out>> {
    return this.#conditions.touch(key, Number.POSITIVE_INFINITY, options);
  }

  /**
   * Begins an operation of checks and writes that is done as one commit if every check holds.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * const { version } = await db.set("job:1", "ready");
   * const outcome = await db
   *   .atomic()
   *   .check({ key: "job:1", version })
   *   .set("job:1", "taken")
   *   .commit();
   * console.log(outcome.ok, db.get("job:1")); // true taken
   * ```
   */
  atomic(): Atomic<In, Out> {
    return new Atomic(this.#scope);
  }

  /**
   * Shows each published commit that changes a key, or keys of a range: whole (of a namespace: all that changes in
   * it), in order of version, and never before it is durable at its level (`relaxed` at least, with a directory):
   * to a function, whose errors, and rejections if it is asynchronous, are reported on the diagnostics channel
   * `fulmar:watch-error`, or as a stream, which can resume from an earlier version. @throws INVALID_KEY,
   * KEY_TOO_LARGE, INVALID_ARGUMENT, UNKNOWN_OPTION, CLOSED
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * const watch = db.watch({ prefix: "a" }, ({ version, changes }) => console.log(version, changes[0].key));
   * await db.set("a1", 5); // 1 a1
   * watch.close();
   * await db.set("b", 7);
   * for await (const { changes } of db.watch("b", { since: 0 })) {
   *   console.log(changes[0].value); // 7
   *   break;
   * }
   * ```
   */
  watch(
    keys: Key | RangeOptions,
    listener: (commit: CommitEvent<Out>) => void,
    options?: ListenOptions,
  ): Watch;
  watch(keys: Key | RangeOptions, options?: WatchOptions): WatchStream<Out>;
  watch(
    keys: Key | RangeOptions,
    how: WatchHow<Out> = {},
    listening?: ListenOptions,
  ): Watch | WatchStream<Out> {
    const { core, changes } = this.#scope;
    core.assertOpen();
    return core.watchers.watch(changes, keys, how, listening);
  }

  /**
   * One state of the store, to read from at leisure: what is written later does not show. Close it when it
   * is no more needed (`using` does).
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * const snapshot = db.snapshot();
   * await db.set("a", 2);
   * console.log(snapshot.get("a"), db.get("a")); // 1 2
   * snapshot.close();
   * ```
   */
  snapshot(): Snapshot<Out> {
    return new Snapshot(PinnedView.ofNewest(this.#scope));
  }

  #writeOne(write: LocalWrite, options: WriteOptions): Promise<Written<Out>> {
    const level = checkDurability(options.durability);
    const { core, reader } = this.#scope;
    if (!booleanOption(options.previous, "previous", false)) return core.commitBlind(listOf(write), level);
    core.assertOpen();
    core.finishMerge();
    const ref = reader.engine.find(write.key, LATEST);
    const isThere = ref !== NONE && reader.isLive(ref, reader.nowMs());
    const previous = isThere ? reader.liveEntry(ref) : undefined;
    const done = core.commit(listOf(write), level);
    return previous === undefined ? done : done.then((committed: Committed) => ({ ...committed, previous }));
  }
}
