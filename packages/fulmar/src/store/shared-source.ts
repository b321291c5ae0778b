import { FulmarError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import type { Clock, ThreadChannel, Threads } from "../base/runtime/interface.js";
import { isEmptyRange, type KeyRange } from "../keys/range.js";
import { NONE, type Ref } from "../memory/engine.js";
import {
  type Batch,
  copyEntry,
  copyValue,
  isLiveAt,
  readBatch,
  type Wanted,
} from "../memory/shared/batch.js";
import { ReaderTree } from "../memory/shared/reader-tree.js";
import { ReaderSession, type ReaderState } from "../memory/shared/session.js";
import { SharedView } from "../memory/shared/view.js";
import { flagsOf, hlcOf, originOf, seqOf } from "../record/entry.js";
import { wallMsOf } from "../record/hybrid-clock.js";
import { OriginTable } from "../record/origins.js";
import type { Stamp } from "../record/stamp.js";
import type { ListShape } from "./list-options.js";
import type { AttachedMessage, OwnerMessage } from "./reader-messages.js";
import { ValuePool } from "./value-pool.js";

/** Entries that the first read of an iteration copies; each further one twice as many, up to a bound. */
const FIRST_BATCH = 16;
const BATCH_MAX = 1024;

/** What a reader has of its store and of its thread. */
export interface SharedSourceParts {
  readonly channel: ThreadChannel;
  readonly attached: AttachedMessage;
  readonly clock: Clock;
  readonly threads: Threads;
}

/** A copy of an entry, and the version of its commit. */
export interface CopiedEntry {
  readonly bytes: Uint8Array;
  readonly version: number;
}

/**
 * The store's memory as a reader on another thread sees it: bytes of encoded keys, all of one state. What is read of
 * the store's own keys and of its namespaces comes from here, so that all of it is of the same state.
 */
export class SharedSource {
  readonly limits: Limits;
  readonly pool: ValuePool;
  readonly #channel: ThreadChannel;
  readonly #clock: Clock;
  readonly #origins = new OriginTable();
  readonly #view: SharedView;
  readonly #session: ReaderSession;
  readonly #tree: ReaderTree;
  readonly #take: (length: number) => Uint8Array;
  #state: ReaderState;
  #latestMs = 0;

  constructor({ channel, attached, clock, threads }: SharedSourceParts) {
    this.#channel = channel;
    this.#clock = clock;
    this.limits = attached.limits;
    const pool = new ValuePool(threads);
    this.pool = pool;
    this.#take = (length) => pool.take(length);
    const learn = (): void => this.#learn();
    this.#view = new SharedView(attached.layout, learn);
    this.#session = new ReaderSession(attached.control, attached.block, learn);
    this.#tree = new ReaderTree(this.#view, attached.control, this.#session);
    for (const [kind, number, buffer] of attached.buffers) this.#view.map(kind, number, buffer);
    for (const id of attached.origins) this.#origins.intern(id);
    this.#state = this.#session.refresh();
  }

  /** The state that all reads are of; another object after each refresh. */
  get state(): ReaderState {
    return this.#state;
  }

  /** Goes on to the newest state. @throws CLOSED, REVOKED, TIMEOUT */
  refresh(): void {
    this.#state = this.#session.refresh();
  }

  close(): void {
    this.#session.close();
    this.#channel.close();
  }

  /** Something that the store told. */
  receive(message: OwnerMessage): void {
    if (message.type === "memory") this.#view.map(message.kind, message.number, message.buffer);
    else if (message.type === "origins") for (const id of message.origins) this.#origins.intern(id);
  }

  /** Whether a key has a value. */
  has(encoded: Uint8Array): boolean {
    return this.#session.read(() => this.#findLive(encoded) !== NONE);
  }

  /** A copy of the value of a key. */
  value(encoded: Uint8Array): Uint8Array | undefined {
    return this.#session.read(() => {
      const ref = this.#findLive(encoded);
      return ref === NONE ? undefined : copyValue(this.#view, ref, this.#take);
    });
  }

  /** A copy of the live entry of a key. */
  entry(encoded: Uint8Array): CopiedEntry | undefined {
    const view = this.#view;
    return this.#session.read(() => {
      const ref = this.#findLive(encoded);
      if (ref === NONE) return undefined;
      const length = view.checkedLength(ref, true);
      const bytes = new Uint8Array(length);
      copyEntry(view, ref, length, bytes, 0);
      return { bytes, version: view.versionOf(ref) };
    });
  }

  /** The stamp of a copied entry. */
  stamp(bytes: Uint8Array, at: number): Stamp {
    const origin = originOf(bytes, at);
    if (origin > this.#origins.size) this.#learn();
    return { hlc: hlcOf(bytes, at), origin: this.#origins.id(origin), seq: seqOf(bytes, at) };
  }

  /** Live entries of some ranges: each batch is a read of its own, all of one state and one moment. */
  *batches(
    ranges: readonly KeyRange[],
    { reverse, limit }: ListShape,
    wanted: Wanted,
    nowMs = this.nowMs(),
  ): Generator<Batch> {
    const state = this.#state;
    let left = limit;
    let size = wanted === "count" ? Number.POSITIVE_INFINITY : FIRST_BATCH;
    for (const whole of reverse ? [...ranges].reverse() : ranges) {
      let range: KeyRange | undefined = whole;
      while (range !== undefined && left > 0 && !isEmptyRange(range)) {
        this.assertAt(state);
        const request = {
          range,
          reverse,
          version: state.version,
          nowMs,
          wanted,
          limit: Math.min(left, size),
        };
        const batch: Batch = this.#session.read(() => readBatch(this.#view, this.#tree, request));
        yield batch;
        left -= batch.count;
        size = Math.min(2 * size, wanted === "count" ? size : BATCH_MAX);
        range = batch.rest;
      }
    }
  }

  /** @throws REVOKED when this is no longer the state that is read */
  assertAt(state: ReaderState): void {
    if (this.#state === state) return;
    throw new FulmarError("REVOKED", "the reader was refreshed during this iteration: begin it again");
  }

  #learn(): void {
    for (let news = this.#channel.receive(); news !== undefined; news = this.#channel.receive()) {
      this.receive(news as OwnerMessage);
    }
  }

  /**
   * The machine's clock, unless the store's own was ahead of it when the state was published. It never goes back:
   * what has expired stays so.
   */
  nowMs(): number {
    this.#latestMs = Math.max(this.#latestMs, wallMsOf(this.#clock), this.#state.timeMs);
    return this.#latestMs;
  }

  /** The record of a key if it can be read now; within a read. */
  #findLive(encoded: Uint8Array): Ref {
    const ref = this.#tree.find(encoded, this.#state.version);
    if (ref === NONE) return NONE;
    const flags = flagsOf(this.#view.slab(ref), this.#view.offset(ref));
    // Most entries have no flag: then no clock is read.
    return flags === 0 || isLiveAt(this.#view, ref, this.nowMs()) ? ref : NONE;
  }
}
