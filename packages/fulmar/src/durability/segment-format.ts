import { equalBytes, isU53, readU32, readU64, toHex, writeU32, writeU64 } from "../base/bytes.js";
import type { Checksum } from "../base/runtime/interface.js";
import { type FileSeal, SEAL_BYTES, type Sealing, sealBytes } from "./file-seal.js";
import { KEY_SECTION_BYTES } from "./key-section.js";

/**
 * The bytes of a log segment: a header, then records back to back.
 *
 * ```text
 * segment header                              record
 *  0  8 bytes "FULMARLG"                       0  u32 payloadLength    4  u32 kind
 *  8  u32 format       12  u32 flags           8  8 bytes salt of the segment
 * 16  u64 number                              16  u64 version
 * 24  8 bytes salt, random                    24  u64 syncedThrough
 * 32  16 bytes store id                       32  u32 predecessorCrc  36  u32 headCrc
 * 48  16 bytes incarnation                    40  payload
 * 64  u32 crc of all before                   ..  u32 crc of the payload, seeded with headCrc
 * ```
 *
 * In a sealed segment a key section follows the header, and each payload is nonce, ciphertext and tag; that of an
 * opening stays readable, with nonce and tag behind it.
 */

export const SEGMENT_FORMAT = 1;
export const SEGMENT_HEADER_BYTES = 68;
export const SALT_BYTES = 8;
/** Flag: the file held older records, whose bytes still stand behind the valid ones. */
export const RECYCLED = 1;
/** Flag: a key section follows the header, and payloads are sealed. */
export const SEALED = 2;
const FLAGS = RECYCLED | SEALED;

export const RECORD_HEAD_BYTES = 40;
export const RECORD_TAIL_BYTES = 4;
/** Position of the salt in a record. */
export const RECORD_SALT_AT = 8;

/** A record that holds one commit. */
export const KIND_COMMIT = 1;
/** The first record of each segment: where in which segment the log continues from. */
export const KIND_OPENING = 2;
/** Payload of an opening: u64 previous segment, u64 end of its valid records. */
export const OPENING_PAYLOAD_BYTES = 16;
export const OPENING_BYTES = RECORD_HEAD_BYTES + OPENING_PAYLOAD_BYTES + RECORD_TAIL_BYTES;

/** Bytes of one origin definition in a payload: u32 number, 16 bytes id. */
export const DEFINITION_BYTES = 20;

const MAGIC = new TextEncoder().encode("FULMARLG");

export interface SegmentHeader {
  readonly number: number;
  readonly flags: number;
  readonly salt: Uint8Array;
  readonly storeId: string;
  readonly incarnation: string;
}

export function writeSegmentHeader(
  checksum: Checksum,
  header: Omit<SegmentHeader, "storeId" | "incarnation">,
  storeId: Uint8Array,
  incarnation: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  bytes.set(MAGIC);
  writeU32(bytes, 8, SEGMENT_FORMAT);
  writeU32(bytes, 12, header.flags);
  writeU64(bytes, 16, header.number);
  bytes.set(header.salt, 24);
  bytes.set(storeId, 32);
  bytes.set(incarnation, 48);
  writeU32(bytes, 64, checksum.crc32(bytes, 0, 64, 0));
  return bytes;
}

/** The header, the number of a format that is newer or has flags that are, or undefined for anything else. */
export function readSegmentHeader(checksum: Checksum, bytes: Uint8Array): SegmentHeader | number | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || !equalBytes(bytes.subarray(0, 8), MAGIC)) return undefined;
  if (readU32(bytes, 64) !== checksum.crc32(bytes, 0, 64, 0)) return undefined;
  const format = readU32(bytes, 8);
  if (format > SEGMENT_FORMAT) return format;
  if (format !== SEGMENT_FORMAT || !isU53(bytes, 16)) return undefined;
  const flags = readU32(bytes, 12);
  if ((flags & ~FLAGS) !== 0) return format;
  return {
    flags,
    number: readU64(bytes, 16),
    salt: bytes.slice(24, 24 + SALT_BYTES),
    storeId: toHex(bytes.subarray(32, 48)),
    incarnation: toHex(bytes.subarray(48, 64)),
  };
}

export interface RecordHead {
  readonly payloadLength: number;
  readonly kind: number;
  readonly version: number;
  readonly syncedThrough: number;
  readonly predecessorCrc: number;
  readonly headCrc: number;
}

/** Writes a record's head at `at` and returns its checksum. */
export function writeRecordHead(
  checksum: Checksum,
  bytes: Uint8Array,
  at: number,
  salt: Uint8Array,
  head: Omit<RecordHead, "headCrc">,
): number {
  writeU32(bytes, at, head.payloadLength);
  writeU32(bytes, at + 4, head.kind);
  for (let i = 0; i < SALT_BYTES; i++) bytes[at + RECORD_SALT_AT + i] = salt[i];
  writeU64(bytes, at + 16, head.version);
  writeU64(bytes, at + 24, head.syncedThrough);
  writeU32(bytes, at + 32, head.predecessorCrc);
  const crc = checksum.crc32(bytes, at, at + 36, 0);
  writeU32(bytes, at + 36, crc);
  return crc;
}

/** A head to be filled in, for readers of many. */
export type MutableRecordHead = { -readonly [Field in keyof RecordHead]: RecordHead[Field] };

export function newRecordHead(): MutableRecordHead {
  return { payloadLength: 0, kind: 0, version: 0, syncedThrough: 0, predecessorCrc: 0, headCrc: 0 };
}

/** The head of a record of the segment with this salt, in `into`; undefined if its checksum or salt is wrong. */
export function readRecordHead(
  checksum: Checksum,
  bytes: Uint8Array,
  at: number,
  salt: Uint8Array,
  into: MutableRecordHead = newRecordHead(),
): RecordHead | undefined {
  for (let i = 0; i < SALT_BYTES; i++) {
    if (bytes[at + RECORD_SALT_AT + i] !== salt[i]) return undefined;
  }
  const headCrc = readU32(bytes, at + 36);
  if (headCrc !== checksum.crc32(bytes, at, at + 36, 0)) return undefined;
  if (!isU53(bytes, at + 16) || !isU53(bytes, at + 24)) return undefined;
  into.payloadLength = readU32(bytes, at);
  into.kind = readU32(bytes, at + 4);
  into.version = readU64(bytes, at + 16);
  into.syncedThrough = readU64(bytes, at + 24);
  into.predecessorCrc = readU32(bytes, at + 32);
  into.headCrc = headCrc;
  return into;
}

/** Writes the checksum behind a payload and returns it: the link that the next record names. */
export function closeRecord(
  checksum: Checksum,
  bytes: Uint8Array,
  at: number,
  payloadLength: number,
  headCrc: number,
): number {
  const end = at + RECORD_HEAD_BYTES + payloadLength;
  const crc = checksum.crc32(bytes, at + RECORD_HEAD_BYTES, end, headCrc);
  writeU32(bytes, end, crc);
  return crc;
}

/** Whole length of a record. */
export function recordBytes(payloadLength: number): number {
  return RECORD_HEAD_BYTES + payloadLength + RECORD_TAIL_BYTES;
}

/** Where the records of a segment begin. */
export function headerBytes(seal: FileSeal | undefined): number {
  return SEGMENT_HEADER_BYTES + (seal === undefined ? 0 : KEY_SECTION_BYTES);
}

/** Whole length of an opening. */
export function openingBytes(seal: FileSeal | undefined): number {
  return OPENING_BYTES + sealBytes(seal);
}

/** Where the first commit of a segment begins. */
export function firstCommitAt(seal: FileSeal | undefined): number {
  return headerBytes(seal) + openingBytes(seal);
}

/** Writes a whole opening record at `at` and returns its checksum. */
export function writeOpening(
  checksum: Checksum,
  bytes: Uint8Array,
  at: number,
  salt: Uint8Array,
  opening: {
    readonly base: number;
    readonly syncedThrough: number;
    readonly predecessorCrc: number;
    readonly previousSegment: number;
    readonly previousEnd: number;
  },
  seal?: FileSeal | undefined,
): number {
  const payloadLength = OPENING_PAYLOAD_BYTES + sealBytes(seal);
  const headCrc = writeRecordHead(checksum, bytes, at, salt, {
    payloadLength,
    kind: KIND_OPENING,
    version: opening.base,
    syncedThrough: opening.syncedThrough,
    predecessorCrc: opening.predecessorCrc,
  });
  const payload = at + RECORD_HEAD_BYTES;
  writeU64(bytes, payload, opening.previousSegment);
  writeU64(bytes, payload + 8, opening.previousEnd);
  const readable = payload + OPENING_PAYLOAD_BYTES;
  seal?.seal(bytes, readable, 0, headerBytes(seal), seal.header, bytes.subarray(at, readable));
  return closeRecord(checksum, bytes, at, payloadLength, headCrc);
}

/** Whether opening and header of a sealed segment are those that were written; `at` is where the opening begins. */
export function isOpeningGenuine(bytes: Uint8Array, at: number, seal: FileSeal): boolean {
  const readable = at + RECORD_HEAD_BYTES + OPENING_PAYLOAD_BYTES;
  const bound = bytes.subarray(at, readable);
  return seal.unseal(bytes, readable, SEAL_BYTES, headerBytes(seal), seal.header, bound) !== undefined;
}

/** Seals a payload of `length` bytes in place, behind a written head at `at` and room for the nonce. */
export function sealPayload(bytes: Uint8Array, at: number, length: number, sealing: Sealing): void {
  const payload = at + RECORD_HEAD_BYTES;
  sealing.seal.seal(bytes, payload, length, sealing.position, bytes.subarray(at, payload));
}

/** The payload of the record whose head is at `at`; undefined when it is not what was sealed there. */
export function unsealPayload(
  bytes: Uint8Array,
  at: number,
  payloadLength: number,
  { seal, position }: Sealing,
): Uint8Array | undefined {
  const payload = at + RECORD_HEAD_BYTES;
  return seal.unseal(bytes, payload, payloadLength, position, bytes.subarray(at, payload));
}
