import { concatBytes, fromHex } from "../base/bytes.js";
import type { FileHandle } from "../base/runtime/interface.js";
import type { FileSeal } from "./file-seal.js";
import {
  attempt,
  createDurably,
  openFile,
  removeFile,
  syncDirectory,
  syncFile,
  writeFully,
} from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import { type Layout, segmentName, TEMPORARY } from "./layout.js";
import {
  openingBytes,
  RECYCLED,
  SALT_BYTES,
  SEALED,
  writeOpening,
  writeSegmentHeader,
} from "./segment-format.js";

/** Zeros that a new segment begins with; the log adds more as it goes, because many at once delay its syncs. */
const FIRST_BYTES = 64 * 1024;

/** Old segments kept for reuse: what a store of some gigabytes writes between two checkpoints. */
const SPARES_MAX = 64;

/** After a failure, a full disk mostly, the next attempt waits. */
const RETRY_MS = 1000;

/** A segment ready to be appended to. */
export interface PreparedSegment {
  readonly number: number;
  readonly path: string;
  readonly handle: FileHandle;
  readonly salt: Uint8Array;
  /** Undefined: its records are plain. */
  readonly seal?: FileSeal | undefined;
  /** Bytes that the file has, so that appending within them changes no metadata. */
  readonly capacity: number;
}

export interface SegmentIdentity {
  readonly storeId: string;
  readonly incarnation: string;
}

/** Makes segments before they are needed, from old ones where there are any. */
export class SegmentPool {
  readonly #runtime: DiskRuntime;
  readonly #layout: Layout;
  readonly #identity: SegmentIdentity;
  readonly #segmentBytes: number;
  #nextNumber: number;
  /** Old segments to be used again, oldest first. */
  readonly #spares: string[] = [];
  #ready: PreparedSegment | undefined;
  #check: () => Promise<void> = () => Promise.resolve();
  #work: Promise<void> | undefined;
  #stopped = false;
  #paused = false;

  constructor(
    runtime: DiskRuntime,
    layout: Layout,
    identity: SegmentIdentity,
    segmentBytes: number,
    nextNumber: number,
  ) {
    this.#runtime = runtime;
    this.#layout = layout;
    this.#identity = identity;
    this.#segmentBytes = segmentBytes;
    this.#nextNumber = nextNumber;
  }

  /** Nothing is prepared when this rejects: names in the log may lead to files of others by now. */
  checkFirst(check: () => Promise<void>): void {
    this.#check = check;
  }

  get ready(): boolean {
    return this.#ready !== undefined;
  }

  /** Takes the prepared segment. */
  take(): PreparedSegment | undefined {
    const prepared = this.#ready;
    this.#ready = undefined;
    return prepared;
  }

  /** Begins to prepare the next segment unless that is done or under way. */
  prepare(): void {
    if (this.#stopped || this.#paused || this.#ready !== undefined || this.#work !== undefined) return;
    this.#work = this.#prepare()
      .then((prepared) => {
        this.#ready = prepared;
      })
      // Without a prepared segment the present one grows; a later call tries again.
      .catch(() => this.#pause())
      .finally(() => {
        this.#work = undefined;
      });
  }

  /** Resolves when a segment is ready, or when none could be made. */
  async prepared(): Promise<void> {
    this.prepare();
    await this.#work;
  }

  /** Tries again at once, because there is room now; resolves as {@link prepared} does. */
  resume(): Promise<void> {
    this.#paused = false;
    return this.prepared();
  }

  #pause(): void {
    this.#paused = true;
    this.#runtime.timers.after(RETRY_MS, () => (this.#paused = false), { background: true });
  }

  /**
   * Keeps an old segment for reuse, or removes it. In one that is used again nothing has to be written ahead of
   * the log; there are never more of them than one checkpoint has set free.
   */
  async retire(path: string): Promise<void> {
    if (this.#spares.length < SPARES_MAX && !this.#stopped) {
      const status = await attempt("look at", path, this.#runtime.fileSystem.status(path));
      if (status !== undefined && status.sizeBytes >= this.#segmentBytes / 2) {
        this.#spares.push(path);
        return;
      }
    }
    await removeFile(this.#runtime.fileSystem, path);
  }

  /**
   * Stops and removes what was prepared but not used, unless its names may lead to files of others. Does not reject:
   * nothing of the store is in these, and the next open removes what is left.
   */
  async close(removes = true): Promise<void> {
    this.#stopped = true;
    await this.#work;
    const prepared = this.take();
    const unused = this.#spares.splice(0);
    if (prepared !== undefined) {
      unused.push(prepared.path);
      await prepared.handle
        .close()
        .catch((error: unknown) => this.#tell("close-failed", prepared.path, error));
    }
    if (!removes) return;
    for (const path of unused) {
      await removeFile(this.#runtime.fileSystem, path).catch((error: unknown) =>
        this.#tell("remove-failed", path, error),
      );
    }
  }

  #tell(event: "close-failed" | "remove-failed", path: string, error: unknown): void {
    this.#runtime.diagnostics.emit(event, () => ({ path, error }));
  }

  /** Makes a small segment that begins with its opening, durably: for a log that must go on at once. */
  async createOpened(
    opening: Parameters<typeof writeOpening>[4],
  ): Promise<PreparedSegment & { crc: number; end: number }> {
    const number = this.#nextNumber++;
    const path = this.#path(number);
    const { bytes, salt, seal, crc } = await openedSegment(this.#runtime, this.#identity, number, opening);
    const end = bytes.length;
    const handle = await createDurably(this.#runtime.fileSystem, path + TEMPORARY, path, (file) =>
      writeFully(file, bytes, 0),
    );
    return { number, path, handle, salt, seal, capacity: end, crc, end };
  }

  async #prepare(): Promise<PreparedSegment> {
    await this.#check();
    const number = this.#nextNumber++;
    const path = this.#path(number);
    const spare = this.#spares.shift();
    if (spare !== undefined) {
      const handle = await openFile(this.#runtime.fileSystem, spare, "update").catch(() => undefined);
      if (handle !== undefined) return this.#recycle(handle, spare, number, path);
      // Too many files may be open: it is of use another time, and removed in the end.
      this.#spares.push(spare);
    }
    const { bytes, salt, seal } = await newHeader(this.#runtime, this.#identity, number, 0);
    const capacity = Math.max(bytes.length, Math.min(FIRST_BYTES, this.#segmentBytes));
    const filled = new Uint8Array(capacity);
    filled.set(bytes);
    const handle = await createDurably(this.#runtime.fileSystem, path + TEMPORARY, path, (file) =>
      writeFully(file, filled, 0),
    );
    return { number, path, handle, salt, seal, capacity };
  }

  /** The new header is durable before the new name, so that under this name the old records never parse. */
  async #recycle(handle: FileHandle, spare: string, number: number, path: string): Promise<PreparedSegment> {
    const { fileSystem } = this.#runtime;
    try {
      const { bytes, salt, seal } = await newHeader(this.#runtime, this.#identity, number, RECYCLED);
      await writeFully(handle, bytes, 0);
      await syncFile(handle);
      await attempt("rename", spare, fileSystem.rename(spare, path));
      await syncDirectory(fileSystem, this.#layout.log);
      return { number, path, handle, salt, seal, capacity: await attempt("look at", path, handle.size()) };
    } catch (error) {
      await handle.close().catch(() => undefined);
      await removeFile(fileSystem, spare).catch(() => undefined);
      await removeFile(fileSystem, path).catch(() => undefined);
      throw error;
    }
  }

  #path(number: number): string {
    return this.#runtime.fileSystem.join(this.#layout.log, segmentName(number));
  }
}

/** The header of a new segment and, when it is to be sealed, the key section behind it. */
async function newHeader(
  runtime: DiskRuntime,
  { storeId, incarnation }: SegmentIdentity,
  number: number,
  flags: number,
): Promise<{ bytes: Uint8Array; salt: Uint8Array; seal: FileSeal | undefined }> {
  const salt = newSalt(runtime);
  const sealed = runtime.keyring?.currentId === undefined ? 0 : SEALED;
  const header = writeSegmentHeader(
    runtime.checksum,
    { number, flags: flags | sealed, salt },
    fromHex(storeId) ?? new Uint8Array(16),
    fromHex(incarnation) ?? new Uint8Array(16),
  );
  const created = await runtime.keyring?.create("log segment", header);
  if (created === undefined) return { bytes: header, salt, seal: undefined };
  return { bytes: concatBytes(header, created.section), salt, seal: created.seal };
}

/** All bytes of a segment that holds its opening only. */
export async function openedSegment(
  runtime: DiskRuntime,
  identity: SegmentIdentity,
  number: number,
  opening: Parameters<typeof writeOpening>[4],
): Promise<{ bytes: Uint8Array; salt: Uint8Array; seal: FileSeal | undefined; crc: number }> {
  const { bytes: head, salt, seal } = await newHeader(runtime, identity, number, 0);
  const bytes = new Uint8Array(head.length + openingBytes(seal));
  bytes.set(head);
  const crc = writeOpening(runtime.checksum, bytes, head.length, salt, opening, seal);
  return { bytes, salt, seal, crc };
}

/** A salt that no other segment has. It never begins with a zero, so that zeros are skipped quickly in a search. */
export function newSalt(runtime: Pick<DiskRuntime, "random">): Uint8Array {
  const salt = new Uint8Array(SALT_BYTES);
  runtime.random.fill(salt);
  if (salt[0] === 0) salt[0] = 1 + runtime.random.below(255);
  return salt;
}
