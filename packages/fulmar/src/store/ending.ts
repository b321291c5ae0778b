import { onAbort } from "../base/aborts.js";
import { FulmarError } from "../base/errors.js";
import type { Runtime } from "../base/runtime/interface.js";
import type { StoreCore } from "./core.js";
import type { Isolation } from "./transaction-state.js";
import type { Durability } from "./types.js";

/** How a transaction is run, every choice made. */
export interface Plan {
  readonly isolation: Isolation;
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly durability: Durability | undefined;
}

/** What of a store can end a transaction. */
type EndingSource = Pick<StoreCore<never>, "onEnd" | "assertOpen"> & {
  readonly parts: { readonly runtime: Runtime };
};

/** What ends a transaction from outside: its time, its signal, or the end of the store. */
export class Ending {
  readonly #core: EndingSource;
  readonly #plan: Plan;
  /** When the first attempt began, by the monotonic clock. */
  readonly startMs: number;
  #reject: ((error: Error) => void) | undefined;
  #stopWatching: (() => void) | undefined;

  constructor(core: EndingSource, plan: Plan) {
    this.#core = core;
    this.#plan = plan;
    this.startMs = core.parts.runtime.clock.monotonicMs();
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

  /** From now on nothing ends it. */
  stop(): void {
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
    const unheed = signal && onAbort(signal, aborted);
    const unlisten = this.#core.onEnd((cause) => {
      this.#reject?.(cause ?? new FulmarError("CLOSED", "the store was closed during the transaction"));
    });
    this.#stopWatching = () => {
      timer.cancel();
      unheed?.();
      unlisten();
    };
  }

  #elapsedMs(): number {
    return this.#core.parts.runtime.clock.monotonicMs() - this.startMs;
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
