import { EMPTY_BYTES } from "../base/bytes.js";
import type { Threads } from "../base/runtime/interface.js";

/** Arrays up to here lie in the JavaScript heap, where they cost a tenth of what a buffer of their own does. */
const IN_HEAP_BYTES_MAX = 64;
/** Longer ones have a buffer of their own: making it costs little beside copying them. */
const POOLED_BYTES_MAX = 1024;
/** As much memory as one value that is kept can hold on to, and as is copied with a clone of one. */
const CHUNK_BYTES = 8192;
/** Up to so many bytes a loop over words is faster than the view that `set` needs is made and dropped. */
const BY_WORDS_BYTES_MAX = 128;
const NO_BUFFER = new ArrayBuffer(0);

/**
 * Copies byte values into chunks that they share: making a buffer for each would take longer than everything
 * else that a read does. A chunk is filled once, from its beginning on, and never used again. Whoever has one of
 * these values has a part that is nobody else's, and the rest of the chunk within reach by its `buffer`; so each
 * store, and each reader on another thread, has a pool of its own.
 */
export class ValuePool {
  readonly #threads: Pick<Threads, "withhold">;
  #buffer = NO_BUFFER;
  #chunk = EMPTY_BYTES;
  #words = new Uint32Array(NO_BUFFER);
  #used = 0;

  constructor(threads: Pick<Threads, "withhold">) {
    this.#threads = threads;
  }

  /**
   * A copy of `bytes[from, to)`; `words`, if there are some, are the same memory in words whose first byte is the
   * lowest one. `bytes` must be no Buffer.
   */
  copy(bytes: Uint8Array, from: number, to: number, words?: Uint32Array): Uint8Array {
    const length = to - from;
    if (length <= IN_HEAP_BYTES_MAX || length > POOLED_BYTES_MAX) return bytes.slice(from, to);
    const at = this.#place(length);
    if (words !== undefined && length <= BY_WORDS_BYTES_MAX) {
      copyWords(words, from, this.#words, at, length);
    } else this.#chunk.set(bytes.subarray(from, to), at);
    return new Uint8Array(this.#buffer, at, length);
  }

  /** An array of so many bytes for somebody to fill. */
  take(length: number): Uint8Array {
    if (length <= IN_HEAP_BYTES_MAX || length > POOLED_BYTES_MAX) return new Uint8Array(length);
    const at = this.#place(length);
    return new Uint8Array(this.#buffer, at, length);
  }

  /** Where in the chunk the next value goes. */
  #place(length: number): number {
    // Also when somebody detached the buffer, by a stream of bytes for one: then the chunk has no length any more.
    if (this.#used + length > this.#chunk.length) this.#begin();
    const at = this.#used;
    // Where the next value begins is a multiple of eight, so that views of wider numbers fit.
    this.#used = (at + length + 7) & ~7;
    return at;
  }

  #begin(): void {
    this.#buffer = new ArrayBuffer(CHUNK_BYTES);
    // Who gives a value to another thread would take those of others along.
    this.#threads.withhold(this.#buffer);
    this.#chunk = new Uint8Array(this.#buffer);
    this.#words = new Uint32Array(this.#buffer);
    this.#used = 0;
  }
}

/**
 * Copies `length` bytes from the byte `from` of some words to the byte `at` of others, which is the first of a word
 * that is free as a whole: what is left of the last one becomes zero.
 */
function copyWords(words: Uint32Array, from: number, into: Uint32Array, at: number, length: number): void {
  const first = at >>> 2;
  const end = first + ((length + 3) >>> 2);
  const shift = (from & 3) << 3;
  let source = from >>> 2;
  if (shift === 0) for (let to = first; to < end; to++) into[to] = words[source++];
  else {
    let low = words[source];
    for (let to = first; to < end; to++) {
      const high = words[++source];
      into[to] = (low >>> shift) | (high << (32 - shift));
      low = high;
    }
  }
  const rest = (length & 3) << 3;
  if (rest !== 0) into[end - 1] &= 2 ** rest - 1;
}
