import { assert } from "../../base/assert.js";

/** Items per chunk at most: splicing so many costs less than the search for the place. */
const CHUNK_ITEMS_MAX = 512;

/** Negative when an item lies before what is sought, zero when it is that, positive when beyond. */
export type Order<T> = (item: T) => number;

interface Position {
  chunk: number;
  index: number;
}

/**
 * Distinct items in ascending order, as a list of sorted arrays: a search is binary in the firsts and
 * then in one array, a change splices one array.
 */
export class SortedChunks<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #chunks: T[][] = [];
  #size = 0;
  #edition = 0;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#size;
  }

  /** Changes whenever a {@link Position} may have become wrong. */
  get edition(): number {
    return this.#edition;
  }

  get first(): T | undefined {
    return this.#chunks[0]?.[0];
  }

  insert(item: T): void {
    const { chunk, index } = this.#place(item);
    this.#size++;
    this.#edition++;
    const items = this.#chunks[chunk];
    if (items === undefined) this.#chunks.push([item]);
    else if (items.length < CHUNK_ITEMS_MAX) items.splice(index, 0, item);
    else if (chunk === this.#chunks.length - 1 && index === items.length) this.#chunks.push([item]);
    else this.#split(chunk, index, item);
  }

  remove(item: T): void {
    const { chunk, index } = this.#place(item);
    const items = this.#chunks[chunk];
    assert(items?.[index] === item, "what is removed was inserted");
    this.#size--;
    this.#edition++;
    items.splice(index, 1);
    if (items.length === 0) this.#chunks.splice(chunk, 1);
  }

  /** Where the first item stands that `order` does not give a negative number for; the end if there is none. */
  seek(order: Order<T>): Position {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order(this.#chunks[middle][0]) < 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return { chunk: 0, index: 0 };
    const index = this.#indexIn(this.#chunks[low - 1], order);
    return index < this.#chunks[low - 1].length ? { chunk: low - 1, index } : { chunk: low, index: 0 };
  }

  itemAt({ chunk, index }: Position): T | undefined {
    return this.#chunks[chunk]?.[index];
  }

  /** Moves a position to the next item, or to the end. */
  forward(position: Position): void {
    if (++position.index < this.#chunks[position.chunk].length) return;
    position.chunk++;
    position.index = 0;
  }

  /** Moves a position, or the end, to the item before; false at the first. */
  backward(position: Position): boolean {
    if (position.index > 0) {
      position.index--;
      return true;
    }
    if (position.chunk === 0) return false;
    position.chunk--;
    position.index = this.#chunks[position.chunk].length - 1;
    return true;
  }

  compare(a: T, b: T): number {
    return this.#compare(a, b);
  }

  /** From the first item that `start` does not put before what is sought; in reverse from the last that it does. */
  cursor(start: Order<T>, reverse: boolean): ChunkCursor<T> {
    return new ChunkCursor(this, start, reverse);
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const items of this.#chunks) yield* items;
  }

  /** Throws INVARIANT unless items ascend, no chunk is empty or too full, and the size is right. */
  verify(): void {
    let count = 0;
    let before: T | undefined;
    for (const items of this.#chunks) {
      assert(items.length > 0 && items.length <= CHUNK_ITEMS_MAX, "chunks are neither empty nor too full");
      for (const item of items) {
        assert(before === undefined || this.#compare(before, item) < 0, "sorted items ascend");
        before = item;
        count++;
      }
    }
    assert(count === this.#size, "the size is the number of items");
  }

  /** Where `item` stands or belongs: at the end of a chunk rather than at the start of the next. */
  #place(item: T): Position {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#chunks[middle][0], item) <= 0) low = middle + 1;
      else high = middle;
    }
    const chunk = Math.max(0, low - 1);
    const items = this.#chunks[chunk];
    return {
      chunk,
      index: items === undefined ? 0 : this.#indexIn(items, (other) => this.#compare(other, item)),
    };
  }

  #indexIn(items: readonly T[], order: Order<T>): number {
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order(items[middle]) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #split(chunk: number, index: number, item: T): void {
    const upper = this.#chunks[chunk].splice(CHUNK_ITEMS_MAX / 2);
    this.#chunks.splice(chunk + 1, 0, upper);
    if (index <= CHUNK_ITEMS_MAX / 2) this.#chunks[chunk].splice(index, 0, item);
    else upper.splice(index - CHUNK_ITEMS_MAX / 2, 0, item);
  }
}

/** Walks a {@link SortedChunks} in one direction, and finds its place again whenever that changed. */
export class ChunkCursor<T> {
  readonly #items: SortedChunks<T>;
  readonly #start: Order<T>;
  readonly #reverse: boolean;
  #position: Position;
  #edition: number;
  #last: T | undefined;

  constructor(items: SortedChunks<T>, start: Order<T>, reverse: boolean) {
    this.#items = items;
    this.#start = start;
    this.#reverse = reverse;
    this.#position = items.seek(start);
    this.#edition = items.edition;
  }

  /** The next item; undefined at the end. */
  next(): T | undefined {
    if (this.#edition !== this.#items.edition) this.#seekAgain();
    const item = this.#reverse ? this.#stepBack() : this.#stepOn();
    if (item !== undefined) this.#last = item;
    return item;
  }

  #stepOn(): T | undefined {
    const item = this.#items.itemAt(this.#position);
    if (item !== undefined) this.#items.forward(this.#position);
    return item;
  }

  /** In reverse the position is that of the item given last. */
  #stepBack(): T | undefined {
    return this.#items.backward(this.#position) ? this.#items.itemAt(this.#position) : undefined;
  }

  #seekAgain(): void {
    const last = this.#last;
    this.#edition = this.#items.edition;
    if (last === undefined) this.#position = this.#items.seek(this.#start);
    else if (this.#reverse) this.#position = this.#items.seek((item) => this.#items.compare(item, last));
    else this.#position = this.#items.seek((item) => (this.#items.compare(item, last) <= 0 ? -1 : 1));
  }
}
