import { ENTRY_HEADER_BYTES, entryLength, keyLengthOf, keyStart } from "../../record/entry.js";
import type { Ref } from "../engine.js";
import type { Node } from "../offheap/node-pool.js";
import { LINKED, VERSION_HIGH } from "../offheap/record-marks.js";
import type { MemoryKind } from "./buffers.js";
import type { SharedLayout } from "./sharing.js";

const TWO_32 = 4294967296;

/**
 * What a read meets that cannot be: either the owner took the read back and uses the memory for something
 * else, or there is a bug. Who began the read finds out which.
 */
export class TornRead extends Error {
  override readonly name = "TornRead";
}

/**
 * Shared memory as a reader on another thread sees it. Whatever it finds there may be nonsense, when the
 * owner took the read back: nothing here loops over, or reaches beyond, what is really there.
 */
export class SharedView {
  readonly layout: SharedLayout;
  readonly #unitMask: number;
  readonly #chunkMask: number;
  readonly #chunkShift: number;
  readonly #slabShift: number;
  readonly #nodeWords: number;
  readonly #slabs: (Uint8Array | undefined)[] = [];
  readonly #words: (Uint32Array | undefined)[] = [];
  readonly #chunks: (Uint32Array | undefined)[] = [];
  /** Asks for news of memory; called when something unknown is met. */
  readonly #learn: () => void;

  constructor(layout: SharedLayout, learn: () => void) {
    this.layout = layout;
    this.#learn = learn;
    this.#unitMask = 2 ** layout.slabShift - 1;
    this.#chunkMask = 2 ** layout.chunkShift - 1;
    this.#chunkShift = layout.chunkShift;
    this.#slabShift = layout.slabShift;
    this.#nodeWords = layout.nodeWords;
  }

  /** A buffer came to stand under a number, or is gone. */
  map(kind: MemoryKind, number: number, buffer: SharedArrayBuffer | undefined): void {
    const words = buffer === undefined ? undefined : new Uint32Array(buffer);
    if (kind === "chunk") {
      this.#chunks[number] = words;
      return;
    }
    this.#words[number] = words;
    this.#slabs[number] = buffer === undefined ? undefined : new Uint8Array(buffer);
  }

  /** The array that a node is in, at {@link base}. */
  nodeWords(node: Node): Uint32Array {
    const chunk = node >>> this.#chunkShift;
    const words = this.#chunks[chunk] ?? this.#known(this.#chunks, chunk);
    if (this.base(node) + this.#nodeWords > words.length) throw new TornRead("a node lies beyond its chunk");
    return words;
  }

  base(node: Node): number {
    return (node & this.#chunkMask) * this.#nodeWords;
  }

  /** A word that the owner may exchange: a record, a separator or a child in a node. */
  pointer(words: Uint32Array, at: number): number {
    return Atomics.load(words, at);
  }

  /** The array that a record or a separator is in. */
  slab(ref: Ref): Uint8Array {
    const slab = ref >>> this.#slabShift;
    return this.#slabs[slab] ?? this.#known(this.#slabs, slab);
  }

  /** Where a separator begins. */
  start(ref: Ref): number {
    return (ref & this.#unitMask) * 8;
  }

  /** Where the entry of a record begins. */
  offset(ref: Ref): number {
    return (ref & this.#unitMask) * 8 + this.layout.headerBytes;
  }

  versionOf(ref: Ref): number {
    const words = this.#recordWords(ref);
    const at = (ref & this.#unitMask) * 2;
    return words[at] + (words[at + 1] & VERSION_HIGH) * TWO_32;
  }

  /** The version of the key that a record replaced. */
  older(ref: Ref): Ref {
    const words = this.#recordWords(ref);
    const at = (ref & this.#unitMask) * 2;
    if ((words[at + 1] & LINKED) === 0) return 0;
    return this.pointer(words, at + this.layout.olderWord);
  }

  /** Bytes of an entry up to the end of its key, or of its value, if they can be what is there. */
  checkedLength(ref: Ref, withValue: boolean): number {
    const slab = this.slab(ref);
    const at = this.offset(ref);
    const length = withValue ? entryLength(slab, at) : keyStart(slab, at) + keyLengthOf(slab, at) - at;
    // Not a number, when even the header lies beyond the slab.
    if (!(length >= ENTRY_HEADER_BYTES && at + length <= slab.length))
      throw new TornRead("an entry is too long");
    return length;
  }

  #recordWords(ref: Ref): Uint32Array {
    const slab = ref >>> this.#slabShift;
    const words = this.#words[slab] ?? this.#known(this.#words, slab);
    if ((ref & this.#unitMask) * 2 + 4 > words.length) throw new TornRead("a record lies beyond its slab");
    return words;
  }

  #known<T>(arrays: readonly (T | undefined)[], number: number): T {
    this.#learn();
    const found = arrays[number];
    if (found === undefined) throw new TornRead("memory that nobody told of");
    return found;
  }
}
