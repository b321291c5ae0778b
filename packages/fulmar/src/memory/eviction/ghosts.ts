import { assert } from "../../base/assert.js";
import { NO_SLOT } from "./policy.js";
import { SlotLists } from "./slot-lists.js";
import { SlotWords } from "./slot-words.js";

/** Buckets at least: a power of two. */
const BUCKETS_MIN = 64;
/** Buckets are merged when there are so many times more of them than ghosts. */
const SPARSE = 4;

/** What is remembered of a key that is gone. */
export interface Ghost {
  readonly list: number;
  readonly bytes: number;
}

/**
 * Hashes of keys that are gone, in lists by age, found by linear hashing (Litwin 1980): it grows and
 * shrinks by one bucket at a time, so that no step pays for a whole table. Two keys with one hash are
 * taken for the same, which costs nothing but a wrong guess.
 *
 * It remembers as many as {@link reserve} made room for, and never asks for memory by itself: a key goes when memory
 * is short, and where most is pinned, a table that grows for it could take all that evictions would free.
 */
export class Ghosts {
  readonly #lists: SlotLists;
  readonly #listCount: number;
  /** Bytes of each list. */
  readonly #listBytes: number[];
  readonly #fingerprints = new SlotWords();
  readonly #bytes = new SlotWords();
  readonly #listOf = new SlotWords();
  /** The next ghost in a bucket; among those that are free, the next free one. */
  readonly #chain = new SlotWords();
  readonly #heads = new SlotWords();
  #buckets = BUCKETS_MIN;
  #free = NO_SLOT;
  #fresh = 1;
  #size = 0;

  constructor(lists: number) {
    this.#lists = new SlotLists(lists);
    this.#listCount = lists;
    this.#listBytes = new Array(lists).fill(0);
    this.#heads.reserve(this.#buckets);
  }

  get size(): number {
    return this.#size;
  }

  get allocatedBytes(): number {
    const tables = [this.#fingerprints, this.#bytes, this.#listOf, this.#chain, this.#heads];
    return tables.reduce((sum, table) => sum + table.allocatedBytes, this.#lists.allocatedBytes);
  }

  /** Makes room for so many at least. */
  reserve(count: number): void {
    const tables = [this.#fingerprints, this.#bytes, this.#listOf, this.#chain, this.#heads, this.#lists];
    for (const table of tables) table.reserve(count);
  }

  /** Bytes that the keys of a list had. */
  bytesOf(list: number): number {
    return this.#listBytes[list];
  }

  /**
   * Remembers a key as the newest of a list. An older memory of the same hash is forgotten; and where no room is left,
   * the oldest key of the list that stands for more.
   */
  add(list: number, fingerprint: number, bytes: number): void {
    this.take(fingerprint);
    if (this.#isFull()) this.dropOldest(this.#largest());
    const ghost = this.#takeId();
    this.#fingerprints.set(ghost, fingerprint);
    this.#bytes.set(ghost, bytes);
    this.#listOf.set(ghost, list);
    this.#lists.addFirst(list, ghost);
    this.#listBytes[list] += bytes;
    this.#size++;
    this.#chainIn(ghost);
    if (this.#size > this.#buckets) this.#split();
  }

  /** Forgets a key and returns what was known of it. */
  take(fingerprint: number): Ghost | undefined {
    let ghost = this.#heads.get(this.#bucketOf(fingerprint));
    while (ghost !== NO_SLOT && this.#fingerprints.get(ghost) !== fingerprint) ghost = this.#chain.get(ghost);
    return ghost === NO_SLOT ? undefined : this.#drop(ghost);
  }

  /** Forgets the oldest key of a list. */
  dropOldest(list: number): Ghost | undefined {
    const ghost = this.#lists.last(list);
    return ghost === NO_SLOT ? undefined : this.#drop(ghost);
  }

  verify(): void {
    const seen = new Set<number>();
    for (let list = 0; list < this.#listCount; list++) {
      this.#lists.verify(list, seen);
      let bytes = 0;
      for (const ghost of this.#lists.slots(list)) {
        bytes += this.#bytes.get(ghost);
        assert(this.#listOf.get(ghost) === list, "a ghost knows its list");
      }
      assert(bytes === this.#listBytes[list], "bytes of ghosts are counted");
    }
    assert(seen.size === this.#size, "ghosts are counted");
    let chained = 0;
    for (let bucket = 0; bucket < this.#buckets; bucket++) {
      for (let ghost = this.#heads.get(bucket); ghost !== NO_SLOT; ghost = this.#chain.get(ghost)) {
        assert(seen.has(ghost), "a bucket has ghosts of the lists");
        assert(this.#bucketOf(this.#fingerprints.get(ghost)) === bucket, "a ghost is in its bucket");
        chained++;
      }
    }
    assert(chained === this.#size, "every ghost is in a bucket");
  }

  #drop(ghost: number): Ghost {
    const known = { list: this.#listOf.get(ghost), bytes: this.#bytes.get(ghost) };
    this.#lists.remove(known.list, ghost);
    this.#listBytes[known.list] -= known.bytes;
    this.#size--;
    this.#unchain(ghost);
    this.#chain.set(ghost, this.#free);
    this.#free = ghost;
    if (this.#buckets > BUCKETS_MIN && this.#size * SPARSE < this.#buckets) this.#merge();
    return known;
  }

  #takeId(): number {
    const ghost = this.#free;
    if (ghost !== NO_SLOT) {
      this.#free = this.#chain.get(ghost);
      return ghost;
    }
    return this.#fresh++;
  }

  #isFull(): boolean {
    return this.#free === NO_SLOT && this.#fresh >= this.#chain.slots;
  }

  /** The list that stands for most bytes. */
  #largest(): number {
    return this.#listBytes.indexOf(Math.max(...this.#listBytes));
  }

  /** The largest power of two that is not above the number of buckets. */
  #lower(): number {
    return 1 << (31 - Math.clz32(this.#buckets));
  }

  #bucketOf(fingerprint: number): number {
    const lower = this.#lower();
    const bucket = (fingerprint & (2 * lower - 1)) >>> 0;
    return bucket < this.#buckets ? bucket : bucket - lower;
  }

  #chainIn(ghost: number): void {
    const bucket = this.#bucketOf(this.#fingerprints.get(ghost));
    this.#chain.set(ghost, this.#heads.get(bucket));
    this.#heads.set(bucket, ghost);
  }

  #unchain(ghost: number): void {
    const bucket = this.#bucketOf(this.#fingerprints.get(ghost));
    const next = this.#chain.get(ghost);
    let at = this.#heads.get(bucket);
    if (at === ghost) {
      this.#heads.set(bucket, next);
      return;
    }
    while (this.#chain.get(at) !== ghost) at = this.#chain.get(at);
    this.#chain.set(at, next);
  }

  /** Adds a bucket, which takes its part of the one that stood for it. */
  #split(): void {
    const parent = this.#buckets - this.#lower();
    this.#heads.set(this.#buckets++, NO_SLOT);
    this.#chainAgain(parent);
  }

  /** Takes the last bucket away; the one that it came from has its ghosts again. */
  #merge(): void {
    this.#buckets--;
    this.#chainAgain(this.#buckets);
  }

  #chainAgain(bucket: number): void {
    let ghost = this.#heads.get(bucket);
    this.#heads.set(bucket, NO_SLOT);
    while (ghost !== NO_SLOT) {
      const next = this.#chain.get(ghost);
      this.#chainIn(ghost);
      ghost = next;
    }
  }
}
