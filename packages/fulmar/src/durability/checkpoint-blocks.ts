import { readU32 } from "../base/bytes.js";
import {
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  type CheckpointHeader,
  readBlockHead,
  unsealBlock,
} from "./checkpoint-format.js";
import type { ChunkReader } from "./chunk-reader.js";
import type { FileSeal } from "./file-seal.js";
import { corrupt, notSealed } from "./files.js";
import type { ReadRuntime } from "./keyring.js";
import { claimedBytes, unpack } from "./packing.js";

/** So many blocks are unpacked at the same time, while those before them are loaded ... */
const AHEAD_BLOCKS = 8;
/** ... unless they are larger than usual, in bytes of their payloads. */
const AHEAD_BYTES = 1024 * 1024;

/** A block whose checksums are right. */
export interface Block {
  /** Its entries are `[from, to)` of these; valid until the next one is asked for. */
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly entryCount: number;
  /** The checksum behind its payload. */
  readonly crc: number;
  /** Where in the file it begins and ends. */
  readonly position: number;
  readonly end: number;
}

/** Reads the blocks of a checkpoint in order. Rejects with CORRUPT or an error of the disk. */
export class BlockReader {
  readonly #runtime: ReadRuntime;
  readonly #path: string;
  readonly #reader: ChunkReader;
  readonly #header: CheckpointHeader;
  readonly #seal: FileSeal | undefined;
  readonly #blockCount: number;
  readonly #ahead: { readonly bytes: number; readonly block: Promise<Block> }[] = [];
  #aheadBytes = 0;
  #index = 0;
  #position: number;

  constructor(
    runtime: ReadRuntime,
    path: string,
    reader: ChunkReader,
    header: CheckpointHeader,
    blocks: { readonly count: number; readonly position: number; readonly seal: FileSeal | undefined },
  ) {
    this.#runtime = runtime;
    this.#path = path;
    this.#reader = reader;
    this.#header = header;
    this.#seal = blocks.seal;
    this.#blockCount = blocks.count;
    this.#position = blocks.position;
  }

  /** The next block; only as often as there are blocks. */
  async next(): Promise<Block> {
    if (!this.#header.compressed) return (await this.#read()).block;
    while (this.#index < this.#blockCount && this.#ahead.length < AHEAD_BLOCKS) {
      if (this.#aheadBytes >= AHEAD_BYTES) break;
      await this.#readOn();
    }
    const [next] = this.#ahead.splice(0, 1);
    this.#aheadBytes -= next.bytes;
    return next.block;
  }

  /** Loads another block and begins to unpack it, from bytes of its own: the next one is loaded over these. */
  async #readOn(): Promise<void> {
    const { block, packed } = await this.#read();
    const stored = block.bytes.slice(block.from, block.to);
    const bytes = packed ? claimedBytes(stored) : stored.length;
    const unpacking = packed ? this.#unpacked(block, stored) : Promise.resolve(ownBytes(block, stored));
    // Whoever comes to need it is told; a block before it may be wrong as well.
    unpacking.catch(() => undefined);
    this.#ahead.push({ bytes, block: unpacking });
    this.#aheadBytes += bytes;
  }

  /** Loads and checks the next block as the file has it. */
  async #read(): Promise<{ block: Block; packed: boolean }> {
    const [index, position] = [this.#index++, this.#position];
    let found = await this.#load(index, false);
    // It may have been the reading that was wrong, and the disk right.
    if (typeof found === "string") found = await this.#load(index, true);
    if (typeof found === "string") throw this.#damaged(found);
    const { block, packed } = found;
    this.#position = block.end;
    if (this.#seal === undefined) return found;
    const sealing = { seal: this.#seal, position };
    const opened = unsealBlock(block.bytes, block.from - BLOCK_HEAD_BYTES, block.to - block.from, sealing);
    if (opened === undefined) throw notSealed(this.#path, position, `block ${index}`);
    return { block: ownBytes(block, opened), packed };
  }

  /** Loads the next block, from the file anew if asked to; what is wrong with it, if anything is. */
  async #load(index: number, anew: boolean): Promise<{ block: Block; packed: boolean } | string> {
    const { checksum } = this.#runtime;
    const position = this.#position;
    const at = await this.#place(BLOCK_HEAD_BYTES, anew);
    const headCrc = checksum.crc32(this.#reader.bytes, at, at + 12, this.#header.crc);
    const {
      crc: claimed,
      payloadLength,
      entryCount,
      packed,
      ...head
    } = readBlockHead(this.#reader.bytes, at);
    const allowed = this.#header.compressed || !packed;
    if (claimed !== headCrc || head.index !== index || !allowed)
      return `the head of block ${index} is not valid`;
    const whole = BLOCK_HEAD_BYTES + payloadLength + BLOCK_TAIL_BYTES;
    const from = (await this.#place(whole, anew)) + BLOCK_HEAD_BYTES;
    const to = from + payloadLength;
    const { bytes } = this.#reader;
    const crc = readU32(bytes, to);
    if (crc !== checksum.crc32(bytes, from, to, headCrc)) return `the checksum of block ${index} is wrong`;
    return { block: { bytes, from, to, entryCount, crc, position, end: position + whole }, packed };
  }

  /** Where the next bytes of the file are. Rejects with CORRUPT if it ends before. */
  async #place(length: number, anew: boolean): Promise<number> {
    if (anew) await this.#reader.again(this.#position, length);
    return this.#reader.need(this.#position, length);
  }

  async #unpacked(block: Block, packed: Uint8Array): Promise<Block> {
    const payload = await unpack(this.#runtime, packed);
    if (payload !== undefined) return ownBytes(block, payload);
    throw corrupt(this.#path, block.position, "a block does not unpack to what it was");
  }

  #damaged(what: string): ReturnType<typeof corrupt> {
    return corrupt(this.#path, this.#position, what);
  }
}

function ownBytes(block: Block, bytes: Uint8Array): Block {
  return { ...block, bytes, from: 0, to: bytes.length };
}
