/** What a durable commit resolves to. */
export interface Durable {
  readonly version: number;
}

/** A promise that waits for the version of its result to become durable. */
export interface Waiter {
  readonly result: Durable;
  /** Resolves it, which is to be done with its own result. */
  readonly resolve: (result: Durable) => void;
  readonly reject: (error: Error) => void;
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
    if (queue.length === 0) return;
    for (; this.#head < queue.length && queue[this.#head].result.version <= version; this.#head++) {
      const { result, resolve } = queue[this.#head];
      resolve(result);
    }
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
    while (first > this.#head && this.#queue[first - 1].result.version > version) first--;
    return this.#queue.splice(first);
  }
}
