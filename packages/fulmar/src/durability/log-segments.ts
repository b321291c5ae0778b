import { assert } from "../base/assert.js";
import { fileError } from "../base/errors.js";
import type { FileHandle, Runtime } from "../base/runtime/interface.js";
import type { FileSeal } from "./file-seal.js";
import { attempt } from "./files.js";
import { type PastSegment, pastSegment } from "./history.js";
import type { LogEnd } from "./manifest.js";
import { headerBytes } from "./segment-format.js";
import type { PreparedSegment } from "./segment-pool.js";

/** A segment of the live log. */
export interface LogSegment {
  readonly number: number;
  readonly path: string;
  readonly salt: Uint8Array;
  /** Undefined: its records are plain. */
  readonly seal?: FileSeal | undefined;
  /** Undefined once nothing more is written or synced. */
  handle: FileHandle | undefined;
  /** The last version before this segment; unknown until it is begun. */
  base: number;
  /** End of what was handed to the operating system. */
  position: number;
  /** End of what is on stable storage. */
  syncedPosition: number;
  capacity: number;
}

export function liveSegment(prepared: PreparedSegment, base: number): LogSegment {
  const { number, path, salt, seal, handle, capacity } = prepared;
  const position = headerBytes(seal);
  return { number, path, salt, seal, handle, base, position, syncedPosition: position, capacity };
}

/** The live segments, oldest first; the last is appended to. */
export class LogSegments {
  readonly #runtime: Runtime;
  readonly #list: LogSegment[];
  #syncing = false;

  constructor(runtime: Runtime, list: readonly LogSegment[]) {
    this.#runtime = runtime;
    this.#list = [...list];
  }

  get current(): LogSegment {
    return this.#list[this.#list.length - 1];
  }

  /** Those before the current one. */
  get older(): readonly LogSegment[] {
    return this.#list.slice(0, -1);
  }

  get count(): number {
    return this.#list.length;
  }

  get bytes(): number {
    return this.#list.reduce((sum, segment) => sum + segment.position, 0);
  }

  /** The ids of the keys that they are encrypted under; undefined stands for plain ones. */
  get keyIds(): (string | undefined)[] {
    return this.#list.map(({ seal }) => seal?.keyId);
  }

  /** What of them can be read: those that hold records. */
  get past(): PastSegment[] {
    return this.#list.map(pastSegment).filter((segment) => segment !== undefined);
  }

  /** Where the present one ends at the latest, if the next one is ready by then. */
  limit(segmentBytes: number): number {
    return Math.max(segmentBytes, this.current.capacity);
  }

  has(segment: LogSegment): boolean {
    return this.#list.includes(segment);
  }

  push(segment: LogSegment): void {
    this.#list.push(segment);
  }

  /** Syncs everything that was handed over when it was called, older segments before newer ones. */
  async sync(): Promise<void> {
    this.#syncing = true;
    try {
      for (const { segment, handle, position } of this.#unsynced()) {
        if (segment.syncedPosition >= position) continue;
        await handle.syncData();
        this.#covered(segment, position);
      }
    } finally {
      this.#syncing = false;
    }
    this.#releaseOld();
  }

  /** The same in line. */
  syncNow(): void {
    for (const { segment, handle, position } of this.#unsynced()) {
      handle.syncDataNow();
      this.#covered(segment, position);
    }
    this.#releaseOld();
  }

  /** Cuts off, durably, whatever lies behind what was handed over. */
  cutOff(): Promise<void> {
    const { current } = this;
    assert(current.handle !== undefined, "the present segment is open");
    return truncateDurably(current, current.handle);
  }

  /**
   * The newest segment that a recovery from a checkpoint of `version` can begin with: everything later
   * is in it or behind it, and its opening is on stable storage.
   */
  firstFor(version: number): number {
    for (let i = this.#list.length - 1; i > 0; i--) {
      const { number, base, seal, syncedPosition } = this.#list[i];
      if (base <= version && syncedPosition > headerBytes(seal)) return number;
    }
    return this.#list[0].number;
  }

  /** Takes the segments before `first` out of the list. */
  dropBefore(first: number): LogSegment[] {
    const dropped: LogSegment[] = [];
    while (this.#list.length > 1 && this.#list[0].number < first) {
      const segment = this.#list.shift();
      if (segment !== undefined) dropped.push(segment);
    }
    for (const segment of dropped) this.#release(segment);
    return dropped;
  }

  async close(): Promise<void> {
    for (const segment of this.#list) {
      const { handle, seal } = segment;
      segment.handle = undefined;
      seal?.erase();
      if (handle !== undefined) await attempt("close", segment.path, handle.close());
    }
  }

  #unsynced(): { segment: LogSegment; handle: FileHandle; position: number }[] {
    const list: { segment: LogSegment; handle: FileHandle; position: number }[] = [];
    for (const segment of this.#list) {
      const { handle, position, syncedPosition } = segment;
      if (handle !== undefined && position > syncedPosition) list.push({ segment, handle, position });
    }
    return list;
  }

  #covered(segment: LogSegment, position: number): void {
    segment.syncedPosition = Math.max(segment.syncedPosition, Math.min(position, segment.position));
  }

  /** Closes what is neither written nor synced any more. */
  #releaseOld(): void {
    if (this.#syncing) return;
    for (const segment of this.#list) {
      if (segment !== this.current && segment.syncedPosition >= segment.position) this.#release(segment);
    }
  }

  #release(segment: LogSegment): void {
    const { handle, seal } = segment;
    segment.handle = undefined;
    seal?.erase();
    // Everything in it is synced, so an error of closing says nothing about the log.
    handle?.close().catch((error: unknown) => {
      this.#runtime.diagnostics.emit("close-failed", () => ({ path: segment.path, error }));
    });
  }
}

async function truncateDurably(segment: LogSegment, handle: FileHandle): Promise<void> {
  const { position } = segment;
  await handle.truncate(position);
  await handle.syncData();
  segment.capacity = Math.min(segment.capacity, position);
  segment.syncedPosition = position;
}

/** Where the log stands after a sync, for the manifest. */
export function endOf(segment: LogSegment, crc: number, version: number): LogEnd {
  return { segment: segment.number, position: segment.position, crc, version };
}

/**
 * Hands bytes for the end of a segment to the operating system, going on after short writes. Returns how many it
 * took, and the error if those are not all.
 */
export function appendNow(segment: LogSegment, content: Uint8Array): { bytes: number; error?: Error } {
  const { handle, path, position } = segment;
  let bytes = 0;
  try {
    while (bytes < content.length) {
      const count = handle?.writeNow(content.subarray(bytes), position + bytes) ?? 0;
      if (count <= 0) throw fileError(undefined, "append to", path);
      bytes += count;
    }
    return { bytes };
  } catch (cause) {
    return { bytes, error: fileError(cause, "append to", path) };
  }
}
