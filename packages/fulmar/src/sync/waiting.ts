import { onAbort } from "../base/aborts.js";
import { FulmarError, FulmarTypeError } from "../base/errors.js";
import { checkOptions, integerOption, isMadeBy } from "../base/options.js";
import type { Timer } from "../base/runtime/interface.js";
import type { Coverage } from "../record/coverage.js";
import type { StorePort } from "../store/port.js";

/** What to wait for, and how long. */
export interface SyncedOptions {
  /** How many peers must have it; all that are connected, one at least, unless set. */
  readonly peers?: number | undefined;
  /** Gives up with TIMEOUT after so long. Waits for ever unless set. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait with ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

interface Waiter {
  readonly version: number;
  readonly peers: number | undefined;
  /** What peers must cover; known when this store has synced the version itself. */
  target: Coverage | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  timer: Timer | undefined;
  stopListening: (() => void) | undefined;
}

/** Those who wait until peers have what this store has. */
export class Waiting {
  readonly #port: StorePort;
  /** What each connected peer covers. */
  readonly #peers: () => Iterable<Coverage>;
  readonly #waiters = new Set<Waiter>();

  constructor(port: StorePort, peers: () => Iterable<Coverage>) {
    this.#port = port;
    this.#peers = peers;
  }

  wait(version: number | undefined, options: SyncedOptions): Promise<void> {
    checkOptions(options, ["peers", "timeoutMs", "signal"], "synced");
    const newest = this.#port.engine.version;
    const wanted = integerOption(version, "version", newest, 0, newest);
    const peers =
      options.peers === undefined ? undefined : integerOption(options.peers, "peers", 1, 1, 65_536);
    const timeoutMs =
      options.timeoutMs === undefined
        ? undefined
        : integerOption(options.timeoutMs, "timeoutMs", 0, 0, 2 ** 31 - 1);
    const { signal } = options;
    if (signal !== undefined && !isMadeBy(signal, AbortSignal)) {
      throw new FulmarTypeError("INVALID_ARGUMENT", "synced: signal must be an AbortSignal");
    }
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(new FulmarError("ABORTED", "synced: the wait was aborted", { cause: signal.reason }));
        return;
      }
      const waiter: Waiter = {
        version: wanted,
        peers,
        target: undefined,
        resolve,
        reject,
        timer: undefined,
        stopListening: undefined,
      };
      this.#waiters.add(waiter);
      if (signal !== undefined) this.#listen(waiter, signal);
      if (timeoutMs !== undefined) this.#limit(waiter, timeoutMs);
      this.#check(waiter);
    });
  }

  /** The store has synced more, or a peer has stated more. */
  check(): void {
    for (const waiter of this.#waiters) this.#check(waiter);
  }

  end(error: Error): void {
    for (const waiter of this.#waiters) this.#settle(waiter, error);
  }

  #check(waiter: Waiter): void {
    waiter.target ??= this.#target(waiter.version);
    const { target } = waiter;
    if (target === undefined) return;
    let connected = 0;
    let having = 0;
    for (const coverage of this.#peers()) {
      connected++;
      if (coverage.includes(target)) having++;
    }
    if (having >= Math.max(1, waiter.peers ?? connected)) this.#settle(waiter, undefined);
  }

  /** What this store covers once it has synced `version`; undefined before. */
  #target(version: number): Coverage | undefined {
    const cut = this.#port.cut();
    try {
      return cut.version >= version ? cut.coverage.copy() : undefined;
    } finally {
      cut.release();
    }
  }

  #listen(waiter: Waiter, signal: AbortSignal): void {
    const abort = (): void =>
      this.#settle(
        waiter,
        new FulmarError("ABORTED", "synced: the wait was aborted", { cause: signal.reason }),
      );
    waiter.stopListening = onAbort(signal, abort);
  }

  #limit(waiter: Waiter, timeoutMs: number): void {
    waiter.timer = this.#port.runtime.timers.after(timeoutMs, () =>
      this.#settle(
        waiter,
        new FulmarError(
          "TIMEOUT",
          `synced: not enough peers have version ${waiter.version} after ${timeoutMs} ms`,
        ),
      ),
    );
  }

  #settle(waiter: Waiter, error: Error | undefined): void {
    if (!this.#waiters.delete(waiter)) return;
    waiter.timer?.cancel();
    waiter.stopListening?.();
    if (error === undefined) waiter.resolve();
    else waiter.reject(error);
  }
}
