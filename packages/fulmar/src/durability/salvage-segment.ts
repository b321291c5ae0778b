import { readU32 } from "../base/bytes.js";
import { codeOf } from "../base/errors.js";
import type { FileHandle } from "../base/runtime/interface.js";
import { type CommitView, readCommit } from "../record/commit.js";
import { entryLength, ORIGIN_NUMBER_MAX } from "../record/entry.js";
import type { LostPart } from "./care-types.js";
import { ChunkReader } from "./chunk-reader.js";
import type { FileSeal } from "./file-seal.js";
import { attempt, formatNewer, Pacer, withFile } from "./files.js";
import { KEY_SECTION_BYTES, readKeySection } from "./key-section.js";
import { type DiskRuntime, findSeal } from "./keyring.js";
import type { EntryVisitor } from "./salvage-checkpoint.js";
import { trueVersions } from "./salvage-versions.js";
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
/** Where the version stands in the head of a record. */
const RECORD_VERSION_AT = 16;

export interface SegmentVisitor {
  /** Whether the commit of this version is wanted; its entries follow if it is. */
  wants(version: number): boolean;
  /** Whether the entry was taken. */
  readonly entry: (version: number, ...place: Parameters<EntryVisitor>) => boolean;
}

export interface SalvagedSegment {
  /** Commits that were wanted and are whole, and of which something was taken unless there was nothing in them. */
  readonly saved: number;
  readonly lost: readonly LostPart[];
  /** Where the last whole record ends. */
  readonly end: number;
}

/** Where something else says that the records of a segment end. */
export interface SegmentLimit {
  readonly position: number;
  /** Checksum and version of the record that ends there. */
  readonly crc: number;
  readonly version: number;
}

/**
 * Reads every record of a segment that is whole, up to `limit` (the file's size without one). Where that is wrong, as
 * the records that name each other tell, up to the one that it names. Rejects with FORMAT_NEWER or an error of the
 * disk.
 */
export async function salvageSegment(
  runtime: DiskRuntime,
  path: string,
  limit: SegmentLimit | undefined,
  visitor: SegmentVisitor,
): Promise<SalvagedSegment> {
  return withFile(runtime.fileSystem, path, "read", async (handle) => {
    const sizeBytes = await attempt("look at", path, handle.size());
    return new SegmentSalvage(runtime, handle, sizeBytes, limit, visitor).run();
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
  readonly #limit: SegmentLimit | undefined;
  /** Of each whole record: where it begins, its bytes, its version, and whether it follows the one before directly. */
  readonly #positions: number[] = [];
  readonly #lengths: number[] = [];
  readonly #versions: number[] = [];
  readonly #linked: boolean[] = [];
  /** How many bytes each record has that is whole and holds no commit, by where it begins. */
  readonly #malformed = new Map<number, number>();
  #lastVersion = 0;
  #end = 0;

  constructor(
    runtime: DiskRuntime,
    handle: FileHandle,
    sizeBytes: number,
    limit: SegmentLimit | undefined,
    visitor: SegmentVisitor,
  ) {
    this.#runtime = runtime;
    this.#path = handle.path;
    this.#reader = new ChunkReader(handle, sizeBytes);
    this.#limit = limit;
    this.#visitor = visitor;
    this.#pacer = new Pacer(runtime);
  }

  async run(): Promise<SalvagedSegment> {
    const header = await this.#header();
    if (!(await this.#readSeal(header))) this.#salt = new Uint8Array(SALT_BYTES);
    else if (header === undefined) await this.#readSalt();
    else await this.#compareOpening(header);
    // A salt never begins with a zero: without one there is nothing to know records by.
    if (this.#salt[0] !== 0) await this.#find();
    const after = this.#limit === undefined ? undefined : this.#limit.version + 1;
    const versions = trueVersions(this.#versions, this.#linked, after);
    let from = headerBytes(this.#seal);
    for (const [i, position] of this.#positions.entries()) {
      if (position > from) this.#miss(from, position, versions[i]);
      from = await this.#take(i, versions[i]);
    }
    const behind = this.#malformed.get(from);
    if (behind !== undefined) this.#miss(from, from + behind, undefined);
    return { saved: this.#saved, lost: this.#lost, end: this.#end };
  }

  /** Finds all whole records. */
  async #find(): Promise<void> {
    let [end, crc] = [-1, 0];
    for (let position = headerBytes(this.#seal); ; ) {
      const next = await this.#next(position);
      if (next === undefined) return;
      const { head } = next;
      const length = recordBytes(head.payloadLength);
      const linked = next.position === end && head.predecessorCrc === crc;
      // A limit that is not where it should be is not taken for one; what follows directly is no older bytes.
      const limit = this.#limit;
      const behind = limit !== undefined && next.position + length > limit.position;
      const isFirst = next.position === headerBytes(this.#seal);
      if (behind && !isFirst && (!linked || crc === limit.crc)) return;
      this.#positions.push(next.position);
      this.#lengths.push(length);
      this.#versions.push(head.version);
      this.#linked.push(linked);
      crc = next.crc;
      end = position = next.position + length;
    }
  }

  async #header(): Promise<SegmentHeader | undefined> {
    const bytes = await this.#reader.view(0, SEGMENT_HEADER_BYTES);
    if (bytes === undefined) return undefined;
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
    const bytes = (await this.#reader.view(0, length)) ?? new Uint8Array(0);
    const section = readKeySection(this.#runtime.checksum, bytes.subarray(SEGMENT_HEADER_BYTES));
    if (section !== undefined) {
      // The seal keeps it.
      const head = bytes.slice(0, SEGMENT_HEADER_BYTES);
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
    const bytes = await this.#reader.view(headerBytes(this.#seal), RECORD_HEAD_BYTES);
    if (bytes === undefined) return;
    const salt = bytes.slice(RECORD_SALT_AT, RECORD_SALT_AT + SALT_BYTES);
    const head = readRecordHead(this.#runtime.checksum, bytes, 0, salt);
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
  async #next(from: number): Promise<FoundRecord | undefined> {
    for (
      let position = await this.#candidate(from);
      position >= 0;
      position = await this.#candidate(position + 1)
    ) {
      const head = await this.#headAt(position);
      const crc = head === undefined ? undefined : await this.#wholeCrc(position, head);
      if (head !== undefined && crc !== undefined) return { position, head, crc };
    }
    return undefined;
  }

  /** The first place from `from` on where the head of a record may begin, as far as its salt tells; -1 without one. */
  async #candidate(from: number): Promise<number> {
    const { sizeBytes } = this.#reader;
    for (let saltAt = from + RECORD_SALT_AT; saltAt < sizeBytes; saltAt += WINDOW_BYTES) {
      const length = Math.min(WINDOW_BYTES, sizeBytes - saltAt);
      const start = await this.#reader.need(saltAt, length);
      const found = this.#reader.bytes.subarray(start, start + length).indexOf(this.#salt[0]);
      if (found >= 0) return saltAt + found - RECORD_SALT_AT;
      if (this.#pacer.worked(length)) await this.#pacer.rest();
    }
    return -1;
  }

  async #headAt(position: number): Promise<RecordHead | undefined> {
    const bytes = await this.#reader.view(position, RECORD_HEAD_BYTES);
    return bytes === undefined ? undefined : readRecordHead(this.#runtime.checksum, bytes, 0, this.#salt);
  }

  /** The checksum of a record; undefined if it is not whole, or holds no commit that its number of bytes fits. */
  async #wholeCrc(position: number, head: RecordHead): Promise<number | undefined> {
    const length = recordBytes(head.payloadLength);
    const record = await this.#reader.view(position, length);
    if (record === undefined) return undefined;
    if (this.#pacer.worked(length)) await this.#pacer.rest();
    const end = RECORD_HEAD_BYTES + head.payloadLength;
    const crc = this.#runtime.checksum.crc32(record, RECORD_HEAD_BYTES, end, head.headCrc);
    if (readU32(record, end) !== crc) return undefined;
    if (head.kind === KIND_OPENING && position === headerBytes(this.#seal)) return crc;
    if (head.kind === KIND_COMMIT && this.#commit(position, record) !== undefined) return crc;
    this.#malformed.set(position, length);
    return undefined;
  }

  /** Hands on what a record holds, and returns where it ends. */
  async #take(index: number, version: number | undefined): Promise<number> {
    const position = this.#positions[index];
    const length = this.#lengths[index];
    const stated = this.#versions[index];
    const at = await this.#reader.need(position, length);
    // What an opening holds is too short for one.
    const commit = this.#commit(position, this.#reader.bytes.subarray(at, at + length));
    this.#end = position + length;
    if (this.#pacer.worked(length)) await this.#pacer.rest();
    if (version !== undefined) this.#lastVersion = version;
    if (commit === undefined) return this.#end;
    const wanted = this.#visitor.wants(version ?? stated);
    if (wanted && version !== stated) this.#missVersion(position, length, stated, version);
    if (!wanted || version === undefined) return this.#end;
    let next = commit.view.entriesAt;
    let isTaken = commit.view.entryCount === 0;
    for (let i = 0; i < commit.view.entryCount; i++) {
      const entryBytes = entryLength(commit.bytes, next);
      isTaken = this.#visitor.entry(version, commit.bytes, next, entryBytes) || isTaken;
      next += entryBytes;
    }
    if (isTaken) this.#saved++;
    return this.#end;
  }

  #missVersion(offset: number, bytes: number, stated: number, version: number | undefined): void {
    if (version === undefined) {
      const what = `a commit of version ${stated}, which does not fit those around it`;
      this.#lost.push({ offset, bytes, what });
      return;
    }
    const what = `the version of a commit: it says ${stated}, and counts as ${version}`;
    this.#lost.push({ offset: offset + RECORD_VERSION_AT, bytes: 8, what });
  }

  /** What a whole record holds; undefined if that is no commit. */
  #commit(position: number, record: Uint8Array): { bytes: Uint8Array; view: CommitView } | undefined {
    const payloadLength = record.length - recordBytes(0);
    const seal = this.#seal;
    const bytes =
      seal === undefined
        ? record.subarray(RECORD_HEAD_BYTES, RECORD_HEAD_BYTES + payloadLength)
        : unsealPayload(record, 0, payloadLength, { seal, position });
    if (bytes === undefined) return undefined;
    // Behind the writers that it defines, as many as there may be: it is looked at whether that is inside.
    const start = 4 + readU32(bytes, 0) * DEFINITION_BYTES;
    const view = readCommit(bytes, start, bytes.length, ORIGIN_NUMBER_MAX);
    return view === undefined ? undefined : { bytes, view };
  }

  #miss(from: number, to: number, next: number | undefined): void {
    const versions = { from: this.#lastVersion + 1, to: (next ?? 0) - 1 };
    const known = this.#lastVersion > 0 && versions.from <= versions.to;
    this.#lost.push({
      offset: from,
      bytes: to - from,
      what: this.#malformed.has(from) ? "a commit that is malformed" : "bytes that are no record",
      ...(known ? { versions } : {}),
    });
  }
}

interface FoundRecord {
  readonly position: number;
  readonly head: RecordHead;
  readonly crc: number;
}
