import { FulmarError, FulmarTypeError } from "../base/errors.js";
import { checkOptions, integerOption, isMadeBy, isRevoked, NO_OPTIONS, textOf } from "../base/options.js";
import { Contender } from "./contender.js";
import type { StoreCore } from "./core.js";
import { Ending, type Plan } from "./ending.js";
import { Lines } from "./lines.js";
import type { Scope } from "./scope.js";
import { checkDurability } from "./settings.js";
import { Transaction } from "./transaction.js";
import { type Isolation, TransactionState } from "./transaction-state.js";
import type { Durability } from "./types.js";

/** How a transaction is run. */
export interface TransactOptions {
  /**
   * `serializable` (default): everything that was read is validated. `snapshot`: only that nobody else
   * wrote the same keys meanwhile; reads may be outdated by then (write skew is possible).
   */
  readonly isolation?: Isolation | undefined;
  /**
   * How often it is run again after conflicts; 20 unless set, at most 1000. Transactions that meet at a key go one
   * after the other from then on, so that however many there are all get through.
   */
  readonly retries?: number | undefined;
  /** Ends it with ABORTED; nothing of it is done then. Ignored once it is committed. */
  readonly signal?: AbortSignal | undefined;
  /** Longest time for all attempts together, in ms; 10,000 unless set. Then it ends with TIMEOUT. */
  readonly timeoutMs?: number | undefined;
  readonly durability?: Durability | undefined;
}

const TRANSACT_OPTIONS = ["isolation", "retries", "signal", "timeoutMs", "durability"] as const;
const RETRIES = 20;
const RETRIES_MAX = 1000;
const TIMEOUT_MS = 10_000;

/** A function that reads and writes through a transaction. It may await anything, and may run several times. */
export type TransactionBody<V, T> = (tx: Transaction<V>) => T | PromiseLike<T>;

const USUAL_PLAN: Plan = {
  isolation: "serializable",
  retries: RETRIES,
  signal: undefined,
  timeoutMs: TIMEOUT_MS,
  durability: undefined,
};

/** One call of `transact`. */
class Run<V, T> {
  readonly body: TransactionBody<V, T>;
  readonly plan: Plan;
  readonly ending: Ending;
  readonly contender: Contender;

  constructor(body: TransactionBody<V, T>, plan: Plan, core: StoreCore<unknown>, lines: Lines) {
    this.body = body;
    this.plan = plan;
    this.ending = new Ending(core, plan);
    this.contender = new Contender(lines, core.parts.runtime, plan.retries, this.ending.startMs);
  }

  /** From now on nothing ends it, and nobody stands behind it. */
  stop(): void {
    this.ending.stop();
    this.contender.leave();
  }
}

/** Runs transactions on a store. */
export class Transactor<V> {
  readonly #core: StoreCore<unknown>;
  readonly #scope: Scope<V>;
  /** Whether the function of a transaction runs right now, up to its first `await`. */
  #entered = false;
  readonly #lines: Lines;

  constructor(scope: Scope<V>) {
    const { clock, timers } = scope.core.parts.runtime;
    this.#core = scope.core;
    this.#scope = scope;
    this.#lines = new Lines(clock, timers);
  }

  /** Not `async`: most transactions meet nobody and wait for nothing, and then the commit's promise is all it takes. */
  transact<T>(body: TransactionBody<V, T>, options: TransactOptions): Promise<T> {
    try {
      const plan = resolvePlan(body, options);
      this.#core.assertOpen();
      if (this.#entered) {
        const message =
          "transact was called within the function of a transaction: use its `tx` for everything";
        throw new FulmarError("NESTED_TRANSACTION", message);
      }
      const run = new Run(body, plan, this.#core, this.#lines);
      run.ending.checkSignal();
      return this.#first(run);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The first attempt, and those that follow if it comes to that. */
  #first<T>(run: Run<V, T>): Promise<T> {
    const state = new TransactionState({ core: this.#core, isolation: run.plan.isolation });
    let work: Promise<T>;
    try {
      const outcome = this.#enter(run.body, state);
      if (!isPromiseLike(outcome)) return this.#conclude(outcome, state, run);
      work = this.#awaited(outcome, state, run);
    } catch (error) {
      state.end();
      if (!isRetryable(error)) throw error;
      work = Promise.reject(error);
    }
    return this.#goOn(work, run);
  }

  /** Runs it again for as long as its attempts, of which the first is under way, meet conflicts. */
  async #goOn<T>(first: Promise<T>, run: Run<V, T>): Promise<T> {
    const { contender, ending } = run;
    try {
      for (let attempt = first; ; attempt = this.#again(run)) {
        try {
          return await attempt;
        } catch (error) {
          if (!isRetryable(error)) throw error;
          if (contender.isAtLast) throw contender.finalError(error);
          await ending.race(contender.standInLine());
        }
      }
    } finally {
      run.stop();
    }
  }

  async #again<T>(run: Run<V, T>): Promise<T> {
    run.ending.check();
    const state = new TransactionState({ core: this.#core, isolation: run.plan.isolation });
    try {
      run.contender.begin(state);
      const outcome = this.#enter(run.body, state);
      const result = isPromiseLike(outcome) ? await run.ending.race(outcome) : outcome;
      return await this.#conclude(result, state, run);
    } finally {
      state.end();
    }
  }

  async #awaited<T>(work: PromiseLike<T>, state: TransactionState, run: Run<V, T>): Promise<T> {
    try {
      return await this.#conclude(await run.ending.race(work), state, run);
    } finally {
      state.end();
    }
  }

  /** Validates and commits what a transaction wants whose function gave `result`, and ends its state. */
  #conclude<T>(result: T, state: TransactionState, run: Run<V, T>): Promise<T> {
    // Whoever gave the signal within the function, without an `await` behind it, means what it came to, too.
    run.ending.check();
    if (state.writes.size === 0) {
      // What it read was one state of the store, at one place in the order of commits.
      state.assertOpen();
      state.end();
      return Promise.resolve(result);
    }
    run.contender.check(state);
    const writes = state.conclude();
    // Before the commit, which finds no room where the transaction's own pin keeps everything.
    state.end();
    const { durability } = run.plan;
    // A promise looks for `then`, which may be code of the application: not while the commit is being made.
    const done = isInert(result)
      ? this.#core.commit(writes, durability, () => result)
      : this.#core.commit(writes, durability, () => undefined).then(() => result);
    run.stop();
    return done;
  }

  #enter<T>(body: TransactionBody<V, T>, state: TransactionState): T | PromiseLike<T> {
    this.#entered = true;
    try {
      return body(new Transaction(state, this.#scope));
    } finally {
      this.#entered = false;
    }
  }
}

/** Whether nothing can happen when a promise is resolved with it. */
function isInert(value: unknown): boolean {
  return value === null || (typeof value !== "object" && typeof value !== "function");
}

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  if (typeof value !== "object" || value === null || isRevoked(value)) return false;
  return "then" in value && typeof value.then === "function";
}

/** Conflicts, and states of the store that are gone, are met by running again. */
function isRetryable(error: unknown): boolean {
  return isMadeBy(error, FulmarError) && (error.code === "CONFLICT" || error.code === "ROLLED_BACK");
}

function resolvePlan(body: unknown, options: TransactOptions): Plan {
  checkOptions(options, TRANSACT_OPTIONS, "transact");
  if (typeof body !== "function") {
    throw new FulmarTypeError("INVALID_ARGUMENT", "transact: the first argument must be a function");
  }
  if (options === NO_OPTIONS) return USUAL_PLAN;
  const { isolation, signal } = options;
  if (isolation !== undefined && isolation !== "serializable" && isolation !== "snapshot") {
    const message = `isolation must be "serializable" or "snapshot", not ${textOf(isolation)}`;
    throw new FulmarTypeError("INVALID_ARGUMENT", message);
  }
  if (signal !== undefined && !isMadeBy(signal, AbortSignal)) {
    throw new FulmarTypeError("INVALID_ARGUMENT", "signal must be an AbortSignal");
  }
  return {
    isolation: isolation ?? "serializable",
    retries: integerOption(options.retries, "retries", RETRIES, 0, RETRIES_MAX),
    signal,
    timeoutMs: integerOption(options.timeoutMs, "timeoutMs", TIMEOUT_MS, 1, 3_600_000),
    durability: checkDurability(options.durability),
  };
}
