import type { Clock, Timer, Timers } from "../base/runtime/interface.js";
import { keyText } from "../keys/key-text.js";

/** A turn lasts so long at least ... */
const TURN_MS = 50;
/** ... and so many times what the last attempt took: whoever takes longer may be what those behind it wait for. */
const TURN_TIMES = 4;
/** Attempts that take so long have no lines but one, of those that lost again and again ... */
const LONG_MS = 100;
/** ... where a turn lasts so long. */
const LAST_TURN_MS = 500;
/** The line of those that lost again and again, whatever at. No key is empty. */
export const EVERYWHERE = "";
/** That of the long ones among them: whoever takes long is not waited for in lines of keys. No key has this unit. */
const EVERYWHERE_LONG = "\u{100}";

/** Whether an attempt takes so long that it does not stand where others wait for nothing. */
export function isLong(tookMs: number): boolean {
  return tookMs >= LONG_MS;
}

/** A transaction's place in all the lines that it stands in. */
export interface Place {
  /** Resolves when nobody stands before it in any of them. */
  readonly turn: Promise<void>;
  /** Whether its turn has come and is not over. */
  readonly hasTurn: boolean;
  /** Whether it has lost so often that it goes alone, and it is its turn. */
  readonly isAlone: boolean;
  /** Whether what was lost since is lost at nothing new. Who goes alone does so wherever it loses. */
  covers(keys: readonly string[], isLast: boolean): boolean;
  /** Tells what the attempt that begins has read, at each moment: who goes alone must not lose that. */
  guard(hasRead: (key: Uint8Array) => boolean): void;
  /** Idempotent. */
  leave(): void;
}

/** What a transaction lost, for lines. */
export interface Loss {
  /** The texts of keys that it lost at. */
  readonly keys: Iterable<string>;
  /** How long the attempt took, in ms. */
  readonly tookMs: number;
  /** Whether it has lost so often that it goes alone. */
  readonly isLast: boolean;
}

/**
 * Where transactions stand that lost, a line for each key that they lost at, so that they go one after the other
 * there, and beside each other at different keys: at random each would go on losing to all the others. Nothing is
 * locked. Who stands first in all its lines has its turn, and for a short while those that came later
 * and want to write these keys give way to it. Since one joins all its lines at once, the oldest of all
 * waits for nobody, and no two wait for each other. For those that meet at another key each time there is one more
 * line, and others give way to its first wherever that has read.
 */
export class Lines {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #timers: Pick<Timers, "after">;
  readonly #lines = new Map<string, Set<Waiting>>();

  constructor(clock: Pick<Clock, "monotonicMs">, timers: Pick<Timers, "after">) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Whether nobody stands in any line. */
  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  join({ keys, tookMs, isLast }: Loss): Place {
    // Long attempts would hold up the others, and find their keys changed all the same.
    const isShort = !isLong(tookMs);
    const everywhere = isShort ? EVERYWHERE : EVERYWHERE_LONG;
    const names = [...(isShort ? keys : []), ...(isLast ? [everywhere] : [])];
    const turnMs = Math.max(TURN_MS, TURN_TIMES * tookMs);
    const waiting = new Waiting(this, names, isLast, isShort ? turnMs : 0, isLast ? LAST_TURN_MS : turnMs);
    for (const name of names) {
      const line = this.#lines.get(name);
      if (line === undefined) this.#lines.set(name, new Set([waiting]));
      else line.add(waiting);
    }
    this.#callIfFirst(waiting);
    return waiting;
  }

  /**
   * The line, by its name, in which another one than `own` has its turn that a write of these keys would cost it: that
   * of the first key where there is one, and {@link EVERYWHERE} where who goes alone has read a key.
   */
  firstTaken(keys: Iterable<Uint8Array>, own?: Place): string | undefined {
    const alone = this.#protectedIn(EVERYWHERE);
    for (const key of keys) {
      const name = keyText(key);
      const isOwn = own?.hasTurn === true && own.covers([name], false);
      if (!isOwn && this.#protectedIn(name) !== undefined) return name;
      if (alone?.hasRead(key) === true) return EVERYWHERE;
    }
    return undefined;
  }

  /** Who has its turn in a line, and others give way to. */
  #protectedIn(name: string): Waiting | undefined {
    const first = firstOf(this.#lines.get(name));
    if (first === undefined || this.#clock.monotonicMs() - first.calledMs >= first.protectedMs)
      return undefined;
    return first;
  }

  #callIfFirst(waiting: Waiting): void {
    if (!waiting.names.every((name) => firstOf(this.#lines.get(name)) === waiting)) return;
    const timer = this.#timers.after(waiting.holdMs, () => waiting.leave());
    waiting.call(this.#clock.monotonicMs(), timer);
  }

  /** Takes one that is done out of its lines, and calls whoever is first now. */
  drop(waiting: Waiting): void {
    const next = new Set<Waiting>();
    for (const name of waiting.names) {
      const line = this.#lines.get(name);
      const wasFirst = firstOf(line) === waiting;
      line?.delete(waiting);
      const first = firstOf(line);
      if (first === undefined) this.#lines.delete(name);
      else if (wasFirst) next.add(first);
    }
    for (const first of next) this.#callIfFirst(first);
  }
}

class Waiting implements Place {
  readonly names: readonly string[];
  /** For how long others give way to it once its turn has come. */
  readonly protectedMs: number;
  /** For how long its turn lasts. */
  readonly holdMs: number;
  readonly turn: Promise<void>;
  hasRead: (key: Uint8Array) => boolean = () => false;
  /** When its turn came. */
  calledMs = Number.NEGATIVE_INFINITY;
  readonly #lines: Lines;
  /** Whether it has lost so often that it goes alone. */
  readonly #isLast: boolean;
  #timer: Timer | undefined;
  #hasLeft = false;
  #resolve: () => void = () => undefined;

  constructor(lines: Lines, names: readonly string[], isLast: boolean, protectedMs: number, holdMs: number) {
    this.names = names;
    this.#lines = lines;
    this.#isLast = isLast;
    this.protectedMs = protectedMs;
    this.holdMs = holdMs;
    this.turn = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get hasTurn(): boolean {
    return this.calledMs >= 0 && !this.#hasLeft;
  }

  get isAlone(): boolean {
    return this.hasTurn && this.#isLast;
  }

  covers(keys: readonly string[], isLast: boolean): boolean {
    return this.#isLast || (!isLast && keys.every((key) => this.names.includes(key)));
  }

  guard(hasRead: (key: Uint8Array) => boolean): void {
    this.hasRead = hasRead;
  }

  call(nowMs: number, timer: Timer): void {
    this.calledMs = nowMs;
    this.#timer = timer;
    this.#resolve();
  }

  leave(): void {
    this.#hasLeft = true;
    this.#timer?.cancel();
    this.#lines.drop(this);
  }
}

function firstOf(line: Set<Waiting> | undefined): Waiting | undefined {
  return line?.values().next().value;
}
