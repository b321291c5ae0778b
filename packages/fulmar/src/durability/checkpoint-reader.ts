import { compareRanges, readU64 } from "../base/bytes.js";
import type { FileHandle } from "../base/runtime/interface.js";
import type { BulkLoader } from "../memory/engine.js";
import { ENTRY_HEADER_BYTES, hlcOf, isTombstone, keyLengthOf, keyStart } from "../record/entry.js";
import type { OriginTable } from "../record/origins.js";
import { type Block, BlockReader } from "./checkpoint-blocks.js";
import {
  addBlockCrc,
  BLOCK_HEAD_BYTES,
  CHECKPOINT_HEADER_BYTES,
  type CheckpointHeader,
  dictionaryAt,
  FOOTER_BYTES,
  type Footer,
  isFooterGenuine,
  readCheckpointHeader,
  readDictionary,
  readFooter,
} from "./checkpoint-format.js";
import { ChunkReader } from "./chunk-reader.js";
import { type FileSeal, sealBytes } from "./file-seal.js";
import { attempt, corrupt, formatNewer, notSealed, Pacer, withFile } from "./files.js";
import { readKeySection } from "./key-section.js";
import { findSeal, type ReadRuntime } from "./keyring.js";
import type { CheckpointName } from "./manifest.js";
import { checkedItemLength, type FoundNumbers, OriginMapping } from "./replay.js";

/** An entry takes at least so much of a checkpoint that is not compressed. */
const ENTRY_BYTES_MIN = 8 + ENTRY_HEADER_BYTES;

export interface LoadTarget {
  /** Undefined to check everything and keep nothing. */
  readonly loader: BulkLoader | undefined;
  readonly origins: OriginTable;
  readonly found: FoundNumbers;
  readonly progress: (entries: number, bytes: number, bytesTotal: number) => void;
}

/** A checkpoint that was read to its end. */
export interface CheckpointRead {
  readonly header: CheckpointHeader;
  readonly entries: number;
  /** How many of the entries are tombstones. */
  readonly tombstones: number;
  /** The id of the key that it is encrypted under; undefined when it is plain. */
  readonly keyId: string | undefined;
}

/** Reads the checkpoint that the manifest names, checking every byte, in the order of its entries. */
export async function readCheckpoint(
  runtime: ReadRuntime,
  path: string,
  name: CheckpointName,
  storeId: string,
  target: LoadTarget,
): Promise<CheckpointRead> {
  const status = await attempt("look at", path, runtime.fileSystem.status(path));
  if (status === undefined) throw corrupt(path, 0, "it is missing");
  return withFile(runtime.fileSystem, path, "read", async (handle) => {
    const reading = new CheckpointReading(runtime, handle, path, status.sizeBytes);
    try {
      return await reading.run(name, storeId, target);
    } finally {
      await reading.stop();
    }
  });
}

class CheckpointReading {
  readonly #runtime: ReadRuntime;
  readonly #path: string;
  readonly #reader: ChunkReader;
  readonly #tail: ChunkReader;
  readonly #scratch = new Uint8Array(4);
  #position = 0;
  #entries = 0;
  #tombstones = 0;
  #lastKey: Uint8Array | undefined;

  constructor(runtime: ReadRuntime, handle: FileHandle, path: string, sizeBytes: number) {
    this.#runtime = runtime;
    this.#path = path;
    this.#reader = new ChunkReader(handle, sizeBytes, true);
    this.#tail = new ChunkReader(handle, sizeBytes);
  }

  async stop(): Promise<void> {
    await this.#reader.stop();
  }

  async run(name: CheckpointName, storeId: string, target: LoadTarget): Promise<CheckpointRead> {
    const { sizeBytes } = this.#reader;
    if (sizeBytes !== name.bytes) throw corrupt(this.#path, sizeBytes, `it should have ${name.bytes} bytes`);
    const header = await this.#header(name, storeId);
    const seal = await this.#readSeal(header);
    const mapping = await this.#dictionary(header, seal, target);
    const footer = await this.#footer(header, seal, name);
    // A count that is forged must not take more memory than the file can fill.
    const entriesMax = Math.floor(sizeBytes / (header.compressed ? 1 : ENTRY_BYTES_MIN));
    target.loader?.announce(Math.min(footer.entryCount, entriesMax));
    await this.#blocks(header, footer, seal, mapping, target);
    seal?.erase();
    target.found.hlc = Math.max(target.found.hlc, header.hlc);
    target.progress(this.#entries, sizeBytes, sizeBytes);
    return { header, entries: this.#entries, tombstones: this.#tombstones, keyId: seal?.keyId };
  }

  async #header(name: CheckpointName, storeId: string): Promise<CheckpointHeader> {
    const header = await this.#twice(CHECKPOINT_HEADER_BYTES, (bytes) =>
      readCheckpointHeader(this.#runtime.checksum, bytes),
    );
    if (typeof header === "number") throw formatNewer(this.#path, header);
    if (header === undefined) throw this.#damaged("its header is not valid");
    if (header.number !== name.number || header.version !== name.version || header.storeId !== storeId) {
      throw this.#damaged("it is not the checkpoint that the manifest names");
    }
    this.#position = CHECKPOINT_HEADER_BYTES;
    return header;
  }

  async #readSeal(header: CheckpointHeader): Promise<FileSeal | undefined> {
    if (!header.sealed) {
      this.#runtime.keyring?.acceptPlain(this.#path);
      return undefined;
    }
    const { checksum } = this.#runtime;
    this.#position = 0;
    const found = await this.#twice(dictionaryAt(true), (bytes) => {
      const section = readKeySection(checksum, bytes.subarray(CHECKPOINT_HEADER_BYTES));
      // With the header that it is bound to.
      return section === undefined ? undefined : { section, head: bytes.slice(0, CHECKPOINT_HEADER_BYTES) };
    });
    this.#position = CHECKPOINT_HEADER_BYTES;
    if (found === undefined) throw this.#damaged("its key section is not valid");
    this.#position = dictionaryAt(true);
    return findSeal(this.#runtime, this.#path, found.section, "checkpoint", found.head);
  }

  async #dictionary(
    header: CheckpointHeader,
    seal: FileSeal | undefined,
    target: LoadTarget,
  ): Promise<OriginMapping> {
    const length = header.dictionaryBytes + 4;
    const dictionary = await this.#twice(length, (bytes) =>
      readDictionary(this.#runtime.checksum, header, bytes, seal),
    );
    if (dictionary === undefined) throw this.#damaged("its dictionary is not valid");
    const mapping = new OriginMapping(target.origins);
    for (const [i, id] of dictionary.ids.entries()) mapping.define(i + 1, id);
    for (const { origin, coverage } of dictionary.coverage) {
      target.found.coverage.set(target.origins.id(mapping.numberOf(origin)), coverage);
    }
    this.#position += length;
    return mapping;
  }

  /** What is read of the next bytes, from the file anew if it is nothing: the disk may be right all the same. */
  async #twice<T>(length: number, read: (bytes: Uint8Array) => T | undefined): Promise<T | undefined> {
    const reader = this.#reader;
    const at = await reader.need(this.#position, length);
    const found = read(reader.bytes.subarray(at, at + length));
    if (found !== undefined) return found;
    const again = await reader.again(this.#position, length);
    return again < 0 ? undefined : read(reader.bytes.subarray(again, again + length));
  }

  async #footer(header: CheckpointHeader, seal: FileSeal | undefined, name: CheckpointName): Promise<Footer> {
    const { sizeBytes } = this.#tail;
    const from = sizeBytes - FOOTER_BYTES;
    const position = from - sealBytes(seal);
    const length = sizeBytes - position;
    const read = (at: number): Footer | "forged" | undefined => {
      if (at < 0) return undefined;
      const whole = this.#tail.bytes.subarray(at, at + length);
      const bytes = whole.subarray(sealBytes(seal));
      const footer = readFooter(this.#runtime.checksum, bytes, header.crc);
      const isNamed = this.#runtime.checksum.crc32(bytes, 0, FOOTER_BYTES, 0) === name.crc;
      if (footer?.fileBytes !== sizeBytes || !isNamed) return undefined;
      return seal === undefined || isFooterGenuine(whole, { seal, position }) ? footer : "forged";
    };
    let footer = read(await this.#tail.load(position, length));
    // Its seal may have come wrong as well: no checksum is over that.
    if (typeof footer !== "object") footer = read(await this.#tail.again(position, length));
    if (footer === "forged") throw notSealed(this.#path, from, "the footer");
    if (footer === undefined) throw corrupt(this.#path, from, "its footer is not valid");
    return footer;
  }

  async #blocks(
    header: CheckpointHeader,
    footer: Footer,
    seal: FileSeal | undefined,
    mapping: OriginMapping,
    target: LoadTarget,
  ): Promise<void> {
    const { checksum } = this.#runtime;
    const pacer = new Pacer(this.#runtime);
    const place = { count: footer.blockCount, position: this.#position, seal };
    const blocks = new BlockReader(this.#runtime, this.#path, this.#reader, header, place);
    let blocksCrc = 0;
    for (let index = 0; index < footer.blockCount; index++) {
      const block = await blocks.next();
      this.#position = block.position;
      this.#items(block, header, mapping, target);
      blocksCrc = addBlockCrc(checksum, this.#scratch, blocksCrc, block.crc);
      this.#position = block.end;
      if (!pacer.worked(BLOCK_HEAD_BYTES + block.to - block.from)) continue;
      target.progress(this.#entries, this.#position, this.#reader.sizeBytes);
      await pacer.rest();
    }
    const complete =
      this.#position === footer.fileBytes - FOOTER_BYTES - sealBytes(seal) &&
      this.#entries === footer.entryCount;
    if (!complete || blocksCrc !== footer.blocksCrc)
      throw this.#damaged("its blocks do not match its footer");
  }

  /** Checks the entries of a block and hands them on. */
  #items(block: Block, header: CheckpointHeader, mapping: OriginMapping, target: LoadTarget): void {
    const end = this.#checkItems(block, header.version, mapping, target.found);
    if (end !== block.to) throw this.#damaged("a block holds more than its entries");
    this.#entries += block.entryCount;
    target.loader?.addAll(block.bytes, block.from, block.entryCount);
  }

  /** Checks entries, above all before them, and gives them the origin numbers of the store; where they end. */
  #checkItems(block: Block, versionMax: number, mapping: OriginMapping, found: FoundNumbers): number {
    const { bytes, to: end, entryCount: count } = block;
    let next = block.from;
    let before = this.#lastKey ?? bytes;
    let beforeFrom = 0;
    let beforeTo = this.#lastKey === undefined ? -1 : before.length;
    let { hlc } = found;
    for (let i = 0; i < count; i++) {
      const itemLength = checkedItemLength(bytes, next, end, mapping.size);
      const version = itemLength === 0 ? 0 : readU64(bytes, next);
      if (version === 0 || version > versionMax) throw this.#damaged("a block holds a malformed entry");
      const entry = next + 8;
      const key = keyStart(bytes, entry);
      const keyEnd = key + keyLengthOf(bytes, entry);
      if (beforeTo >= 0 && compareRanges(before, beforeFrom, beforeTo, bytes, key, keyEnd) >= 0) {
        throw this.#damaged("its keys are not in order");
      }
      before = bytes;
      beforeFrom = key;
      beforeTo = keyEnd;
      mapping.translate(bytes, entry);
      const entryHlc = hlcOf(bytes, entry);
      if (entryHlc > hlc) hlc = entryHlc;
      if (isTombstone(bytes, entry)) this.#tombstones++;
      next += itemLength;
    }
    found.hlc = hlc;
    if (beforeTo >= 0) this.#lastKey = before.slice(beforeFrom, beforeTo);
    return next;
  }

  #damaged(what: string): ReturnType<typeof corrupt> {
    return corrupt(this.#path, this.#position, what);
  }
}
