import { FulmarError, FulmarTypeError } from "../base/errors.js";
import { checkOptions, integerOption } from "../base/options.js";
import { LATEST, NONE } from "../memory/engine.js";
import type { LocalWrite } from "../transaction/committer.js";
import { WriteSet } from "../transaction/optimistic/write-set.js";
import { done } from "./conditions.js";
import { checkStep } from "./increment.js";
import { type Scope, siblingScope } from "./scope.js";
import { checkDurability } from "./settings.js";
import type { Key, WriteOptions, Written } from "./types.js";
import { raised, resolveWish, type Wish, WriteWish } from "./wishes.js";
import type { Writable } from "./writable.js";

/** What must hold for an atomic operation to be done. */
export interface Check {
  readonly key: Key;
  /** The version of the key's entry; 0 for a key without a value. Not together with `exists`. */
  readonly version?: number | undefined;
  /** Whether the key has a value. Not together with `version`. */
  readonly exists?: boolean | undefined;
}

/** A check that did not hold. */
export interface FailedCheck {
  /** Its place among the checks, from 0. */
  readonly index: number;
  readonly key: Key;
  /** The version that was found; 0 for a key without a value. */
  readonly found: number;
}

/** What an atomic operation came to. */
export type AtomicOutcome<V = unknown> =
  | ({ readonly ok: true } & Written<V>)
  | {
      readonly ok: false;
      /** Every check that did not hold. */
      readonly failed: readonly FailedCheck[];
    };

interface EncodedCheck extends Check {
  readonly encoded: Uint8Array;
}

/** What is to be done, in whatever namespaces. */
interface Plan {
  readonly checks: EncodedCheck[];
  readonly effects: WriteSet<Wish>;
  done: boolean;
}

/**
 * Checks and writes that are done together, or not at all: all checks are made on one state, before any of
 * the writes. Get one from {@link Store.atomic}; methods can be chained.
 */
export class Atomic<In = unknown, Out = In> {
  readonly #scope: Scope<In, Out>;
  readonly #plan: Plan;

  /** @internal */
  constructor(scope: Scope<In, Out>, plan: Plan = { checks: [], effects: new WriteSet(), done: false }) {
    this.#scope = scope;
    this.#plan = plan;
  }

  /**
   * The same operation on the keys of a namespace, or for the store on those outside of namespaces: to `commit`
   * one is to commit all. @throws INVALID_ARGUMENT for a namespace of another store
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * const owners = db.namespace<string>("owners");
   * await db.atomic().set("job", "taken").in(owners).check({ key: "job", exists: false }).set("job", "ada").commit();
   * console.log(db.get("job"), owners.get("job")); // taken ada
   * ```
   */
  in<I, O>(owner: Writable<I, O>): Atomic<I, O> {
    return new Atomic(siblingScope<I, O>(this.#scope.core, owner), this.#plan);
  }

  /**
   * Adds conditions: by version, absence (`version: 0` or `exists: false`) or presence (`exists: true`).
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * const outcome = await db.atomic().check({ key: "a", exists: true }, { key: "b", version: 0 }).commit();
   * if (!outcome.ok) console.log(outcome.failed); // [ { index: 0, key: 'a', found: 0 } ]
   * ```
   */
  check(...checks: readonly Check[]): this {
    this.#assertUnused();
    for (const check of checks) {
      // Not undefined, which stands for no options.
      checkOptions(check ?? null, ["key", "version", "exists"], "check");
      const { version, exists } = check;
      if (
        (version === undefined) === (exists === undefined) ||
        !["boolean", "undefined"].includes(typeof exists)
      ) {
        throw new FulmarTypeError("INVALID_ARGUMENT", "check: give either version or exists (true or false)");
      }
      integerOption(version, "version", 0, 0, Number.MAX_SAFE_INTEGER);
      this.#plan.checks.push({ ...check, encoded: this.#scope.encoder.key(check.key) });
    }
    return this;
  }

  /**
   * Sets a key, if every check holds; of two writes of one key the later counts. @throws INVALID_KEY, KEY_TOO_LARGE,
   * INVALID_VALUE, VALUE_TOO_LARGE, INVALID_ARGUMENT, UNKNOWN_OPTION, SCHEMA_MISMATCH, SCHEMA_ASYNC; TRANSACTION_ENDED
   * after {@link commit}
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.atomic().set("session", "ada", { ttl: 60_000 }).set("last", "ada").commit();
   * console.log(db.get("session"), db.ttl("last")); // ada Infinity
   * ```
   */
  set(key: Key, value: In, options: Pick<WriteOptions, "ttl" | "expiresAt"> = {}): this {
    this.#assertUnused();
    checkOptions(options, ["ttl", "expiresAt"], "set");
    return this.#write(this.#scope.encoder.keptSetting(key, value, options));
  }

  /**
   * Deletes a key, if every check holds; no error if it is absent. @throws INVALID_KEY, KEY_TOO_LARGE;
   * TRANSACTION_ENDED after {@link commit}
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<string>();
   * await db.set("from", "treasure");
   * await db.atomic().check({ key: "to", exists: false }).set("to", "treasure").delete("from").commit();
   * console.log([...db.keys()]); // [ 'to' ]
   * ```
   */
  delete(key: Key): this {
    this.#assertUnused();
    return this.#write(this.#scope.encoder.deletion(key));
  }

  /**
   * Adds to a counter, as {@link Transaction.increment} does; after a `set` of the same key, to that.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.atomic().check({ key: "closed", exists: false }).increment("votes").increment("votes").commit();
   * console.log(db.get("votes")); // 2
   * ```
   */
  increment(key: Key, by: number | bigint = 1): this {
    this.#assertUnused();
    const step = checkStep(by, key);
    const encoded = this.#scope.encoder.key(key);
    this.#plan.effects.put(
      encoded,
      raised(this.#scope, key, encoded, this.#plan.effects.get(encoded)?.what, step),
    );
    return this;
  }

  /**
   * Does it, once. Resolves to `ok: false` and what failed when a check does not hold; otherwise when the
   * commit is durable at its level. Rejects as {@link Store.set}, and with NOT_AN_INTEGER, INTEGER_OVERFLOW.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * const outcome = await db.atomic().set("a", 1).delete("b").commit({ durability: "memory" });
   * if (outcome.ok) console.log(outcome.version); // 1
   * ```
   */
  async commit(options: Pick<WriteOptions, "durability"> = {}): Promise<AtomicOutcome<Out>> {
    checkOptions(options, ["durability"], "commit");
    const level = checkDurability(options.durability);
    this.#assertUnused();
    this.#scope.core.assertOpen();
    this.#plan.done = true;
    this.#scope.core.finishMerge();
    // One moment for all: of two keys that expire together none is gone before the other.
    const nowMs = this.#scope.reader.nowMs();
    const failed = this.#failedChecks(nowMs);
    if (failed.length > 0) return { ok: false, failed };
    const writes = this.#plan.effects.values().map((wish) => resolveWish(wish, nowMs));
    return this.#scope.core.commit(writes, level, done);
  }

  #failedChecks(nowMs: number): FailedCheck[] {
    const failed: FailedCheck[] = [];
    for (const [index, { key, encoded, version, exists }] of this.#plan.checks.entries()) {
      const found = this.#versionOf(encoded, nowMs);
      const holds = version === undefined ? exists === found > 0 : version === found;
      if (!holds) failed.push({ index, key, found });
    }
    return failed;
  }

  /** 0 for a key without a value. */
  #versionOf(key: Uint8Array, nowMs: number): number {
    const { reader } = this.#scope;
    const ref = reader.engine.find(key, LATEST);
    return ref === NONE || !reader.isLive(ref, nowMs) ? 0 : reader.engine.versionOf(ref);
  }

  #write(write: LocalWrite): this {
    this.#plan.effects.put(write.key, new WriteWish(write));
    return this;
  }

  #assertUnused(): void {
    this.#scope.core.userCode.assertOutside();
    if (!this.#plan.done) return;
    throw new FulmarError("TRANSACTION_ENDED", "an atomic operation is committed once: make another one");
  }
}
