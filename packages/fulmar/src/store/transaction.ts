import { EMPTY_BYTES } from "../base/bytes.js";
import { booleanOption, checkOptions, NO_OPTIONS } from "../base/options.js";
import { NONE } from "../memory/engine.js";
import { TOMBSTONE } from "../record/entry.js";
import type { LocalWrite } from "../transaction/committer.js";
import { checkStep, incremented } from "./increment.js";
import { checkListOptions, LIST_OPTIONS, RANGE_OPTIONS } from "./list-options.js";
import { type Scope, siblingScope } from "./scope.js";
import type { Savepoint, TransactionState } from "./transaction-state.js";
import { type Step, walk } from "./transaction-walk.js";
import type { Entry, Key, ListOptions, RangeOptions, WriteOptions } from "./types.js";
import { raised, WriteWish } from "./wishes.js";
import type { Writable } from "./writable.js";

const READ_OPTIONS = ["conflict"] as const;
const LISTING_OPTIONS = [...LIST_OPTIONS, ...READ_OPTIONS] as const;
const SET_OPTIONS = ["ttl", "expiresAt"] as const;

/** How a transaction reads. */
export interface TransactionReadOptions {
  /**
   * With `false` the read is not validated at the commit: what it showed may have changed by then. For
   * hints and statistics on which nothing depends.
   */
  readonly conflict?: boolean | undefined;
}

/** An entry as a transaction sees it. What the transaction itself wrote has version 0. */
export type TransactionEntry<V = unknown> = Pick<Entry<V>, "key" | "value" | "version" | "expiresAt">;

/**
 * Reads one state of the store, plus its own writes, and collects writes that are committed together at
 * the end, or not at all. Get one from {@link Store.transact}; it lives until the function that was given
 * to that returns or resolves.
 *
 * Every method throws TRANSACTION_ENDED after that, ROLLED_BACK when the log refused commits that the
 * transaction reads (it is retried), and errors of wrong arguments as the store's methods do.
 */
export class Transaction<In = unknown, Out = In> {
  readonly #state: TransactionState;
  readonly #scope: Scope<In, Out>;
  /** The two strings that were encoded last, and their bytes: what is read is mostly written next. */
  #name: string | undefined;
  #nameBytes: Uint8Array = EMPTY_BYTES;
  #otherName: string | undefined;
  #otherBytes: Uint8Array = EMPTY_BYTES;

  /** @internal */
  constructor(state: TransactionState, scope: Scope<In, Out>) {
    this.#state = state;
    this.#scope = scope;
  }

  /**
   * The same transaction on the keys of a namespace, or for the store on those outside of namespaces: its reads
   * are validated and its writes committed together with all others. @throws INVALID_ARGUMENT for a namespace
   * of another store
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open();
   * const accounts = db.namespace<number>("accounts");
   * const journal = db.namespace<string>("journal");
   * await db.transact((tx) => {
   *   const balances = tx.in(accounts);
   *   balances.set("ada", (balances.get("ada") ?? 0) + 10);
   *   tx.in(journal).set(1, "ada got 10");
   * });
   * console.log(accounts.get("ada"), journal.get(1)); // 10 ada got 10
   * ```
   */
  in<I, O>(owner: Writable<I, O>): Transaction<I, O> {
    return new Transaction(this.#state, siblingScope<I, O>(this.#state.core, owner));
  }

  /**
   * The newest commit that the transaction sees.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * const { version } = await db.set("a", 1);
   * console.log((await db.transact((tx) => tx.version)) === version); // true
   * ```
   */
  get version(): number {
    return this.#state.version;
  }

  /**
   * The value of a key, or undefined.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.transact((tx) => {
   *   const hint = tx.get("price", { conflict: false }) ?? 1; // may be outdated at the commit
   *   tx.set("total", (tx.get("total") ?? 0) + hint); // may not
   * });
   * console.log(db.get("total")); // 1
   * ```
   */
  get(key: Key, options: TransactionReadOptions = NO_OPTIONS): Out | undefined {
    const step = this.#step(key, options);
    return step === undefined ? undefined : this.#value(step);
  }

  /**
   * Whether a key has a value.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.transact((tx) => {
   *   if (!tx.has("owner")) tx.set("owner", "ada");
   * });
   * console.log(db.get("owner")); // ada
   * ```
   */
  has(key: Key, options: TransactionReadOptions = NO_OPTIONS): boolean {
    return this.#step(key, options) !== undefined;
  }

  /**
   * Value, version and deadline of a key, or undefined.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.set("a", "one");
   * await db.transact((tx) => {
   *   tx.set("b", "two");
   *   console.log(tx.entry("a")?.version, tx.entry("b")?.version); // 1 0
   * });
   * ```
   */
  entry(key: Key, options: TransactionReadOptions = NO_OPTIONS): TransactionEntry<Out> | undefined {
    const step = this.#step(key, options);
    return step === undefined ? undefined : this.#entry(step);
  }

  /**
   * Entries in key order, the transaction's own writes among them as they are when the iteration begins.
   * Only what was iterated over counts as read: a listing that is left early does not conflict with what
   * comes later.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set(["job", 1], 5);
   * await db.transact((tx) => {
   *   for (const { key } of tx.list({ prefix: ["job"], limit: 1 })) tx.delete(key); // the first that waits
   * });
   * console.log(db.count()); // 0
   * ```
   */
  list(options: ListOptions & TransactionReadOptions = {}): Iterable<TransactionEntry<Out>> {
    return this.#listing(options, (step) => this.#entry(step));
  }

  /**
   * The keys that {@link list} would give.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set(["job", 1], 5);
   * console.log(await db.transact((tx) => [...tx.keys({ prefix: ["job"] })])); // [ [ 'job', 1 ] ]
   * ```
   */
  keys(options: ListOptions & TransactionReadOptions = {}): Iterable<Key> {
    return this.#listing(options, (step) => this.#scope.reader.space.decode(step.key));
  }

  /**
   * How many keys of a range have a value.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * const join = (who: string) =>
   *   db.transact((tx) => {
   *     if (tx.count({ prefix: ["seat"] }) < 2) tx.set(["seat", who], "taken");
   *   });
   * await Promise.all(["ada", "bob", "eve"].map(join));
   * console.log(db.count({ prefix: ["seat"] })); // 2
   * ```
   */
  count(options: RangeOptions & TransactionReadOptions = {}): number {
    checkOptions(options, [...RANGE_OPTIONS, ...READ_OPTIONS], "count");
    let count = 0;
    for (const _ of this.keys(options)) count++;
    return count;
  }

  /**
   * Sets a key at the commit. A blind write conflicts with nothing, unless isolation is `snapshot`.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.transact((tx) => {
   *   tx.set("session", "ada", { ttl: 60_000 });
   *   console.log(tx.get("session"), db.get("session")); // ada undefined
   * });
   * ```
   */
  set(key: Key, value: In, options: Pick<WriteOptions, "ttl" | "expiresAt"> = NO_OPTIONS): void {
    checkOptions(options, SET_OPTIONS, "set");
    this.#state.assertOpen();
    const write = this.#scope.encoder.keptSetting(key, value, options, this.#encoded(key));
    this.#state.put(write.key, new WriteWish(write));
  }

  /**
   * Deletes a key at the commit; no error if it is absent.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.set("from", "treasure");
   * await db.transact((tx) => {
   *   tx.set("to", tx.get("from") ?? "");
   *   tx.delete("from");
   * });
   * console.log([...db.keys()]); // [ 'to' ]
   * ```
   */
  delete(key: Key): void {
    this.#state.assertOpen();
    const write = this.#scope.encoder.removal(this.#encoded(key));
    this.#state.put(write.key, new WriteWish(write));
  }

  /**
   * Adds to a counter at the commit: an integer below 2^53, or a bigint where the codec holds bigints; an
   * absent one counts from zero. It reads nothing, so that increments never conflict with each other; the
   * deadline of the counter stays. The commit rejects with NOT_AN_INTEGER or INTEGER_OVERFLOW if the value
   * is no such number by then.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * const count = () => db.transact(async (tx) => tx.increment("visits"));
   * await Promise.all([count(), count(), count()]); // none runs twice
   * console.log(db.get("visits")); // 3
   * ```
   */
  increment(key: Key, by: number | bigint = 1): void {
    this.#state.assertOpen();
    const step = checkStep(by, key);
    const encoded = this.#encoded(key);
    const wish = this.#state.writes.get(encoded)?.what;
    this.#state.put(encoded, raised(this.#scope, key, encoded, wish, step));
  }

  /**
   * Remembers the writes so far, those in other namespaces included.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.transact((tx) => {
   *   tx.set("order", "placed");
   *   const before = tx.savepoint();
   *   tx.set("gift", "wrapped");
   *   if (!tx.has("paper")) tx.rollbackTo(before);
   * });
   * console.log([...db.keys()]); // [ 'order' ]
   * ```
   */
  savepoint(): Savepoint {
    return this.#state.savepoint();
  }

  /**
   * Takes back every write since a savepoint, which stays, while later ones are gone. What was read since
   * stays read. @throws INVALID_ARGUMENT for anything but a savepoint of this transaction that is left
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.transact((tx) => {
   *   const start = tx.savepoint();
   *   for (const attempt of [1, 2]) {
   *     tx.rollbackTo(start);
   *     tx.set(["attempt", attempt], 0);
   *   }
   * });
   * console.log([...db.keys()]); // [ [ 'attempt', 2 ] ]
   * ```
   */
  rollbackTo(savepoint: Savepoint): void {
    this.#state.rollbackTo(savepoint);
  }

  /** The bytes of a key, which nobody changes any more. */
  #encoded(key: Key): Uint8Array {
    if (typeof key !== "string") return this.#scope.encoder.key(key);
    if (key === this.#name) return this.#nameBytes;
    if (key === this.#otherName) return this.#otherBytes;
    const bytes = this.#scope.encoder.key(key);
    this.#otherName = this.#name;
    this.#otherBytes = this.#nameBytes;
    this.#name = key;
    this.#nameBytes = bytes;
    return bytes;
  }

  /** What there is of a key, noted as read; undefined when it has no value. */
  #step(key: Key, options: TransactionReadOptions): Step | undefined {
    checkOptions(options, READ_OPTIONS, "get");
    this.#state.assertOpen();
    const encoded = this.#encoded(key);
    const wish = this.#state.writes.get(encoded)?.what;
    if (wish?.kind === "write") return isRemoval(wish.write) ? undefined : { key: encoded, ref: NONE, wish };
    const tracked = isTracked(options);
    const ref = this.#state.live(this.#state.find(encoded, tracked));
    if (tracked) this.#state.dependOnLife(ref, wish);
    return ref === NONE && wish === undefined ? undefined : { key: encoded, ref, wish };
  }

  /** What the transaction wrote itself comes through the codec and back, and so is the caller's own. */
  #value({ ref, wish }: Step): Out {
    const { reader } = this.#scope;
    if (wish?.kind === "write") return reader.codec.decode(wish.write.value);
    const stored = ref === NONE ? undefined : reader.value(ref);
    return (wish === undefined ? stored : incremented(stored, wish.by, wish.key)) as Out;
  }

  #entry(step: Step): TransactionEntry<Out> {
    const { reader } = this.#scope;
    const { ref, wish } = step;
    const version = wish === undefined ? reader.engine.versionOf(ref) : 0;
    const entry = { key: reader.space.decode(step.key), value: this.#value(step), version };
    const expiresAt = wish?.kind === "write" ? wish.write.deadline : ref === NONE ? 0 : reader.expiresAt(ref);
    return expiresAt === undefined || expiresAt === 0 ? entry : { ...entry, expiresAt };
  }

  #listing<T>(options: ListOptions & TransactionReadOptions, select: (step: Step) => T): Iterable<T> {
    const shape = checkListOptions(options, LISTING_OPTIONS);
    this.#state.assertOpen();
    const extent = {
      ranges: this.#scope.reader.space.ranges(options, this.#state.core.limits.keyBytesMax),
      ...shape,
      tracked: isTracked(options),
    };
    const steps = (): Generator<Step, void> => walk(this.#state, extent);
    return {
      *[Symbol.iterator]() {
        for (const step of steps()) yield select(step);
      },
    };
  }
}

/** Whether a read is validated. @throws INVALID_ARGUMENT */
function isTracked({ conflict }: TransactionReadOptions): boolean {
  return booleanOption(conflict, "conflict", true);
}

function isRemoval({ flags }: LocalWrite): boolean {
  return (flags & TOMBSTONE) !== 0;
}
