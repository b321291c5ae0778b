import { readU32, readU64 } from "../base/bytes.js";
import type { FileHandle } from "../base/runtime/interface.js";
import { ChunkReader } from "./chunk-reader.js";
import { type FileSeal, sealBytes } from "./file-seal.js";
import { attempt, corrupt, formatNewer, notSealed, Pacer, withFile } from "./files.js";
import { KEY_SECTION_BYTES, type KeySection, readKeySection } from "./key-section.js";
import { findSeal, type ReadRuntime } from "./keyring.js";
import { segmentName } from "./layout.js";
import {
  firstCommitAt,
  headerBytes,
  isOpeningGenuine,
  KIND_COMMIT,
  KIND_OPENING,
  newRecordHead,
  OPENING_PAYLOAD_BYTES,
  openingBytes,
  RECORD_HEAD_BYTES,
  type RecordHead,
  readRecordHead,
  readSegmentHeader,
  recordBytes,
  SALT_BYTES,
  SEALED,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  unsealPayload,
} from "./segment-format.js";
import { isZeros } from "./segment-remainder.js";

/** Where a segment says that the log continues from. */
export interface Opening {
  readonly base: number;
  readonly syncedThrough: number;
  readonly predecessorCrc: number;
  readonly previousSegment: number;
  readonly previousEnd: number;
  /** Checksum of the opening itself. */
  readonly crc: number;
}

export interface SegmentFile {
  readonly number: number;
  readonly path: string;
  readonly sizeBytes: number;
  /** Undefined when the file is empty or all zeros: it was never used. */
  readonly header: SegmentHeader | undefined;
  /** Undefined when it is plain, or without a header. */
  readonly seal?: FileSeal | undefined;
  /** Undefined when the segment was prepared but not begun, or when its first record is damaged. */
  readonly opening: Opening | undefined;
}

/** Takes the records of a segment in order. */
export interface RecordVisitor {
  /** A commit's payload is `bytes[at, end)`, valid during the call. False: it is malformed in spite of its checksum. */
  commit(version: number, bytes: Uint8Array, at: number, end: number): boolean;
}

/** The state of reading: the link that the next record must name, and what is known of the last one. */
export interface Link {
  crc: number;
  version: number;
  /** The highest version that any record so far calls synced. */
  syncedThrough: number;
}

/**
 * Opens a segment, checks its header and finds its opening. Rejects with CORRUPT, FORMAT_NEWER,
 * ENCRYPTION_KEY_MISSING, ENCRYPTION_KEY_WRONG or NOT_ENCRYPTED.
 */
export async function inspectSegment(
  runtime: ReadRuntime,
  path: string,
  number: number,
  storeId: string | undefined,
): Promise<SegmentFile> {
  return withFile(runtime.fileSystem, path, "read", async (handle) => {
    const sizeBytes = await attempt("look at", path, handle.size());
    const reader = new ChunkReader(handle, sizeBytes);
    const header = await readHeader(runtime, reader, path);
    if (header === undefined) return { number, path, sizeBytes, header, seal: undefined, opening: undefined };
    if (header.number !== number) {
      throw corrupt(path, 16, `it was written as segment ${segmentName(header.number)} and renamed`);
    }
    if (storeId !== undefined && header.storeId !== storeId) {
      throw corrupt(path, 32, "it belongs to another store");
    }
    const seal = await readSeal(runtime, reader, path, header);
    const opening = await readOpening(runtime, reader, path, header.salt, seal);
    return { number, path, sizeBytes, header, seal, opening };
  });
}

async function readHeader(
  runtime: ReadRuntime,
  reader: ChunkReader,
  path: string,
): Promise<SegmentHeader | undefined> {
  const header =
    headerAt(runtime, reader, await reader.load(0, SEGMENT_HEADER_BYTES)) ??
    headerAt(runtime, reader, await reader.again(0, SEGMENT_HEADER_BYTES));
  if (typeof header === "number") throw formatNewer(path, header);
  if (header !== undefined) return header;
  if (!(await isZeros(runtime, reader))) throw corrupt(path, 0, "the segment header is not valid");
  return undefined;
}

function headerAt(
  runtime: ReadRuntime,
  reader: ChunkReader,
  at: number,
): ReturnType<typeof readSegmentHeader> {
  const bytes = reader.bytes.subarray(Math.max(0, at), at < 0 ? 0 : at + SEGMENT_HEADER_BYTES);
  return readSegmentHeader(runtime.checksum, bytes);
}

async function readSeal(
  runtime: ReadRuntime,
  reader: ChunkReader,
  path: string,
  header: SegmentHeader,
): Promise<FileSeal | undefined> {
  if ((header.flags & SEALED) === 0) {
    runtime.keyring?.acceptPlain(path);
    return undefined;
  }
  const length = SEGMENT_HEADER_BYTES + KEY_SECTION_BYTES;
  const found =
    keySectionAt(runtime, reader, await reader.load(0, length)) ??
    keySectionAt(runtime, reader, await reader.again(0, length));
  if (found === undefined) throw corrupt(path, SEGMENT_HEADER_BYTES, "its key section is not valid");
  return findSeal(runtime, path, found.section, "log segment", found.head);
}

/** The key section of a segment, if it is whole, with the header before it that it is bound to. */
function keySectionAt(
  runtime: ReadRuntime,
  reader: ChunkReader,
  at: number,
): { readonly section: KeySection; readonly head: Uint8Array } | undefined {
  if (at < 0) return undefined;
  const bytes = reader.bytes.slice(at, at + SEGMENT_HEADER_BYTES + KEY_SECTION_BYTES);
  const section = readKeySection(runtime.checksum, bytes.subarray(SEGMENT_HEADER_BYTES));
  return section === undefined ? undefined : { section, head: bytes.subarray(0, SEGMENT_HEADER_BYTES) };
}

/** The opening of a segment, if it is whole. Rejects with CORRUPT if it was not sealed together with the header. */
export async function readOpening(
  runtime: ReadRuntime,
  reader: ChunkReader,
  path: string,
  salt: Uint8Array,
  seal: FileSeal | undefined,
): Promise<Opening | undefined> {
  const position = headerBytes(seal);
  const length = openingBytes(seal);
  const found =
    openingAt(runtime, reader, await reader.load(position, length), salt, seal) ??
    openingAt(runtime, reader, await reader.again(position, length), salt, seal);
  if (found === "forged") throw notSealed(path, position, "the opening");
  return found;
}

function openingAt(
  runtime: ReadRuntime,
  { bytes }: ChunkReader,
  at: number,
  salt: Uint8Array,
  seal: FileSeal | undefined,
): Opening | "forged" | undefined {
  if (at < 0) return undefined;
  const head = readRecordHead(runtime.checksum, bytes, at, salt);
  const payloadLength = OPENING_PAYLOAD_BYTES + sealBytes(seal);
  if (head?.kind !== KIND_OPENING || head.payloadLength !== payloadLength) return undefined;
  const crc = checkedPayloadCrc(runtime, bytes, at, head);
  if (crc === undefined) return undefined;
  if (seal !== undefined && !isOpeningGenuine(bytes, at, seal)) return "forged";
  return {
    base: head.version,
    syncedThrough: head.syncedThrough,
    predecessorCrc: head.predecessorCrc,
    previousSegment: readU64(bytes, at + RECORD_HEAD_BYTES),
    previousEnd: readU64(bytes, at + RECORD_HEAD_BYTES + 8),
    crc,
  };
}

/** Checksum of a whole record, or undefined if it is not what the record says. */
export function checkedPayloadCrc(
  runtime: ReadRuntime,
  bytes: Uint8Array,
  at: number,
  head: RecordHead,
): number | undefined {
  const payload = at + RECORD_HEAD_BYTES;
  const end = payload + head.payloadLength;
  const crc = runtime.checksum.crc32(bytes, payload, end, head.headCrc);
  return readU32(bytes, end) === crc ? crc : undefined;
}

/** A place that reading can start again from: every record before `position` has at most `version`. */
export interface Mark {
  readonly position: number;
  readonly version: number;
}

const MARK_EVERY_BYTES = 256 * 1024;

/**
 * Reads records after the opening until the first that is not valid. Moves `link` along and returns
 * where the valid records end, with marks on the way. `advance` is told of progress at each pause.
 */
export async function readRecords(
  runtime: ReadRuntime,
  handle: FileHandle,
  segment: SegmentFile,
  link: Link,
  visitor: RecordVisitor,
  advance: (bytes: number) => void,
): Promise<{ end: number; marks: Mark[] }> {
  const reader = new ChunkReader(handle, segment.sizeBytes, true);
  try {
    return await new RecordReading(runtime, reader, segment, link).run(visitor, advance);
  } finally {
    await reader.stop();
  }
}

class RecordReading {
  readonly #runtime: ReadRuntime;
  readonly #reader: ChunkReader;
  readonly #segment: SegmentFile;
  readonly #salt: Uint8Array;
  readonly #link: Link;
  readonly #head = newRecordHead();
  #position: number;

  constructor(runtime: ReadRuntime, reader: ChunkReader, segment: SegmentFile, link: Link) {
    this.#runtime = runtime;
    this.#reader = reader;
    this.#segment = segment;
    this.#position = firstCommitAt(segment.seal);
    this.#salt = segment.header?.salt ?? new Uint8Array(SALT_BYTES);
    this.#link = link;
  }

  async run(
    visitor: RecordVisitor,
    advance: (bytes: number) => void,
  ): Promise<{ end: number; marks: Mark[] }> {
    const reader = this.#reader;
    const pacer = new Pacer(this.#runtime);
    const marks: Mark[] = [{ position: this.#position, version: this.#link.version }];
    let told = this.#position;
    for (;;) {
      let at = reader.index(this.#position, RECORD_HEAD_BYTES);
      if (at < 0) at = await reader.load(this.#position, RECORD_HEAD_BYTES);
      let length = at < 0 ? 0 : this.#recordLength(at);
      if (length > 0) {
        at = reader.index(this.#position, length);
        if (at < 0) at = await reader.load(this.#position, length);
      }
      if (length === 0 || at < 0 || !this.#take(at, length, visitor)) length = await this.#readAgain(visitor);
      if (length === 0) break;
      const last = marks[marks.length - 1];
      if (this.#position - last.position >= MARK_EVERY_BYTES)
        marks.push({ position: this.#position, version: this.#link.version });
      if (!pacer.worked(length)) continue;
      advance(this.#position - told);
      told = this.#position;
      await pacer.rest();
    }
    advance(this.#position - told);
    return { end: this.#position, marks };
  }

  /**
   * Takes the next record from what the file gives at a second reading, before everything from there on is
   * cut off: bytes may come wrong from a disk that has them right. Its length; 0 if it is not valid either.
   */
  async #readAgain(visitor: RecordVisitor): Promise<number> {
    const head = await this.#reader.again(this.#position, RECORD_HEAD_BYTES);
    const length = head < 0 ? 0 : this.#recordLength(head);
    if (length === 0) return 0;
    const at = await this.#reader.load(this.#position, length);
    return at >= 0 && this.#take(at, length, visitor) ? length : 0;
  }

  /** Length of the record whose head is at `at`; 0 if that is none, or not the next one. */
  #recordLength(at: number): number {
    const head = readRecordHead(this.#runtime.checksum, this.#reader.bytes, at, this.#salt, this.#head);
    return head !== undefined && follows(head, this.#link) ? recordBytes(head.payloadLength) : 0;
  }

  /** Hands the commit of a whole record on; false if the record is not valid. */
  #take(at: number, length: number, visitor: RecordVisitor): boolean {
    const { bytes } = this.#reader;
    const head = this.#head;
    const link = this.#link;
    const crc = checkedPayloadCrc(this.#runtime, bytes, at, head);
    if (crc === undefined) return false;
    if (!this.#show(bytes, at, visitor)) {
      const what = `the commit of version ${head.version} is malformed`;
      throw corrupt(this.#segment.path, this.#position, what);
    }
    link.crc = crc;
    link.version = head.version;
    link.syncedThrough = Math.max(link.syncedThrough, head.syncedThrough);
    this.#position += length;
    return true;
  }

  #show(bytes: Uint8Array, at: number, visitor: RecordVisitor): boolean {
    const { seal, path } = this.#segment;
    const { version, payloadLength } = this.#head;
    const payload = at + RECORD_HEAD_BYTES;
    if (seal === undefined) return visitor.commit(version, bytes, payload, payload + payloadLength);
    const position = this.#position;
    const commit = unsealPayload(bytes, at, payloadLength, { seal, position });
    if (commit === undefined) throw notSealed(path, position, `the commit of version ${version}`);
    return visitor.commit(version, commit, 0, commit.length);
  }
}

/** Whether a record is the one behind a link. */
export function follows(head: RecordHead, link: Link): boolean {
  return head.kind === KIND_COMMIT && head.predecessorCrc === link.crc && head.version > link.version;
}
