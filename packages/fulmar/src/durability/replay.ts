import { isU53, readU32 } from "../base/bytes.js";
import type { BulkLoader } from "../memory/engine.js";
import { type CommitView, readCommit } from "../record/commit.js";
import type { Coverage } from "../record/coverage.js";
import { checkedEntryLength, entryLength, hlcOf, originOf, seqOf, setOrigin } from "../record/entry.js";
import { ORIGIN_ID_BYTES, type OriginId, type OriginTable, originFromBytes } from "../record/origins.js";
import type { ScanVisitor } from "./log-scan.js";
import { DEFINITION_BYTES, recordBytes, type SegmentHeader } from "./segment-format.js";

/** Commits by which the number of entries to come is judged. */
const SAMPLED_COMMITS = 500;
/** Room is made in advance for so many keys at most. */
const EXPECTED_MAX = 2 ** 22;

/** What is known of the numbers that a store has used. */
export interface FoundNumbers {
  seq: number;
  hlc: number;
  readonly coverage: Coverage;
}

/** Translates the origin numbers of a segment or checkpoint to those of the open store. */
export class OriginMapping {
  readonly #origins: OriginTable;
  #numbers: number[] = [0];
  #same = true;

  constructor(origins: OriginTable) {
    this.#origins = origins;
  }

  get size(): number {
    return this.#numbers.length - 1;
  }

  clear(): void {
    this.#numbers = [0];
    this.#same = true;
  }

  /** Numbers are defined in order; a known one may be defined again. */
  define(number: number, id: OriginId): boolean {
    if (number === 0 || number > this.#numbers.length) return false;
    this.#numbers[number] = this.#origins.intern(id);
    this.#same = this.#same && this.#numbers[number] === number;
    return true;
  }

  numberOf(number: number): number {
    return this.#numbers[number];
  }

  /** Replaces the origin number of an entry, in place, and returns the new one. */
  translate(bytes: Uint8Array, at: number): number {
    const number = originOf(bytes, at);
    if (this.#same) return number;
    const own = this.#numbers[number];
    if (own !== number) setOrigin(bytes, at, own);
    return own;
  }
}

/** Reads the definitions before a commit; the position after them, or -1 if they are malformed. */
export function readDefinitions(bytes: Uint8Array, at: number, end: number, mapping: OriginMapping): number {
  if (end - at < 4) return -1;
  const count = readU32(bytes, at);
  if (count > (end - at - 4) / DEFINITION_BYTES) return -1;
  let next = at + 4;
  for (let i = 0; i < count; i++) {
    if (!mapping.define(readU32(bytes, next), originFromBytes(bytes, next + 4))) return -1;
    next += DEFINITION_BYTES;
  }
  return next;
}

/** Hands the commits of the log to a loader, from `afterVersion` on. */
export class Replay implements ScanVisitor {
  readonly #loader: BulkLoader | undefined;
  readonly #origins: OriginTable;
  readonly #found: FoundNumbers;
  readonly #incarnation: OriginId;
  readonly #afterVersion: number;
  readonly #mapping: OriginMapping;
  #writer: OriginId = "";
  #writerNumber = 0;
  /** The writer's newest sequence number in what was read of the present segment. */
  #writerSeq = 0;
  #hlc = 0;
  #bytesTotal = 0;
  commits = 0;
  entries = 0;
  /** Bytes of commits that were applied. */
  bytes = 0;

  /** Without a loader everything is checked and nothing kept. */
  constructor(
    loader: BulkLoader | undefined,
    origins: OriginTable,
    found: FoundNumbers,
    incarnation: OriginId,
    afterVersion: number,
  ) {
    this.#loader = loader;
    this.#origins = origins;
    this.#found = found;
    this.#incarnation = incarnation;
    this.#afterVersion = afterVersion;
    this.#mapping = new OriginMapping(origins);
  }

  begin(bytesTotal: number): void {
    this.#bytesTotal = bytesTotal;
  }

  segment(header: SegmentHeader): void {
    this.#noteNumbers();
    this.#mapping.clear();
    this.#writer = header.incarnation;
    this.#writerNumber = this.#origins.intern(header.incarnation);
  }

  commit(version: number, bytes: Uint8Array, at: number, end: number): boolean {
    const start = readDefinitions(bytes, at, end, this.#mapping);
    if (start < 0) return false;
    const view = readCommit(bytes, start, end, this.#mapping.size);
    if (view === undefined) return false;
    if (version <= this.#afterVersion) return true;
    this.#apply(version, view, bytes);
    if (view.changes.length > 0) this.#noteNumbers();
    for (const { origin, coverage } of view.changes) {
      this.#found.coverage.set(this.#origins.id(this.#mapping.numberOf(origin)), coverage);
    }
    this.commits++;
    this.bytes += end - at;
    if (this.commits === SAMPLED_COMMITS) this.#expect();
    return true;
  }

  /** To be called at the end. */
  finish(): void {
    this.#noteNumbers();
  }

  /** Behind a checkpoint there is room already for its keys, which are mostly those of the commits too. */
  #expect(): void {
    if (this.#afterVersion > 0) return;
    const commits = this.#bytesTotal / recordBytes(this.bytes / this.commits);
    this.#loader?.expect(Math.min(EXPECTED_MAX, Math.ceil((commits * this.entries) / this.commits)));
  }

  /** What is noted for each commit takes longer than what is noted for many. */
  #noteNumbers(): void {
    const found = this.#found;
    found.hlc = Math.max(found.hlc, this.#hlc);
    if (this.#writerSeq === 0) return;
    // The writer logs its own commits in order, so all of its numbers up to here are in what was read.
    found.coverage.advance(this.#writer, this.#writerSeq);
    if (this.#writer === this.#incarnation) found.seq = Math.max(found.seq, this.#writerSeq);
    this.#writerSeq = 0;
  }

  #apply(version: number, view: CommitView, bytes: Uint8Array): void {
    const loader = this.#loader;
    const mapping = this.#mapping;
    let next = view.entriesAt;
    for (let i = 0; i < view.entryCount; i++) {
      const length = entryLength(bytes, next);
      if (mapping.translate(bytes, next) === this.#writerNumber) {
        const seq = seqOf(bytes, next);
        if (seq > this.#writerSeq) this.#writerSeq = seq;
      }
      const hlc = hlcOf(bytes, next);
      if (hlc > this.#hlc) this.#hlc = hlc;
      loader?.put(version, bytes, next, length);
      next += length;
    }
    this.entries += view.entryCount;
  }
}

/** Length of one checkpoint item: u64 version and an entry; 0 if it is malformed. */
export function checkedItemLength(bytes: Uint8Array, at: number, end: number, origins: number): number {
  if (end - at < 8 || !isU53(bytes, at)) return 0;
  const length = checkedEntryLength(bytes, at + 8, end);
  if (length === 0) return 0;
  const origin = originOf(bytes, at + 8);
  return origin === 0 || origin > origins ? 0 : 8 + length;
}

/** Ids of `count` origins, back to back. */
export function readIds(bytes: Uint8Array, at: number, count: number): OriginId[] {
  return Array.from({ length: count }, (_, i) => originFromBytes(bytes, at + i * ORIGIN_ID_BYTES));
}
