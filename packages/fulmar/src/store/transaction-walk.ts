import { compareBytes } from "../base/bytes.js";
import type { KeyRange } from "../keys/range.js";
import { type Cursor, NONE, type Ref } from "../memory/engine.js";
import { keyOf, TOMBSTONE } from "../record/entry.js";
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
  const parts = ranges.map((range) => ({ range, own: state.writes.within(range) }));
  for (const { range, own } of parts) {
    if (left <= 0) return;
    const read = extent.tracked ? state.trackRange(range, extent.reverse, own) : undefined;
    for (const step of merged(own, new StoredKeys(state, range, extent.reverse), extent.reverse)) {
      read?.through(step.key);
      if (extent.tracked) state.dependOnLife(step.ref, step.wish);
      left--;
      yield step;
      // Whoever asks for more may do so when the state is not held any more.
      state.assertOpen();
      if (left <= 0) return;
    }
    read?.toEnd();
  }
}

/** What is stored in a range and what is wanted there, in one order; `wanted` comes in key order. */
function* merged(
  wanted: readonly Pending<Wish>[],
  stored: StoredKeys,
  reverse: boolean,
): Generator<Step, void> {
  const own = reverse ? wanted.toReversed() : wanted;
  const direction = reverse ? -1 : 1;
  let index = 0;
  let next = stored.next();
  while (next !== undefined || index < own.length) {
    const order = orderOf(next?.key, own[index]?.key) * direction;
    const pending: Pending<Wish> | undefined = order >= 0 ? own[index++] : undefined;
    const step = { key: pending?.key ?? next?.key, ref: order <= 0 ? (next?.ref ?? NONE) : NONE };
    if (order <= 0) next = stored.next();
    if (step.key === undefined || isDeletion(pending)) continue;
    yield { key: step.key, ref: step.ref, wish: pending?.what };
  }

  /** Whichever side has nothing left comes last, in either direction. */
  function orderOf(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
    if (a === undefined) return direction;
    if (b === undefined) return -direction;
    return compareBytes(a, b);
  }
}

function isDeletion(pending: Pending<Wish> | undefined): boolean {
  return pending?.what.kind === "write" && (pending.what.write.flags & TOMBSTONE) !== 0;
}

/** The keys of a range that can be read in the transaction's state. */
class StoredKeys {
  readonly #state: TransactionState;
  readonly #cursor: Cursor;

  constructor(state: TransactionState, range: KeyRange, reverse: boolean) {
    this.#state = state;
    this.#cursor = state.core.engine.scan(range, state.version, reverse);
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
