import { assert } from "../../base/assert.js";
import type { Policy } from "./policy.js";
import { SlotLists } from "./slot-lists.js";

/** Least recently used first, exactly: one list in the order of use. */
export class LruPolicy implements Policy {
  readonly usesFingerprints = false;
  readonly wordsPerSlot = 2;
  readonly #lists = new SlotLists(1);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get allocatedBytes(): number {
    return this.#lists.allocatedBytes;
  }

  reserve(slot: number): void {
    this.#lists.reserve(slot);
  }

  insert(slot: number): void {
    this.#lists.addFirst(0, slot);
    this.#size++;
  }

  restore(slot: number): void {
    this.#lists.addLast(0, slot);
    this.#size++;
  }

  touch(slot: number): void {
    const lists = this.#lists;
    if (lists.first(0) === slot) return;
    lists.remove(0, slot);
    lists.addFirst(0, slot);
  }

  pass(slot: number): void {
    this.touch(slot);
  }

  resize(): void {}

  remove(slot: number): void {
    this.#lists.remove(0, slot);
    this.#size--;
  }

  victim(): number {
    return this.#lists.last(0);
  }

  evict(slot: number): void {
    this.remove(slot);
  }

  verify(): void {
    const seen = new Set<number>();
    this.#lists.verify(0, seen);
    assert(seen.size === this.#size, "keys are counted");
  }
}
