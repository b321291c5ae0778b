import { assert } from "../base/assert.js";
import { readU32, readU64, writeU32, writeU64 } from "../base/bytes.js";
import {
  type CommitHistory,
  type HistoryCursor,
  type PastVisitor,
  pastCommit,
} from "../durability/history.js";
import { readCommit } from "../record/commit.js";
import { ORIGIN_NUMBER_MAX } from "../record/entry.js";
import { OWN_ORIGIN } from "./local-write.js";

/** Commits back to back: u32 length, u64 version, bytes of the commit. */
interface Chunk {
  readonly bytes: Uint8Array;
  filled: number;
  /** The last version before it. */
  readonly base: number;
  isGone: boolean;
}

const HEAD_BYTES = 12;
/** The history is let go of in so many parts. */
const CHUNKS = 8;
const CHUNK_BYTES_MIN = 1024;

/** The newest commits of a store without a directory, as many as fit. */
export class MemoryHistory implements CommitHistory {
  readonly #bytesMax: number;
  readonly #chunks: Chunk[] = [];
  #bytes = 0;
  #newest: number;

  constructor(bytesMax: number, version: number) {
    this.#bytesMax = bytesMax;
    this.#newest = version;
  }

  get oldest(): number {
    return this.#chunks.length === 0 ? this.#newest : this.#chunks[0].base;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Makes room for a commit of this length, which is kept next, or throws what the platform throws. */
  makeRoom(length: number): void {
    this.#room(HEAD_BYTES + length);
  }

  /** Keeps a copy of the commit in `bytes[at, at + length)`. */
  append(version: number, bytes: Uint8Array, at: number, length: number): void {
    const needed = HEAD_BYTES + length;
    const chunk = this.#room(needed);
    this.#newest = version;
    if (chunk === undefined) return;
    writeU32(chunk.bytes, chunk.filled, length);
    writeU64(chunk.bytes, chunk.filled + 4, version);
    const target = chunk.filled + HEAD_BYTES;
    // A view costs more than a few bytes.
    if (length > 128) chunk.bytes.set(bytes.subarray(at, at + length), target);
    else for (let i = 0; i < length; i++) chunk.bytes[target + i] = bytes[at + i];
    chunk.filled += needed;
  }

  cursor(after: number, exact: boolean): HistoryCursor {
    return new MemoryCursor(() => this.#chunks, after, exact);
  }

  /** Where the next commit goes; undefined if it is larger than everything that may be kept. */
  #room(needed: number): Chunk | undefined {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.filled + needed <= last.bytes.length) return last;
    const least = Math.min(this.#bytesMax, Math.max(CHUNK_BYTES_MIN, Math.ceil(this.#bytesMax / CHUNKS)));
    const size = Math.max(needed, least);
    const bytes = size > this.#bytesMax ? undefined : new Uint8Array(size);
    while (this.#chunks.length > 0 && this.#bytes + size > this.#bytesMax) {
      const [oldest] = this.#chunks.splice(0, 1);
      oldest.isGone = true;
      this.#bytes -= oldest.bytes.length;
    }
    if (bytes === undefined) return undefined;
    const chunk = { bytes, filled: 0, base: this.#newest, isGone: false };
    this.#chunks.push(chunk);
    this.#bytes += size;
    return chunk;
  }
}

class MemoryCursor implements HistoryCursor {
  readonly #chunks: () => readonly Chunk[];
  readonly #after: number;
  #exact: boolean;
  #chunk: Chunk | undefined;
  #at = 0;
  #version = 0;

  constructor(chunks: () => readonly Chunk[], after: number, exact: boolean) {
    this.#chunks = chunks;
    this.#after = after;
    this.#exact = exact;
  }

  async read(through: number, visit: PastVisitor): Promise<number | undefined> {
    if (this.#chunk === undefined) {
      this.#chunk = this.#chunks().findLast(({ base }) => base <= this.#after);
      this.#version = this.#chunk?.base ?? 0;
    }
    while (this.#chunk !== undefined && !this.#chunk.isGone) {
      const { bytes, filled } = this.#chunk;
      if (this.#at === filled) {
        const next: Chunk | undefined = this.#chunks()[this.#chunks().indexOf(this.#chunk) + 1];
        if (next === undefined) return through;
        this.#chunk = next;
        this.#at = 0;
        continue;
      }
      const version = readU64(bytes, this.#at + 4);
      if (version > through) return through;
      if (version > this.#after && this.#exact && this.#version !== this.#after) return undefined;
      const start = this.#at + HEAD_BYTES;
      const end = start + readU32(bytes, this.#at);
      this.#at = end;
      this.#version = version;
      if (version <= this.#after) continue;
      this.#exact = false;
      const view = readCommit(bytes, start, end, ORIGIN_NUMBER_MAX);
      assert(view !== undefined, "the history holds commits as they were written");
      if (!visit(pastCommit(version, view, bytes, OWN_ORIGIN))) return version;
    }
    return undefined;
  }
}
