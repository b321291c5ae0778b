import { NONE, type Ref } from "../engine.js";
import type { OffHeapIndexes } from "./indexes.js";
import { compareKeys, sortByKey } from "./key-sorter.js";
import { OrderSorter } from "./order-sorter.js";
import { DISCARDED } from "./record-marks.js";
import type { RefList } from "./ref-list.js";

/** Records that are put into the order of keys in one step. */
const STEP_RECORDS = 1 << 12;

/**
 * Builds the orders of an engine whose records and hash index are there: of keys and deadlines. Some
 * records are in key order already, others are sorted and merged with them; what was discarded is freed.
 */
export class LoadOrder {
  readonly #indexes: OffHeapIndexes;
  readonly #deadlines: OrderSorter;
  readonly #sorted: RefList;
  #added = new Uint32Array(0);
  /** How far the merge is in each of both. */
  #nextSorted = 0;
  #nextAdded = 0;
  /** Where in what is sorted the next added record belongs; found when it is needed. */
  #border = 0;
  readonly #leaf: Uint32Array;
  #leafCount = 0;
  readonly #work: Iterator<void, void>;

  constructor(indexes: OffHeapIndexes, sorted: RefList, added: RefList) {
    this.#indexes = indexes;
    this.#sorted = sorted;
    this.#deadlines = new OrderSorter(indexes.deadlines);
    this.#leaf = new Uint32Array(indexes.keys.nodes.leafMax);
    this.#work = this.#run(added);
  }

  /** Goes on with the work; true when all is done. */
  step(): boolean {
    return this.#work.next().done === true;
  }

  *#run(added: RefList): Generator<void, void> {
    const { records } = this.#indexes;
    const refs = new Uint32Array(added.size);
    let count = 0;
    for (let from = 0; from < refs.length; from += STEP_RECORDS) {
      count = this.#takeAdded(added, from, refs, count);
      yield;
    }
    added.clear();
    this.#added = refs.subarray(0, count);
    yield* sortByKey(records, this.#added);
    this.#findBorder();
    while (this.#merge()) yield;
    if (this.#leafCount > 0) this.#closeLeaf();
    this.#sorted.clear();
    this.#added = new Uint32Array(0);
    while (this.#indexes.hash.trim()) yield;
    while (!this.#deadlines.step()) yield;
  }

  /** Copies some references into an array that has so many; how many it has then. */
  #takeAdded(added: RefList, from: number, refs: Uint32Array, count: number): number {
    const to = Math.min(added.size, from + STEP_RECORDS);
    let taken = count;
    for (let i = from; i < to; i++) {
      const ref = added.at(i);
      if (!this.#dropped(ref)) refs[taken++] = ref;
    }
    return taken;
  }

  /** Merges some records; whether there are more. */
  #merge(): boolean {
    for (let i = 0; i < STEP_RECORDS; i++) {
      if (this.#nextSorted < this.#border) {
        const ref = this.#sorted.at(this.#nextSorted++);
        if (!this.#dropped(ref)) this.#emit(ref);
      } else if (this.#nextAdded < this.#added.length) {
        this.#emit(this.#added[this.#nextAdded++]);
        this.#findBorder();
      } else return false;
    }
    return true;
  }

  /** Finds where the next added record belongs in what is sorted: from where the merge is, in doubling steps. */
  #findBorder(): void {
    const { size } = this.#sorted;
    if (this.#nextAdded === this.#added.length) {
      this.#border = size;
      return;
    }
    const { records } = this.#indexes;
    const ref = this.#added[this.#nextAdded];
    let low = this.#nextSorted;
    let step = 1;
    while (low + step <= size && compareKeys(records, this.#sorted.at(low + step - 1), ref) < 0) {
      low += step;
      step *= 2;
    }
    let high = Math.min(size, low + step - 1);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(records, this.#sorted.at(middle), ref) < 0) low = middle + 1;
      else high = middle;
    }
    this.#border = low;
  }

  /** Frees a record if it was discarded. */
  #dropped(ref: Ref): boolean {
    const { records } = this.#indexes;
    if (!records.has(ref, DISCARDED)) return false;
    records.free(ref);
    return true;
  }

  #emit(ref: Ref): void {
    this.#leaf[this.#leafCount++] = ref;
    if (this.#leafCount === this.#leaf.length) this.#closeLeaf();
  }

  #closeLeaf(): void {
    const leaf = this.#leaf;
    const count = this.#leafCount;
    this.#indexes.records.touch(leaf, count);
    this.#indexes.keys.appendLeaf(leaf, count);
    for (let i = 0; i < count; i++) this.#indexes.enterLoaded(leaf[i], this.#deadlines);
    leaf.fill(NONE);
    this.#leafCount = 0;
  }
}
