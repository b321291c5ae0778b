/** Where the memory of slabs or of nodes comes from, and who hears of it. Numbers begin at 1. */
export interface Backing {
  /** Zeroed or not; more bytes than asked for at most where memory is used again. */
  allocate(bytes: number): ArrayBufferLike;
  /** A slab or chunk of nodes with this number lies there now. */
  added(number: number, buffer: ArrayBufferLike): void;
  /** It lies there no more. `reuse` is called once the number may stand for another. */
  dropped(number: number, buffer: ArrayBufferLike, reuse: () => void): void;
}

/** Memory that only this thread sees. */
export const PRIVATE_BACKING: Backing = Object.freeze({
  allocate: (bytes: number) => new ArrayBuffer(bytes),
  added: () => undefined,
  dropped: (_number: number, _buffer: ArrayBufferLike, reuse: () => void) => reuse(),
});
