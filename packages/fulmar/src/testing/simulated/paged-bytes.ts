import { crc32 } from "../../base/crc.js";

const PAGE_BYTES = 4096;

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}

/**
 * The bytes of a file: sparse pages, shared between copies until one of them writes. Zero-filled files cost
 * nothing and a copy of a disk costs one map per file, so that thousands of crash images fit in memory.
 * Bytes may stand beyond `sizeBytes`: data whose size change has not arrived.
 */
export class PagedBytes {
  sizeBytes = 0;
  #pages: Map<number, Uint8Array>;
  /** Pages that no other copy sees. */
  #owned = new Set<number>();
  /** Of the pages as they are, while nothing changes them. */
  #digest: { readonly sizeBytes: number; readonly text: string } | undefined;

  constructor(pages = new Map<number, Uint8Array>()) {
    this.#pages = pages;
  }

  /** A copy that shares all pages. */
  fork(): PagedBytes {
    const copy = new PagedBytes(new Map(this.#pages));
    copy.sizeBytes = this.sizeBytes;
    copy.#digest = this.#digest;
    this.#owned.clear();
    return copy;
  }

  write(position: number, source: Uint8Array, from: number, length: number): void {
    for (let done = 0; done < length; ) {
      const at = position + done;
      const index = Math.floor(at / PAGE_BYTES);
      const within = at % PAGE_BYTES;
      const count = Math.min(length - done, PAGE_BYTES - within);
      if (this.#pages.has(index) || !isZero(source, from + done, from + done + count)) {
        this.#own(index).set(source.subarray(from + done, from + done + count), within);
      }
      done += count;
    }
  }

  /** Copies what lies before `sizeBytes`; returns how much that was. */
  read(target: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(target.length, this.sizeBytes - position));
    for (let done = 0; done < length; ) {
      const at = position + done;
      const within = at % PAGE_BYTES;
      const count = Math.min(length - done, PAGE_BYTES - within);
      const page = this.#pages.get(Math.floor(at / PAGE_BYTES));
      if (page === undefined) target.fill(0, done, done + count);
      else target.set(page.subarray(within, within + count), done);
      done += count;
    }
    return length;
  }

  /** Sets the size; what a shrink cuts off reads as zeros if the file grows again. */
  resize(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) this.clearBeyond(sizeBytes);
    this.sizeBytes = sizeBytes;
  }

  /** Forgets every byte from `position` on, whatever the size says. */
  clearBeyond(position: number): void {
    const first = Math.floor(position / PAGE_BYTES);
    for (const index of [...this.#pages.keys()]) {
      if (index > first) {
        this.#pages.delete(index);
        this.#owned.delete(index);
        this.#digest = undefined;
      } else if (index === first) {
        this.#clearPage(index, position % PAGE_BYTES);
      }
    }
  }

  /** Most ends are clear already, and then the page stays shared. */
  #clearPage(index: number, within: number): void {
    if (isZero(this.#pages.get(index) as Uint8Array, within, PAGE_BYTES)) return;
    this.#own(index).fill(0, within);
  }

  /** Inverts one bit, counted from the start of the file. */
  flip(bit: number): void {
    const at = Math.floor(bit / 8);
    const page = this.#own(Math.floor(at / PAGE_BYTES));
    page[at % PAGE_BYTES] ^= 1 << (bit % 8);
  }

  /** All bytes before `sizeBytes`. */
  toBytes(): Uint8Array {
    const whole = new Uint8Array(this.sizeBytes);
    this.read(whole, 0);
    return whole;
  }

  /** A fingerprint of the bytes before `sizeBytes`; unwritten and zero-filled space are the same. */
  digest(): string {
    const { sizeBytes } = this;
    if (this.#digest?.sizeBytes !== sizeBytes) this.#digest = { sizeBytes, text: this.#computeDigest() };
    return this.#digest.text;
  }

  #computeDigest(): string {
    let low = 0;
    let high = 0;
    for (const index of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const page = this.#pages.get(index) as Uint8Array;
      const length = Math.min(PAGE_BYTES, this.sizeBytes - index * PAGE_BYTES);
      if (length <= 0 || isZero(page, 0, length)) continue;
      low = crc32(page, 0, length, low ^ index);
      high = crc32(page, 0, length, high + low + 1);
    }
    return `${high.toString(16)}${low.toString(16)}`;
  }

  #own(index: number): Uint8Array {
    this.#digest = undefined;
    const present = this.#pages.get(index);
    if (present !== undefined && this.#owned.has(index)) return present;
    const page = present === undefined ? new Uint8Array(PAGE_BYTES) : present.slice();
    this.#pages.set(index, page);
    this.#owned.add(index);
    return page;
  }
}
