import { readU32, writeU32, writeU64 } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/crc.js";
import {
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  CHECKPOINT_HEADER_BYTES,
  FOOTER_BYTES,
  readBlockHead,
} from "../../src/durability/checkpoint-format.js";
import { NONCE_BYTES, SEAL_BYTES } from "../../src/durability/file-seal.js";
import { KEY_SECTION_BYTES } from "../../src/durability/key-section.js";
import { PACKED_HEAD_BYTES } from "../../src/durability/packing.js";
import {
  closeRecord,
  RECORD_HEAD_BYTES,
  RECORD_SALT_AT,
  recordBytes,
  SALT_BYTES,
  SEALED,
  SEGMENT_HEADER_BYTES,
} from "../../src/durability/segment-format.js";
import { lengthen } from "../../src/testing/simulated/compression.js";
import { keyCheck } from "./lenient.js";

const checksum = { crc32 };
/** Flag of a checkpoint whose parts are sealed. */
const SEALED_CHECKPOINT = 8;
/** Mending must not take more memory than what is tested may. */
const LENGTHENED_BYTES_MAX = 64 * 1024;

/** Mends the checksums, salts and links of a log segment as far as its lengths lead. */
export function repairSegment(bytes: Uint8Array): void {
  if (bytes.length < SEGMENT_HEADER_BYTES) return;
  writeU32(bytes, SEGMENT_HEADER_BYTES - 4, crc32(bytes, 0, SEGMENT_HEADER_BYTES - 4, 0));
  const salt = bytes.slice(24, 24 + SALT_BYTES);
  let link: number | undefined;
  const sealed = (readU32(bytes, 12) & SEALED) !== 0;
  if (sealed) repairKeySection(bytes, SEGMENT_HEADER_BYTES);
  for (
    let at = SEGMENT_HEADER_BYTES + (sealed ? KEY_SECTION_BYTES : 0);
    at + RECORD_HEAD_BYTES <= bytes.length;
  ) {
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
export function repairCheckpoint(bytes: Uint8Array, key?: Uint8Array): void {
  if (bytes.length < CHECKPOINT_HEADER_BYTES + FOOTER_BYTES) return;
  const seed = crc32(bytes, 0, CHECKPOINT_HEADER_BYTES - 4, 0);
  writeU32(bytes, CHECKPOINT_HEADER_BYTES - 4, seed);
  const footerAt = bytes.length - FOOTER_BYTES;
  const sealed = (readU32(bytes, 12) & SEALED_CHECKPOINT) !== 0;
  if (sealed) repairKeySection(bytes, CHECKPOINT_HEADER_BYTES, key);
  const blocksEnd = footerAt - (sealed ? SEAL_BYTES : 0);
  const dictionary = CHECKPOINT_HEADER_BYTES + (sealed ? KEY_SECTION_BYTES : 0);
  let at = dictionary + readU32(bytes, 96);
  if (at + 4 > blocksEnd) return;
  writeU32(bytes, at, crc32(bytes, dictionary, at, seed));
  at += 4;
  let [blocks, entries, blocksCrc] = [0, 0, 0];
  const scratch = new Uint8Array(4);
  while (at + BLOCK_HEAD_BYTES + BLOCK_TAIL_BYTES <= blocksEnd) {
    const { payloadLength, packed } = readBlockHead(bytes, at);
    const end = at + BLOCK_HEAD_BYTES + payloadLength;
    if (end + BLOCK_TAIL_BYTES > blocksEnd) break;
    const [before, behind] = sealed ? [NONCE_BYTES, SEAL_BYTES - NONCE_BYTES] : [0, 0];
    if (packed) repairPacked(bytes.subarray(at + BLOCK_HEAD_BYTES + before, end - behind));
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

/** Mends the checksum of a key section, and what tells that its key is the right one. */
function repairKeySection(bytes: Uint8Array, at: number, key?: Uint8Array): void {
  const end = at + KEY_SECTION_BYTES;
  if (end > bytes.length) return;
  bytes.set(keyCheck(bytes.slice(at, at + 16), key), at + 16);
  writeU32(bytes, end - 4, crc32(bytes, at, end - 4, 0));
}

/** Mends what a packed payload says of itself, if a simulated machine can make anything of it at all. */
function repairPacked(packed: Uint8Array): void {
  if (packed.length <= PACKED_HEAD_BYTES || readU32(packed, 0) > LENGTHENED_BYTES_MAX) return;
  const payload = lengthen(packed.subarray(PACKED_HEAD_BYTES), readU32(packed, 0));
  if (payload !== undefined) writeU32(packed, 4, crc32(payload, 0, payload.length, 0));
}
