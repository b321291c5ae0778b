import type { FileHandle } from "../base/runtime/interface.js";
import { ChunkReader } from "./chunk-reader.js";
import { Pacer } from "./files.js";
import type { ReadRuntime } from "./keyring.js";
import { RECORD_HEAD_BYTES, RECORD_SALT_AT, readRecordHead } from "./segment-format.js";
import type { SegmentFile } from "./segment-reader.js";

/** What stands behind the valid records of a segment. */
export interface Remainder {
  /** The highest version that any record head there calls synced; 0 without one. */
  readonly syncedThrough: number;
  /** Position after the last byte that is not zero; -1 when all are. */
  readonly lastNonZero: number;
  /** Position after the last record head of this segment; -1 without one. */
  readonly lastHead: number;
}

/** Bytes that are searched at a time. */
const SEARCH_BYTES = 64 * 1024;

/** Looks at every byte from `from` on for heads of this segment's records. */
export async function searchRemainder(
  runtime: ReadRuntime,
  handle: FileHandle,
  segment: SegmentFile,
  from: number,
): Promise<Remainder> {
  const reader = new ChunkReader(handle, segment.sizeBytes, true);
  const pacer = new Pacer(runtime);
  const salt = segment.header?.salt;
  const found = { syncedThrough: 0, lastHead: -1, lastNonZero: -1 };
  try {
    for (let position = from; position < reader.sizeBytes; ) {
      const length = Math.min(SEARCH_BYTES, reader.sizeBytes - position);
      const start = await reader.load(position, length);
      if (start < 0) break;
      const last = lastNonZeroIn(reader.bytes, start, start + length);
      // Most of what was never used is zeros.
      if (last >= 0) found.lastNonZero = position + (last - start) + 1;
      if (last >= 0 && salt !== undefined)
        searchHeads(runtime, reader.bytes, start, start + length, salt, position - start, found);
      // Heads may lie across the border of two steps.
      position = length < SEARCH_BYTES ? reader.sizeBytes : position + length - (RECORD_HEAD_BYTES - 1);
      if (pacer.worked(length)) await pacer.rest();
    }
  } finally {
    await reader.stop();
  }
  return found;
}

/** Notes the heads in `bytes[start, end)`, whose places in the file are higher by `offset`. */
function searchHeads(
  runtime: ReadRuntime,
  bytes: Uint8Array,
  start: number,
  end: number,
  salt: Uint8Array,
  offset: number,
  found: { syncedThrough: number; lastHead: number },
): void {
  let next = bytes.indexOf(salt[0], start + RECORD_SALT_AT);
  for (
    ;
    next >= 0 && next - RECORD_SALT_AT + RECORD_HEAD_BYTES <= end;
    next = bytes.indexOf(salt[0], next + 1)
  ) {
    const head = readRecordHead(runtime.checksum, bytes, next - RECORD_SALT_AT, salt);
    if (head === undefined) continue;
    found.syncedThrough = Math.max(found.syncedThrough, head.syncedThrough);
    found.lastHead = offset + next - RECORD_SALT_AT + RECORD_HEAD_BYTES;
  }
}

/** Whether a whole file is. */
export async function isZeros(runtime: ReadRuntime, reader: ChunkReader): Promise<boolean> {
  const pacer = new Pacer(runtime);
  for (let position = 0; position < reader.sizeBytes; ) {
    const length = Math.min(SEARCH_BYTES, reader.sizeBytes - position);
    const start = await reader.load(position, length);
    if (start >= 0 && lastNonZeroIn(reader.bytes, start, start + length) >= 0) return false;
    position += length;
    if (pacer.worked(length)) await pacer.rest();
  }
  return true;
}

/** Index of the last byte of `bytes[start, end)` that is not zero, or -1: eight at a time, where they are zeros. */
function lastNonZeroIn(bytes: Uint8Array, start: number, end: number): number {
  let i = end;
  for (; i > start && (bytes.byteOffset + i) % 4 !== 0; i--) if (bytes[i - 1] !== 0) return i - 1;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + i - ((i - start) & ~3), (i - start) >> 2);
  let word = words.length;
  while (word >= 2 && (words[word - 1] | words[word - 2]) === 0) word -= 2;
  i -= 4 * (words.length - word);
  for (; i > start; i--) if (bytes[i - 1] !== 0) return i - 1;
  return -1;
}
