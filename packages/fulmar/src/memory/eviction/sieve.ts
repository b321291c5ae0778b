import { assert } from "../../base/assert.js";
import { NO_SLOT, type Policy } from "./policy.js";
import { SlotLists } from "./slot-lists.js";
import { SlotWords } from "./slot-words.js";

/** The hand passes so many visited keys at most; what it then points at goes, visited or not. */
const STEPS_MAX = 10_000;

/**
 * SIEVE (Zhang, Yang, Yue, Vigfusson and Rashmi, "SIEVE is Simpler than LRU", NSDI 2024): a queue in the
 * order of arrival, a mark for each key that was used, and a hand that goes from the oldest to the newest,
 * takes marks away and evicts the first key without one. A use moves nothing, so reads are cheap, and a
 * scan leaves as it came. The hand passes a bounded number of keys a time, which the paper does not ask.
 */
export class SievePolicy implements Policy {
  readonly usesFingerprints = false;
  readonly wordsPerSlot = 3;
  readonly #lists = new SlotLists(1);
  readonly #visited = new SlotWords();
  readonly #stepsMax: number;
  /** Where the search goes on; NO_SLOT is the oldest. */
  #hand = NO_SLOT;
  #size = 0;

  constructor(stepsMax = STEPS_MAX) {
    this.#stepsMax = stepsMax;
  }

  get size(): number {
    return this.#size;
  }

  get allocatedBytes(): number {
    return this.#lists.allocatedBytes + this.#visited.allocatedBytes;
  }

  reserve(slot: number): void {
    this.#lists.reserve(slot);
    this.#visited.reserve(slot);
  }

  insert(slot: number): void {
    this.#admit(slot);
    this.#lists.addFirst(0, slot);
  }

  restore(slot: number): void {
    this.#admit(slot);
    if (this.#hand === NO_SLOT) this.#lists.addLast(0, slot);
    else this.#lists.addBehind(0, slot, this.#hand);
    this.#hand = slot;
  }

  touch(slot: number): void {
    this.#visited.set(slot, 1);
  }

  pass(slot: number): void {
    this.touch(slot);
  }

  resize(): void {}

  remove(slot: number): void {
    if (this.#hand === slot) this.#hand = this.#lists.previous(slot);
    this.#lists.remove(0, slot);
    this.#size--;
  }

  victim(): number {
    const lists = this.#lists;
    let slot = this.#hand === NO_SLOT ? lists.last(0) : this.#hand;
    if (slot === NO_SLOT) return NO_SLOT;
    for (let steps = 0; steps < this.#stepsMax && this.#visited.get(slot) !== 0; steps++) {
      this.#visited.set(slot, 0);
      slot = lists.previous(slot);
      if (slot === NO_SLOT) slot = lists.last(0);
    }
    this.#hand = slot;
    return slot;
  }

  evict(slot: number): void {
    this.remove(slot);
  }

  verify(): void {
    const seen = new Set<number>();
    this.#lists.verify(0, seen);
    assert(seen.size === this.#size, "keys are counted");
    assert(this.#hand === NO_SLOT || seen.has(this.#hand), "the hand points at a key");
  }

  #admit(slot: number): void {
    this.#visited.set(slot, 0);
    this.#size++;
  }
}
