import { assert } from "../../base/assert.js";
import { NO_SLOT, type Policy } from "./policy.js";
import { SlotLists } from "./slot-lists.js";
import { SlotWords } from "./slot-words.js";

/** Uses beyond this many count no more. A power of two, less one: priorities lie on a ring of lists. */
const USES_MAX = 1023;
const RING = USES_MAX + 1;

/**
 * Least frequently used first, aged: LFU with dynamic aging (Arlitt, Cherkasova, Dilley, Friedrich and
 * Jin, 2000) on O(1) lists by frequency (Shah, Mitra and Matani, 2010). The priority of a key is its uses
 * plus the priority of what was evicted last, as it stood when the key was used last: a key that was
 * popular long ago is overtaken without anybody halving counts. Of equal priorities the one used
 * longest ago goes.
 */
export class LfuPolicy implements Policy {
  readonly usesFingerprints = false;
  readonly wordsPerSlot = 4;
  /** The keys of each priority, by its lower bits: all lie within one turn of the ring. */
  readonly #lists = new SlotLists(RING);
  readonly #uses = new SlotWords();
  /** Modulo 2^32, as is the floor; only differences from the floor mean anything. */
  readonly #priorities = new SlotWords();
  /** The priority of what was evicted last: none is below. */
  #floor = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get allocatedBytes(): number {
    return this.#lists.allocatedBytes + this.#uses.allocatedBytes + this.#priorities.allocatedBytes;
  }

  reserve(slot: number): void {
    this.#lists.reserve(slot);
    this.#uses.reserve(slot);
    this.#priorities.reserve(slot);
  }

  insert(slot: number): void {
    this.#admit(slot, (this.#floor + 1) >>> 0);
    this.#lists.addFirst((this.#floor + 1) % RING, slot);
  }

  restore(slot: number): void {
    this.#admit(slot, this.#floor);
    this.#lists.addLast(this.#floor % RING, slot);
  }

  touch(slot: number): void {
    const uses = Math.min(USES_MAX, this.#uses.get(slot) + 1);
    const priority = (this.#floor + uses) >>> 0;
    this.#lists.remove(this.#priorities.get(slot) % RING, slot);
    this.#uses.set(slot, uses);
    this.#priorities.set(slot, priority);
    this.#lists.addFirst(priority % RING, slot);
  }

  pass(slot: number): void {
    this.touch(slot);
  }

  resize(): void {}

  remove(slot: number): void {
    this.#lists.remove(this.#priorities.get(slot) % RING, slot);
    this.#size--;
  }

  victim(): number {
    if (this.#size === 0) return NO_SLOT;
    for (let above = 0; above < RING; above++) {
      const slot = this.#lists.last((this.#floor + above) % RING);
      if (slot !== NO_SLOT) return slot;
    }
    assert(false, "all priorities lie within one turn of the ring");
  }

  evict(slot: number): void {
    this.#floor = this.#priorities.get(slot);
    this.remove(slot);
  }

  verify(): void {
    const seen = new Set<number>();
    for (let list = 0; list < RING; list++) {
      this.#lists.verify(list, seen);
      for (const slot of this.#lists.slots(list)) {
        const above = (this.#priorities.get(slot) - this.#floor) >>> 0;
        assert(above < RING, "no priority is below the floor");
        assert(this.#priorities.get(slot) % RING === list, "a key is with its priority");
      }
    }
    assert(seen.size === this.#size, "keys are counted");
  }

  #admit(slot: number, priority: number): void {
    this.#uses.set(slot, 1);
    this.#priorities.set(slot, priority);
    this.#size++;
  }
}
