import { assert } from "../base/assert.js";
import { EMPTY_BYTES, readU32, readU64, writeU32 } from "../base/bytes.js";
import type { Checksum } from "../base/runtime/interface.js";
import type { OriginTable } from "../record/origins.js";
import { type FileSeal, roomBefore, type Sealing, sealBytes } from "./file-seal.js";
import {
  closeRecord,
  DEFINITION_BYTES,
  KIND_COMMIT,
  newRecordHead,
  openingBytes,
  RECORD_HEAD_BYTES,
  RECORD_TAIL_BYTES,
  recordBytes,
  sealPayload,
  writeOpening,
  writeRecordHead,
} from "./segment-format.js";

/**
 * A group that nobody waits for need not grow beyond this. Once it is written what it replaced in memory may go, and
 * those cells are used again while the processor still has them at hand.
 */
const PIECE_BYTES = 64 * 1024;
const KEPT_BYTES = 1024 * 1024;
const LEAST_BYTES = 16 * 1024;

/** Position in the log right after a record. */
export interface GroupEnd {
  /** Bytes of the group up to here. */
  readonly bytes: number;
  readonly commits: number;
  readonly version: number;
  readonly crc: number;
}

/** Records that will be handed to the operating system together. */
export class GroupBuffer {
  readonly #checksum: Checksum;
  readonly #origins: OriginTable;
  #bytes: Uint8Array = new Uint8Array(LEAST_BYTES);
  #filled = 0;
  #commits = 0;
  #crc: number;
  #version: number;
  /** Origins below and at this number are defined in the present segment. */
  #defined = 0;
  /** Used for each record, and valid only while one begins. */
  readonly #head = newRecordHead();
  #headAt = 0;
  #headCrc = 0;
  #payloadLength = 0;
  #sealing: Sealing | undefined;
  #isOpen = false;
  /** What was so before the record that began last. */
  #versionBefore = 0;
  #definedBefore = 0;

  constructor(checksum: Checksum, origins: OriginTable, crc: number, version: number) {
    this.#checksum = checksum;
    this.#origins = origins;
    this.#crc = crc;
    this.#version = version;
  }

  get filled(): number {
    return this.#filled;
  }

  get commits(): number {
    return this.#commits;
  }

  /** Whether a record has begun, and neither ended nor been abandoned. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether it is large enough to be written though nobody waits for it: of a single commit that is not known yet. */
  get isPiece(): boolean {
    return this.#filled >= PIECE_BYTES && this.#commits > 1;
  }

  /** Checksum of the last record, and its version. */
  get crc(): number {
    return this.#crc;
  }

  get version(): number {
    return this.#version;
  }

  /** The records, as a view that the next change invalidates. */
  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.#filled);
  }

  /** Adds the opening of a new segment; the group must be empty. */
  open(
    salt: Uint8Array,
    syncedThrough: number,
    previousSegment: number,
    previousEnd: number,
    seal?: FileSeal | undefined,
  ): void {
    assert(this.#filled === 0, "a segment begins with its opening");
    const length = openingBytes(seal);
    this.#reserve(length);
    const [base, predecessorCrc] = [this.#version, this.#crc];
    const opening = { base, syncedThrough, predecessorCrc, previousSegment, previousEnd };
    this.#crc = writeOpening(this.#checksum, this.#bytes, 0, salt, opening, seal);
    this.#filled = length;
    this.#defined = 0;
  }

  /** Bytes of the record for a commit of this length. */
  recordBytes(lengthBytes: number, seal?: FileSeal | undefined): number {
    const definitions = 4 + (this.#origins.size - this.#defined) * DEFINITION_BYTES;
    return recordBytes(definitions + lengthBytes + sealBytes(seal));
  }

  /**
   * Reserves a record and returns where the commit belongs in `bytes`. `sealing` says where the group begins in
   * the file.
   */
  begin(
    salt: Uint8Array,
    version: number,
    syncedThrough: number,
    lengthBytes: number,
    sealing?: Sealing,
  ): { bytes: Uint8Array; at: number } {
    const seal = sealing?.seal;
    this.#sealing = sealing;
    const length = this.recordBytes(lengthBytes, seal);
    this.#reserve(length);
    this.#isOpen = true;
    this.#versionBefore = this.#version;
    this.#definedBefore = this.#defined;
    this.#payloadLength = length - RECORD_HEAD_BYTES - RECORD_TAIL_BYTES;
    this.#headAt = this.#filled;
    const head = this.#head;
    head.payloadLength = this.#payloadLength;
    head.kind = KIND_COMMIT;
    head.version = version;
    head.syncedThrough = syncedThrough;
    head.predecessorCrc = this.#crc;
    this.#headCrc = writeRecordHead(this.#checksum, this.#bytes, this.#headAt, salt, head);
    this.#version = version;
    return { bytes: this.#bytes, at: this.#define(this.#headAt + RECORD_HEAD_BYTES + roomBefore(seal)) };
  }

  end(): void {
    this.#isOpen = false;
    if (this.#sealing !== undefined) {
      const { seal, position } = this.#sealing;
      const place = { seal, position: position + this.#headAt };
      sealPayload(this.#bytes, this.#headAt, this.#payloadLength - sealBytes(seal), place);
    }
    this.#crc = closeRecord(this.#checksum, this.#bytes, this.#headAt, this.#payloadLength, this.#headCrc);
    this.#filled = this.#headAt + recordBytes(this.#payloadLength);
    this.#commits++;
  }

  /** In place of {@link end}: the next record begins where this one did. */
  abandon(): void {
    this.#isOpen = false;
    this.#version = this.#versionBefore;
    this.#defined = this.#definedBefore;
  }

  /** The end of the last record that lies wholly in the first `bytes`, starting from the state before the group. */
  wholeWithin(bytes: number, before: GroupEnd): GroupEnd {
    let end = before;
    for (let at = 0; at < this.#filled; ) {
      const next = at + recordBytes(readU32(this.#bytes, at));
      if (next > bytes) break;
      const commits = end.commits + (readU32(this.#bytes, at + 4) === KIND_COMMIT ? 1 : 0);
      const crc = readU32(this.#bytes, next - RECORD_TAIL_BYTES);
      end = { bytes: next, commits, version: readU64(this.#bytes, at + 16), crc };
      at = next;
    }
    return end;
  }

  /** Empties the group after it was handed over. */
  clear(): void {
    this.#filled = 0;
    this.#commits = 0;
    // Others are made when they are needed: here, where commits are in the log already, memory must not be missed.
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = EMPTY_BYTES;
  }

  /** Empties the group and goes on from an earlier record; origins are defined anew. */
  rewind(crc: number, version: number): void {
    this.clear();
    this.#crc = crc;
    this.#version = version;
    this.#defined = 0;
  }

  #define(at: number): number {
    const count = this.#origins.size - this.#defined;
    writeU32(this.#bytes, at, count);
    let next = at + 4;
    for (let i = 0; i < count; i++) {
      writeU32(this.#bytes, next, ++this.#defined);
      this.#bytes.set(this.#origins.idBytes(this.#defined), next + 4);
      next += DEFINITION_BYTES;
    }
    return next;
  }

  #reserve(length: number): void {
    const needed = this.#filled + length;
    if (needed <= this.#bytes.length) return;
    // Doubling makes a group of n bytes cost O(n) copies; a huge record gets exactly what it needs.
    const roomy = Math.max(LEAST_BYTES, Math.min(2 * this.#bytes.length, needed + KEPT_BYTES));
    const bytes = new Uint8Array(Math.max(needed, roomy));
    bytes.set(this.content);
    this.#bytes = bytes;
  }
}
