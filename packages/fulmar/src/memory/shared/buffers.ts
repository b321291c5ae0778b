import type { Backing } from "../offheap/backing.js";

/** Slabs of records, or chunks of nodes of the key tree. */
export type MemoryKind = "slab" | "chunk";

/** A buffer that came to stand under a number, or undefined when that one is gone. */
export type MappingListener = (
  kind: MemoryKind,
  number: number,
  buffer: SharedArrayBuffer | undefined,
) => void;

/** Buffers are of multiples of this size, so that what a large record leaves fits the next one. */
const STEPS_PER_DOUBLING = 4;
/** So many bytes stay for the next need, and this part of what is in use. */
const IDLE_BYTES_MIN = 64 << 20;
const IDLE_PART = 0.25;

/**
 * Shared memory for slabs and nodes. The garbage collector does not count shared memory, so that buffers which
 * are dropped and made anew again and again would fill the machine before it runs: they are used again here.
 */
export class SharedBuffers {
  readonly slabs: Backing = this.#backing("slab");
  readonly chunks: Backing = this.#backing("chunk");
  /** Told of each buffer that comes and goes. */
  mapped: MappingListener = () => undefined;
  /** Given what makes the number of a buffer free again, to be called once no reader can mean that buffer. */
  retired: (reuse: () => void) => void = (reuse) => reuse();
  readonly #maps = {
    slab: new Map<number, SharedArrayBuffer>(),
    chunk: new Map<number, SharedArrayBuffer>(),
  };
  /** Buffers without use, of any size. */
  readonly #idle: SharedArrayBuffer[] = [];
  #idleBytes = 0;
  #usedBytes = 0;

  /** Bytes that wait for the next need. */
  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** All buffers in use of a kind, by their numbers. */
  buffers(kind: MemoryKind): ReadonlyMap<number, SharedArrayBuffer> {
    return this.#maps[kind];
  }

  #backing(kind: MemoryKind): Backing {
    return {
      allocate: (bytes) => this.#take(bytes),
      added: (number, buffer) => {
        if (!(buffer instanceof SharedArrayBuffer)) return;
        this.#maps[kind].set(number, buffer);
        this.mapped(kind, number, buffer);
      },
      dropped: (number, buffer, reuse) => {
        if (buffer instanceof SharedArrayBuffer) this.#give(buffer);
        this.#maps[kind].delete(number);
        this.mapped(kind, number, undefined);
        this.retired(reuse);
      },
    };
  }

  #take(bytes: number): SharedArrayBuffer {
    let best = -1;
    for (const [i, { byteLength }] of this.#idle.entries()) {
      const fits = byteLength >= bytes && byteLength <= 2 * bytes;
      if (fits && (best < 0 || byteLength < this.#idle[best].byteLength)) best = i;
    }
    const [found] = best < 0 ? [] : this.#idle.splice(best, 1);
    if (found !== undefined) this.#idleBytes -= found.byteLength;
    const buffer = found ?? new SharedArrayBuffer(roundedUp(bytes));
    this.#usedBytes += buffer.byteLength;
    return buffer;
  }

  #give(buffer: SharedArrayBuffer): void {
    this.#usedBytes -= buffer.byteLength;
    this.#idle.push(buffer);
    this.#idleBytes += buffer.byteLength;
    while (this.#idleBytes > Math.max(IDLE_BYTES_MIN, IDLE_PART * this.#usedBytes)) {
      this.#idleBytes -= this.#idle.shift()?.byteLength ?? 0;
    }
  }
}

/** The next of four sizes between each power of two and the next. */
function roundedUp(bytes: number): number {
  const step = Math.max(8, 2 ** Math.floor(Math.log2(bytes)) / STEPS_PER_DOUBLING);
  return Math.ceil(bytes / step) * step;
}
