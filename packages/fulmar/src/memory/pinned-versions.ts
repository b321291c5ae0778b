import type { Pin } from "./engine.js";

/** One pinned version, by however many pins, and the records to reconsider when the last is released. */
export interface PinnedVersion<H> {
  readonly version: number;
  count: number;
  readonly held: H;
}

/** The multiset of pinned versions of an engine. There are few: an object for each does no harm. */
export class PinnedVersions<H> {
  /** Ascending, without repetition. */
  readonly #pinned: PinnedVersion<H>[] = [];
  readonly #createHeld: () => H;
  readonly #released: (held: H) => void;
  /** Made once, and not for each pin. */
  readonly #letGo = (pinned: PinnedVersion<H>): void => this.#release(pinned);

  /**
   * `createHeld` makes the list of what a version holds, in the terms of the engine; `released` is given it when
   * the version is let go.
   */
  constructor(createHeld: () => H, released: (held: H) => void) {
    this.#createHeld = createHeld;
    this.#released = released;
  }

  pin(version: number): Pin {
    const index = this.#firstFrom(version);
    let pinned = this.#pinned[index];
    if (pinned?.version !== version) {
      pinned = { version, count: 0, held: this.#createHeld() };
      // Mostly it is the newest version.
      if (index === this.#pinned.length) this.#pinned.push(pinned);
      else this.#pinned.splice(index, 0, pinned);
    }
    pinned.count++;
    return new OpenPin(pinned, this.#letGo);
  }

  /** Whether nothing is pinned, as is usual. */
  get isEmpty(): boolean {
    return this.#pinned.length === 0;
  }

  has(version: number): boolean {
    return this.#pinned[this.#firstFrom(version)]?.version === version;
  }

  /** The highest pinned version at or above `from` and below `before`. */
  highest(from: number, before: number): PinnedVersion<H> | undefined {
    const pinned = this.#pinned[this.#firstFrom(before) - 1];
    return pinned !== undefined && pinned.version >= from ? pinned : undefined;
  }

  /** Forgets the pins above `version`; their releases do nothing from now on. Returns what they held. */
  dropAbove(version: number): H[] {
    const dropped = this.#pinned.splice(this.#firstFrom(version + 1));
    for (const pinned of dropped) pinned.count = 0;
    return dropped.map(({ held }) => held);
  }

  [Symbol.iterator](): IterableIterator<PinnedVersion<H>> {
    return this.#pinned.values();
  }

  #release(pinned: PinnedVersion<H>): void {
    // A pin that a rollback dropped counts nothing any more.
    if (pinned.count === 0 || --pinned.count > 0) return;
    if (this.#pinned.at(-1) === pinned) this.#pinned.pop();
    else this.#pinned.splice(this.#firstFrom(pinned.version), 1);
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

class OpenPin<H> implements Pin {
  readonly version: number;
  readonly #pinned: PinnedVersion<H>;
  readonly #letGo: (pinned: PinnedVersion<H>) => void;
  #isOpen = true;

  constructor(pinned: PinnedVersion<H>, letGo: (pinned: PinnedVersion<H>) => void) {
    this.version = pinned.version;
    this.#pinned = pinned;
    this.#letGo = letGo;
  }

  release(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#letGo(this.#pinned);
  }
}
