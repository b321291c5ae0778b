import { FulmarError } from "../base/errors.js";
import type { Clock, Timers } from "../base/runtime/interface.js";
import { LATEST, NONE, type Ref } from "../memory/engine.js";
import type { StatePin } from "../transaction/pins.js";
import type { StoreCore } from "./core.js";
import type { ListingSource } from "./listing.js";
import type { Reader } from "./reader.js";
import { type Scope, siblingScope } from "./scope.js";

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
  /** A record was read by its key. */
  used(ref: Ref): void;
  /** The moment as of which deadlines are judged, in wall ms. */
  nowMs(): number;
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

  assertStoreOpen(): void {
    this.#core.assertOpen();
  }

  nowMs(): number {
    return this.reader.nowMs();
  }

  findLive(key: Uint8Array, length: number, nowMs?: number): Ref {
    return this.reader.findLive(key, length, nowMs);
  }

  used(ref: Ref): void {
    this.reader.touch(ref);
  }

  pin(holder: object): StatePin {
    return this.#core.pin(holder);
  }
}

/** One state, until it is closed: what a snapshot shows in each of its namespaces. */
export class PinnedView<V> implements View<V> {
  readonly reader: Reader<V>;
  readonly #state: SnapshotState;

  constructor({ reader }: ViewParts<V>, state: SnapshotState) {
    this.reader = reader;
    this.#state = state;
  }

  /** The newest state, as of now. */
  static ofNewest<V>(parts: ViewParts<V>): PinnedView<V> {
    return new PinnedView(parts, new SnapshotState(parts.core));
  }

  /** The same state of a namespace, or of the store itself. @throws INVALID_ARGUMENT for one of another store */
  in<W>(owner: object): PinnedView<W> {
    return new PinnedView(siblingScope<never, W>(this.#state.core, owner), this.#state);
  }

  get version(): number {
    return this.#state.version;
  }

  get at(): number {
    return this.#state.version;
  }

  get keyBytesMax(): number {
    return this.#state.core.limits.keyBytesMax;
  }

  get timers(): Timers {
    return this.#state.core.timers;
  }

  get clock(): Clock {
    return this.#state.core.clock;
  }

  assertOpen(): void {
    this.#state.assertOpen();
  }

  assertStoreOpen(): void {
    this.#state.core.assertOpen();
  }

  /** Deadlines are judged as of the moment when the snapshot was taken. */
  nowMs(): number {
    return this.#state.takenMs;
  }

  findLive(key: Uint8Array, length: number): Ref {
    const { version, takenMs } = this.#state;
    const ref = this.reader.engine.find(key, version, length);
    return ref === NONE || !this.reader.isLive(ref, takenMs) ? NONE : ref;
  }

  /** Of a key that has another record by now, or none, whoever follows the use of keys knows nothing. */
  used(): void {}

  pin(): StatePin {
    return this.#state.hold();
  }

  close(): void {
    this.#state.close();
  }
}

/** The state that a snapshot shows, for all its views. */
class SnapshotState {
  readonly core: StoreCore<unknown>;
  readonly version: number;
  readonly takenMs: number;
  /** Undefined once the snapshot is closed, so that iterations which go on are all that leads there. */
  #shared: SharedPin | undefined;

  constructor(core: StoreCore<unknown>) {
    const shared = new SharedPin(core);
    this.core = core;
    this.version = shared.pin.version;
    this.takenMs = shared.pin.takenMs;
    this.#shared = shared;
  }

  assertOpen(): SharedPin {
    const shared = this.#shared;
    if (shared === undefined) throw new FulmarError("CLOSED", "the snapshot is closed: take another one");
    this.core.assertOpen();
    if (shared.pin.alive) return shared;
    throw new FulmarError(
      "ROLLED_BACK",
      "the log refused commits that this snapshot shows: take another one",
    );
  }

  /** For an iteration, which may go on after the snapshot was closed. */
  hold(): StatePin {
    return new Hold(this.assertOpen());
  }

  close(): void {
    this.#shared?.letGo();
    this.#shared = undefined;
  }
}

/**
 * A pin that is released when the last of its holders lets go of it, or when none of them can be reached any more: a
 * snapshot that is not closed, and iterations over it that have begun and not ended.
 */
class SharedPin {
  readonly pin: StatePin;
  #holders = 1;

  constructor(core: StoreCore<unknown>) {
    this.pin = core.pin(this);
  }

  hold(): void {
    this.#holders++;
  }

  letGo(): void {
    if (--this.#holders === 0) this.pin.release();
  }
}

/** What an iteration holds of a shared pin. */
class Hold implements StatePin {
  readonly version: number;
  readonly takenMs: number;
  readonly #pin: StatePin;
  /** Undefined once it is released. */
  #shared: SharedPin | undefined;

  constructor(shared: SharedPin) {
    shared.hold();
    this.#shared = shared;
    this.#pin = shared.pin;
    this.version = shared.pin.version;
    this.takenMs = shared.pin.takenMs;
  }

  get alive(): boolean {
    return this.#pin.alive;
  }

  release(): void {
    this.#shared?.letGo();
    this.#shared = undefined;
  }
}
