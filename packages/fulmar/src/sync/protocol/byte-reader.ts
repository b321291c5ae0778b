import { EMPTY_BYTES, isU53, readU16, readU32, readU64 } from "../../base/bytes.js";

/**
 * Reads untrusted bytes. A read beyond the end, or of a number above 2^53, yields zero and marks the
 * reader as failed; no later read succeeds. So a decoder may read on and look once at the end, as long
 * as it checks counts before it loops over them.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;
  #failed = false;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** Bytes not read yet; 0 after a failure. */
  get left(): number {
    return this.#failed ? 0 : this.#bytes.length - this.#at;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#bytes[at];
  }

  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : readU16(this.#bytes, at);
  }

  u32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : readU32(this.#bytes, at);
  }

  u53(): number {
    const at = this.#take(8);
    if (at < 0) return 0;
    if (isU53(this.#bytes, at)) return readU64(this.#bytes, at);
    this.#failed = true;
    return 0;
  }

  /** A view of the next `length` bytes. */
  view(length: number): Uint8Array {
    const at = this.#take(length);
    return at < 0 ? EMPTY_BYTES : this.#bytes.subarray(at, at + length);
  }

  /** Goes on at `at`, which something else has read up to. */
  skipTo(at: number): void {
    if (at < this.#at || at > this.#bytes.length) this.#failed = true;
    else this.#at = at;
  }

  fail(): void {
    this.#failed = true;
  }

  #take(length: number): number {
    if (this.#failed || length > this.#bytes.length - this.#at) {
      this.#failed = true;
      return -1;
    }
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
