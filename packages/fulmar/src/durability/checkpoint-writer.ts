import { writeU64 } from "../base/bytes.js";
import { FulmarError } from "../base/errors.js";
import type { FileHandle } from "../base/runtime/interface.js";
import { ALL_KEYS } from "../keys/range.js";
import { NONE } from "../memory/engine.js";
import { entryLength, isTombstone } from "../record/entry.js";
import type { OriginTable } from "../record/origins.js";
import {
  addBlockCrc,
  BLOCK_BYTES,
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  CHECKPOINT_HEADER_BYTES,
  type CheckpointState,
  closeBlock,
  FOOTER_BYTES,
  sealDictionary,
  sealFooter,
  writeCheckpointHead,
  writeFooter,
} from "./checkpoint-format.js";
import type { CheckpointSource } from "./directory-types.js";
import { type FileSeal, roomBefore, type Sealing, sealBytes } from "./file-seal.js";
import { Pacer, SLICE_BYTES, syncFile, writeFully } from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import { pack } from "./packing.js";

/**
 * Blocks are handed to the operating system in pieces of about this size, one a turn of the event loop: what others
 * do in a turn may take longer than the piece does, and until all is read overwrites cost twice as much.
 */
const WRITE_BYTES = SLICE_BYTES;
/**
 * After so many bytes the file is synced, off the event loop. All of a large file at once would keep the disk from the
 * syncs of commits for as long as it takes, and the system may make writes to the log wait for it.
 */
export const SYNC_EVERY_BYTES = 8 * 1024 * 1024;

export interface WrittenCheckpoint {
  readonly bytes: number;
  readonly entries: number;
  /** Checksum of the footer. */
  readonly crc: number;
}

/** Writes one checkpoint into an empty file, in slices between which other work goes on. */
export class CheckpointWriter {
  readonly #runtime: DiskRuntime;
  readonly #handle: FileHandle;
  readonly #signal: () => boolean;
  readonly #progress: (entries: number, bytes: number) => void;
  readonly #scratch = new Uint8Array(4);
  #buffer = new Uint8Array(WRITE_BYTES + BLOCK_BYTES);
  #filled = 0;
  #blockAt = 0;
  #blockEntries = 0;
  #position = 0;
  #syncedBytes = 0;
  #blocks = 0;
  #entries = 0;
  #blocksCrc = 0;
  #seed = 0;
  #compressed = false;
  #seal: FileSeal | undefined;

  /** `stopped` tells whether to give up, which rejects with CLOSED. */
  constructor(
    runtime: DiskRuntime,
    handle: FileHandle,
    stopped: () => boolean,
    progress: (entries: number, bytes: number) => void = () => undefined,
  ) {
    this.#runtime = runtime;
    this.#handle = handle;
    this.#signal = stopped;
    this.#progress = progress;
  }

  async write(
    source: CheckpointSource,
    state: CheckpointState,
    origins: OriginTable,
  ): Promise<WrittenCheckpoint> {
    const { checksum } = this.#runtime;
    const coverage = [...source.coverage.origins()].map(([id, covered]) => ({
      origin: origins.intern(id),
      coverage: covered,
    }));
    const ids = Array.from({ length: origins.size }, (_, i) => origins.idBytes(i + 1));
    const { keyring } = this.#runtime;
    const head = writeCheckpointHead(checksum, state, ids, coverage, keyring?.currentId !== undefined);
    const created = await keyring?.create("checkpoint", head.bytes.slice(0, CHECKPOINT_HEADER_BYTES));
    if (created !== undefined) sealDictionary(checksum, head, created);
    this.#seal = created?.seal;
    this.#seed = head.crc;
    this.#compressed = state.compressed;
    await this.#put(head.bytes);
    await this.#writeEntries(source, state.hadPeers);
    source.read();
    const fileBytes = this.#position + sealBytes(this.#seal) + FOOTER_BYTES;
    const counts = {
      blockCount: this.#blocks,
      entryCount: this.#entries,
      fileBytes,
      blocksCrc: this.#blocksCrc,
    };
    const footer = writeFooter(checksum, counts, this.#seed);
    if (this.#seal !== undefined) await this.#put(sealFooter(footer, this.#sealing(this.#seal, 0)));
    await this.#put(footer);
    this.#seal?.erase();
    const crc = checksum.crc32(footer, 0, FOOTER_BYTES, 0);
    return { bytes: this.#position, entries: this.#entries, crc };
  }

  async #writeEntries(source: CheckpointSource, hadPeers: boolean): Promise<void> {
    const { engine } = source;
    const pacer = new Pacer(this.#runtime);
    const cursor = engine.scan(ALL_KEYS, source.version, false, { whole: true });
    this.#blockAt = 0;
    this.#filled = BLOCK_HEAD_BYTES + roomBefore(this.#seal);
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      const slab = engine.slab(ref);
      const offset = engine.offset(ref);
      // Without peers nobody could still hold what a tombstone deletes.
      if (!hadPeers && isTombstone(slab, offset)) continue;
      const length = this.#add(engine.versionOf(ref), slab, offset);
      if (this.#filled - this.#blockAt >= BLOCK_BYTES)
        this.#closeBlock(this.#compressed && (await this.#pack()));
      if (this.#filled >= WRITE_BYTES) {
        await this.#flush();
        pacer.rested();
      } else if (pacer.worked(length)) {
        await pacer.rest();
        this.#checkStopped();
      }
    }
    if (this.#blockEntries > 0) this.#closeBlock(this.#compressed && (await this.#pack()));
    await this.#flush();
  }

  #add(version: number, slab: Uint8Array, offset: number): number {
    const length = entryLength(slab, offset);
    const needed = this.#filled + 8 + length + sealBytes(this.#seal) + BLOCK_TAIL_BYTES + BLOCK_HEAD_BYTES;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(needed + WRITE_BYTES);
      larger.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = larger;
    }
    writeU64(this.#buffer, this.#filled, version);
    this.#buffer.set(slab.subarray(offset, offset + length), this.#filled + 8);
    this.#filled += 8 + length;
    this.#blockEntries++;
    this.#entries++;
    return 8 + length;
  }

  #closeBlock(packed: boolean): void {
    const seal = this.#seal;
    const before = BLOCK_HEAD_BYTES + roomBefore(seal);
    const payloadLength = this.#filled - this.#blockAt - before + sealBytes(seal);
    const block = { payloadLength, packed, entryCount: this.#blockEntries, index: this.#blocks++ };
    const sealing = seal === undefined ? undefined : this.#sealing(seal, this.#blockAt);
    const crc = closeBlock(this.#runtime.checksum, this.#buffer, this.#blockAt, block, this.#seed, sealing);
    this.#blocksCrc = addBlockCrc(this.#runtime.checksum, this.#scratch, this.#blocksCrc, crc);
    this.#blockAt += BLOCK_HEAD_BYTES + payloadLength + BLOCK_TAIL_BYTES;
    this.#filled = this.#blockAt + before;
    this.#blockEntries = 0;
  }

  /**
   * Puts the packed payload of the open block in the place of the payload, if it is shorter. One block at a time:
   * a sync of the log waits for a thread of the same pool.
   */
  async #pack(): Promise<boolean> {
    const at = this.#blockAt + BLOCK_HEAD_BYTES + roomBefore(this.#seal);
    const packed = await pack(this.#runtime, this.#buffer.subarray(at, this.#filled));
    if (packed === undefined) return false;
    this.#buffer.set(packed, at);
    this.#filled = at + packed.length;
    return true;
  }

  /** For what begins `at` in the buffer. */
  #sealing(seal: FileSeal, at: number): Sealing {
    return { seal, position: this.#position + at };
  }

  /** Writes the finished blocks and moves what is behind them to the front. */
  async #flush(): Promise<void> {
    if (this.#blockAt === 0) return;
    await this.#put(this.#buffer.subarray(0, this.#blockAt));
    this.#progress(this.#entries, this.#position);
    // What is behind them is less than a block.
    if (this.#buffer.length > 4 * WRITE_BYTES) {
      const smaller = new Uint8Array(WRITE_BYTES + BLOCK_BYTES);
      smaller.set(this.#buffer.subarray(this.#blockAt, this.#filled));
      this.#buffer = smaller;
    } else {
      this.#buffer.copyWithin(0, this.#blockAt, this.#filled);
    }
    this.#filled -= this.#blockAt;
    this.#blockAt = 0;
    this.#checkStopped();
  }

  async #put(bytes: Uint8Array): Promise<void> {
    await writeFully(this.#handle, bytes, this.#position);
    this.#position += bytes.length;
    if (this.#position - this.#syncedBytes < SYNC_EVERY_BYTES) return;
    this.#syncedBytes = this.#position;
    await syncFile(this.#handle);
  }

  #checkStopped(): void {
    if (this.#signal())
      throw new FulmarError("CLOSED", "the store closed before the checkpoint was complete");
  }
}
