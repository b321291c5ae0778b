import type { MemoryEngine, Pin } from "../memory/engine.js";

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
  readonly #open = new Set<OpenPin>();

  /** `released` is called after each release, which may have left work to vacuum. */
  constructor(engine: MemoryEngine, released: () => void) {
    this.#engine = engine;
    this.#released = released;
  }

  get size(): number {
    return this.#open.size;
  }

  pin(version: number): StatePin {
    const pin = new OpenPin(this.#engine.pin(version), this.#open, this.#released);
    this.#open.add(pin);
    return pin;
  }

  /** Before the engine rolls back to `version`. */
  killAbove(version: number): void {
    for (const pin of this.#open) if (pin.version > version) pin.kill();
  }
}

class OpenPin implements StatePin {
  readonly #pin: Pin;
  readonly #open: Set<OpenPin>;
  readonly #released: () => void;
  #alive = true;

  constructor(pin: Pin, open: Set<OpenPin>, released: () => void) {
    this.#pin = pin;
    this.#open = open;
    this.#released = released;
  }

  get version(): number {
    return this.#pin.version;
  }

  get alive(): boolean {
    return this.#alive;
  }

  kill(): void {
    this.#alive = false;
  }

  release(): void {
    this.#pin.release();
    if (this.#open.delete(this)) this.#released();
  }
}
