/** Runs tasks with the same key one after another. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<unknown>>();

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const result = before === undefined ? task() : before.then(task, task);
    this.#tails.set(key, result);
    try {
      return await result;
    } finally {
      if (this.#tails.get(key) === result) this.#tails.delete(key);
    }
  }
}

/** Bounds the bytes that are held in memory at once; whoever asks for more than the whole waits for all of it. */
export class ByteBudget {
  readonly #bytesMax: number;
  #used = 0;
  readonly #queue: { readonly bytes: number; readonly grant: () => void }[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Runs `task` when `bytes` are free. First come, first served. */
  async hold<T>(bytes: number, task: () => Promise<T>): Promise<T> {
    const share = Math.min(bytes, this.#bytesMax);
    if (this.#queue.length > 0 || this.#used + share > this.#bytesMax) {
      await new Promise<void>((grant) => this.#queue.push({ bytes: share, grant }));
    } else {
      this.#used += share;
    }
    try {
      return await task();
    } finally {
      this.#used -= share;
      this.#grantNext();
    }
  }

  #grantNext(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      if (this.#used + first.bytes > this.#bytesMax) return;
      this.#queue.shift();
      this.#used += first.bytes;
      first.grant();
    }
  }
}
