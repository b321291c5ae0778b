import { FulmarError, FulmarTypeError } from "../base/errors.js";
import { checkOptions, integerOption, isMadeBy, isRevoked, NO_OPTIONS, textOf } from "../base/options.js";
import type { Runtime, Timer, Timers } from "../base/runtime/interface.js";
import { ConflictError } from "./conflict.js";
import type { StoreCore } from "./core.js";
import { Line, type Place } from "./line.js";
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
  readonly isolation?: Isolation;
  /**
   * How often it is run again after conflicts; 20 unless set, at most 1000. After four, transactions go one after
   * the other, so that however many meet at a key all get through.
   */
  readonly retries?: number;
  /** Ends it with ABORTED; nothing of it is done then. Ignored once it is committed. */
  readonly signal?: AbortSignal;
  /** Longest time for all attempts together, in ms; 10,000 unless set. Then it ends with TIMEOUT. */
  readonly timeoutMs?: number;
  readonly durability?: Durability;
}

const TRANSACT_OPTIONS = ["isolation", "retries", "signal", "timeoutMs", "durability"] as const;
const RETRIES = 20;
const RETRIES_MAX = 1000;
const TIMEOUT_MS = 10_000;
/** The first wait is up to so long, and each next one up to twice as long ... */
const BACKOFF_MS = 1;
/** ... until after so many conflicts it stands in line with others that lost as often ... */
const CONFLICTS_ALONE = 4;
/** ... but waits for its turn no longer than this, since it may be what those before it wait for. */
const TURN_MS_MAX = 500;

/** A function that reads and writes through a transaction. It may await anything, and may run several times. */
export type TransactionBody<V, T> = (tx: Transaction<V>) => T | PromiseLike<T>;

interface Plan {
  readonly isolation: Isolation;
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly durability: Durability | undefined;
}

const USUAL_PLAN: Plan = {
  isolation: "serializable",
  retries: RETRIES,
  signal: undefined,
  timeoutMs: TIMEOUT_MS,
  durability: undefined,
};

/** Runs transactions on a store. */
export class Transactor<V> {
  readonly #core: StoreCore<unknown>;
  readonly #scope: Scope<V>;
  readonly #line = new Line();
  /** Whether the function of a transaction runs right now, up to its first `await`. */
  #entered = false;

  constructor(scope: Scope<V>) {
    this.#core = scope.core;
    this.#scope = scope;
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
      const ending = new Ending(this.#core, plan);
      ending.checkSignal();
      return this.#first(body, plan, ending);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The first attempt, and those that follow if it comes to that. */
  #first<T>(body: TransactionBody<V, T>, plan: Plan, ending: Ending): Promise<T> {
    const state = new TransactionState({ core: this.#core, isolation: plan.isolation });
    let work: Promise<T>;
    try {
      const outcome = this.#enter(body, state);
      if (!isPromiseLike(outcome)) return this.#conclude(outcome, state, plan, ending);
      work = this.#awaited(outcome, state, plan, ending);
    } catch (error) {
      state.end();
      if (!isRetryable(error)) throw error;
      work = Promise.reject(error);
    }
    return this.#goOn(work, body, plan, ending);
  }

  /** Runs it again for as long as its attempts, of which the first is under way, meet conflicts. */
  async #goOn<T>(first: Promise<T>, body: TransactionBody<V, T>, plan: Plan, ending: Ending): Promise<T> {
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          return await (attempt === 0 ? first : this.#again(body, plan, ending));
        } catch (error) {
          if (!isRetryable(error)) throw error;
          if (attempt >= plan.retries) throw atLast(error, attempt + 1);
        }
        if (attempt + 1 === CONFLICTS_ALONE) ending.place = this.#line.join();
        await ending.race(this.#backOff(attempt, ending.place));
      }
    } finally {
      ending.stop();
    }
  }

  async #again<T>(body: TransactionBody<V, T>, plan: Plan, ending: Ending): Promise<T> {
    ending.check();
    const state = new TransactionState({ core: this.#core, isolation: plan.isolation });
    try {
      const outcome = this.#enter(body, state);
      const result = isPromiseLike(outcome) ? await ending.race(outcome) : outcome;
      return await this.#conclude(result, state, plan, ending);
    } finally {
      state.end();
    }
  }

  async #awaited<T>(work: PromiseLike<T>, state: TransactionState, plan: Plan, ending: Ending): Promise<T> {
    try {
      return await this.#conclude(await ending.race(work), state, plan, ending);
    } finally {
      state.end();
    }
  }

  /** Validates and commits what a transaction wants whose function gave `result`, and ends its state. */
  #conclude<T>(result: T, state: TransactionState, plan: Plan, ending: Ending): Promise<T> {
    if (state.writes.size === 0) {
      // What it read was one state of the store, at one place in the order of commits.
      state.assertOpen();
      state.end();
      return Promise.resolve(result);
    }
    // Whoever gave the signal within the function, without an `await` behind it, means this commit, too.
    ending.check();
    const writes = state.conclude();
    // Before the commit, which finds no room where the transaction's own pin keeps everything.
    state.end();
    const { durability } = plan;
    // A promise looks for `then`, which may be code of the application: not while the commit is being made.
    const done = isInert(result)
      ? this.#core.commit(writes, durability, () => result)
      : this.#core.commit(writes, durability, () => undefined).then(() => result);
    ending.stop();
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

  /** The first retry comes at once: mostly the other one is through. */
  async #backOff(attempt: number, place: Place | undefined): Promise<void> {
    const { timers, random } = this.#core.parts.runtime;
    if (place !== undefined) return inTurn(place, timers);
    if (attempt === 0) return;
    const delayMs = random.below(BACKOFF_MS * 2 ** (attempt - 1) + 1);
    if (delayMs === 0) await timers.turn();
    else await new Promise<void>((resolve) => timers.after(delayMs, resolve));
  }
}

/** Resolves when it is the turn of a place, or when that took too long. */
async function inTurn(place: Place, timers: Timers): Promise<void> {
  // Whoever is first and lost all the same lets the winner do what comes next.
  await timers.turn();
  let timer: Timer | undefined;
  const tooLong = new Promise<void>((resolve) => {
    timer = timers.after(TURN_MS_MAX, resolve);
  });
  await Promise.race([place.turn, tooLong]);
  timer?.cancel();
}

/** What of a store can end a transaction. */
type EndingSource = Pick<StoreCore<never>, "onEnd" | "assertOpen"> & {
  readonly parts: { readonly runtime: Runtime };
};

/** What ends a transaction from outside: its time, its signal, or the end of the store. */
class Ending {
  readonly #core: EndingSource;
  readonly #plan: Plan;
  readonly #startMs: number;
  #reject: ((error: Error) => void) | undefined;
  #stopWatching: (() => void) | undefined;
  /** Where it stands in line, once it does. */
  place: Place | undefined;

  constructor(core: EndingSource, plan: Plan) {
    this.#core = core;
    this.#plan = plan;
    this.#startMs = core.parts.runtime.clock.monotonicMs();
  }

  /** Throws if the signal was given. */
  checkSignal(): void {
    if (this.#plan.signal?.aborted === true) throw this.#aborted();
  }

  /** Throws if it is over. */
  check(): void {
    this.checkSignal();
    if (this.#elapsedMs() >= this.#plan.timeoutMs) throw this.#timedOut();
  }

  /** The outcome of `work`, unless the end comes first. What comes of `work` after that is ignored. */
  race<T>(work: PromiseLike<T>): Promise<T> {
    this.#watch();
    return new Promise<T>((resolve, reject) => {
      this.#reject = reject;
      work.then(resolve, reject);
      // What came about before anybody watched is told to nobody: this throws, which rejects.
      this.check();
      this.#core.assertOpen();
    });
  }

  /** From now on nothing ends it, and nobody stands behind it. */
  stop(): void {
    this.place?.leave();
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#reject = undefined;
  }

  /** Only transactions that wait for something pay for this. */
  #watch(): void {
    if (this.#stopWatching !== undefined) return;
    const { timers } = this.#core.parts.runtime;
    const { signal, timeoutMs } = this.#plan;
    const timer = timers.after(Math.max(0, timeoutMs - this.#elapsedMs()), () =>
      this.#reject?.(this.#timedOut()),
    );
    const aborted = (): void => this.#reject?.(this.#aborted());
    signal?.addEventListener("abort", aborted, { once: true });
    const unlisten = this.#core.onEnd((cause) => {
      this.#reject?.(cause ?? new FulmarError("CLOSED", "the store was closed during the transaction"));
    });
    this.#stopWatching = () => {
      timer.cancel();
      signal?.removeEventListener("abort", aborted);
      unlisten();
    };
  }

  #elapsedMs(): number {
    return this.#core.parts.runtime.clock.monotonicMs() - this.#startMs;
  }

  #timedOut(): FulmarError {
    const { timeoutMs } = this.#plan;
    const message = `transaction over ${timeoutMs} ms, nothing of it was done: split it or raise timeoutMs`;
    return new FulmarError("TIMEOUT", message, { timeoutMs });
  }

  #aborted(): FulmarError {
    const cause: unknown = this.#plan.signal?.reason;
    return new FulmarError("ABORTED", "the signal ended the transaction; nothing of it was done", { cause });
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

/** What is thrown after the last of so many attempts. */
function atLast(error: unknown, attempts: number): unknown {
  return error instanceof ConflictError ? new ConflictError(error.conflicts, attempts) : error;
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
