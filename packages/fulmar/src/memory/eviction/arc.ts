import { assert } from "../../base/assert.js";
import { Ghosts } from "./ghosts.js";
import { NO_SLOT, type Policy } from "./policy.js";
import { SlotLists } from "./slot-lists.js";
import { SlotWords } from "./slot-words.js";

/** Ghosts that one eviction forgets at most: after many deletions there are more of them than keys to stand for. */
const FORGOTTEN_MAX = 64;

/** Keys used once, and keys used again; the ghosts of each have the same numbers. */
const ONCE = 0;
const AGAIN = 1;

/**
 * ARC (Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003), in bytes: two
 * lists by recency, of keys used once and of keys used again, and for each the hashes of those that it
 * lost last. A key that comes back from the lost ones of a list asks for more room for that list, so the
 * division follows the load. The capacity is what was there when something had to go; the ghosts stand
 * for as many bytes at most. A key is evicted before the new one is seen, so that the paper's special
 * case for a key that comes back at the very balance does not arise.
 */
export class ArcPolicy implements Policy {
  readonly usesFingerprints = true;
  /** Five for a key, and seven for a ghost: no more of those are remembered than there is room for keys. */
  readonly wordsPerSlot = 12;
  readonly #lists = new SlotLists(2);
  readonly #listBytes = [0, 0];
  readonly #ghosts = new Ghosts(2);
  readonly #bytes = new SlotWords();
  readonly #fingerprints = new SlotWords();
  readonly #listOf = new SlotWords();
  #capacity = 0;
  /** Bytes that the keys used once should have. */
  #target = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get allocatedBytes(): number {
    const tables = [this.#lists, this.#ghosts, this.#bytes, this.#fingerprints, this.#listOf];
    return tables.reduce((sum, table) => sum + table.allocatedBytes, 0);
  }

  reserve(slot: number): void {
    this.#lists.reserve(slot);
    this.#ghosts.reserve(slot);
    this.#bytes.reserve(slot);
    this.#fingerprints.reserve(slot);
    this.#listOf.reserve(slot);
  }

  insert(slot: number, bytes: number, fingerprint: number): void {
    const once = this.#ghosts.bytesOf(ONCE);
    const again = this.#ghosts.bytesOf(AGAIN);
    const ghost = this.#ghosts.take(fingerprint);
    if (ghost?.list === ONCE) this.#aim(this.#target + bytes * Math.max(1, again / once));
    else if (ghost?.list === AGAIN) this.#aim(this.#target - bytes * Math.max(1, once / again));
    this.#add(ghost === undefined ? ONCE : AGAIN, slot, bytes, fingerprint);
    this.#lists.addFirst(ghost === undefined ? ONCE : AGAIN, slot);
  }

  restore(slot: number, bytes: number, fingerprint: number): void {
    const list = this.#ghosts.take(fingerprint)?.list ?? ONCE;
    this.#add(list, slot, bytes, fingerprint);
    this.#lists.addLast(list, slot);
  }

  touch(slot: number): void {
    const list = this.#listOf.get(slot);
    const bytes = this.#bytes.get(slot);
    this.#lists.remove(list, slot);
    this.#lists.addFirst(AGAIN, slot);
    if (list === AGAIN) return;
    this.#listOf.set(slot, AGAIN);
    this.#listBytes[ONCE] -= bytes;
    this.#listBytes[AGAIN] += bytes;
  }

  /** It is no use: a key that comes to be pinned would be taken for popular, and what was used once be lost. */
  pass(slot: number): void {
    const list = this.#listOf.get(slot);
    this.#lists.remove(list, slot);
    this.#lists.addFirst(list, slot);
  }

  resize(slot: number, bytes: number): void {
    this.#listBytes[this.#listOf.get(slot)] += bytes - this.#bytes.get(slot);
    this.#bytes.set(slot, bytes);
  }

  remove(slot: number): void {
    const list = this.#listOf.get(slot);
    this.#lists.remove(list, slot);
    this.#listBytes[list] -= this.#bytes.get(slot);
    this.#size--;
  }

  victim(): number {
    const once = this.#lists.last(ONCE);
    const again = this.#lists.last(AGAIN);
    const isOnce = once !== NO_SLOT && (again === NO_SLOT || this.#listBytes[ONCE] > this.#target);
    return isOnce ? once : again;
  }

  evict(slot: number): void {
    this.#capacity = this.#listBytes[ONCE] + this.#listBytes[AGAIN];
    this.remove(slot);
    this.#ghosts.add(this.#listOf.get(slot), this.#fingerprints.get(slot), this.#bytes.get(slot));
    this.#trim();
  }

  verify(): void {
    const seen = new Set<number>();
    for (const list of [ONCE, AGAIN]) {
      this.#lists.verify(list, seen);
      let bytes = 0;
      for (const slot of this.#lists.slots(list)) {
        assert(this.#listOf.get(slot) === list, "a key knows its list");
        bytes += this.#bytes.get(slot);
      }
      assert(bytes === this.#listBytes[list], "bytes of keys are counted");
    }
    assert(seen.size === this.#size, "keys are counted");
    this.#ghosts.verify();
  }

  #add(list: number, slot: number, bytes: number, fingerprint: number): void {
    this.#bytes.set(slot, bytes);
    this.#fingerprints.set(slot, fingerprint);
    this.#listOf.set(slot, list);
    this.#listBytes[list] += bytes;
    this.#size++;
  }

  #aim(target: number): void {
    this.#target = Math.min(this.#capacity, Math.max(0, target));
  }

  /** What was used once, with its ghosts, stays within the capacity, and everything within twice that. */
  #trim(): void {
    const ghosts = this.#ghosts;
    const [once, again] = this.#listBytes;
    for (let count = 0; count < FORGOTTEN_MAX; count++) {
      const lostOnce = ghosts.bytesOf(ONCE);
      const lostAgain = ghosts.bytesOf(AGAIN);
      if (lostOnce > 0 && once + lostOnce > this.#capacity) ghosts.dropOldest(ONCE);
      else if (once + again + lostOnce + lostAgain <= 2 * this.#capacity) break;
      else ghosts.dropOldest(lostAgain > 0 ? AGAIN : ONCE);
    }
  }
}
