import type { Pin } from "../engine.js";
import type { PlainRecord } from "./record.js";

/** One pinned version, by however many pins, and the records that it alone may be keeping. */
export interface PinnedVersion {
  readonly version: number;
  count: number;
  /** Records to reconsider when the last pin is released. Each is held by one version at least that sees it. */
  readonly held: Set<PlainRecord>;
}

/** The multiset of pinned versions. */
export class PinSet {
  /** Ascending, without repetition. */
  readonly #pinned: PinnedVersion[] = [];
  readonly #released: (held: Iterable<PlainRecord>) => void;

  /** `released` is told what a pinned version held when it is let go. */
  constructor(released: (held: Iterable<PlainRecord>) => void) {
    this.#released = released;
  }

  pin(version: number): Pin {
    const index = this.#firstFrom(version);
    let pinned = this.#pinned[index];
    if (pinned?.version !== version) {
      pinned = { version, count: 0, held: new Set() };
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

  /** The highest pinned version at or above `from` and below `before`. */
  highest(from: number, before: number): PinnedVersion | undefined {
    const pinned = this.#pinned[this.#firstFrom(before) - 1];
    return pinned !== undefined && pinned.version >= from ? pinned : undefined;
  }

  /** Whether a pinned version that sees `record`, which is replaced at version `top`, holds it. */
  holds(record: PlainRecord, top: number): boolean {
    return this.#pinned.some(
      ({ version, held }) => version >= record.version && version < top && held.has(record),
    );
  }

  /** Forgets the pins above `version`; their releases do nothing from now on. Returns what they held. */
  dropAbove(version: number): PlainRecord[] {
    const dropped = this.#pinned.splice(this.#firstFrom(version + 1));
    for (const pinned of dropped) pinned.count = 0;
    return dropped.flatMap(({ held }) => [...held]);
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
