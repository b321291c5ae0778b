import type { MemoryEngine, Pin, PinOwner } from "../memory/engine.js";

export type { PinOwner };

/** A pinned version of the store. */
export interface StatePin {
  readonly version: number;
  /** False once the log refused commits that this state shows: it is no state of the store any more. */
  readonly alive: boolean;
  /** Idempotent. */
  release(): void;
}

/** The pins on an engine, so that a rollback can declare those above it dead. */
export class Pins {
  readonly #engine: MemoryEngine;
  readonly #released: () => void;
  /**
   * The open ones come first, in no order; each knows its place. Most of them are there for the time of a short
   * listing, and an array that became shorter each time would be made anew each time.
   */
  readonly #open: (OpenPin | undefined)[] = [];
  #size = 0;

  /** `released` is called after each release, which may have left work to vacuum. */
  constructor(engine: MemoryEngine, released: () => void) {
    this.#engine = engine;
    this.#released = released;
  }

  get size(): number {
    return this.#size;
  }

  pin(version: number, owner: PinOwner): StatePin {
    const pin = new OpenPin(this.#engine.pin(version, owner), this, this.#size);
    this.#open[this.#size++] = pin;
    return pin;
  }

  /** Before the engine rolls back to `version`. */
  killAbove(version: number): void {
    for (const pin of this.#open) if (pin !== undefined && pin.version > version) pin.alive = false;
  }

  /** Forgets the pin in a place. */
  close(place: number): void {
    const last = this.#open[--this.#size];
    this.#open[this.#size] = undefined;
    if (last !== undefined && this.#size !== place) {
      this.#open[place] = last;
      last.place = place;
    }
    this.#released();
  }
}

const CLOSED = -1;

class OpenPin implements StatePin {
  readonly version: number;
  alive = true;
  /** Where it is among the open ones. */
  place: number;
  readonly #pin: Pin;
  readonly #pins: Pins;

  constructor(pin: Pin, pins: Pins, place: number) {
    this.version = pin.version;
    this.#pin = pin;
    this.#pins = pins;
    this.place = place;
  }

  release(): void {
    if (this.place === CLOSED) return;
    const { place } = this;
    this.place = CLOSED;
    this.#pin.release();
    this.#pins.close(place);
  }
}
