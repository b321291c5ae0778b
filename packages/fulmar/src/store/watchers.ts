import type { Diagnostics } from "../base/runtime/interface.js";
import { inRange, type KeyRange } from "../keys/range.js";
import { NONE, type Ref } from "../memory/engine.js";
import { flagsOf, TOMBSTONE } from "../record/entry.js";
import type { CommitNotice } from "../transaction/publication.js";
import { type Reader, reasonOf } from "./reader.js";
import type { Change, CommitEvent } from "./types.js";

/** Ends a watch. Idempotent. */
export interface Watch {
  close(): void;
}

interface Watcher<V> {
  readonly ranges: readonly KeyRange[];
  readonly listener: (commit: CommitEvent<V>) => void;
}

/** The watches of a store: whole commits, in order, once published. */
export class Watchers<V> {
  readonly #reader: Reader<V>;
  readonly #diagnostics: Diagnostics;
  readonly #watchers = new Set<Watcher<V>>();
  readonly #onCount: (count: number) => void;

  constructor(reader: Reader<V>, diagnostics: Diagnostics, onCount: (count: number) => void) {
    this.#reader = reader;
    this.#diagnostics = diagnostics;
    this.#onCount = onCount;
  }

  add(ranges: readonly KeyRange[], listener: (commit: CommitEvent<V>) => void): Watch {
    const watcher = { ranges, listener };
    this.#watchers.add(watcher);
    this.#onCount(this.#watchers.size);
    return {
      close: () => {
        this.#watchers.delete(watcher);
        this.#onCount(this.#watchers.size);
      },
    };
  }

  clear(): void {
    this.#watchers.clear();
    this.#onCount(0);
  }

  /** Shows commits to whom they concern. Listeners run in the order in which they were added. */
  publish(notices: readonly CommitNotice[]): void {
    for (const notice of notices) {
      // All events are built before the first listener runs: a listener may write, and that moves records.
      const deliveries: { watcher: Watcher<V>; event: CommitEvent<V> }[] = [];
      for (const watcher of this.#watchers) {
        const changes = this.#changes(notice, watcher.ranges);
        if (changes.length === 0) continue;
        const event = { version: notice.version, remote: notice.remote, changes };
        deliveries.push({ watcher, event });
      }
      for (const { watcher, event } of deliveries) this.#deliver(watcher, event);
    }
  }

  #deliver(watcher: Watcher<V>, event: CommitEvent<V>): void {
    if (!this.#watchers.has(watcher)) return;
    try {
      watcher.listener(event);
    } catch (error) {
      // A listener's mistake must neither stop the others nor break the commit path.
      this.#diagnostics.emit("watch-error", () => ({ version: event.version, error }));
    }
  }

  #changes(notice: CommitNotice, ranges: readonly KeyRange[]): Change<V>[] {
    const { engine } = this.#reader;
    // A batch may name a key more than once, and its last word is the change.
    const changed = new Set<Ref>();
    for (const key of notice.keys) {
      if (ranges.some((range) => inRange(key, range))) changed.add(engine.find(key, notice.version));
    }
    changed.delete(NONE);
    return Array.from(changed, (ref) => this.#change(ref));
  }

  #change(ref: Ref): Change<V> {
    const { engine } = this.#reader;
    const flags = flagsOf(engine.slab(ref), engine.offset(ref));
    const base = { key: this.#reader.key(ref), stamp: this.#reader.stamp(ref) };
    if ((flags & TOMBSTONE) !== 0) {
      return { ...base, type: "delete", value: undefined, reason: reasonOf(flags) };
    }
    return new SetChange(base, this.#reader.expiresAt(ref), this.#reader.lazyValue(ref));
  }
}

/** A written entry whose value is decoded when somebody looks at it. */
class SetChange<V> implements Change<V> {
  readonly type = "set";
  readonly reason = "written";
  readonly key: Change<V>["key"];
  readonly stamp: Change<V>["stamp"];
  readonly expiresAt?: number;
  readonly #decode: () => V;

  constructor(base: Pick<Change<V>, "key" | "stamp">, expiresAt: number | undefined, decode: () => V) {
    this.key = base.key;
    this.stamp = base.stamp;
    if (expiresAt !== undefined) this.expiresAt = expiresAt;
    this.#decode = decode;
  }

  get value(): V {
    return this.#decode();
  }
}
