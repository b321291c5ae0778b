import { compareBytes } from "../base/bytes.js";
import type { KeyRange } from "../keys/range.js";
import { type Cursor, LIVING, NONE, type Ref } from "../memory/engine.js";
import { keyOf, TOMBSTONE } from "../record/entry.js";
import type { ItemWalk } from "../transaction/optimistic/ordered-items.js";
import type { RangeRead } from "../transaction/optimistic/read-set.js";
import type { Pending } from "../transaction/optimistic/write-set.js";
import type { TransactionState } from "./transaction-state.js";
import type { Wish } from "./wishes.js";

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
  for (const step of merged(own, new StoredKeys(state, range, reverse), reverse)) {
    if (step.wish?.kind === "write") read?.hide(step.key);
    if (isDeletion(step.wish)) continue;
    read?.through(step.key);
    if (tracked) state.dependOnLife(step.ref, step.wish);
    yield step;
  }
}

/** What is stored in a range and what is wanted there, deletions too, in one order, in which both come. */
function* merged(
  wanted: ItemWalk<Pending<Wish>> | undefined,
  stored: StoredKeys,
  reverse: boolean,
): Generator<Step, void> {
  const direction = reverse ? -1 : 1;
  let own = wanted?.next();
  let next = stored.next();
  while (own !== undefined || next !== undefined) {
    const order = orderOf(next?.key, own?.key) * direction;
    const pending = order >= 0 ? own : undefined;
    const known = order <= 0 ? next : undefined;
    if (pending !== undefined) own = wanted?.next();
    if (known !== undefined) next = stored.next();
    const key = pending?.key ?? known?.key;
    if (key !== undefined) yield { key, ref: known?.ref ?? NONE, wish: pending?.what };
  }

  /** Whichever side has nothing left comes last, in either direction. */
  function orderOf(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
    if (a === undefined) return direction;
    if (b === undefined) return -direction;
    return compareBytes(a, b);
  }
}

function isDeletion(wish: Wish | undefined): boolean {
  return wish?.kind === "write" && (wish.write.flags & TOMBSTONE) !== 0;
}

/** The keys of a range that can be read in the transaction's state. */
class StoredKeys {
  readonly #state: TransactionState;
  readonly #cursor: Cursor;

  constructor(state: TransactionState, range: KeyRange, reverse: boolean) {
    this.#state = state;
    this.#cursor = state.core.engine.scan(range, state.version, reverse, LIVING);
  }

  next(): { readonly key: Uint8Array; readonly ref: Ref } | undefined {
    const { engine } = this.#state.core;
    for (let ref = this.#cursor.next(); ref !== NONE; ref = this.#cursor.next()) {
      if (this.#state.live(ref) === NONE) continue;
      return { key: keyOf(engine.slab(ref), engine.offset(ref)), ref };
    }
    return undefined;
  }
}
