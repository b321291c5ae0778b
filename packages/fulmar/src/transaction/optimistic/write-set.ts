import { assert } from "../../base/assert.js";
import { compareBytes } from "../../base/bytes.js";
import { keyText } from "../../keys/key-text.js";
import { inRange, type KeyRange } from "../../keys/range.js";

/** What a transaction wants of one key: `what` is up to the caller. */
export interface Pending<T> {
  readonly key: Uint8Array;
  readonly what: T;
}

/** A state of a write set to go back to. */
export interface Mark {
  readonly length: number;
}

interface Undo<T> {
  readonly text: string;
  readonly before: Pending<T> | undefined;
}

/**
 * What a transaction has written so far, one wish a key. Each change notes what it replaced, so that going
 * back to a mark costs what was done since.
 */
export class WriteSet<T> {
  readonly #pending = new Map<string, Pending<T>>();
  readonly #undo: Undo<T>[] = [];
  /** The wishes in key order, once somebody asked for them; kept in order from then on. */
  #sorted: Pending<T>[] | undefined;

  get size(): number {
    return this.#pending.size;
  }

  get(key: Uint8Array): Pending<T> | undefined {
    return this.#pending.size === 0 ? undefined : this.#pending.get(keyText(key));
  }

  /** `key` must not change from now on. */
  put(key: Uint8Array, what: T): void {
    const text = keyText(key);
    const before = this.#pending.get(text);
    this.#undo.push({ text, before });
    this.#replace(text, before, { key, what });
  }

  /** In the order in which keys were first written. */
  values(): IterableIterator<Pending<T>> {
    return this.#pending.values();
  }

  /** The wishes of a range as they are now, in key order. */
  within(range: KeyRange): Pending<T>[] {
    if (this.#pending.size === 0) return [];
    this.#sorted ??= [...this.#pending.values()].sort((a, b) => compareBytes(a.key, b.key));
    const found: Pending<T>[] = [];
    for (let i = this.#indexOf(range.from); i < this.#sorted.length; i++) {
      if (!inRange(this.#sorted[i].key, range)) break;
      found.push(this.#sorted[i]);
    }
    return found;
  }

  mark(): Mark {
    return { length: this.#undo.length };
  }

  /** Whether a mark lies on the way that led here. */
  reaches(mark: Mark): boolean {
    return mark.length <= this.#undo.length;
  }

  /** Takes back every change since a mark. */
  rollBack(mark: Mark): void {
    assert(this.reaches(mark), "a write set goes back to where it has been");
    while (this.#undo.length > mark.length) {
      const undo = this.#undo.pop();
      assert(undo !== undefined, "what was done is noted");
      this.#replace(undo.text, this.#pending.get(undo.text), undo.before);
    }
  }

  #replace(text: string, before: Pending<T> | undefined, after: Pending<T> | undefined): void {
    if (after === undefined) this.#pending.delete(text);
    else this.#pending.set(text, after);
    const sorted = this.#sorted;
    const key = (after ?? before)?.key;
    if (sorted === undefined || key === undefined) return;
    const index = this.#indexOf(key);
    const removed = before === undefined ? 0 : 1;
    if (after === undefined) sorted.splice(index, removed);
    else sorted.splice(index, removed, after);
  }

  /** Index of the first sorted wish at or above `key`. */
  #indexOf(key: Uint8Array): number {
    const sorted = this.#sorted ?? [];
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(sorted[middle].key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
