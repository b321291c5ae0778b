import { FulmarError } from "../base/errors.js";
import type { Clock, Timers } from "../base/runtime/interface.js";
import { LATEST, NONE, type Ref } from "../memory/engine.js";
import type { StatePin } from "../transaction/pins.js";
import type { StoreCore } from "./core.js";
import type { ListingSource } from "./listing.js";
import type { Reader } from "./reader.js";
import type { Scope } from "./scope.js";

/** What is read, and how. */
type ViewParts<V> = Pick<Scope<never, V>, "core" | "reader">;

/** A state of the store to read from. */
export interface View<V> extends ListingSource<V> {
  /** Number of the newest commit in it. */
  readonly version: number;
  /** At which version the engine is asked. */
  readonly at: number;
  readonly keyBytesMax: number;
  assertOpen(): void;
  /** The record of the key `key[0, length)` if it can be read, at `nowMs` if that is given, or NONE. */
  findLive(key: Uint8Array, length: number, nowMs?: number): Ref;
}

/** Whatever is newest, at each moment anew. */
export class NewestView<V> implements View<V> {
  readonly at = LATEST;
  readonly reader: Reader<V>;
  readonly #core: StoreCore<unknown>;

  constructor({ core, reader }: ViewParts<V>) {
    this.#core = core;
    this.reader = reader;
  }

  get version(): number {
    return this.#core.engine.version;
  }

  get keyBytesMax(): number {
    return this.#core.limits.keyBytesMax;
  }

  get timers(): Timers {
    return this.#core.timers;
  }

  get clock(): Clock {
    return this.#core.clock;
  }

  assertOpen(): void {
    this.#core.assertOpen();
  }

  nowMs(): number {
    return this.reader.nowMs();
  }

  findLive(key: Uint8Array, length: number, nowMs?: number): Ref {
    return this.reader.findLive(key, length, nowMs);
  }

  pin(): StatePin {
    return this.#core.pin();
  }
}

/** One state, for as long as it is held: until it is closed and the last iteration over it has ended. */
export class PinnedView<V> implements View<V> {
  readonly reader: Reader<V>;
  readonly version: number;
  readonly #core: StoreCore<unknown>;
  readonly #pin: StatePin;
  readonly #nowMs: number;
  #holders = 1;
  #closed = false;

  constructor({ core, reader }: ViewParts<V>) {
    this.#core = core;
    this.reader = reader;
    this.#pin = core.pin();
    this.version = this.#pin.version;
    this.#nowMs = core.reader.nowMs();
  }

  get at(): number {
    return this.version;
  }

  get keyBytesMax(): number {
    return this.#core.limits.keyBytesMax;
  }

  get timers(): Timers {
    return this.#core.timers;
  }

  get clock(): Clock {
    return this.#core.clock;
  }

  assertOpen(): void {
    if (this.#closed) throw new FulmarError("CLOSED", "the snapshot is closed: take another one");
    this.#core.assertOpen();
    if (this.#pin.alive) return;
    throw new FulmarError(
      "ROLLED_BACK",
      "the log refused commits that this snapshot shows: take another one",
    );
  }

  /** Deadlines are judged as of the moment when the snapshot was taken. */
  nowMs(): number {
    return this.#nowMs;
  }

  findLive(key: Uint8Array, length: number): Ref {
    const ref = this.reader.engine.find(key, this.version, length);
    return ref === NONE || !this.reader.isLive(ref, this.#nowMs) ? NONE : ref;
  }

  pin(): StatePin {
    this.assertOpen();
    this.#holders++;
    let held = true;
    const pin = this.#pin;
    return {
      version: this.version,
      get alive() {
        return pin.alive;
      },
      release: () => {
        if (held) this.#letGo();
        held = false;
      },
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#letGo();
  }

  #letGo(): void {
    if (--this.#holders === 0) this.#pin.release();
  }
}
