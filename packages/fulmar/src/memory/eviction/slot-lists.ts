import { assert } from "../../base/assert.js";
import { NO_SLOT } from "./policy.js";
import { SlotWords } from "./slot-words.js";

/** Doubly linked lists of slots; a slot is in one of them at most. */
export class SlotLists {
  readonly #next = new SlotWords();
  readonly #previous = new SlotWords();
  readonly #first: Uint32Array;
  readonly #last: Uint32Array;

  constructor(count: number) {
    this.#first = new Uint32Array(count);
    this.#last = new Uint32Array(count);
  }

  get allocatedBytes(): number {
    return this.#next.allocatedBytes + this.#previous.allocatedBytes + this.#first.length * 8;
  }

  first(list: number): number {
    return this.#first[list];
  }

  last(list: number): number {
    return this.#last[list];
  }

  /** The slot before another, towards the first; NO_SLOT at the first. */
  previous(slot: number): number {
    return this.#previous.get(slot);
  }

  reserve(slot: number): void {
    this.#next.reserve(slot);
    this.#previous.reserve(slot);
  }

  addFirst(list: number, slot: number): void {
    this.#link(list, NO_SLOT, slot, this.#first[list]);
  }

  addLast(list: number, slot: number): void {
    this.#link(list, this.#last[list], slot, NO_SLOT);
  }

  /** Puts a slot right behind one of the list. */
  addBehind(list: number, slot: number, anchor: number): void {
    this.#link(list, anchor, slot, this.#next.get(anchor));
  }

  remove(list: number, slot: number): void {
    const next = this.#next.get(slot);
    const previous = this.#previous.get(slot);
    if (previous === NO_SLOT) this.#first[list] = next;
    else this.#next.set(previous, next);
    if (next === NO_SLOT) this.#last[list] = previous;
    else this.#previous.set(next, previous);
  }

  *slots(list: number): IterableIterator<number> {
    for (let slot = this.#first[list]; slot !== NO_SLOT; slot = this.#next.get(slot)) yield slot;
  }

  /** Throws INVARIANT unless a list is linked both ways and shares no slot with those in `seen`, to which it adds. */
  verify(list: number, seen: Set<number>): void {
    let previous = NO_SLOT;
    for (const slot of this.slots(list)) {
      assert(!seen.has(slot), "a slot is in one list, once");
      assert(this.#previous.get(slot) === previous, "slots are linked both ways");
      seen.add(slot);
      previous = slot;
    }
    assert(this.#last[list] === previous, "a list ends with its last slot");
  }

  #link(list: number, previous: number, slot: number, next: number): void {
    this.#next.set(slot, next);
    this.#previous.set(slot, previous);
    if (previous === NO_SLOT) this.#first[list] = slot;
    else this.#next.set(previous, slot);
    if (next === NO_SLOT) this.#last[list] = slot;
    else this.#previous.set(next, slot);
  }
}
