/** A promise that waits for a version to become durable. */
export interface Waiter {
  readonly version: number;
  resolve(): void;
  reject(error: Error): void;
}

/** Waiters in order of their versions: a queue, since durability only grows. */
export class Waiters {
  #queue: Waiter[] = [];
  #head = 0;

  get size(): number {
    return this.#queue.length - this.#head;
  }

  add(waiter: Waiter): void {
    this.#queue.push(waiter);
  }

  /** Resolves everybody who waits for a version up to `version`. */
  release(version: number): void {
    const queue = this.#queue;
    while (this.#head < queue.length && queue[this.#head].version <= version) queue[this.#head++].resolve();
    // Drops the used half in one go, so that a step costs O(1) on average.
    if (this.#head > 1024 && this.#head * 2 > queue.length) {
      this.#queue = queue.slice(this.#head);
      this.#head = 0;
    } else if (this.#head === queue.length) {
      queue.length = 0;
      this.#head = 0;
    }
  }

  /** Removes and returns everybody who waits for a version above `version`. */
  takeAbove(version: number): Waiter[] {
    let first = this.#queue.length;
    while (first > this.#head && this.#queue[first - 1].version > version) first--;
    return this.#queue.splice(first);
  }
}
