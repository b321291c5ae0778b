import type { FileHandle } from "../base/runtime/interface.js";
import { readFully } from "./files.js";

/** Bytes of one read: large enough that the disk, not the calls, sets the pace. */
export const CHUNK_BYTES = 1024 * 1024;

/** Reads a file front to back through one buffer. Never holds more than the file, whatever a length claims. */
export class ChunkReader {
  readonly #handle: FileHandle;
  readonly sizeBytes: number;
  /** The buffer; valid until the next {@link load}. */
  bytes: Uint8Array;
  #start = 0;
  #filled = 0;

  constructor(handle: FileHandle, sizeBytes: number) {
    this.#handle = handle;
    this.sizeBytes = sizeBytes;
    this.bytes = new Uint8Array(Math.min(CHUNK_BYTES, sizeBytes));
  }

  /** Where in {@link bytes} the file's `[position, position + length)` is; -1 if it has to be loaded. */
  index(position: number, length: number): number {
    const at = position - this.#start;
    return at >= 0 && at + length <= this.#filled ? at : -1;
  }

  /** Like {@link index}, reading on if necessary; -1 if the file ends before. */
  async load(position: number, length: number): Promise<number> {
    const present = this.index(position, length);
    if (present >= 0) return present;
    if (length > this.sizeBytes - position) return -1;
    const from = position - this.#start;
    const kept = from >= 0 && from < this.#filled ? this.bytes.subarray(from, this.#filled) : undefined;
    const wanted = Math.min(Math.max(CHUNK_BYTES, length), this.sizeBytes - position);
    if (wanted > this.bytes.length || this.bytes.length > 4 * Math.max(CHUNK_BYTES, wanted)) {
      const bytes = new Uint8Array(wanted);
      if (kept !== undefined) bytes.set(kept);
      this.bytes = bytes;
    } else if (kept !== undefined) {
      this.bytes.copyWithin(0, from, this.#filled);
    }
    this.#start = position;
    this.#filled = kept?.length ?? 0;
    const target = this.bytes.subarray(this.#filled, wanted);
    this.#filled += await readFully(this.#handle, target, position + this.#filled);
    return this.index(position, length);
  }
}
