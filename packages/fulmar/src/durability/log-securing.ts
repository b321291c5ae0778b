import type { FileHandle } from "../base/runtime/interface.js";
import { CHUNK_BYTES, ChunkReader } from "./chunk-reader.js";
import { attempt, corrupt, removeFile, syncDirectory, syncFile, withFile, writeFully } from "./files.js";
import { readKeySection } from "./key-section.js";
import type { DiskRuntime } from "./keyring.js";
import type { Layout } from "./layout.js";
import type { LiveSegment, LogScan } from "./log-scan.js";
import type { LogEnd } from "./manifest.js";
import {
  firstCommitAt,
  headerBytes,
  RECORD_HEAD_BYTES,
  readRecordHead,
  readSegmentHeader,
  recordBytes,
  SEGMENT_HEADER_BYTES,
} from "./segment-format.js";
import { checkedPayloadCrc } from "./segment-reader.js";

/**
 * Makes what was read durable, and what was cut off gone. What no sync is known to have covered may be
 * in the system's memory only, and the system may believe that it is on disk after a failed sync: so it
 * is written again before it is synced.
 */
export async function secureLog(
  runtime: DiskRuntime,
  layout: Layout,
  scan: LogScan,
  synced: LogEnd,
): Promise<void> {
  for (const segment of scan.live) {
    // A segment that holds its opening only says nothing of whether that was synced; the manifest may.
    const stated = segment.file.number === synced.segment && segment.end <= synced.position;
    const proven = stated || (segment.lastVersion <= scan.proven && segment.lastVersion > segment.base);
    if (proven && !(scan.torn && segment === scan.live.at(-1))) continue;
    await withFile(runtime.fileSystem, segment.file.path, "update", async (handle) => {
      await new Rewriting(runtime, handle, segment).run(scan.proven);
      // The failed sync may have lost the file's growth as well, which writing within it does not state again.
      const { sizeBytes } = segment.file;
      await attempt("truncate", handle.path, handle.truncate(sizeBytes + 1));
      await attempt("truncate", handle.path, handle.truncate(sizeBytes));
      await syncFile(handle);
      if (!scan.torn || segment !== scan.live.at(-1)) return;
      await attempt("truncate", handle.path, handle.truncate(segment.end));
      await syncFile(handle);
    });
  }
  // From the newest down, each durably: a chain of segments never has a gap in the middle.
  for (const file of [...scan.dead].reverse()) {
    await removeFile(runtime.fileSystem, file.path);
    await syncDirectory(runtime.fileSystem, layout.log);
  }
}

/**
 * Writes a part of a segment over itself. What is written has proved to be whole once more: bytes that come wrong from
 * a disk that has them right must not take their place.
 */
class Rewriting {
  readonly #runtime: DiskRuntime;
  readonly #handle: FileHandle;
  readonly #segment: LiveSegment;
  readonly #reader: ChunkReader;

  constructor(runtime: DiskRuntime, handle: FileHandle, segment: LiveSegment) {
    this.#runtime = runtime;
    this.#handle = handle;
    this.#segment = segment;
    this.#reader = new ChunkReader(handle, segment.end);
  }

  /** From the last place on before which everything is proven to be synced. */
  async run(proven: number): Promise<void> {
    const { base, end, marks, file } = this.#segment;
    // Only a synced commit of this segment proves that its opening, before the first mark, was synced.
    const inside = marks.filter(({ version }) => version > base && version <= proven);
    let position = inside.at(-1)?.position ?? 0;
    for (let next = position; position < end; position = next) {
      next = this.#recordsEnd(
        position,
        await (position === 0 ? this.#loadStart() : this.#loadRecord(position)),
      );
      const at = this.#reader.index(position, next - position);
      if (at < 0) throw corrupt(file.path, position, "it became shorter while it was read");
      await writeFully(this.#handle, this.#reader.bytes.subarray(at, at + next - position), position);
      await this.#runtime.timers.turn();
    }
  }

  /** Loads header and opening, and returns where they end. */
  async #loadStart(): Promise<number> {
    const length = firstCommitAt(this.#segment.file.seal);
    const isWhole =
      this.#isStart(await this.#reader.load(0, length)) || this.#isStart(await this.#reader.again(0, length));
    if (!isWhole) throw this.#different(0);
    return length;
  }

  #isStart(at: number): boolean {
    if (at < 0) return false;
    const { seal, opening } = this.#segment.file;
    const { checksum } = this.#runtime;
    const bytes = this.#reader.bytes.subarray(at);
    if (typeof readSegmentHeader(checksum, bytes) !== "object") return false;
    const openingAt = headerBytes(seal);
    if (seal !== undefined && !readKeySection(checksum, bytes.subarray(SEGMENT_HEADER_BYTES, openingAt)))
      return false;
    const head = readRecordHead(checksum, bytes, openingAt, this.#segment.header.salt);
    return head !== undefined && checkedPayloadCrc(this.#runtime, bytes, openingAt, head) === opening?.crc;
  }

  /** Loads the record at `position`, and returns where it ends. */
  async #loadRecord(position: number): Promise<number> {
    const length = (await this.#recordAt(position)) || (await this.#recordAt(position, true));
    if (length === 0) throw this.#different(position);
    return position + length;
  }

  /** Where the last of the whole records ends that are loaded, from `from` on; about a chunk of them at most. */
  #recordsEnd(position: number, from: number): number {
    let end = from;
    while (end - position < CHUNK_BYTES) {
      const length = this.#loadedRecordAt(end);
      if (length === 0) break;
      end += length;
    }
    return end;
  }

  /** Length of the whole record at `position`, which is loaded, from the file anew if `isAgain`; 0 if it is none. */
  async #recordAt(position: number, isAgain = false): Promise<number> {
    const reader = this.#reader;
    const at = await (isAgain
      ? reader.again(position, RECORD_HEAD_BYTES)
      : reader.load(position, RECORD_HEAD_BYTES));
    const length = at < 0 ? 0 : this.#lengthAt(at);
    return length > 0 && (await reader.load(position, length)) >= 0 ? this.#loadedRecordAt(position) : 0;
  }

  /** The same of what is loaded already. */
  #loadedRecordAt(position: number): number {
    const at = this.#reader.index(position, RECORD_HEAD_BYTES);
    const length = at < 0 ? 0 : this.#lengthAt(at);
    if (length === 0 || this.#reader.index(position, length) < 0) return 0;
    const { bytes } = this.#reader;
    const head = readRecordHead(this.#runtime.checksum, bytes, at, this.#segment.header.salt);
    return head !== undefined && checkedPayloadCrc(this.#runtime, bytes, at, head) !== undefined ? length : 0;
  }

  #lengthAt(at: number): number {
    const { checksum } = this.#runtime;
    const head = readRecordHead(checksum, this.#reader.bytes, at, this.#segment.header.salt);
    return head === undefined ? 0 : recordBytes(head.payloadLength);
  }

  #different(position: number): Error {
    return corrupt(this.#segment.file.path, position, "it is read differently than a moment before");
  }
}
