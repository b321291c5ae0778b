import { FulmarError, FulmarTypeError } from "../../base/errors.js";
import type { Diagnostics } from "../../base/runtime/interface.js";
import { tell } from "../../base/tell.js";
import type { CommitHistory } from "../../durability/history.js";
import type { Key } from "../../keys/key.js";
import { type MemoryEngine, NONE, type Ref } from "../../memory/engine.js";
import type { Changed, Committer } from "../../transaction/committer.js";
import type { CommitNotice } from "../../transaction/publication.js";
import type { RangeOptions } from "../types.js";
import type { ChangeMaker, Shown } from "./changes.js";
import { Interests } from "./interests.js";
import { type ListenOptions, listenSignal, type WatchHow, watchedRanges, watchPlan } from "./request.js";
import { WatchStream } from "./stream.js";
import { isListening, ListenerWatch, type Subscriber, type Watch } from "./subscriber.js";

export interface WatchersParts {
  readonly engine: MemoryEngine;
  readonly diagnostics: Diagnostics;
  readonly committer: Committer;
  readonly history: CommitHistory;
  readonly keyBytesMax: number;
}

/** Whom a commit is shown to, and what of it. */
type Delivery = readonly [Subscriber<unknown>, ReadonlySet<Shown<unknown>>];

/** The watches of a store: whole commits, in order, once published. */
export class Watchers {
  readonly #parts: WatchersParts;
  readonly #interests = new Interests<Subscriber<unknown>>();
  readonly #all = new Set<Subscriber<unknown>>();
  /** Wait for more to be published than was when they looked. */
  #waiting: (() => void)[] = [];
  #added = 0;
  /** One for all times: V8 would compile commits anew for another one. */
  readonly #interest = (changed: Changed): boolean => this.#concerns(changed);

  constructor(parts: WatchersParts) {
    this.#parts = parts;
  }

  /** Watches keys of the store or namespace that `changes` are of. */
  watch<V>(
    changes: ChangeMaker<V>,
    keys: Key | RangeOptions,
    how: WatchHow<V>,
    listening?: ListenOptions,
  ): Watch | WatchStream<V> {
    const ranges = watchedRanges(keys, changes.reader.space, this.#parts.keyBytesMax);
    const leave = (one: Subscriber<V>): void => this.#remove(one as Subscriber<unknown>);
    const context = { ranges, changes, order: ++this.#added, leave };
    const { committer, history } = this.#parts;
    const source = {
      history,
      published: () => committer.publishedVersion,
      newest: () => committer.newestVersion,
      onPublished: (wake: () => void) => void this.#waiting.push(wake),
    };
    if (typeof how === "function") {
      const signal = listenSignal(listening);
      return this.#add(new ListenerWatch(context, how, committer.newestVersion, signal));
    }
    if (listening !== undefined) {
      const message = "watch: options of a stream are the second argument, and there is no third one";
      throw new FulmarTypeError("INVALID_ARGUMENT", message);
    }
    if (typeof how !== "object" || how === null) {
      const message = "watch: the second argument is a listener, which must be a function, or options";
      throw new FulmarTypeError("INVALID_ARGUMENT", message);
    }
    const stream = new WatchStream(context, source, watchPlan(how));
    return this.#add(stream);
  }

  /** Shows commits to whom they concern, listeners in the order in which they were added. */
  publish(notices: readonly CommitNotice[]): void {
    for (const notice of notices) this.#publishOne(notice);
    this.wake();
  }

  /** Lets those look again who wait for what is published, or refused. */
  wake(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Nothing more will be published, because the store is closed or failed. */
  end(cause?: Error): void {
    const error = cause === undefined ? undefined : failed(cause);
    for (const subscriber of [...this.#all]) subscriber.end(error);
    this.wake();
  }

  #add<V, S extends Subscriber<V>>(subscriber: S): S {
    if (!isListening(subscriber)) return subscriber;
    const one = subscriber as unknown as Subscriber<unknown>;
    this.#all.add(one);
    for (const range of subscriber.ranges) this.#interests.add(range, one);
    const { committer } = this.#parts;
    committer.interest = this.#interest;
    if (committer.failure !== undefined) subscriber.end(failed(committer.failure));
    return subscriber;
  }

  #remove(subscriber: Subscriber<unknown>): void {
    if (!this.#all.delete(subscriber)) return;
    for (const range of subscriber.ranges) this.#interests.remove(range, subscriber);
    if (this.#all.size === 0) this.#parts.committer.interest = undefined;
  }

  #concerns(changed: Changed): boolean {
    // An iterator for each commit that nobody wants would be felt.
    for (let i = 0; i < changed.length; i++) if (this.#interests.some(changed[i].key, anybody)) return true;
    return false;
  }

  #publishOne(notice: CommitNotice): void {
    // All events are built before the first listener runs: a listener may write, and that moves records.
    const shown = new Map<ChangeMaker<unknown>, Map<Ref, Shown<unknown>>>();
    const deliveries = new Map<Subscriber<unknown>, Set<Shown<unknown>>>();
    const missing = new Set<Subscriber<unknown>>();
    const { version, remote } = notice;
    const report = (error: unknown): void =>
      this.#parts.diagnostics.emit("watch-error", () => ({ version, error }));
    const show = (key: Uint8Array, subscriber: Subscriber<unknown>): void => {
      if (missing.has(subscriber) || !subscriber.takes(version)) return;
      const { changes } = subscriber;
      // Once for all that read in the same way.
      const known = shown.get(changes) ?? new Map<Ref, Shown<unknown>>();
      shown.set(changes, known);
      try {
        const one = this.#shown(key, version, changes, known);
        // A batch may name a key more than once, and its last word is the change.
        if (one !== undefined) deliveries.set(subscriber, (deliveries.get(subscriber) ?? new Set()).add(one));
      } catch (error) {
        // No memory for a copy of the value. Nobody is shown half of a commit.
        missing.add(subscriber);
        deliveries.delete(subscriber);
        subscriber.missed(version);
        report(error);
      }
    };
    for (const key of notice.keys) {
      this.#interests.some(key, (subscriber) => {
        show(key, subscriber);
        return false;
      });
    }
    const take = ([subscriber, changes]: Delivery): unknown => subscriber.take(version, remote, [...changes]);
    const inOrder = [...deliveries].sort(([a], [b]) => a.order - b.order);
    for (const delivery of inOrder) {
      // A listener's mistake must neither stop the others nor break the commit path.
      if (isListening(delivery[0])) tell(take, delivery, report);
    }
  }

  #shown(
    key: Uint8Array,
    version: number,
    changes: ChangeMaker<unknown>,
    known: Map<Ref, Shown<unknown>>,
  ): Shown<unknown> | undefined {
    const { engine } = this.#parts;
    const ref = engine.find(key, version);
    if (ref === NONE) return undefined;
    const shown = known.get(ref) ?? changes.make(engine.slab(ref), engine.offset(ref));
    known.set(ref, shown);
    return shown;
  }
}

function failed(cause: Error): FulmarError {
  const message = "the store failed, and nothing more will come: close it, open it again and resume";
  return new FulmarError("STORE_FAILED", message, { cause });
}

function anybody(): boolean {
  return true;
}
