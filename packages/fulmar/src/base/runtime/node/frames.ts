/**
 * Frames on a byte stream: a length (32 bits, little-endian, never 0), then so many bytes.
 */
import { assert } from "../../assert.js";
import { EMPTY_BYTES, readU32, writeU32 } from "../../bytes.js";
import { FulmarError } from "../../errors.js";

export const FRAME_HEADER_BYTES = 4;
/** A frame up to this length is copied into one buffer with its neighbours, a longer one is written as it is. */
const COPIED_BYTES_MAX = 8 * 1024;
/** Short frames are joined into buffers of about this size. */
const JOINED_BYTES = 64 * 1024;
/** Memory set aside at once for an announced frame; more only in proportion to what has arrived. */
const FIRST_BYTES_MAX = 256 * 1024;
const GROWTH = 4;

function readLimit(frameBytesMax: number): number {
  assert(Number.isInteger(frameBytesMax) && frameBytesMax >= 1, "a frame limit is a positive integer");
  return Math.min(frameBytesMax, 2 ** 32 - 1);
}

/**
 * Cuts a stream into frames. Pulled, not pushed: {@link push} gives input, {@link next} takes one frame,
 * so that delivery can stop between any two. Every byte is copied a bounded number of times.
 */
export class FrameDecoder {
  #frameBytesMax: number;
  #input: Uint8Array = EMPTY_BYTES;
  #at = 0;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerFilled = 0;
  #length = 0;
  #body: Uint8Array = EMPTY_BYTES;
  #bodyFilled = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = readLimit(frameBytesMax);
  }

  /** Changes the longest frame accepted, from the next one on that has not begun. */
  limit(frameBytesMax: number): void {
    this.#frameBytesMax = readLimit(frameBytesMax);
  }

  /** Whether the stream stands inside a frame. */
  get partial(): boolean {
    return this.#headerFilled > 0;
  }

  /** Gives the next piece of the stream, once `next` has found no more in the last one. */
  push(input: Uint8Array): void {
    assert(this.#at === this.#input.length, "a decoder is given input only when it has used up the last");
    this.#input = input;
    this.#at = 0;
  }

  /** The next whole frame, a copy; undefined if it takes more input. Throws PROTOCOL_VIOLATION. */
  next(): Uint8Array | undefined {
    if (this.#headerFilled < FRAME_HEADER_BYTES && !this.#readHeader()) return this.#exhausted();
    const wanted = this.#length - this.#bodyFilled;
    const offered = this.#input.length - this.#at;
    if (this.#bodyFilled === 0 && offered >= wanted) {
      // A plain array even if the input is a Buffer, whose `slice` would share memory.
      return this.#finish(new Uint8Array(this.#input.subarray(this.#at, this.#at + wanted)), wanted);
    }
    const taken = Math.min(wanted, offered);
    this.#reserve(this.#bodyFilled + taken);
    this.#body.set(this.#input.subarray(this.#at, this.#at + taken), this.#bodyFilled);
    this.#bodyFilled += taken;
    if (taken === wanted) return this.#finish(this.#body, taken);
    this.#at += taken;
    return this.#exhausted();
  }

  #readHeader(): boolean {
    while (this.#headerFilled < FRAME_HEADER_BYTES) {
      if (this.#at === this.#input.length) return false;
      this.#header[this.#headerFilled++] = this.#input[this.#at++];
    }
    this.#length = readU32(this.#header, 0);
    if (this.#length === 0) throw new FulmarError("PROTOCOL_VIOLATION", "an empty frame");
    if (this.#length > this.#frameBytesMax) {
      throw new FulmarError(
        "PROTOCOL_VIOLATION",
        `a frame of ${this.#length} bytes, where at most ${this.#frameBytesMax} are allowed`,
        { frameBytes: this.#length, frameBytesMax: this.#frameBytesMax },
      );
    }
    return true;
  }

  /** Makes room for `filled` bytes of the body, and for all of it once that is in proportion. */
  #reserve(filled: number): void {
    if (this.#body.length >= filled) return;
    const room = Math.min(this.#length, Math.max(FIRST_BYTES_MAX, filled * GROWTH));
    const grown = new Uint8Array(room);
    grown.set(this.#body.subarray(0, this.#bodyFilled));
    this.#body = grown;
  }

  #finish(frame: Uint8Array, taken: number): Uint8Array {
    this.#at += taken;
    this.#headerFilled = 0;
    this.#body = EMPTY_BYTES;
    this.#bodyFilled = 0;
    return frame;
  }

  #exhausted(): undefined {
    // Lets go of the input, which would otherwise be kept until the next one comes.
    this.#input = EMPTY_BYTES;
    this.#at = 0;
    return undefined;
  }
}

/**
 * The stream for some frames, as few buffers: short frames are joined, since one write of many costs a
 * fraction of many writes, and long ones are not copied.
 */
export function encodeFrames(frames: readonly Uint8Array[]): Uint8Array[] {
  const buffers: Uint8Array[] = [];
  let from = 0;
  while (from < frames.length) {
    let sizeBytes = 0;
    let to = from;
    let long: Uint8Array | undefined;
    while (to < frames.length && sizeBytes < JOINED_BYTES && long === undefined) {
      const frame = frames[to++];
      sizeBytes += FRAME_HEADER_BYTES;
      if (frame.length > COPIED_BYTES_MAX) long = frame;
      else sizeBytes += frame.length;
    }
    buffers.push(joinFrames(frames, from, to, sizeBytes));
    if (long !== undefined) buffers.push(long);
    from = to;
  }
  return buffers;
}

/** Headers and bodies of `frames[from, to)`; of a long one, which is the last, only the header. */
function joinFrames(frames: readonly Uint8Array[], from: number, to: number, sizeBytes: number): Uint8Array {
  const joined = new Uint8Array(sizeBytes);
  let at = 0;
  for (let i = from; i < to; i++) {
    const frame = frames[i];
    writeU32(joined, at, frame.length);
    at += FRAME_HEADER_BYTES;
    if (frame.length > COPIED_BYTES_MAX) break;
    joined.set(frame, at);
    at += frame.length;
  }
  return joined;
}
