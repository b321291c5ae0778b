import { assert } from "../../base/assert.js";
import type { KeyRange } from "../../keys/range.js";
import { KeyedList } from "./keyed-list.js";
import { type ItemWalk, OrderedItems } from "./ordered-items.js";

/** What a transaction wants of one key: `what` is up to the caller. */
export class Pending<T> {
  readonly key: Uint8Array;
  readonly what: T;

  constructor(key: Uint8Array, what: T) {
    this.key = key;
    this.what = what;
  }
}

/** A state of a write set to go back to. */
export interface Mark {
  /** Writes that had been made. */
  readonly writes: number;
  /** How many of the notes for going back are older. */
  readonly notes: number;
}

/** A change: where, and what was there before. */
interface Note<T> {
  readonly index: number;
  readonly before: Pending<T> | undefined;
}

/**
 * What a transaction has written so far, one wish a key. Once there is a mark, each change notes what it replaced, so
 * that going back costs what was done since.
 */
export class WriteSet<T> {
  readonly #pending = new KeyedList<Pending<T>>();
  /** Undefined as long as there is nothing to go back to. */
  #notes: Note<T>[] | undefined;
  #writes = 0;
  /** The wishes in key order, once somebody asked for them; kept in order from then on. */
  #sorted: OrderedItems<Pending<T>> | undefined;

  get size(): number {
    return this.#pending.items.length;
  }

  get(key: Uint8Array): Pending<T> | undefined {
    const index = this.#pending.indexOf(key);
    return index < 0 ? undefined : this.#pending.items[index];
  }

  /** `key` must not change from now on. */
  put(key: Uint8Array, what: T): void {
    const found = this.#pending.indexOf(key);
    const index = found < 0 ? this.size : found;
    const before = found < 0 ? undefined : this.#pending.items[found];
    this.#notes?.push({ index, before });
    this.#writes++;
    this.#replace(index, before, new Pending(key, what));
  }

  /** In the order in which keys were first written. */
  values(): readonly Pending<T>[] {
    return this.#pending.items;
  }

  /** The wishes of a range as they are now, in key order or in reverse; undefined where there is none at all. */
  within(range: KeyRange, reverse: boolean): ItemWalk<Pending<T>> | undefined {
    if (this.size === 0) return undefined;
    this.#sorted ??= new OrderedItems(this.#pending.items);
    return this.#sorted.walk(range, reverse);
  }

  mark(): Mark {
    this.#notes ??= [];
    return { writes: this.#writes, notes: this.#notes.length };
  }

  /** Whether a mark lies on the way that led here. */
  reaches(mark: Mark): boolean {
    return this.#notes !== undefined && mark.notes <= this.#notes.length;
  }

  /** Takes back every change since a mark. */
  rollBack(mark: Mark): void {
    assert(this.reaches(mark), "a write set goes back to where it has been");
    const notes = this.#notes ?? [];
    while (notes.length > mark.notes) {
      const note = notes.pop();
      assert(note !== undefined, "what was done is noted");
      this.#replace(note.index, this.#pending.items[note.index], note.before);
    }
    this.#writes = mark.writes;
  }

  #replace(index: number, before: Pending<T> | undefined, after: Pending<T> | undefined): void {
    // A key that goes was the last to come: those after it went before.
    if (after === undefined) this.#pending.pop();
    else if (index === this.size) this.#pending.push(after);
    else this.#pending.items[index] = after;
    if (after !== undefined) this.#sorted?.put(after);
    else if (before !== undefined) this.#sorted?.remove(before.key);
  }
}
