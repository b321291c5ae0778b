import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { GroupBuffer } from "../../../src/durability/group-buffer.js";
import {
  OPENING_BYTES,
  SEGMENT_HEADER_BYTES,
  writeSegmentHeader,
} from "../../../src/durability/segment-format.js";
import { OriginTable } from "../../../src/record/origins.js";

export const ID = "5".repeat(32);
export const ID_BYTES = new Uint8Array(16).fill(0x55);
export const SALT = Uint8Array.of(77, 2, 3, 4, 5, 6, 7, 8);
export const PATH = "/000000000003.log";
export const FIRST_AT = SEGMENT_HEADER_BYTES + OPENING_BYTES;
export const OPENING = {
  base: 10,
  syncedThrough: 9,
  predecessorCrc: 1,
  previousSegment: 2,
  previousEnd: 500,
};

export interface Built {
  readonly bytes: Uint8Array;
  /** Where each commit's record begins, and where the last one ends. */
  readonly starts: readonly number[];
  readonly crc: number;
}

/** A segment with these commits, of versions from 11 on. */
export function built(lengths: readonly number[], more: { number?: number; sizeBytes?: number } = {}): Built {
  const header = { number: more.number ?? 3, flags: 0, salt: SALT };
  const group = new GroupBuffer(nodeChecksum, new OriginTable(), OPENING.predecessorCrc, OPENING.base);
  group.open(SALT, OPENING.syncedThrough, OPENING.previousSegment, OPENING.previousEnd);
  const starts = [FIRST_AT];
  for (const [i, length] of lengths.entries()) {
    const { bytes, at } = group.begin(SALT, 11 + i, i === 1 ? 12 : 10, length);
    bytes.fill(11 + i, at, at + length);
    group.end();
    starts.push(SEGMENT_HEADER_BYTES + group.filled);
  }
  const bytes = new Uint8Array(more.sizeBytes ?? SEGMENT_HEADER_BYTES + group.filled);
  bytes.set(writeSegmentHeader(nodeChecksum, header, ID_BYTES, ID_BYTES));
  bytes.set(group.content, SEGMENT_HEADER_BYTES);
  return { bytes, starts, crc: group.crc };
}
