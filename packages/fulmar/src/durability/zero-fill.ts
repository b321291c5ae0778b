import type { LogSegment } from "./log-segments.js";

/** The file system allocates and writes by pages: a file that ends within one grows at the next commit. */
const PAGE_BYTES = 4096;
/** Zeros written at once: a small group costs nothing then but once in a thousand times, ... */
const FILL_BYTES_MIN = 256 * 1024;
/** ... a large one as many as some groups of its size take, but no more than a sync hardly notices. */
const FILL_BYTES_MAX = 1024 * 1024;
const FILL_GROUPS = 16;

/**
 * Keeps zeros ahead of the end of the log. A sync that lets a file grow writes its size and where its blocks
 * are, too, and takes twice as long as one of bytes within a file. So one sync in many takes the zeros for
 * those that follow along with its own commits. Nobody syncs them by themselves, and nothing depends on them.
 */
export class ZeroFill {
  readonly #segmentBytes: number;
  #zeros: Uint8Array | undefined;
  /** The segment that could not be filled, and the position from which that is tried again. */
  #refused: { readonly number: number; readonly position: number } | undefined;

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes;
  }

  /** Called before a sync: makes room for groups like those that it covers, unless there is some. */
  ahead(segment: LogSegment): void {
    const { number, handle, position, syncedPosition } = segment;
    const groupBytes = position - syncedPosition;
    const from = Math.max(segment.capacity, position);
    if (handle === undefined || from - position >= groupBytes) return;
    if (this.#refused?.number === number && position < this.#refused.position) return;
    const fillBytes = Math.min(FILL_BYTES_MAX, Math.max(FILL_BYTES_MIN, FILL_GROUPS * groupBytes));
    const end = Math.min(this.#segmentBytes, Math.ceil((position + fillBytes) / PAGE_BYTES) * PAGE_BYTES);
    try {
      this.#zeros ??= new Uint8Array(FILL_BYTES_MIN);
      for (let at = from; at < end; ) {
        const count = handle.writeNow(this.#zeros.subarray(0, Math.min(FILL_BYTES_MIN, end - at)), at);
        if (count <= 0) break;
        at += count;
        segment.capacity = at;
      }
    } catch {
      // Mostly a full disk, which the next commit that finds no room reports, or no memory. The log just grows then.
      this.#refused = { number, position: position + fillBytes };
    }
  }
}
