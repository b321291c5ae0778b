import { readU32 } from "../base/bytes.js";
import { codeOf } from "../base/errors.js";
import { ORIGINS_MAX } from "../base/limits.js";
import type { FileHandle } from "../base/runtime/interface.js";
import { readCommit } from "../record/commit.js";
import { entryLength } from "../record/entry.js";
import type { LostPart } from "./care-types.js";
import { ChunkReader } from "./chunk-reader.js";
import type { FileSeal } from "./file-seal.js";
import { attempt, formatNewer, Pacer, withFile } from "./files.js";
import { KEY_SECTION_BYTES, readKeySection } from "./key-section.js";
import { type DiskRuntime, findSeal } from "./keyring.js";
import type { EntryVisitor } from "./salvage-checkpoint.js";
import {
  DEFINITION_BYTES,
  firstCommitAt,
  headerBytes,
  KIND_COMMIT,
  KIND_OPENING,
  RECORD_HEAD_BYTES,
  RECORD_SALT_AT,
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
import { readOpening } from "./segment-reader.js";

/** Where the salt stands in a segment's header. */
const HEADER_SALT_AT = 24;
const WINDOW_BYTES = 64 * 1024;

export interface SegmentVisitor {
  /** Whether the commit of this version is wanted; its entries follow if it is. */
  wants(version: number): boolean;
  readonly entry: (version: number, ...place: Parameters<EntryVisitor>) => void;
}

export interface SalvagedSegment {
  /** Commits that were wanted and are whole. */
  readonly saved: number;
  readonly lost: readonly LostPart[];
  /** Where the last whole record ends. */
  readonly end: number;
}

/**
 * Reads every record of a segment that is whole, up to `limit`, where the next segment says that it goes on
 * (the file's size if none does). Rejects with FORMAT_NEWER or an error of the disk.
 */
export async function salvageSegment(
  runtime: DiskRuntime,
  path: string,
  limit: number,
  visitor: SegmentVisitor,
): Promise<SalvagedSegment> {
  return withFile(runtime.fileSystem, path, "read", async (handle) => {
    const sizeBytes = await attempt("look at", path, handle.size());
    return new SegmentSalvage(runtime, handle, Math.min(limit, sizeBytes), visitor).run();
  });
}

class SegmentSalvage {
  readonly #runtime: DiskRuntime;
  readonly #path: string;
  readonly #reader: ChunkReader;
  readonly #visitor: SegmentVisitor;
  readonly #pacer: Pacer;
  readonly #lost: LostPart[] = [];
  #salt: Uint8Array = new Uint8Array(SALT_BYTES);
  #seal: FileSeal | undefined;
  #saved = 0;
  #lastVersion = 0;
  #end = 0;

  constructor(runtime: DiskRuntime, handle: FileHandle, sizeBytes: number, visitor: SegmentVisitor) {
    this.#runtime = runtime;
    this.#path = handle.path;
    this.#reader = new ChunkReader(handle, sizeBytes);
    this.#visitor = visitor;
    this.#pacer = new Pacer(runtime);
  }

  async run(): Promise<SalvagedSegment> {
    const header = await this.#header();
    if (!(await this.#readSeal(header))) this.#salt = new Uint8Array(SALT_BYTES);
    else if (header === undefined) await this.#readSalt();
    else await this.#compareOpening(header);
    // A salt never begins with a zero: without one there is nothing to know records by.
    const sizeBytes = this.#salt[0] === 0 ? 0 : this.#reader.sizeBytes;
    for (let position = headerBytes(this.#seal); position < sizeBytes; ) {
      const next = await this.#next(position);
      if (next === undefined) break;
      if (next.position > position) this.#miss(position, next);
      position = await this.#take(next);
    }
    return { saved: this.#saved, lost: this.#lost, end: this.#end };
  }

  async #header(): Promise<SegmentHeader | undefined> {
    const at = await this.#reader.load(0, SEGMENT_HEADER_BYTES);
    if (at < 0) return undefined;
    const bytes = this.#reader.bytes.subarray(at, at + SEGMENT_HEADER_BYTES);
    const header = readSegmentHeader(this.#runtime.checksum, bytes);
    if (typeof header === "number") throw formatNewer(this.#path, header);
    // A damaged header may have kept its salt, and the records tell whether it did.
    this.#salt = bytes.slice(HEADER_SALT_AT, HEADER_SALT_AT + SALT_BYTES);
    const used = bytes.some((byte) => byte !== 0);
    if (header === undefined && used) this.#missHeader();
    return header;
  }

  #missHeader(): void {
    this.#lost.push({ offset: 0, bytes: SEGMENT_HEADER_BYTES, what: "the header" });
  }

  /** The key section stands for itself: it is of use even if the header is damaged. False: nothing can be read. */
  async #readSeal(header: SegmentHeader | undefined): Promise<boolean> {
    const { keyring } = this.#runtime;
    // Whether plain files are taken was asked when it was looked at first.
    if (header !== undefined && (header.flags & SEALED) === 0) return true;
    const length = SEGMENT_HEADER_BYTES + KEY_SECTION_BYTES;
    const at = await this.#reader.load(0, length);
    const bytes = at < 0 ? new Uint8Array(0) : this.#reader.bytes.slice(at, at + length);
    const section = readKeySection(this.#runtime.checksum, bytes.subarray(SEGMENT_HEADER_BYTES));
    if (section !== undefined) {
      const head = bytes.subarray(0, SEGMENT_HEADER_BYTES);
      this.#seal = await findSeal(this.#runtime, this.#path, section, "log segment", head);
    } else if (header !== undefined || keyring?.refusesPlain === true) {
      // Behind a damaged header the records may be plain ones that somebody put there.
      const what = "the key section, without which nothing can be read";
      this.#lost.push({ offset: SEGMENT_HEADER_BYTES, bytes: KEY_SECTION_BYTES, what });
      return false;
    }
    return true;
  }

  /** Behind a damaged header: the opening begins with the salt too. */
  async #readSalt(): Promise<void> {
    const at = await this.#reader.load(headerBytes(this.#seal), RECORD_HEAD_BYTES);
    if (at < 0) return;
    const salt = this.#reader.bytes.slice(at + RECORD_SALT_AT, at + RECORD_SALT_AT + SALT_BYTES);
    const head = readRecordHead(this.#runtime.checksum, this.#reader.bytes, at, salt);
    if (head?.kind !== KIND_OPENING) return;
    this.#salt = salt;
    if (this.#lost.length === 0) this.#missHeader();
  }

  /** Header and opening of a sealed segment prove each other; commits are sealed by themselves. */
  async #compareOpening({ salt }: SegmentHeader): Promise<void> {
    try {
      await readOpening(this.#runtime, this.#reader, this.#path, salt, this.#seal);
    } catch (error) {
      if (codeOf(error) !== "CORRUPT") throw error;
      const what = "the header or the opening, which were not written together";
      this.#lost.push({ offset: 0, bytes: firstCommitAt(this.#seal), what });
    }
  }

  /** The next whole record from `from` on. */
  async #next(from: number): Promise<{ position: number; head: RecordHead } | undefined> {
    for (
      let position = await this.#candidate(from);
      position >= 0;
      position = await this.#candidate(position + 1)
    ) {
      const head = await this.#headAt(position);
      if (head !== undefined && (await this.#isWhole(position, head))) return { position, head };
    }
    return undefined;
  }

  /** The first place from `from` on where the head of a record may begin; -1 without one. */
  async #candidate(from: number): Promise<number> {
    const { sizeBytes } = this.#reader;
    for (let position = from; position + RECORD_HEAD_BYTES <= sizeBytes; ) {
      const length = Math.min(WINDOW_BYTES, sizeBytes - position);
      const start = await this.#reader.load(position, length);
      if (start < 0) return -1;
      const found = this.#reader.bytes.indexOf(this.#salt[0], start + RECORD_SALT_AT);
      const at = found - RECORD_SALT_AT;
      if (found >= 0 && at + RECORD_HEAD_BYTES <= start + length) return position + at - start;
      if (this.#pacer.worked(length)) await this.#pacer.rest();
      if (position + length >= sizeBytes) return -1;
      position += length - RECORD_HEAD_BYTES + 1;
    }
    return -1;
  }

  async #headAt(position: number): Promise<RecordHead | undefined> {
    const at = await this.#reader.load(position, RECORD_HEAD_BYTES);
    return at < 0 ? undefined : readRecordHead(this.#runtime.checksum, this.#reader.bytes, at, this.#salt);
  }

  async #isWhole(position: number, head: RecordHead): Promise<boolean> {
    const at = await this.#reader.load(position, recordBytes(head.payloadLength));
    if (at < 0) return false;
    const { bytes } = this.#reader;
    const payload = at + RECORD_HEAD_BYTES;
    const end = payload + head.payloadLength;
    return readU32(bytes, end) === this.#runtime.checksum.crc32(bytes, payload, end, head.headCrc);
  }

  async #take({ position, head }: { position: number; head: RecordHead }): Promise<number> {
    const length = recordBytes(head.payloadLength);
    const at = await this.#reader.load(position, length);
    this.#lastVersion = Math.max(this.#lastVersion, head.version);
    if (head.kind === KIND_COMMIT && this.#visitor.wants(head.version)) {
      if (this.#commit(head, at, position)) this.#saved++;
      else this.#lost.push({ offset: position, bytes: length, what: "a commit that is malformed" });
    }
    this.#end = position + length;
    if (this.#pacer.worked(length)) await this.#pacer.rest();
    return this.#end;
  }

  #commit({ version, payloadLength }: RecordHead, recordAt: number, position: number): boolean {
    const read = this.#reader.bytes;
    const payload = recordAt + RECORD_HEAD_BYTES;
    const seal = this.#seal;
    const bytes =
      seal === undefined
        ? read.subarray(payload, payload + payloadLength)
        : unsealPayload(read, recordAt, payloadLength, { seal, position });
    return bytes !== undefined && this.#entries(version, bytes);
  }

  #entries(version: number, bytes: Uint8Array): boolean {
    const [at, end] = [0, bytes.length];
    if (end - at < 4 || readU32(bytes, at) > (end - at - 4) / DEFINITION_BYTES) return false;
    const start = at + 4 + readU32(bytes, at) * DEFINITION_BYTES;
    const view = readCommit(bytes, start, end, ORIGINS_MAX);
    if (view === undefined) return false;
    let next = view.entriesAt;
    for (let i = 0; i < view.entryCount; i++) {
      const length = entryLength(bytes, next);
      this.#visitor.entry(version, bytes, next, length);
      next += length;
    }
    return true;
  }

  #miss(from: number, next: { position: number; head: RecordHead }): void {
    const versions = { from: this.#lastVersion + 1, to: next.head.version - 1 };
    const known = this.#lastVersion > 0 && versions.from <= versions.to;
    this.#lost.push({
      offset: from,
      bytes: next.position - from,
      what: "bytes that are no record",
      ...(known ? { versions } : {}),
    });
  }
}
