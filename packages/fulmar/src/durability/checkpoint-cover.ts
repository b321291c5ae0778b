import { compareBytes, compareRanges, EMPTY_BYTES } from "../base/bytes.js";

/** Keys from `first` to `last`, both included; without `last` all from `first` on. */
interface Span {
  readonly first: Uint8Array;
  last: Uint8Array | undefined;
}

/**
 * For which keys what is left of a damaged checkpoint has the last word. Its blocks hold keys in order, so a lost one
 * can have held keys between those of its neighbours only: of every other key silence means that there was none.
 */
export class CheckpointCover {
  readonly #spans: Span[] = [];
  #nextIndex = 0;
  #isOrdered = true;

  /** Whether nothing is lost. */
  get isComplete(): boolean {
    const [span] = this.#spans;
    return this.#isOrdered && span?.first === EMPTY_BYTES && span.last === undefined;
  }

  /** There is a whole block, behind those before it in the file. */
  add(index: number, first: Uint8Array, last: Uint8Array): void {
    const before = this.#spans.at(-1);
    // Its numbers or its keys are wrong under a right checksum: then nothing says what is between which.
    if (before?.last !== undefined && compareBytes(before.last, first) >= 0) this.#isOrdered = false;
    if (index !== this.#nextIndex) this.#spans.push({ first, last });
    else if (before === undefined) this.#spans.push({ first: EMPTY_BYTES, last });
    else before.last = last;
    this.#nextIndex = index + 1;
  }

  /** So many blocks there were. */
  end(blockCount: number): void {
    if (blockCount !== this.#nextIndex) return;
    const last = this.#spans.at(-1);
    if (last === undefined) this.#spans.push({ first: EMPTY_BYTES, last: undefined });
    else last.last = undefined;
  }

  /** Whether the key in `bytes[from, to)` was in no lost block. */
  has(bytes: Uint8Array, from: number, to: number): boolean {
    const spans = this.#spans;
    let [low, high] = [0, this.#isOrdered ? spans.length : 0];
    while (low < high) {
      const middle = (low + high) >> 1;
      const { first } = spans[middle];
      if (compareRanges(first, 0, first.length, bytes, from, to) <= 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return false;
    const { last } = spans[low - 1];
    return last === undefined || compareRanges(bytes, from, to, last, 0, last.length) <= 0;
  }
}
