import type { FileHandle } from "../base/runtime/interface.js";
import { corrupt, readFully } from "./files.js";

/** Bytes of one read: large enough that the disk, not the calls, sets the pace. */
export const CHUNK_BYTES = 1024 * 1024;
/** So much of what was not used yet can stand before a chunk that was read ahead. */
const HEADROOM_BYTES = 256 * 1024;

interface Ahead {
  readonly position: number;
  readonly bytes: Uint8Array;
  /** Bytes read, behind the headroom. */
  readonly reading: Promise<number>;
}

/**
 * Reads a file front to back. Never holds more than the file, or two chunks of it, whatever a length
 * claims. A reader that reads ahead must be stopped before its file is closed.
 */
export class ChunkReader {
  readonly #handle: FileHandle;
  readonly #readsAhead: boolean;
  readonly sizeBytes: number;
  /** The buffer; valid until the next {@link load}. */
  bytes: Uint8Array;
  /** Where in it the file's `[start, start + filled)` is. */
  #at = 0;
  #start = 0;
  #filled = 0;
  #ahead: Ahead | undefined;
  #spare: Uint8Array | undefined;

  /** `readsAhead`: the next chunk is read while this one is used, which is worth it for a whole file. */
  constructor(handle: FileHandle, sizeBytes: number, readsAhead = false) {
    this.#handle = handle;
    this.#readsAhead = readsAhead && sizeBytes > CHUNK_BYTES;
    this.sizeBytes = sizeBytes;
    this.bytes = new Uint8Array(Math.min(CHUNK_BYTES, sizeBytes));
  }

  /** Where in {@link bytes} the file's `[position, position + length)` is; -1 if it has to be loaded. */
  index(position: number, length: number): number {
    const from = position - this.#start;
    return from >= 0 && from + length <= this.#filled ? this.#at + from : -1;
  }

  /** Like {@link index}, reading on if necessary; -1 if the file ends before. */
  async load(position: number, length: number): Promise<number> {
    const present = this.index(position, length);
    if (present >= 0) return present;
    if (length > this.sizeBytes - position) return -1;
    const from = position - this.#start;
    const isKept = from >= 0 && from < this.#filled;
    const kept = isKept ? this.bytes.subarray(this.#at + from, this.#at + this.#filled) : undefined;
    if (!(await this.#takeAhead(position, length, kept))) await this.#read(position, length, kept);
    if (this.#readsAhead) this.#readOn();
    return this.index(position, length);
  }

  /** Like {@link load}, but nothing that was read before is used, and no more is read than that. */
  async again(position: number, length: number): Promise<number> {
    await this.stop();
    this.#filled = 0;
    if (length > this.sizeBytes - position) return -1;
    await this.#read(position, length, undefined, length);
    return this.index(position, length);
  }

  /** Like {@link load}, but rejects with CORRUPT if the file ends before. */
  async need(position: number, length: number): Promise<number> {
    const at = await this.load(position, length);
    if (at < 0) throw corrupt(this.#handle.path, position, "it ends too early");
    return at;
  }

  /** The bytes there, valid until the next {@link load}; undefined if the file ends before. */
  async view(position: number, length: number): Promise<Uint8Array | undefined> {
    const at = await this.load(position, length);
    return at < 0 ? undefined : this.bytes.subarray(at, at + length);
  }

  /** Waits for what is being read ahead. */
  async stop(): Promise<void> {
    // Whoever needed those bytes would have been told.
    await this.#ahead?.reading.catch(() => undefined);
    this.#ahead = undefined;
  }

  /** Goes over to the chunk that was read ahead, if it continues what is kept. */
  async #takeAhead(position: number, length: number, kept: Uint8Array | undefined): Promise<boolean> {
    const ahead = this.#ahead;
    const keptBytes = kept?.length ?? 0;
    const fits = keptBytes <= HEADROOM_BYTES && length - keptBytes <= CHUNK_BYTES;
    if (ahead === undefined || !fits || ahead.position !== position + keptBytes) {
      await this.stop();
      return false;
    }
    const read = await ahead.reading;
    this.#ahead = undefined;
    this.#at = HEADROOM_BYTES - keptBytes;
    if (kept !== undefined) ahead.bytes.set(kept, this.#at);
    if (this.bytes.length === ahead.bytes.length) this.#spare = this.bytes;
    this.bytes = ahead.bytes;
    this.#start = position;
    this.#filled = keptBytes + read;
    return true;
  }

  async #read(
    position: number,
    length: number,
    kept: Uint8Array | undefined,
    least = CHUNK_BYTES,
  ): Promise<void> {
    const wanted = Math.min(Math.max(least, length), this.sizeBytes - position);
    if (wanted > this.bytes.length || this.bytes.length > 4 * Math.max(CHUNK_BYTES, wanted)) {
      const bytes = new Uint8Array(wanted);
      if (kept !== undefined) bytes.set(kept);
      this.bytes = bytes;
    } else if (kept !== undefined) {
      this.bytes.copyWithin(0, kept.byteOffset - this.bytes.byteOffset, this.#at + this.#filled);
    }
    this.#at = 0;
    this.#start = position;
    this.#filled = kept?.length ?? 0;
    const target = this.bytes.subarray(this.#filled, wanted);
    this.#filled += await readFully(this.#handle, target, position + this.#filled);
  }

  #readOn(): void {
    const position = this.#start + this.#filled;
    const length = Math.min(CHUNK_BYTES, this.sizeBytes - position);
    if (length <= 0) return;
    const bytes = this.#spare ?? new Uint8Array(HEADROOM_BYTES + CHUNK_BYTES);
    this.#spare = undefined;
    const target = bytes.subarray(HEADROOM_BYTES, HEADROOM_BYTES + length);
    const reading = readFully(this.#handle, target, position);
    // An error is told to whoever comes to need these bytes.
    reading.catch(() => undefined);
    this.#ahead = { position, bytes, reading };
  }
}
