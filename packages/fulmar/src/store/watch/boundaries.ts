/** Byte strings one behind the other: the one at `i` is `bytes[offsets[i], offsets[i + 1])`. */
export interface Bounds {
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
}

/** Collects byte strings; room for more is made by doubling. */
export class Boundaries {
  #bytes = new Uint8Array(64);
  #offsets = new Uint32Array(8);
  #count = 0;

  push(boundary: Uint8Array): void {
    const at = this.#offsets[this.#count];
    const end = at + boundary.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(2 * end);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    if (this.#count + 1 === this.#offsets.length) {
      const grown = new Uint32Array(2 * this.#offsets.length);
      grown.set(this.#offsets);
      this.#offsets = grown;
    }
    this.#bytes.set(boundary, at);
    this.#offsets[++this.#count] = end;
  }

  /** What was collected, in no more room than it takes. */
  take(): Bounds {
    const count = this.#count;
    return {
      count,
      bytes: new Uint8Array(this.#bytes.subarray(0, this.#offsets[count])),
      offsets: new Uint32Array(this.#offsets.subarray(0, count + 1)),
    };
  }
}
