import type { FinalizationList, Runtime } from "../base/runtime/interface.js";
import type { MemoryEngine, Pin, PinOwner } from "../memory/engine.js";
import type { HybridClock } from "../record/hybrid-clock.js";

export type { PinOwner };

/** Open pins whose holders are reachable from here at most: beyond that they are left to the garbage collector. */
const YOUNG_MAX = 64;

/** A pinned version of the store. */
export interface StatePin {
  readonly version: number;
  /** The moment at which the state was taken, in wall ms: who reads it judges deadlines as of then. */
  readonly takenMs: number;
  /** False once the log refused commits that this state shows: it is no state of the store any more. */
  readonly alive: boolean;
  /** Idempotent. */
  release(): void;
}

/** What is pinned, when, and how it is told that nobody can read by a pin any more. */
export interface PinsParts {
  readonly engine: Pick<MemoryEngine, "pin">;
  readonly clock: Pick<HybridClock, "nowMs">;
  readonly runtime: Pick<Runtime, "finalization">;
}

/**
 * The pins on an engine, so that a rollback can declare those above it dead, and so that one whose holder is garbage
 * is released.
 *
 * To tell the garbage collector of a holder takes longer than a short listing, nearly all of which end in the turn in
 * which they begin. So each holder is first kept reachable, and only what is still open when it begins to matter is
 * {@link entrust}ed to the collector.
 */
export class Pins {
  readonly #parts: PinsParts;
  readonly #released: () => void;
  /** Those whose holders are reachable through them. */
  readonly #young = new PinList();
  readonly #others = new PinList();
  readonly #collected: FinalizationList<OpenPin>;

  /** `released` is called after each release, which may have left work to vacuum. */
  constructor(parts: PinsParts, released: () => void) {
    this.#parts = parts;
    this.#released = released;
    this.#collected = parts.runtime.finalization.list((pin) => pin.release());
  }

  get size(): number {
    return this.#young.size + this.#others.size;
  }

  /**
   * Once nobody can reach `holder` any more the pin is released, some time or other; without one only
   * {@link StatePin.release} does that. Whoever reads by the pin must be reachable only together with the holder, and
   * nothing that the store keeps may lead there.
   */
  pin(version: number, owner: PinOwner, holder?: object): StatePin {
    const { engine, clock } = this.#parts;
    const list = holder === undefined ? this.#others : this.#young;
    const pin = new OpenPin(this, engine.pin(version, owner), clock.nowMs(), holder);
    list.add(pin);
    if (this.#young.size > YOUNG_MAX) this.entrust();
    return pin;
  }

  /**
   * Leaves every holder to the garbage collector. To be called when a state may begin to keep what would otherwise
   * go: after a commit, and while memory is given back.
   */
  entrust(): void {
    for (let pin = this.#young.last; pin !== undefined; pin = this.#young.last) {
      const { holder } = pin;
      this.#young.remove(pin);
      this.#others.add(pin);
      pin.holder = undefined;
      if (holder === undefined) continue;
      pin.isEntrusted = true;
      this.#collected.add(holder, pin);
    }
  }

  /** Before the engine rolls back to `version`. */
  killAbove(version: number): void {
    for (const list of [this.#young, this.#others]) {
      for (const pin of list) if (pin.version > version) pin.alive = false;
    }
  }

  /** The oldest state that is pinned. */
  get oldest(): StatePin | undefined {
    let oldest: StatePin | undefined;
    for (const list of [this.#young, this.#others]) {
      for (const pin of list) if (oldest === undefined || isOlder(pin, oldest)) oldest = pin;
    }
    return oldest;
  }

  /** For how long a state is pinned by now. */
  ageMs({ takenMs }: StatePin): number {
    return this.#parts.clock.nowMs() - takenMs;
  }

  /** Forgets a pin that was released. */
  close(pin: OpenPin): void {
    if (pin.isEntrusted) this.#collected.remove(pin);
    this.#released();
  }
}

function isOlder(pin: StatePin, than: StatePin): boolean {
  return pin.version < than.version || (pin.version === than.version && pin.takenMs < than.takenMs);
}

/**
 * Open pins, in no order; each knows its place. Most of them are there for the time of a short listing, and an array
 * that became shorter each time would be made anew each time.
 */
class PinList {
  readonly #pins: (OpenPin | undefined)[] = [];
  size = 0;

  /** Any of them. */
  get last(): OpenPin | undefined {
    return this.size === 0 ? undefined : this.#pins[this.size - 1];
  }

  add(pin: OpenPin): void {
    pin.list = this;
    pin.place = this.size;
    this.#pins[this.size++] = pin;
  }

  remove(pin: OpenPin): void {
    const { place } = pin;
    const last = this.#pins[--this.size];
    this.#pins[this.size] = undefined;
    pin.list = undefined;
    if (last === undefined || last === pin) return;
    this.#pins[place] = last;
    last.place = place;
  }

  *[Symbol.iterator](): IterableIterator<OpenPin> {
    for (let i = 0; i < this.size; i++) {
      const pin = this.#pins[i];
      if (pin !== undefined) yield pin;
    }
  }
}

class OpenPin implements StatePin {
  readonly version: number;
  readonly takenMs: number;
  alive = true;
  /** Where it is among the open ones; no list once it is released. */
  list: PinList | undefined;
  place = 0;
  /** Kept reachable for as long as it is here. */
  holder: object | undefined;
  isEntrusted = false;
  readonly #pins: Pins;
  readonly #pin: Pin;

  constructor(pins: Pins, pin: Pin, takenMs: number, holder: object | undefined) {
    this.version = pin.version;
    this.takenMs = takenMs;
    this.holder = holder;
    this.#pins = pins;
    this.#pin = pin;
  }

  release(): void {
    if (this.list === undefined) return;
    this.list.remove(this);
    this.#pin.release();
    this.#pins.close(this);
  }
}
