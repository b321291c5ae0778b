import { equalBytes, fromHex, isU53, readU32, readU64, toHex, writeU32, writeU64 } from "../base/bytes.js";
import type { Checksum } from "../base/runtime/interface.js";
import { type CoverageChange, coverageBytes, readCoverage, writeCoverage } from "../record/commit.js";
import { ORIGIN_ID_BYTES, type OriginId } from "../record/origins.js";
import { type FileSeal, NONCE_BYTES, SEAL_BYTES, type Sealing } from "./file-seal.js";
import { KEY_SECTION_BYTES } from "./key-section.js";
import type { NewSeal } from "./keyring.js";
import { readIds } from "./replay.js";

/**
 * The bytes of a checkpoint: header, dictionary, blocks of sorted entries, footer.
 *
 * ```text
 * header                              dictionary
 *   0  8 bytes "FULMARCP"               originCount times 16 bytes id
 *   8  u32 format    12  u32 flags      coverageCount coverage items, as in a commit
 *  16  u64 number                       u32 crc, seeded with the header's
 *  24  8 bytes salt, random           block
 *  32  16 bytes store id                 0  u32 payloadLength, bit 31: packed   4  u32 entryCount
 *  48  16 bytes incarnation              8  u32 index          12  u32 headCrc, seeded with the header's
 *  64  u64 version                      16  entryCount times: u64 version, entry; or these packed
 *  72  u64 seq                          ..  u32 crc of the payload, seeded with headCrc
 *  80  u64 hlc                        footer
 *  88  u32 originCount                   0  8 bytes "FULMARCE"
 *  92  u32 coverageCount                 8  u64 blockCount     16  u64 entryCount
 *  96  u64 dictionaryBytes              24  u64 fileBytes
 * 104  u32 crc of all before            32  u32 crc of the blocks' crcs   36  u32 crc, seeded with the header's
 * ```
 */

export const CHECKPOINT_FORMAT = 1;
export const CHECKPOINT_HEADER_BYTES = 108;
export const BLOCK_HEAD_BYTES = 16;
export const BLOCK_TAIL_BYTES = 4;
export const FOOTER_BYTES = 40;
/** A block is closed when its entries reach this size. */
export const BLOCK_BYTES = 64 * 1024;
const HAD_PEERS = 1;
const BACKUP = 2;
const COMPRESSED = 4;
/** A key section follows the header; dictionary and payloads are sealed, and the footer has a seal before it. */
const SEALED = 8;
const FLAGS = HAD_PEERS | BACKUP | COMPRESSED | SEALED;
/** In the length of a payload: it is packed. */
const PACKED = 2 ** 31;
const HEADER_MAGIC = new TextEncoder().encode("FULMARCP");
/** So much of a block's head, or of the footer, is authenticated with what is sealed. */
const BOUND_BYTES = 12;
const FOOTER_BOUND_BYTES = 36;
const FOOTER_MAGIC = new TextEncoder().encode("FULMARCE");

export interface CheckpointHeader {
  readonly number: number;
  readonly hadPeers: boolean;
  /** Whether it stands for itself, with nothing in a log behind it. */
  readonly isBackup: boolean;
  /** Whether blocks may be packed. */
  readonly compressed: boolean;
  readonly sealed: boolean;
  readonly salt: Uint8Array;
  readonly storeId: string;
  readonly incarnation: OriginId;
  readonly version: number;
  readonly seq: number;
  readonly hlc: number;
  readonly originCount: number;
  readonly coverageCount: number;
  readonly dictionaryBytes: number;
  readonly crc: number;
}

export type CheckpointState = Omit<
  CheckpointHeader,
  "sealed" | "originCount" | "coverageCount" | "dictionaryBytes" | "crc"
>;

/**
 * Header and dictionary, ready to be written, and the header's checksum. When it is to be `sealed`, with room for the
 * rest, {@link sealDictionary} has to complete it.
 */
export function writeCheckpointHead(
  checksum: Checksum,
  state: CheckpointState,
  ids: readonly Uint8Array[],
  coverage: readonly CoverageChange[],
  sealed = false,
): { bytes: Uint8Array; crc: number } {
  const contentBytes = ids.length * ORIGIN_ID_BYTES + coverageBytes(coverage);
  const dictionaryBytes = contentBytes + (sealed ? SEAL_BYTES : 0);
  const dictionary = dictionaryAt(sealed);
  const bytes = new Uint8Array(dictionary + dictionaryBytes + 4);
  bytes.set(HEADER_MAGIC);
  writeU32(bytes, 8, CHECKPOINT_FORMAT);
  const flags = (state.hadPeers ? HAD_PEERS : 0) | (state.isBackup ? BACKUP : 0);
  writeU32(bytes, 12, flags | (state.compressed ? COMPRESSED : 0) | (sealed ? SEALED : 0));
  writeU64(bytes, 16, state.number);
  bytes.set(state.salt, 24);
  bytes.set(fromHex(state.storeId) ?? [], 32);
  bytes.set(fromHex(state.incarnation) ?? [], 48);
  writeU64(bytes, 64, state.version);
  writeU64(bytes, 72, state.seq);
  writeU64(bytes, 80, state.hlc);
  writeU32(bytes, 88, ids.length);
  writeU32(bytes, 92, coverage.length);
  writeU64(bytes, 96, dictionaryBytes);
  const crc = checksum.crc32(bytes, 0, 104, 0);
  writeU32(bytes, 104, crc);
  let next = dictionary + (sealed ? NONCE_BYTES : 0);
  for (const id of ids) {
    bytes.set(id, next);
    next += ORIGIN_ID_BYTES;
  }
  next = writeCoverage(bytes, next, coverage);
  if (!sealed) writeU32(bytes, next, checksum.crc32(bytes, dictionary, next, crc));
  return { bytes, crc };
}

/** Puts the key section in its place and seals the dictionary. */
export function sealDictionary(
  checksum: Checksum,
  { bytes, crc }: { readonly bytes: Uint8Array; readonly crc: number },
  { seal, section }: NewSeal,
): void {
  const dictionary = dictionaryAt(true);
  const end = bytes.length - 4;
  bytes.set(section, CHECKPOINT_HEADER_BYTES);
  seal.seal(bytes, dictionary, end - dictionary - SEAL_BYTES, dictionary, seal.header);
  writeU32(bytes, end, checksum.crc32(bytes, dictionary, end, crc));
}

/** Where the dictionary begins. */
export function dictionaryAt(sealed: boolean): number {
  return CHECKPOINT_HEADER_BYTES + (sealed ? KEY_SECTION_BYTES : 0);
}

const U64_FIELDS = [16, 64, 72, 80, 96];

/** Whether bytes begin as a checkpoint or backup does. */
export function isCheckpointMagic(bytes: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, 8), HEADER_MAGIC);
}

/** The number of an older format whose header this is; undefined for every other, and for damaged ones. */
export function olderCheckpointFormat(checksum: Checksum, bytes: Uint8Array): number | undefined {
  if (bytes.length < CHECKPOINT_HEADER_BYTES || !isCheckpointMagic(bytes)) return undefined;
  if (readU32(bytes, 104) !== checksum.crc32(bytes, 0, 104, 0)) return undefined;
  const format = readU32(bytes, 8);
  return format < CHECKPOINT_FORMAT ? format : undefined;
}

/** The header, the number of a format that is newer or has flags that are, or undefined when damaged. */
export function readCheckpointHeader(
  checksum: Checksum,
  bytes: Uint8Array,
): CheckpointHeader | number | undefined {
  if (bytes.length < CHECKPOINT_HEADER_BYTES || !isCheckpointMagic(bytes)) return undefined;
  const crc = readU32(bytes, 104);
  if (crc !== checksum.crc32(bytes, 0, 104, 0)) return undefined;
  const format = readU32(bytes, 8);
  if (format > CHECKPOINT_FORMAT) return format;
  if (format !== CHECKPOINT_FORMAT || !U64_FIELDS.every((at) => isU53(bytes, at))) return undefined;
  const flags = readU32(bytes, 12);
  if ((flags & ~FLAGS) !== 0) return format;
  return {
    hadPeers: (flags & HAD_PEERS) !== 0,
    isBackup: (flags & BACKUP) !== 0,
    compressed: (flags & COMPRESSED) !== 0,
    sealed: (flags & SEALED) !== 0,
    number: readU64(bytes, 16),
    salt: bytes.slice(24, 32),
    storeId: toHex(bytes.subarray(32, 48)),
    incarnation: toHex(bytes.subarray(48, 64)),
    version: readU64(bytes, 64),
    seq: readU64(bytes, 72),
    hlc: readU64(bytes, 80),
    originCount: readU32(bytes, 88),
    coverageCount: readU32(bytes, 92),
    dictionaryBytes: readU64(bytes, 96),
    crc,
  };
}

/** The dictionary behind a header; undefined when damaged. `bytes` holds it and its checksum. */
export function readDictionary(
  checksum: Checksum,
  header: CheckpointHeader,
  stored: Uint8Array,
  seal?: FileSeal | undefined,
): { ids: OriginId[]; coverage: CoverageChange[] } | undefined {
  const { dictionaryBytes } = header;
  if (stored.length < dictionaryBytes + 4) return undefined;
  if (readU32(stored, dictionaryBytes) !== checksum.crc32(stored, 0, dictionaryBytes, header.crc))
    return undefined;
  const bytes =
    seal === undefined ? stored : seal.unseal(stored, 0, dictionaryBytes, dictionaryAt(true), seal.header);
  if (bytes === undefined) return undefined;
  const end = seal === undefined ? dictionaryBytes : bytes.length;
  const idsEnd = header.originCount * ORIGIN_ID_BYTES;
  if (idsEnd > end) return undefined;
  const coverage = readCoverage(bytes, idsEnd, end, header.coverageCount, header.originCount);
  if (coverage === undefined || coverage.next !== end) return undefined;
  return { ids: readIds(bytes, 0, header.originCount), coverage: coverage.changes };
}

export interface BlockHead {
  /** Bytes that the payload takes in the file. */
  readonly payloadLength: number;
  /** Whether they have to be unpacked first. */
  readonly packed: boolean;
  readonly entryCount: number;
  /** Counts from 0. */
  readonly index: number;
}

/**
 * Fills in head and tail of a block whose payload stands between them; returns the payload's checksum. With
 * `sealing` the payload has room for nonce and tag around it and is sealed.
 */
export function closeBlock(
  checksum: Checksum,
  bytes: Uint8Array,
  at: number,
  block: BlockHead,
  seed: number,
  sealing?: Sealing,
): number {
  writeU32(bytes, at, block.payloadLength + (block.packed ? PACKED : 0));
  writeU32(bytes, at + 4, block.entryCount);
  writeU32(bytes, at + 8, block.index);
  const headCrc = checksum.crc32(bytes, at, at + 12, seed);
  writeU32(bytes, at + 12, headCrc);
  const payload = at + BLOCK_HEAD_BYTES;
  const length = block.payloadLength - SEAL_BYTES;
  sealing?.seal.seal(bytes, payload, length, sealing.position, bytes.subarray(at, at + BOUND_BYTES));
  const end = at + BLOCK_HEAD_BYTES + block.payloadLength;
  const crc = checksum.crc32(bytes, at + BLOCK_HEAD_BYTES, end, headCrc);
  writeU32(bytes, end, crc);
  return crc;
}

/** The head of a block and its checksum, which is not compared here. */
export function readBlockHead(bytes: Uint8Array, at: number): BlockHead & { readonly crc: number } {
  const length = readU32(bytes, at);
  const packed = length >= PACKED;
  return {
    payloadLength: packed ? length - PACKED : length,
    packed,
    entryCount: readU32(bytes, at + 4),
    index: readU32(bytes, at + 8),
    crc: readU32(bytes, at + 12),
  };
}

/** What a sealed block holds; undefined when it is not what was sealed in this place. `at` is where it begins. */
export function unsealBlock(
  bytes: Uint8Array,
  at: number,
  payloadLength: number,
  { seal, position }: Sealing,
): Uint8Array | undefined {
  const head = bytes.subarray(at, at + BOUND_BYTES);
  return seal.unseal(bytes, at + BLOCK_HEAD_BYTES, payloadLength, position, head);
}

export interface Footer {
  readonly blockCount: number;
  readonly entryCount: number;
  readonly fileBytes: number;
  readonly blocksCrc: number;
  readonly crc: number;
}

export function writeFooter(checksum: Checksum, footer: Omit<Footer, "crc">, seed: number): Uint8Array {
  const bytes = new Uint8Array(FOOTER_BYTES);
  bytes.set(FOOTER_MAGIC);
  writeU64(bytes, 8, footer.blockCount);
  writeU64(bytes, 16, footer.entryCount);
  writeU64(bytes, 24, footer.fileBytes);
  writeU32(bytes, 32, footer.blocksCrc);
  writeU32(bytes, 36, checksum.crc32(bytes, 0, 36, seed));
  return bytes;
}

export function readFooter(checksum: Checksum, bytes: Uint8Array, seed: number): Footer | undefined {
  if (bytes.length < FOOTER_BYTES || !equalBytes(bytes.subarray(0, 8), FOOTER_MAGIC)) return undefined;
  const crc = readU32(bytes, 36);
  if (crc !== checksum.crc32(bytes, 0, 36, seed) || ![8, 16, 24].every((at) => isU53(bytes, at)))
    return undefined;
  return {
    blockCount: readU64(bytes, 8),
    entryCount: readU64(bytes, 16),
    fileBytes: readU64(bytes, 24),
    blocksCrc: readU32(bytes, 32),
    crc,
  };
}

/** Continues the checksum over the blocks' checksums. */
export function addBlockCrc(
  checksum: Checksum,
  scratch: Uint8Array,
  blocksCrc: number,
  blockCrc: number,
): number {
  writeU32(scratch, 0, blockCrc);
  return checksum.crc32(scratch, 0, 4, blocksCrc);
}

/** What stands before the footer of a sealed checkpoint: it proves that no block is missing. */
export function sealFooter(footer: Uint8Array, { seal, position }: Sealing): Uint8Array {
  const bytes = new Uint8Array(SEAL_BYTES);
  seal.seal(bytes, 0, 0, position, footer.subarray(0, FOOTER_BOUND_BYTES));
  return bytes;
}

/** Whether a footer is the one that was sealed; `bytes` holds the seal and the footer behind it. */
export function isFooterGenuine(bytes: Uint8Array, { seal, position }: Sealing): boolean {
  const bound = bytes.subarray(SEAL_BYTES, SEAL_BYTES + FOOTER_BOUND_BYTES);
  return seal.unseal(bytes, 0, SEAL_BYTES, position, bound) !== undefined;
}
