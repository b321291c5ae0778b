/** Small enough that a dozen tables which grow together do not take what a small store has left. */
const CHUNK_SHIFT = 10;
const CHUNK_SLOTS = 1 << CHUNK_SHIFT;
const CHUNK_MASK = CHUNK_SLOTS - 1;

/**
 * One 32-bit word for each slot, off the JavaScript heap. It grows by chunks, so that no growth copies
 * what is there.
 */
export class SlotWords {
  readonly #chunks: Uint32Array[] = [];

  /** Bytes that it grows by to have room up to `slot`. */
  growthBytes(slot: number): number {
    return Math.max(0, (slot >>> CHUNK_SHIFT) + 1 - this.#chunks.length) * CHUNK_SLOTS * 4;
  }

  /** Slots that it has room for, 0 included. */
  get slots(): number {
    return this.#chunks.length * CHUNK_SLOTS;
  }

  get allocatedBytes(): number {
    return this.#chunks.length * CHUNK_SLOTS * 4;
  }

  get(slot: number): number {
    return this.#chunks[slot >>> CHUNK_SHIFT][slot & CHUNK_MASK];
  }

  set(slot: number, word: number): void {
    this.#chunks[slot >>> CHUNK_SHIFT][slot & CHUNK_MASK] = word;
  }

  /** Makes room up to `slot`; what was never set is 0. */
  reserve(slot: number): void {
    while (slot >>> CHUNK_SHIFT >= this.#chunks.length) this.#chunks.push(new Uint32Array(CHUNK_SLOTS));
  }
}
