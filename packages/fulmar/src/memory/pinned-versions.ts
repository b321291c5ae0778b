import { LATEST, PIN_OWNERS, type Pin, type PinOwner } from "./engine.js";

/** One version that one kind of owner pins, however often, and the records to reconsider when the last is released. */
export interface PinnedVersion<H> {
  readonly version: number;
  readonly owner: PinOwner;
  count: number;
  readonly held: H;
}

/** The pinned versions of an engine, by their owners. */
export class PinnedVersions<H> {
  /** The users' come first: what they see is held by theirs. */
  readonly #owners: readonly OwnedVersions<H>[];

  /**
   * `createHeld` makes the list of what a version holds, in the terms of the engine; `released` is given it when
   * the version is let go. Of a pin that kept records where they are `loosened` is told before.
   */
  constructor(createHeld: () => H, released: (held: H) => void, loosened: () => void = () => undefined) {
    const letGo = (held: H): void => {
      loosened();
      released(held);
    };
    this.#owners = PIN_OWNERS.map(
      (owner) => new OwnedVersions(owner, createHeld, owner === "reader" ? released : letGo),
    );
  }

  pin(version: number, owner: PinOwner): Pin {
    return this.#owners[PIN_OWNERS.indexOf(owner)].pin(version);
  }

  /** Whether nothing is pinned, as is usual. */
  get isEmpty(): boolean {
    // Asked with every write: no iterator.
    for (let i = 0; i < this.#owners.length; i++) if (!this.#owners[i].isEmpty) return false;
    return true;
  }

  /** Whether anything is pinned, or anything by an owner. */
  hasAny(owner?: PinOwner): boolean {
    return owner === undefined ? !this.isEmpty : !this.#owners[PIN_OWNERS.indexOf(owner)].isEmpty;
  }

  /** Whether a pin, of a user only with `byUser`, sees what is the newest of its key since a version. */
  sees(version: number, byUser: boolean): boolean {
    return this.highest(version, LATEST, byUser ? "user" : "reader") !== undefined;
  }

  /** Whether a pin of a version keeps its records where they are: one of another thread's reader does not. */
  isAnchored(version: number): boolean {
    return this.#owners.some((owned) => owned.owner !== "reader" && owned.has(version));
  }

  /** A pinned version at or above `from` whose records stay where they are. */
  anchoredFrom(from: number): PinnedVersion<H> | undefined {
    return this.highest(from, LATEST, "store");
  }

  /** The highest version whose records stay where they are; -1 when there is none. */
  get anchoredThrough(): number {
    let highest = -1;
    for (const owned of this.#owners) {
      if (owned.owner !== "reader") highest = Math.max(highest, owned.highest(0, LATEST)?.version ?? -1);
    }
    return highest;
  }

  /**
   * The highest pinned version at or above `from` and below `before`: of the first of the owners, down to `last`,
   * that has one.
   */
  highest(from: number, before: number, last: PinOwner = "reader"): PinnedVersion<H> | undefined {
    for (const owned of this.#owners) {
      const pinned = owned.highest(from, before);
      if (pinned !== undefined) return pinned;
      if (owned.owner === last) return undefined;
    }
    return undefined;
  }

  /** Forgets the pins above `version`; their releases do nothing from now on. Returns what they held. */
  dropAbove(version: number): H[] {
    return this.#owners.flatMap((owned) => owned.dropAbove(version));
  }

  *[Symbol.iterator](): IterableIterator<PinnedVersion<H>> {
    for (const owned of this.#owners) yield* owned;
  }
}

/** The multiset of versions that one kind of owner pins. There are few: an object for each does no harm. */
class OwnedVersions<H> {
  readonly owner: PinOwner;
  /**
   * The first ones, ascending and without repetition. An array that became shorter with each short listing would be
   * made anew with each.
   */
  readonly #pinned: (PinnedVersion<H> | undefined)[] = [];
  #size = 0;
  readonly #createHeld: () => H;
  readonly #released: (held: H) => void;

  constructor(owner: PinOwner, createHeld: () => H, released: (held: H) => void) {
    this.owner = owner;
    this.#createHeld = createHeld;
    this.#released = released;
  }

  pin(version: number): Pin {
    const index = this.#firstFrom(version);
    let pinned = this.#pinned[index];
    if (pinned?.version !== version) {
      pinned = { version, owner: this.owner, count: 0, held: this.#createHeld() };
      this.#insert(index, pinned);
    }
    pinned.count++;
    return new VersionPin(this, pinned);
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  has(version: number): boolean {
    return this.#pinned[this.#firstFrom(version)]?.version === version;
  }

  highest(from: number, before: number): PinnedVersion<H> | undefined {
    const end = this.#firstFrom(before);
    if (end === 0) return undefined;
    const pinned = this.#pinned[end - 1];
    return pinned !== undefined && pinned.version >= from ? pinned : undefined;
  }

  dropAbove(version: number): H[] {
    const dropped = [...this].filter((pinned) => pinned.version > version);
    this.#size -= dropped.length;
    this.#pinned.length = this.#size;
    for (const pinned of dropped) pinned.count = 0;
    return dropped.map(({ held }) => held);
  }

  *[Symbol.iterator](): IterableIterator<PinnedVersion<H>> {
    for (const pinned of this.#pinned) if (pinned !== undefined) yield pinned;
  }

  /** Counts one pin of a version less. */
  release(pinned: PinnedVersion<H>): void {
    // A pin that a rollback dropped counts nothing any more.
    if (pinned.count === 0 || --pinned.count > 0) return;
    this.#remove(this.#firstFrom(pinned.version));
    this.#released(pinned.held);
  }

  #insert(index: number, pinned: PinnedVersion<H>): void {
    for (let i = this.#size++; i > index; i--) this.#pinned[i] = this.#pinned[i - 1];
    this.#pinned[index] = pinned;
  }

  #remove(index: number): void {
    this.#size--;
    for (let i = index; i < this.#size; i++) this.#pinned[i] = this.#pinned[i + 1];
    this.#pinned[this.#size] = undefined;
  }

  /** Index of the first pinned version that is at least `version`. */
  #firstFrom(version: number): number {
    let low = 0;
    let high = this.#size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#pinned[middle]?.version ?? version) < version) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

class VersionPin<H> implements Pin {
  readonly version: number;
  readonly #versions: OwnedVersions<H>;
  /** Undefined once it is released. */
  #pinned: PinnedVersion<H> | undefined;

  constructor(versions: OwnedVersions<H>, pinned: PinnedVersion<H>) {
    this.version = pinned.version;
    this.#versions = versions;
    this.#pinned = pinned;
  }

  release(): void {
    const pinned = this.#pinned;
    this.#pinned = undefined;
    if (pinned !== undefined) this.#versions.release(pinned);
  }
}
