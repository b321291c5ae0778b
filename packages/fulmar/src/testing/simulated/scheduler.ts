import { assert } from "../../base/assert.js";
import { EventHeap, type SimulatedEvent } from "./event-heap.js";
import type { SimulatedProcess } from "./process.js";
import { Trace } from "./trace.js";

/** Where {@link Scheduler.run} ends. At least one bound should hold, or a periodic timer runs for ever. */
export interface RunOptions {
  /** Virtual time to stop at; the clock stands there afterwards even if nothing happened. */
  readonly untilMs?: number;
  /** Stops when this is true; looked at between events. */
  readonly until?: () => boolean;
  /** Most events of this run; 10 million unless given. */
  readonly stepsMax?: number;
}

/** Why a run ended: `idle` means that nothing but background timers was left. */
export interface RunResult {
  readonly reason: "idle" | "until" | "time" | "steps";
  readonly steps: number;
}

/** Whose event it is, and whether a run waits for it. */
export interface ScheduleOptions {
  readonly owner?: SimulatedProcess | undefined;
  readonly background?: boolean;
}

/** A cancellable entry of the event queue. */
export interface Scheduled {
  cancel(): void;
}

interface SoonTask {
  readonly task: () => void;
  readonly owner: SimulatedProcess | undefined;
}

const STEPS_MAX = 10_000_000;

/** A macrotask: whatever promise continuations are ready have run when it comes. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Virtual time. Events run one at a time in the order (time, insertion); after each one every promise
 * continuation and then every `soon` task runs before the next, so that a run is a function of its seed.
 * Only what waits on real input and output would break that, and the runtime seam gives no way to do so.
 */
export class Scheduler {
  readonly trace: Trace;
  readonly #heap = new EventHeap();
  #soon: SoonTask[] = [];
  #nowMs = 0;
  #number = 0;
  #foreground = 0;
  #cancelled = 0;
  #running = false;
  readonly #selfDriven: boolean;
  #selfRun: Promise<unknown> = Promise.resolve();

  /**
   * `selfDriven`: somebody awaits promises without calling {@link run}, so whatever is scheduled starts a run
   * by itself. Virtual time then leaps to the next foreground timer as soon as nothing else is ready.
   */
  constructor(trace: Trace = new Trace(), options: { readonly selfDriven?: boolean } = {}) {
    this.trace = trace;
    this.#selfDriven = options.selfDriven ?? false;
  }

  /** Virtual milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events not yet run, background ones included. */
  get waiting(): number {
    return this.#heap.size - this.#cancelled;
  }

  /** Whether a {@link soon} task waits. */
  get hasSoon(): boolean {
    return this.#soon.length > 0;
  }

  /** Runs `task` at a moment of virtual time; one in the past means now. */
  at(timeMs: number, label: string, task: () => void, options: ScheduleOptions = {}): Scheduled {
    const event: SimulatedEvent = {
      number: this.#number++,
      label,
      owner: options.owner,
      background: options.background ?? false,
      task,
      timeMs: Math.max(timeMs, this.#nowMs),
      cancelled: false,
    };
    this.#heap.push(event);
    if (!event.background) this.#foreground++;
    this.#kick();
    return { cancel: () => this.#cancel(event) };
  }

  /** Runs `task` after the present event and its promise continuations, before any other event. */
  soon(task: () => void, owner?: SimulatedProcess): void {
    this.#soon.push({ task, owner });
    this.#kick();
  }

  /** Drops everything that waits for a process. */
  forget(owner: SimulatedProcess): void {
    this.#soon = this.#soon.filter((item) => item.owner !== owner);
    this.#cancelled = 0;
    this.#foreground = 0;
    this.#heap.sweep((event) => {
      // Marked, so that cancelling it later does not count it a second time.
      if (event.owner === owner) event.cancelled = true;
      if (!event.cancelled && !event.background) this.#foreground++;
      return !event.cancelled;
    });
  }

  /** Runs events until one of the bounds of `options` or until nothing is left. */
  async run(options: RunOptions = {}): Promise<RunResult> {
    while (this.#selfDriven && this.#running) await this.#selfRun;
    assert(!this.#running, "one run of a scheduler at a time");
    this.#running = true;
    try {
      return await this.#loop(options, options.stepsMax ?? STEPS_MAX, options.untilMs);
    } finally {
      this.#running = false;
      this.#kick();
    }
  }

  /** Runs for so long in virtual time. */
  runFor(durationMs: number): Promise<RunResult> {
    return this.run({ untilMs: this.#nowMs + durationMs });
  }

  /** Drives the world until `promise` settles, and returns or throws what it does. */
  async complete<T>(promise: Promise<T>, options: RunOptions = {}): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    const result = await this.run({ ...options, until: () => settled });
    assert(settled, `the promise settles within the run (ended: ${result.reason} at ${this.#nowMs} ms)`);
    return promise;
  }

  #kick(): void {
    if (!this.#selfDriven || this.#running || (this.#soon.length === 0 && this.#foreground === 0)) return;
    this.#selfRun = this.run();
  }

  async #loop(options: RunOptions, stepsMax: number, untilMs: number | undefined): Promise<RunResult> {
    for (let steps = 0; ; steps++) {
      await macrotask();
      while (this.#soon.length > 0) await this.#runSoon();
      if (options.until?.() === true) return { reason: "until", steps };
      if (steps >= stepsMax) return { reason: "steps", steps };
      const next = this.#next();
      const past = next === undefined || (untilMs !== undefined && next.timeMs > untilMs);
      if (past && untilMs !== undefined) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return { reason: "time", steps };
      }
      if (
        next === undefined ||
        (this.#foreground === 0 && untilMs === undefined && options.until === undefined)
      ) {
        return { reason: "idle", steps };
      }
      this.#step(next);
    }
  }

  /** A batch in order, with the promise continuations of each task before the next, as Node's nextTick has it. */
  async #runSoon(): Promise<void> {
    const batch = this.#soon;
    this.#soon = [];
    for (const item of batch) {
      if (item.owner?.alive === false) continue;
      item.task();
      await macrotask();
    }
  }

  /** The next event that is neither cancelled nor of a frozen process. */
  #next(): SimulatedEvent | undefined {
    for (;;) {
      const event = this.#heap.peek();
      if (event === undefined) return undefined;
      if (event.cancelled) {
        this.#heap.pop();
        this.#cancelled--;
      } else if (event.owner !== undefined && event.owner.frozenUntilMs > event.timeMs) {
        this.#heap.pop();
        event.timeMs = event.owner.frozenUntilMs;
        this.#heap.push(event);
      } else {
        return event;
      }
    }
  }

  #step(event: SimulatedEvent): void {
    this.#heap.pop();
    if (!event.background) this.#foreground--;
    // Marked, so that cancelling a timer that has fired does nothing.
    event.cancelled = true;
    this.#nowMs = event.timeMs;
    this.trace.note(event.label, event.timeMs, event.owner?.pid ?? 0);
    event.task();
  }

  #cancel(event: SimulatedEvent): void {
    if (event.cancelled) return;
    event.cancelled = true;
    if (!event.background) this.#foreground--;
    // Each cancelled event costs memory until it is popped; half the heap is the bound.
    if (++this.#cancelled * 2 > this.#heap.size + 64) {
      this.#heap.sweep((item) => !item.cancelled);
      this.#cancelled = 0;
    }
  }
}
