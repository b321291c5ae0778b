import { assert } from "../../base/assert.js";
import { NO_SLOT, type Policy } from "./policy.js";
import { SlotWords } from "./slot-words.js";

/** Any key with equal chance. It keeps no order, so a use costs nothing. */
export class RandomPolicy implements Policy {
  readonly usesFingerprints = false;
  readonly wordsPerSlot = 2;
  readonly #below: (bound: number) => number;
  /** The slots in no order, without gaps, and where each of them stands. */
  readonly #slots = new SlotWords();
  readonly #places = new SlotWords();
  #size = 0;

  /** `below` gives a uniform integer from 0 to less than its argument. */
  constructor(below: (bound: number) => number) {
    this.#below = below;
  }

  get size(): number {
    return this.#size;
  }

  get allocatedBytes(): number {
    return this.#slots.allocatedBytes + this.#places.allocatedBytes;
  }

  reserve(slot: number): void {
    // As many places as slots.
    this.#slots.reserve(slot);
    this.#places.reserve(slot);
  }

  insert(slot: number): void {
    this.#put(this.#size++, slot);
  }

  restore(slot: number): void {
    this.insert(slot);
  }

  touch(): void {}

  pass(): void {}

  resize(): void {}

  remove(slot: number): void {
    this.#put(this.#places.get(slot), this.#slots.get(--this.#size));
  }

  victim(): number {
    return this.#size === 0 ? NO_SLOT : this.#slots.get(this.#below(this.#size));
  }

  evict(slot: number): void {
    this.remove(slot);
  }

  verify(): void {
    const seen = new Set<number>();
    for (let place = 0; place < this.#size; place++) {
      const slot = this.#slots.get(place);
      assert(this.#places.get(slot) === place && !seen.has(slot), "a key has one place");
      seen.add(slot);
    }
  }

  #put(place: number, slot: number): void {
    this.#slots.set(place, slot);
    this.#places.set(slot, place);
  }
}
