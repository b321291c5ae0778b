import { EMPTY_BYTES } from "../base/bytes.js";

/** Arrays up to here lie in the JavaScript heap, where they cost a tenth of what a buffer of their own does. */
const IN_HEAP_BYTES_MAX = 64;
/** Longer ones have a buffer of their own: making it costs little beside copying them. */
const SHARED_BYTES_MAX = 1024;
/** The first chunk is small, because many a listing is short. */
const CHUNK_BYTES_MIN = 1024;
/** As much memory as one value that is kept can hold on to. */
const CHUNK_BYTES_MAX = 4096;

/**
 * Copies byte arrays that go to one reader into chunks which only they share: making a buffer for each of
 * them would take longer than everything else that a listing does.
 */
export class ValueChunks {
  #chunk: Uint8Array = EMPTY_BYTES;
  #used = 0;
  #chunkBytes = CHUNK_BYTES_MIN;

  /** A copy of `bytes[from, to)`. `bytes` must be no Buffer. */
  copy(bytes: Uint8Array, from: number, to: number): Uint8Array {
    const length = to - from;
    if (length <= IN_HEAP_BYTES_MAX || length > SHARED_BYTES_MAX) return bytes.slice(from, to);
    // Also when the reader gave the buffer away to another thread: then it has no length any more.
    if (this.#used + length > this.#chunk.length) this.#begin(length);
    const at = this.#used;
    // Where the next value begins is a multiple of eight, so that views of wider numbers fit.
    this.#used = (at + length + 7) & ~7;
    this.#chunk.set(bytes.subarray(from, to), at);
    return this.#chunk.subarray(at, at + length);
  }

  #begin(length: number): void {
    this.#chunk = new Uint8Array(Math.max(this.#chunkBytes, length));
    this.#used = 0;
    this.#chunkBytes = CHUNK_BYTES_MAX;
  }
}
