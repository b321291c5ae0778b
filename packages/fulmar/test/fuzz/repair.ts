import { readU32, writeU32, writeU64 } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/crc.js";
import {
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  CHECKPOINT_HEADER_BYTES,
  FOOTER_BYTES,
  readBlockHead,
} from "../../src/durability/checkpoint-format.js";
import { PACKED_HEAD_BYTES } from "../../src/durability/packing.js";
import {
  closeRecord,
  RECORD_HEAD_BYTES,
  RECORD_SALT_AT,
  recordBytes,
  SALT_BYTES,
  SEGMENT_HEADER_BYTES,
} from "../../src/durability/segment-format.js";

import { lengthen } from "../../src/testing/simulated/compression.js";

const checksum = { crc32 };
/** Mending must not take more memory than what is tested may. */
const LENGTHENED_BYTES_MAX = 64 * 1024;

/** Mends the checksums, salts and links of a log segment as far as its lengths lead. */
export function repairSegment(bytes: Uint8Array): void {
  if (bytes.length < SEGMENT_HEADER_BYTES) return;
  writeU32(bytes, SEGMENT_HEADER_BYTES - 4, crc32(bytes, 0, SEGMENT_HEADER_BYTES - 4, 0));
  const salt = bytes.slice(24, 24 + SALT_BYTES);
  let link: number | undefined;
  for (let at = SEGMENT_HEADER_BYTES; at + RECORD_HEAD_BYTES <= bytes.length; ) {
    const payloadLength = readU32(bytes, at);
    bytes.set(salt, at + RECORD_SALT_AT);
    if (link !== undefined) writeU32(bytes, at + 32, link);
    const headCrc = crc32(bytes, at, at + RECORD_HEAD_BYTES - 4, 0);
    writeU32(bytes, at + RECORD_HEAD_BYTES - 4, headCrc);
    if (at + recordBytes(payloadLength) > bytes.length) return;
    link = closeRecord(checksum, bytes, at, payloadLength, headCrc);
    at += recordBytes(payloadLength);
  }
}

/** Mends the checksums of a checkpoint, and the sums in its footer. */
export function repairCheckpoint(bytes: Uint8Array): void {
  if (bytes.length < CHECKPOINT_HEADER_BYTES + FOOTER_BYTES) return;
  const seed = crc32(bytes, 0, CHECKPOINT_HEADER_BYTES - 4, 0);
  writeU32(bytes, CHECKPOINT_HEADER_BYTES - 4, seed);
  const footerAt = bytes.length - FOOTER_BYTES;
  let at = CHECKPOINT_HEADER_BYTES + readU32(bytes, 96);
  if (at + 4 > footerAt) return;
  writeU32(bytes, at, crc32(bytes, CHECKPOINT_HEADER_BYTES, at, seed));
  at += 4;
  let [blocks, entries, blocksCrc] = [0, 0, 0];
  const scratch = new Uint8Array(4);
  while (at + BLOCK_HEAD_BYTES + BLOCK_TAIL_BYTES <= footerAt) {
    const { payloadLength, packed } = readBlockHead(bytes, at);
    const end = at + BLOCK_HEAD_BYTES + payloadLength;
    if (end + BLOCK_TAIL_BYTES > footerAt) break;
    if (packed) repairPacked(bytes.subarray(at + BLOCK_HEAD_BYTES, end));
    const headCrc = crc32(bytes, at, at + BLOCK_HEAD_BYTES - 4, seed);
    writeU32(bytes, at + BLOCK_HEAD_BYTES - 4, headCrc);
    const crc = crc32(bytes, at + BLOCK_HEAD_BYTES, end, headCrc);
    writeU32(bytes, end, crc);
    writeU32(scratch, 0, crc);
    blocksCrc = crc32(scratch, 0, 4, blocksCrc);
    blocks++;
    entries += readU32(bytes, at + 4);
    at = end + BLOCK_TAIL_BYTES;
  }
  writeU64(bytes, footerAt + 8, blocks);
  writeU64(bytes, footerAt + 16, entries);
  writeU64(bytes, footerAt + 24, bytes.length);
  writeU32(bytes, footerAt + 32, blocksCrc);
  writeU32(bytes, footerAt + 36, crc32(bytes, footerAt, footerAt + 36, seed));
}

/** Mends what a packed payload says of itself, if a simulated machine can make anything of it at all. */
function repairPacked(packed: Uint8Array): void {
  if (packed.length <= PACKED_HEAD_BYTES || readU32(packed, 0) > LENGTHENED_BYTES_MAX) return;
  const payload = lengthen(packed.subarray(PACKED_HEAD_BYTES), readU32(packed, 0));
  if (payload !== undefined) writeU32(packed, 4, crc32(payload, 0, payload.length, 0));
}
