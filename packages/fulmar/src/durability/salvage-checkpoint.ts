import { readU32 } from "../base/bytes.js";
import type { Checksum, FileHandle } from "../base/runtime/interface.js";
import {
  isTombstone,
  keyOf,
  ORIGIN_NUMBER_MAX,
  valueChecksumOf,
  valueLengthOf,
  valueStart,
} from "../record/entry.js";
import type { LostPart } from "./care-types.js";
import { CheckpointCover } from "./checkpoint-cover.js";
import {
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  CHECKPOINT_HEADER_BYTES,
  type CheckpointHeader,
  dictionaryAt,
  FOOTER_BYTES,
  isFooterGenuine,
  readBlockHead,
  readCheckpointHeader,
  readDictionary,
  readFooter,
  unsealBlock,
} from "./checkpoint-format.js";
import { ChunkReader } from "./chunk-reader.js";
import { type FileSeal, SEAL_BYTES, type Sealing } from "./file-seal.js";
import { attempt, formatNewer, Pacer, withFile } from "./files.js";
import { KEY_SECTION_BYTES, readKeySection } from "./key-section.js";
import { type DiskRuntime, findSeal } from "./keyring.js";
import { unpack } from "./packing.js";
import { checkedItemLength } from "./replay.js";

/** Heads of blocks are looked for in so many places at a time. */
const SEARCH_BYTES = 64 * 1024;

type FoundHead = ReturnType<typeof readBlockHead>;

/** Takes the entry at `at` of `bytes`, valid during the call. */
export type EntryVisitor = (bytes: Uint8Array, at: number, length: number) => void;

export interface SalvagedCheckpoint {
  /** Undefined when it is damaged, or when it was not sealed with the dictionary behind it. */
  readonly header: CheckpointHeader | undefined;
  /** By which key it is sealed; undefined when it is plain, or when nobody can tell. */
  readonly keyId: string | undefined;
  readonly saved: number;
  readonly lost: readonly LostPart[];
  /** Of which keys it says whether they were there. */
  readonly cover: CheckpointCover;
}

/** Reads every block of a checkpoint that is whole. Rejects with FORMAT_NEWER or an error of the disk. */
export async function salvageCheckpoint(
  runtime: DiskRuntime,
  path: string,
  visit: EntryVisitor,
): Promise<SalvagedCheckpoint> {
  return withFile(runtime.fileSystem, path, "read", async (handle) => {
    const sizeBytes = await attempt("look at", path, handle.size());
    return new CheckpointSalvage(runtime, handle, sizeBytes, visit).run();
  });
}

class CheckpointSalvage {
  readonly #runtime: DiskRuntime;
  readonly #path: string;
  readonly #reader: ChunkReader;
  readonly #visit: EntryVisitor;
  readonly #pacer: Pacer;
  readonly #lost: LostPart[] = [];
  /** Which blocks were taken: numbers may be wrong, but the same block twice is a copy. */
  readonly #taken = new Set<string>();
  readonly #cover = new CheckpointCover();
  /** What the checksums of heads may be seeded with; one is left once a head was found. */
  #seeds: number[] = [];
  #seal: FileSeal | undefined;
  /** Whether there is no key to read it with, because the part that tells which is damaged. */
  #isLocked = false;
  #isProven = true;
  /** The checksum behind the last payload. */
  #crcBehind = 0;
  /** How many blocks the footer counts. */
  #blockCount: number | undefined;
  #saved = 0;

  constructor(runtime: DiskRuntime, handle: FileHandle, sizeBytes: number, visit: EntryVisitor) {
    this.#runtime = runtime;
    this.#path = handle.path;
    this.#reader = new ChunkReader(handle, sizeBytes);
    this.#visit = visit;
    this.#pacer = new Pacer(runtime);
  }

  async run(): Promise<SalvagedCheckpoint> {
    const { sizeBytes } = this.#reader;
    const header = await this.#header();
    await this.#readSeal(header);
    let position = await this.#dictionary(header);
    const end = await this.#end(header);
    while (position < end) {
      const head = await this.#headAt(position);
      if (head === undefined) {
        const next = await this.#search(position + 1, end);
        this.#miss(position, next - position, "bytes that are no block");
        position = next;
        continue;
      }
      position = await this.#block(position, head);
    }
    if (end === sizeBytes) this.#miss(sizeBytes, 0, "the end of the file, and any blocks before it");
    if (this.#blockCount !== undefined) this.#cover.end(this.#blockCount);
    return {
      header: this.#isProven ? header : undefined,
      keyId: this.#seal?.keyId,
      saved: this.#saved,
      lost: this.#lost,
      cover: this.#cover,
    };
  }

  async #header(): Promise<CheckpointHeader | undefined> {
    const bytes = await this.#reader.view(0, CHECKPOINT_HEADER_BYTES);
    if (bytes === undefined) {
      this.#miss(0, this.#reader.sizeBytes, "the header");
      return undefined;
    }
    const header = readCheckpointHeader(this.#runtime.checksum, bytes);
    if (typeof header === "number") throw formatNewer(this.#path, header);
    // Either the header's bytes or the checksum behind them may be the damaged ones.
    this.#seeds = [readU32(bytes, 104), this.#runtime.checksum.crc32(bytes, 0, 104, 0)];
    if (header === undefined) this.#miss(0, CHECKPOINT_HEADER_BYTES, "the header");
    return header;
  }

  /** The key section stands for itself: it is of use even if the header is damaged. */
  async #readSeal(header: CheckpointHeader | undefined): Promise<void> {
    const { keyring } = this.#runtime;
    if (header?.sealed === false) return keyring?.acceptPlain(this.#path);
    const bytes = (await this.#reader.view(0, dictionaryAt(true))) ?? new Uint8Array(0);
    const section = readKeySection(this.#runtime.checksum, bytes.subarray(CHECKPOINT_HEADER_BYTES));
    if (section !== undefined) {
      // The seal keeps it.
      const head = bytes.slice(0, CHECKPOINT_HEADER_BYTES);
      this.#seal = await findSeal(this.#runtime, this.#path, section, "checkpoint", head);
    } else if (header !== undefined || keyring?.refusesPlain === true) {
      this.#isLocked = true;
      this.#miss(
        CHECKPOINT_HEADER_BYTES,
        KEY_SECTION_BYTES,
        "the key section, without which nothing can be read",
      );
    }
  }

  /**
   * Where the blocks begin. Whose entries they are is not asked: a damaged dictionary costs nothing but, where it is
   * sealed, the word of the header that it is sealed with.
   */
  async #dictionary(header: CheckpointHeader | undefined): Promise<number> {
    if (header === undefined) return CHECKPOINT_HEADER_BYTES;
    const position = dictionaryAt(header.sealed);
    const length = header.dictionaryBytes + 4;
    const bytes = await this.#reader.view(position, length);
    const { checksum } = this.#runtime;
    const whole = bytes !== undefined && readDictionary(checksum, header, bytes, this.#seal) !== undefined;
    this.#isProven = whole || !header.sealed;
    if (whole) return position + length;
    // The length may be what is wrong.
    const blocksAt = await this.#search(position, this.#reader.sizeBytes);
    if (!this.#isLocked) this.#miss(position, blocksAt - position, "the dictionary of writers");
    return blocksAt;
  }

  /** Where the blocks end: before the footer, if there is one. */
  async #end(header: CheckpointHeader | undefined): Promise<number> {
    const { sizeBytes } = this.#reader;
    if (header === undefined) return sizeBytes;
    const from = sizeBytes - FOOTER_BYTES;
    const bytes = await this.#need(from, FOOTER_BYTES);
    const footer = readFooter(this.#runtime.checksum, bytes, header.crc);
    if (footer === undefined) return sizeBytes;
    const end = from - (header.sealed ? SEAL_BYTES : 0);
    const seal = this.#seal;
    if (seal !== undefined && !(await this.#isEndGenuine({ seal, position: end }))) {
      this.#miss(end, SEAL_BYTES, "the seal of the footer, and any blocks that somebody left out before it");
    } else this.#blockCount = footer.blockCount;
    return end;
  }

  async #isEndGenuine(sealing: Sealing): Promise<boolean> {
    return isFooterGenuine(await this.#need(sealing.position, SEAL_BYTES + FOOTER_BYTES), sealing);
  }

  /** The bytes there, which the file is long enough for. */
  async #need(position: number, length: number): Promise<Uint8Array> {
    const at = await this.#reader.need(position, length);
    return this.#reader.bytes.subarray(at, at + length);
  }

  async #headAt(position: number): Promise<FoundHead | undefined> {
    const bytes = await this.#reader.view(position, BLOCK_HEAD_BYTES);
    return bytes === undefined ? undefined : this.#checkedHead(bytes, 0, this.#reader.sizeBytes - position);
  }

  #checkedHead(bytes: Uint8Array, at: number, left: number): FoundHead | undefined {
    const head = readBlockHead(bytes, at);
    if (blockBytes(head) > left) return undefined;
    const { checksum } = this.#runtime;
    const seed = this.#seeds.find((candidate) => checksum.crc32(bytes, at, at + 12, candidate) === head.crc);
    if (seed === undefined) return undefined;
    this.#seeds = [seed];
    return head;
  }

  /** The position of the next head of a block, or `end`. */
  async #search(from: number, end: number): Promise<number> {
    const { sizeBytes } = this.#reader;
    for (let position = from; position + BLOCK_HEAD_BYTES <= end; position += SEARCH_BYTES) {
      const length = Math.min(SEARCH_BYTES + BLOCK_HEAD_BYTES - 1, end - position);
      const bytes = await this.#need(position, length);
      for (let at = 0; at + BLOCK_HEAD_BYTES <= length; at++) {
        const found = position + at;
        if (this.#checkedHead(bytes, at, sizeBytes - found) !== undefined) return found;
      }
      if (this.#pacer.worked(length)) await this.#pacer.rest();
    }
    return end;
  }

  /** Takes what is whole of a block; where the next one is to be looked for. */
  async #block(position: number, head: FoundHead): Promise<number> {
    const whole = blockBytes(head);
    const entries = await this.#payload(position, head, await this.#need(position, whole));
    if (this.#pacer.worked(whole)) await this.#pacer.rest();
    if (entries === undefined) {
      this.#miss(position, whole, `block ${head.index} of ${head.entryCount} entries`);
      return position + whole;
    }
    const name = `${head.crc} ${this.#crcBehind}`;
    if (this.#taken.has(name)) {
      this.#miss(position, whole, `a copy of block ${head.index}`);
      return position + whole;
    }
    this.#taken.add(name);
    const end = this.#items(entries, position, head);
    if (end === entries.length) return position + whole;
    const own = this.#seal === undefined && !head.packed;
    // A length may be what is wrong, and other blocks may stand in what it takes for entries.
    const from = position + BLOCK_HEAD_BYTES + end;
    const next = own ? await this.#search(from, position + whole) : position + whole;
    const left = own ? Math.min(next - from, entries.length - end) : entries.length - end;
    this.#miss(from, left, "entries that are malformed");
    return next;
  }

  /** The entries of a block that is whole. */
  async #payload(position: number, head: FoundHead, block: Uint8Array): Promise<Uint8Array | undefined> {
    const end = BLOCK_HEAD_BYTES + head.payloadLength;
    const crc = this.#runtime.checksum.crc32(block, BLOCK_HEAD_BYTES, end, head.crc);
    this.#crcBehind = crc;
    if (readU32(block, end) !== crc || this.#isLocked) return undefined;
    const seal = this.#seal;
    const opened =
      seal === undefined
        ? block.subarray(BLOCK_HEAD_BYTES, end)
        : unsealBlock(block, 0, head.payloadLength, { seal, position });
    return opened !== undefined && head.packed ? unpack(this.#runtime, opened) : opened;
  }

  /**
   * Takes the entries up to the first that is none, and returns where that is. Where they are not as many bytes and
   * as many as the block has, a length is wrong, and the value tells whose.
   */
  #items(bytes: Uint8Array, position: number, { index, entryCount: count }: FoundHead): number {
    const all = this.#parse(bytes, () => true);
    const exact = all.end === bytes.length && all.count === count;
    const isSound = (at: number): boolean => exact || hasItsValue(this.#runtime.checksum, bytes, at);
    const taken = exact ? all : this.#parse(bytes, isSound);
    if (exact && count > 0) this.#cover.add(index, keyOf(bytes, 8), keyOf(bytes, all.last));
    this.#parse(bytes.subarray(0, taken.end), (at, length) => {
      this.#visit(bytes, at, length);
      this.#saved++;
      return true;
    });
    if (taken.end === bytes.length && taken.count !== count) {
      this.#miss(
        position + 4,
        4,
        `the number of its entries: it says ${count}, and there are ${taken.count}`,
      );
    }
    return taken.end;
  }

  /** How many entries stand one after the other that a check accepts, where the last begins, and where they end. */
  #parse(
    bytes: Uint8Array,
    accept: (at: number, length: number) => boolean,
  ): { readonly end: number; readonly last: number; readonly count: number } {
    let [end, last, count] = [0, 0, 0];
    while (end < bytes.length) {
      const length = checkedItemLength(bytes, end, bytes.length, ORIGIN_NUMBER_MAX);
      if (length === 0 || !accept(end + 8, length - 8)) break;
      last = end + 8;
      end += length;
      count++;
    }
    return { end, last, count };
  }

  #miss(offset: number, bytes: number, what: string): void {
    this.#lost.push({ offset, bytes, what });
  }
}

/** How many bytes a block takes. */
function blockBytes({ payloadLength }: FoundHead): number {
  return BLOCK_HEAD_BYTES + payloadLength + BLOCK_TAIL_BYTES;
}

/** Whether the value of an entry is the one that it was written with: a length that is wrong shows in that. */
function hasItsValue(checksum: Checksum, bytes: Uint8Array, at: number): boolean {
  // A tombstone may name the checksum of what it deleted.
  if (isTombstone(bytes, at)) return true;
  const value = valueStart(bytes, at);
  return checksum.crc32(bytes, value, value + valueLengthOf(bytes, at), 0) === valueChecksumOf(bytes, at);
}
