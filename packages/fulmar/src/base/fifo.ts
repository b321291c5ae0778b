/** Places that may be empty in front, besides as many as are taken. */
const EMPTY_MAX = 32;

/**
 * Items that are added at the end and taken from the front, or back from the end. To take the first of an array of some
 * ten thousand moves all others.
 */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #first = 0;

  get size(): number {
    return this.#items.length - this.#first;
  }

  get first(): T | undefined {
    return this.#items[this.#first];
  }

  get last(): T | undefined {
    return this.size === 0 ? undefined : this.#items[this.#items.length - 1];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first item away. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#first];
    this.#items[this.#first++] = undefined;
    // Not as soon as it is empty: V8 would make the array anew for each item.
    if (this.#first > EMPTY_MAX + this.size) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  /** Takes the last item away. */
  pop(): T | undefined {
    return this.size === 0 ? undefined : this.#items.pop();
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
  }
}
