import type { Pin } from "../engine.js";
import type { NodePool } from "./node-pool.js";
import { RefQueue } from "./ref-queue.js";

/** One pinned version, by however many pins, and the records to reconsider when the last is released. */
export interface PinnedVersion {
  readonly version: number;
  count: number;
  readonly held: RefQueue;
}

/** The multiset of pinned versions. There are few: an object for each does no harm. */
export class PinSet {
  readonly #pool: NodePool;
  /** Ascending, without repetition. */
  readonly #pinned: PinnedVersion[] = [];
  readonly #released: (held: RefQueue) => void;

  /** `released` is given what a pinned version held when it is let go, and empties it. */
  constructor(pool: NodePool, released: (held: RefQueue) => void) {
    this.#pool = pool;
    this.#released = released;
  }

  pin(version: number): Pin {
    const index = this.#firstFrom(version);
    let pinned = this.#pinned[index];
    if (pinned?.version !== version) {
      pinned = { version, count: 0, held: new RefQueue(this.#pool) };
      this.#pinned.splice(index, 0, pinned);
    }
    pinned.count++;
    let open = true;
    const release = (): void => {
      if (!open) return;
      open = false;
      this.#release(pinned);
    };
    return { version, release };
  }

  /** Whether nothing is pinned, as is usual. */
  get isEmpty(): boolean {
    return this.#pinned.length === 0;
  }

  has(version: number): boolean {
    return this.#pinned[this.#firstFrom(version)]?.version === version;
  }

  /** The highest pinned version at or above `from` and below `before`. */
  highest(from: number, before: number): PinnedVersion | undefined {
    const pinned = this.#pinned[this.#firstFrom(before) - 1];
    return pinned !== undefined && pinned.version >= from ? pinned : undefined;
  }

  /** Forgets the pins above `version`; their releases do nothing from now on. Returns what they held. */
  dropAbove(version: number): RefQueue[] {
    const dropped = this.#pinned.splice(this.#firstFrom(version + 1));
    for (const pinned of dropped) pinned.count = 0;
    return dropped.map(({ held }) => held);
  }

  [Symbol.iterator](): IterableIterator<PinnedVersion> {
    return this.#pinned.values();
  }

  #release(pinned: PinnedVersion): void {
    // A pin that a rollback dropped counts nothing any more.
    if (pinned.count === 0 || --pinned.count > 0) return;
    this.#pinned.splice(this.#firstFrom(pinned.version), 1);
    this.#released(pinned.held);
  }

  /** Index of the first pinned version that is at least `version`. */
  #firstFrom(version: number): number {
    let low = 0;
    let high = this.#pinned.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pinned[middle].version < version) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
