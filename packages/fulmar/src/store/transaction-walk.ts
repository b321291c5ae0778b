import { compareBytes } from "../base/bytes.js";
import { type KeyRange, successor } from "../keys/range.js";
import { type Cursor, LIVING, NONE, type Ref } from "../memory/engine.js";
import { keyOf } from "../record/entry.js";
import type { BareRanges, BareView } from "../transaction/optimistic/bare-ranges.js";
import { rangeAround } from "../transaction/optimistic/joined-ranges.js";
import type { ItemWalk } from "../transaction/optimistic/ordered-items.js";
import type { RangeRead } from "../transaction/optimistic/read-set.js";
import type { Pending } from "../transaction/optimistic/write-set.js";
import type { TransactionState } from "./transaction-state.js";
import { isDeletion, type Wish } from "./wishes.js";

/** A key on the way, with what is stored and what the transaction wants instead. */
export interface Step {
  readonly key: Uint8Array;
  /** The record, or NONE if none can be read. */
  readonly ref: Ref;
  readonly wish: Wish | undefined;
}

/** How a transaction walks through ranges. */
export interface Extent {
  readonly ranges: readonly KeyRange[];
  readonly reverse: boolean;
  readonly limit: number;
  /** Whether what is seen is noted as read. */
  readonly tracked: boolean;
}

/**
 * The keys that a transaction sees in some ranges: what is stored, with its own writes as they were when the
 * walk began. What has been given is noted as read, and not a key more.
 */
export function* walk(state: TransactionState, extent: Extent): Generator<Step, void> {
  state.assertOpen();
  let left = extent.limit;
  const ranges = extent.reverse ? [...extent.ranges].reverse() : extent.ranges;
  // Of all ranges at once: those of a store's own keys are two, with the namespaces between them.
  const parts = ranges.map((range) => ({ range, own: state.writes.within(range, extent.reverse) }));
  for (const { range, own } of parts) {
    if (left <= 0) return;
    const read = extent.tracked ? state.trackRange(range, extent.reverse) : undefined;
    try {
      for (const step of visible(state, extent, range, own, read)) {
        left--;
        yield step;
        // Whoever asks for more may do so when the state is not held any more.
        state.assertOpen();
        if (left <= 0) return;
      }
      read?.toEnd();
    } finally {
      if (read !== undefined) state.closeRange(read);
    }
  }
}

/** The steps of one range that show something. What a blind write hides is not read; a step counts from the stored. */
function* visible(
  state: TransactionState,
  { reverse, tracked }: Extent,
  range: KeyRange,
  own: ItemWalk<Pending<Wish>> | undefined,
  read: RangeRead | undefined,
): Generator<Step, void> {
  const keys = new MergedKeys(state, range, own, reverse);
  const gap = new Gap(state.bare, range, reverse);
  for (let step = keys.next(); step !== undefined; step = keys.next()) {
    if (isDeletion(step.wish)) {
      const bare = gap.hide(step.key);
      if (bare === undefined) read?.hide(step.key);
      else {
        read?.pass(bare);
        keys.passTo(gap.beyond(bare));
      }
      continue;
    }
    if (step.wish?.kind === "write") read?.hide(step.key);
    gap.show(step.key, tracked);
    read?.through(step.key);
    if (tracked) state.dependOnLife(step.ref, step.wish);
    yield step;
  }
  gap.show(undefined, tracked);
}

/** The part of a range, before the next key that a walk shows, in which it has shown nothing. */
class Gap {
  readonly #known: BareRanges;
  readonly #view: BareView;
  readonly #range: KeyRange;
  readonly #reverse: boolean;
  /** What was shown before it. */
  #last: Uint8Array | undefined;
  /** Whether there is anything in it. */
  #hides = false;

  constructor(known: BareRanges, range: KeyRange, reverse: boolean) {
    this.#known = known;
    this.#view = known.view();
    this.#range = range;
    this.#reverse = reverse;
  }

  /** The walk comes by a key that is deleted; what nothing can be seen of around it, if that is known. */
  hide(key: Uint8Array): KeyRange | undefined {
    this.#hides = true;
    return rangeAround(key, this.#view.ranges);
  }

  /** What is left of the range, if anything, behind what may reach beyond it; undefined where no key can be. */
  beyond({ from, to }: KeyRange): KeyRange | undefined {
    if (this.#reverse) return { from: this.#range.from, to: from };
    return to === undefined ? undefined : { from: to, to: this.#range.to };
  }

  /** The walk comes to a key that it shows, or to the end. What was seen of it may be noted if it is read. */
  show(key: Uint8Array | undefined, noted: boolean): void {
    if (this.#hides && noted) this.#known.add(this.#view, this.#until(key));
    this.#hides = false;
    this.#last = key;
  }

  #until(key: Uint8Array | undefined): KeyRange {
    const { from, to } = this.#range;
    const last = this.#last;
    if (this.#reverse) return { from: key === undefined ? from : successor(key), to: last ?? to };
    return { from: last === undefined ? from : successor(last), to: key ?? to };
  }
}

/** What is stored in a range and what is wanted there, deletions too, in one order, in which both come. */
class MergedKeys {
  readonly #state: TransactionState;
  readonly #reverse: boolean;
  #wanted: ItemWalk<Pending<Wish>> | undefined;
  #stored: StoredKeys;
  #own: Pending<Wish> | undefined;
  #next: Stored | undefined;

  constructor(
    state: TransactionState,
    range: KeyRange,
    wanted: ItemWalk<Pending<Wish>> | undefined,
    reverse: boolean,
  ) {
    this.#state = state;
    this.#reverse = reverse;
    this.#wanted = wanted;
    this.#stored = new StoredKeys(state, range, reverse);
    this.#own = wanted?.next();
    this.#next = this.#stored.next();
  }

  next(): Step | undefined {
    const order = this.#order();
    const own = order >= 0 ? this.#own : undefined;
    const stored = order <= 0 ? this.#next : undefined;
    if (own !== undefined) this.#own = this.#wanted?.next();
    if (stored !== undefined) this.#next = this.#stored.next();
    const key = own?.key ?? stored?.key;
    return key === undefined ? undefined : { key, ref: stored?.ref ?? NONE, wish: own?.what };
  }

  /** Goes on in a part of the range, or with nothing. */
  passTo(range: KeyRange | undefined): void {
    if (range === undefined) {
      this.#own = undefined;
      this.#next = undefined;
      return;
    }
    this.#wanted = this.#wanted?.within(range);
    this.#stored = new StoredKeys(this.#state, range, this.#reverse);
    this.#own = this.#wanted?.next();
    this.#next = this.#stored.next();
  }

  /** Below zero where what is stored comes first, above it where what is wanted does; zero for the same key. */
  #order(): number {
    if (this.#next === undefined) return 1;
    if (this.#own === undefined) return -1;
    const order = compareBytes(this.#next.key, this.#own.key);
    return this.#reverse ? -order : order;
  }
}

interface Stored {
  readonly key: Uint8Array;
  readonly ref: Ref;
}

/** The keys of a range that can be read in the transaction's state. */
class StoredKeys {
  readonly #state: TransactionState;
  readonly #cursor: Cursor;

  constructor(state: TransactionState, range: KeyRange, reverse: boolean) {
    this.#state = state;
    this.#cursor = state.core.engine.scan(range, state.version, reverse, LIVING);
  }

  next(): Stored | undefined {
    const { engine } = this.#state.core;
    for (let ref = this.#cursor.next(); ref !== NONE; ref = this.#cursor.next()) {
      if (this.#state.live(ref) === NONE) continue;
      return { key: keyOf(engine.slab(ref), engine.offset(ref)), ref };
    }
    return undefined;
  }
}
