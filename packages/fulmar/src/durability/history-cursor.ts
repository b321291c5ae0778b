import type { FulmarError } from "../base/errors.js";
import type { FileHandle } from "../base/runtime/interface.js";
import { readCommit } from "../record/commit.js";
import { entryLength } from "../record/entry.js";
import type { OriginTable } from "../record/origins.js";
import { ChunkReader } from "./chunk-reader.js";
import type { FileSeal } from "./file-seal.js";
import { corrupt, HISTORY_REMEDY, notSealed, Pacer, withFile } from "./files.js";
import { type HistoryCursor, type PastSegment, type PastVisitor, pastCommit } from "./history.js";
import type { DiskRuntime } from "./keyring.js";
import { OriginMapping, readDefinitions } from "./replay.js";
import {
  firstCommitAt,
  newRecordHead,
  RECORD_HEAD_BYTES,
  readRecordHead,
  recordBytes,
  unsealPayload,
} from "./segment-format.js";
import { checkedPayloadCrc, follows, inspectSegment, type Link } from "./segment-reader.js";

export interface LogCursorParts {
  readonly runtime: DiskRuntime;
  readonly storeId: string;
  readonly origins: OriginTable;
  /** What there is to read now, oldest first, each continuing the one before. */
  readonly segments: () => readonly PastSegment[];
}

/** How one step of reading ended: the segment has no more, the visitor has enough, or the version is reached. */
type Step = "next" | "enough" | "reached";

/**
 * Reads commits back from the log, off the event loop and in slices, beside the writer. It holds no file and
 * keeps no segment from being let go: where it would have read on may be gone when it comes back.
 */
export class LogCursor implements HistoryCursor {
  readonly #parts: LogCursorParts;
  readonly #after: number;
  readonly #mapping: OriginMapping;
  readonly #link: Link = { crc: 0, version: 0, syncedThrough: 0 };
  readonly #head = newRecordHead();
  #exact: boolean;
  /** The segment that is read, once there is one. */
  #number = 0;
  #position = 0;
  #salt: Uint8Array = new Uint8Array(0);
  #seal: FileSeal | undefined;
  #writer = 0;
  #isGone = false;

  constructor(parts: LogCursorParts, after: number, exact: boolean) {
    this.#parts = parts;
    this.#after = after;
    this.#exact = exact;
    this.#mapping = new OriginMapping(parts.origins);
  }

  async read(through: number, visit: PastVisitor): Promise<number | undefined> {
    // Taken at once: every commit up to `through` lies before these ends.
    const segments = this.#parts.segments();
    let index = this.#find(segments);
    for (; index >= 0 && index < segments.length; index++) {
      const segment = segments[index];
      const step = await this.#readSegment(segment, through, visit).catch((error: unknown) => {
        // Let go of while it was read, and filled with something else perhaps.
        if (this.#isKept(segment)) throw error;
        this.#isGone = true;
        return "enough" as const;
      });
      if (this.#isGone) return undefined;
      if (step === "enough") return this.#link.version;
      if (step === "reached") break;
    }
    return index < 0 ? undefined : through;
  }

  /** Where to go on, or to begin: in the newest segment that holds everything behind `after`. */
  #find(segments: readonly PastSegment[]): number {
    if (this.#number > 0) return segments.findIndex(({ number }) => number === this.#number);
    return segments.findLastIndex(({ base }) => base <= this.#after);
  }

  #isKept(segment: PastSegment): boolean {
    return this.#parts.segments().some(({ number }) => number === segment.number);
  }

  async #readSegment(segment: PastSegment, through: number, visit: PastVisitor): Promise<Step> {
    const { runtime } = this.#parts;
    if (this.#number !== segment.number) await this.#enter(segment);
    if (this.#position >= segment.end) return "next";
    return withFile(runtime.fileSystem, segment.path, "read", async (handle) => {
      const reader = new ChunkReader(handle, segment.end, true);
      try {
        return await this.#readRecords(segment, handle, reader, through, visit);
      } finally {
        await reader.stop();
      }
    });
  }

  async #enter(segment: PastSegment): Promise<void> {
    const { runtime, storeId, origins } = this.#parts;
    const { header, opening, seal } = await inspectSegment(runtime, segment.path, segment.number, storeId);
    const link = this.#link;
    const begins = this.#number === 0;
    const continues = opening?.predecessorCrc === link.crc && opening.base === link.version;
    if (header === undefined || opening === undefined || !(begins || continues)) {
      throw corrupt(segment.path, 0, "it does not continue the segment before it", HISTORY_REMEDY);
    }
    this.#number = segment.number;
    this.#position = firstCommitAt(seal);
    this.#salt = header.salt;
    this.#seal = seal;
    this.#mapping.clear();
    this.#writer = origins.intern(header.incarnation);
    link.crc = opening.crc;
    link.version = opening.base;
  }

  async #readRecords(
    segment: PastSegment,
    handle: FileHandle,
    reader: ChunkReader,
    through: number,
    visit: PastVisitor,
  ): Promise<Step> {
    const pacer = new Pacer(this.#parts.runtime);
    while (this.#position < segment.end) {
      const length = await this.#nextRecord(reader);
      if (length === 0) throw this.#damaged(handle.path, "a record that was written is not valid");
      if (this.#head.version > through) return "reached";
      const at = await reader.load(this.#position, length);
      const goesOn = at >= 0 && this.#take(handle.path, reader.bytes, at, length, visit);
      if (at < 0) throw this.#damaged(handle.path, "it ends too early");
      if (!goesOn) return "enough";
      if (this.#link.version === through) return "reached";
      if (pacer.worked(length)) await pacer.rest();
    }
    return "next";
  }

  /** Length of the next record; 0 if there is none that continues the log. */
  async #nextRecord(reader: ChunkReader): Promise<number> {
    const at = await reader.load(this.#position, RECORD_HEAD_BYTES);
    if (at < 0) return 0;
    const { checksum } = this.#parts.runtime;
    const head = readRecordHead(checksum, reader.bytes, at, this.#salt, this.#head);
    return head !== undefined && follows(head, this.#link) ? recordBytes(head.payloadLength) : 0;
  }

  /** Goes over a whole record, and shows its commit if that is wanted. False: the visitor has enough. */
  #take(path: string, read: Uint8Array, at: number, length: number, visit: PastVisitor): boolean {
    const head = this.#head;
    const crc = checkedPayloadCrc(this.#parts.runtime, read, at, head);
    if (crc === undefined) throw this.#invalid(path);
    const { bytes, from, end } = this.#payload(path, read, at);
    const start = readDefinitions(bytes, from, end, this.#mapping);
    const view = start < 0 ? undefined : readCommit(bytes, start, end, this.#mapping.size);
    if (view === undefined) throw this.#invalid(path);
    const isWanted = head.version > this.#after;
    if (isWanted && this.#exact && this.#link.version !== this.#after) {
      this.#isGone = true;
      return false;
    }
    this.#link.crc = crc;
    this.#link.version = head.version;
    this.#position += length;
    if (!isWanted) return true;
    this.#exact = false;
    let next = view.entriesAt;
    for (let i = 0; i < view.entryCount; i++) {
      this.#mapping.translate(bytes, next);
      next += entryLength(bytes, next);
    }
    return visit(pastCommit(head.version, view, bytes, this.#writer));
  }

  /** The commit of a record and what it defines, where they can be read. */
  #payload(path: string, bytes: Uint8Array, at: number): { bytes: Uint8Array; from: number; end: number } {
    const { payloadLength, version } = this.#head;
    const from = at + RECORD_HEAD_BYTES;
    const [seal, position] = [this.#seal, this.#position];
    if (seal === undefined) return { bytes, from, end: from + payloadLength };
    const commit = unsealPayload(bytes, at, payloadLength, { seal, position });
    if (commit === undefined) {
      throw notSealed(path, position, `the commit of version ${version}`, HISTORY_REMEDY);
    }
    return { bytes: commit, from: 0, end: commit.length };
  }

  #invalid(path: string): FulmarError {
    return this.#damaged(path, `the commit of version ${this.#head.version} is not valid`);
  }

  #damaged(path: string, what: string): FulmarError {
    return corrupt(path, this.#position, what, HISTORY_REMEDY);
  }
}
