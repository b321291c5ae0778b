import { concatBytes, isReadable } from "../base/bytes.js";
import { isBytes } from "../base/options.js";
import { encodeUtf8 } from "../keys/utf8.js";
import { invalid } from "./dump-line.js";

const NEWLINE = 10;

/** Cuts a stream of text or bytes, in pieces of any size, into lines; holds one unfinished line at most. */
export class LineSplitter {
  readonly #bytesMax: number;
  #parts: Uint8Array[] = [];
  #held = 0;
  #number = 0;

  /** A longer line is refused before more of it is kept. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Number of the last line given out, counted from 1. */
  get number(): number {
    return this.#number;
  }

  /** The lines that end in this piece. */
  *add(piece: string | Uint8Array): Generator<Uint8Array, void> {
    const bytes = typeof piece === "string" ? encodeUtf8(piece) : piece;
    if (!isBytes(bytes) || !isReadable(bytes))
      throw invalid(this.#number + 1, "it is neither text nor bytes");
    let from = 0;
    for (let to = bytes.indexOf(NEWLINE); to >= 0; to = bytes.indexOf(NEWLINE, from)) {
      this.#keep(bytes.subarray(from, to));
      yield this.#take();
      from = to + 1;
    }
    // The caller may use its buffer again once it gets the control back.
    if (from < bytes.length) this.#keep(new Uint8Array(bytes.subarray(from)));
  }

  /** The last line, if it has no newline behind it. */
  *end(): Generator<Uint8Array, void> {
    if (this.#held > 0) yield this.#take();
  }

  #keep(bytes: Uint8Array): void {
    this.#held += bytes.length;
    if (this.#held > this.#bytesMax) {
      throw invalid(this.#number + 1, `it is longer than ${this.#bytesMax} bytes`);
    }
    if (bytes.length > 0) this.#parts.push(bytes);
  }

  #take(): Uint8Array {
    const line = this.#parts.length === 1 ? this.#parts[0] : concatBytes(...this.#parts);
    this.#parts = [];
    this.#held = 0;
    this.#number++;
    return line;
  }
}
