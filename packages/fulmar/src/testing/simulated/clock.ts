import type { Clock, Timer, Timers } from "../../base/runtime/interface.js";
import { checkNumbers, membersOf } from "../check.js";
import type { SimulatedProcess } from "./process.js";
import type { Scheduler } from "./scheduler.js";

/** 2026-01-01T00:00:00Z: the wall time at which every world begins. */
const EPOCH_MS = 1_767_225_600_000;
/** Turns take some virtual time, so that a loop of them cannot stop the clock. */
const TURN_MS = 0.001;

/** How far a machine's clock is from the truth. */
export interface ClockOptions {
  /** Wall time minus true time at the beginning. */
  readonly offsetMs?: number;
  /** Milliseconds that this clock gains per true millisecond: 0.0001 is 100 ppm fast. */
  readonly drift?: number;
  /** Wall time shows multiples of this only: a coarse clock. 1 unless given. */
  readonly resolutionMs?: number;
  /** Virtual time that one turn of the event loop takes: more on a machine with little to spare. 0.001 unless given. */
  readonly turnMs?: number;
}

const MS_MAX = Number.MAX_SAFE_INTEGER;
const NUMBERS = {
  offsetMs: [-MS_MAX, MS_MAX],
  drift: [-0.5, 1],
  resolutionMs: [1, MS_MAX],
  turnMs: [TURN_MS, MS_MAX],
} as const satisfies Record<keyof ClockOptions, readonly [number, number]>;

/** The clock of one machine: offset, drift, steps and jumps of wall time. Monotonic time drifts but never jumps. */
export class SimulatedClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #rate: number;
  readonly #resolutionMs: number;
  /** Virtual ms. */
  readonly turnMs: number;
  #offsetMs: number;

  constructor(scheduler: Scheduler, options: ClockOptions = {}) {
    checkNumbers(membersOf(options, Object.keys(NUMBERS), "SimulatedClock"), NUMBERS);
    this.#scheduler = scheduler;
    this.#rate = 1 + (options.drift ?? 0);
    this.#offsetMs = options.offsetMs ?? 0;
    this.#resolutionMs = options.resolutionMs ?? 1;
    this.turnMs = options.turnMs ?? TURN_MS;
  }

  wallMs(): number {
    const exactMs = EPOCH_MS + this.#offsetMs + this.#scheduler.nowMs * this.#rate;
    return Math.floor(exactMs / this.#resolutionMs) * this.#resolutionMs;
  }

  monotonicMs(): number {
    return this.#scheduler.nowMs * this.#rate;
  }

  /** Sets wall time forward, or back when negative, as an operator or a time service may. */
  jump(byMs: number): void {
    this.#offsetMs += byMs;
  }

  /** True milliseconds that pass while this clock counts `localMs`. */
  trueMs(localMs: number): number {
    return localMs / this.#rate;
  }
}

/** Timers of one process on virtual time; they end with the process. */
export class SimulatedTimers implements Timers {
  readonly #scheduler: Scheduler;
  readonly #clock: SimulatedClock;
  readonly #process: SimulatedProcess;

  constructor(scheduler: Scheduler, clock: SimulatedClock, process: SimulatedProcess) {
    this.#scheduler = scheduler;
    this.#clock = clock;
    this.#process = process;
    process.onKill(() => scheduler.forget(process));
  }

  soon(task: () => void): void {
    if (this.#process.alive) this.#scheduler.soon(task, this.#process);
  }

  after(delayMs: number, task: () => void, options: { readonly background?: boolean } = {}): Timer {
    if (!this.#process.alive) return { cancel: () => {} };
    const timeMs = this.#scheduler.nowMs + this.#clock.trueMs(Math.max(0, delayMs));
    return this.#scheduler.at(timeMs, "timer", task, {
      owner: this.#process,
      background: options.background ?? false,
    });
  }

  /** Never resolves for a process that died meanwhile: its program stopped here. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#process.alive) return;
      const timeMs = this.#scheduler.nowMs + this.#clock.turnMs;
      this.#scheduler.at(timeMs, "turn", resolve, { owner: this.#process });
    });
  }
}
