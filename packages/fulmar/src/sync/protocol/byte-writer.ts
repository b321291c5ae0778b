import { writeU16, writeU32, writeU64 } from "../../base/bytes.js";

const FIRST_BYTES = 256;

/** Bytes written one after the other into an array that grows. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacityBytes = FIRST_BYTES) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    writeU16(this.#bytes, this.#length, value);
    this.#length += 2;
  }

  u32(value: number): void {
    this.#reserve(4);
    writeU32(this.#bytes, this.#length, value);
    this.#length += 4;
  }

  u64(value: number): void {
    this.#reserve(8);
    writeU64(this.#bytes, this.#length, value);
    this.#length += 8;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Appends `source[from, to)` and returns the array that holds it and where: for changing it in place at once. */
  copy(source: Uint8Array, from: number, to: number): { bytes: Uint8Array; at: number } {
    const at = this.#length;
    this.#reserve(to - from);
    this.#bytes.set(source.subarray(from, to), at);
    this.#length += to - from;
    return { bytes: this.#bytes, at };
  }

  /** What was written; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
