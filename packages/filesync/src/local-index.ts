import { randomBytes } from "node:crypto";
import type { BatchOperation, Key } from "fulmar";
import type { DiskState, Fingerprint } from "./disk.js";
import { samePrint } from "./disk.js";
import type { FileStore } from "./file-store.js";
import type { Kind } from "./model.js";
import { isWriteId } from "./model.js";

/** A step that was begun: after a crash it tells our own half-done work from a change by the user. */
export interface PendingStep {
  readonly direction: "upload" | "download";
  readonly kind: Kind;
  readonly writeId: string;
  readonly sha256: string;
  /** Of a download: the staging file, which is gone once it took its place. */
  readonly staged?: string;
}

/** What this node last had in common with the store at one path. */
export interface IndexRecord {
  /** `none`: nothing yet, only a step in progress. */
  readonly kind: Kind | "none";
  readonly print: Fingerprint;
  /** Wall ms when {@link print} was taken. */
  readonly checkedAtMs: number;
  readonly sha256: string;
  /** The store's write; empty for a directory that was made for its children and is not in the store. */
  readonly writeId: string;
  /** A directory that was deleted in the store and stays until it is empty. */
  readonly leaving?: true;
  readonly pending?: PendingStep;
}

/** Changes within one tick of the file system's clock leave no trace in its times; in ms. */
const TICK_MS = 20;
/** The same for file systems that keep whole seconds, of which FAT has every other one. */
const COARSE_TICK_MS = 2_000;
const OWNER: Key = ["owner"];
const PATHS: Key = ["path"];
/** Index writes survive a killed process; a power cut merely costs reading files again, */
const RELAXED = { durability: "relaxed" } as const;
/** but for what was begun: what peers changed while this node was down would be older than what it no longer knows. */
const FULL = { durability: "full" } as const;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const NO_PRINT: Fingerprint = Object.freeze({
  size: 0,
  mtimeNs: "0",
  ctimeNs: "0",
  ino: "0",
  mode: 0,
});

/** The record of a path of which only a step in progress is known. */
export const NOTHING_KNOWN: IndexRecord = Object.freeze({
  kind: "none",
  print: NO_PRINT,
  checkedAtMs: 0,
  sha256: "",
  writeId: "",
});

/** Remembers what was seen on disk, so that unchanged files are not read again. Not replicated. */
export class LocalIndex {
  /** Marks this node's writes, also after a restart. */
  readonly nodeId: string;
  readonly #store: FileStore;
  #files = 0;
  #directories = 0;
  #bytes = 0;

  private constructor(store: FileStore, nodeId: string) {
    this.#store = store;
    this.nodeId = nodeId;
  }

  /**
   * Opens the index of one tree in one store. Records made for another tree or another store say nothing
   * about these and are dropped: an empty disk or an empty store must not look like a great deletion.
   */
  static async open(store: FileStore, owner: { rootIdentity: string; storeId: string }): Promise<LocalIndex> {
    const known = readOwner(store.get(OWNER));
    const index = new LocalIndex(store, known?.nodeId ?? randomBytes(8).toString("hex"));
    if (known?.rootIdentity !== owner.rootIdentity || known.storeId !== owner.storeId) await index.#clear();
    await store.set(OWNER, encode({ nodeId: index.nodeId, ...owner }), RELAXED);
    for await (const [, record] of index.records()) index.#count(record, 1);
    return index;
  }

  get files(): number {
    return this.#files;
  }

  get directories(): number {
    return this.#directories;
  }

  /** Bytes of all mirrored files. */
  get bytes(): number {
    return this.#bytes;
  }

  get(path: string): IndexRecord | undefined {
    const bytes = this.#store.get(["path", path]);
    return bytes === undefined ? undefined : decodeRecord(bytes);
  }

  async set(path: string, record: IndexRecord): Promise<void> {
    this.#count(this.get(path), -1);
    this.#count(record, 1);
    await this.#store.set(["path", path], encode(record), record.pending === undefined ? RELAXED : FULL);
  }

  async delete(path: string): Promise<void> {
    const known = this.get(path);
    if (known === undefined) return;
    this.#count(known, -1);
    await this.#store.batch([{ type: "delete", key: ["path", path] }], RELAXED);
  }

  async *records(): AsyncGenerator<[path: string, record: IndexRecord]> {
    for await (const { key, value } of this.#store.list({ prefix: PATHS })) {
      const path = Array.isArray(key) ? key[1] : undefined;
      if (typeof path === "string") yield [path, decodeRecord(value)];
    }
  }

  /** Staging files that tell whether an interrupted step was done. */
  async stagedFiles(): Promise<Set<string>> {
    const names = new Set<string>();
    for await (const [, { pending }] of this.records()) {
      if (pending?.staged !== undefined) names.add(pending.staged);
    }
    return names;
  }

  async #clear(): Promise<void> {
    let operations: BatchOperation<Uint8Array>[] = [];
    for await (const key of this.#store.keys({ prefix: PATHS })) {
      operations.push({ type: "delete", key });
      if (operations.length < 1000) continue;
      await this.#store.batch(operations, RELAXED);
      operations = [];
    }
    if (operations.length > 0) await this.#store.batch(operations, RELAXED);
  }

  #count(record: IndexRecord | undefined, by: 1 | -1): void {
    if (record?.kind === "directory") this.#directories += by;
    if (record?.kind !== "file") return;
    this.#files += by;
    this.#bytes += by * record.print.size;
  }
}

/** Whether the disk is as the record says, as far as can be told without reading. */
export function isUnchanged(disk: DiskState, record: IndexRecord | undefined): boolean {
  const known = record === undefined || record.kind === "none" ? "absent" : record.kind;
  if (disk.kind === "absent" || disk.kind === "other") return known === "absent";
  if (record === undefined || disk.kind !== known) return false;
  if (disk.kind === "directory") return disk.print.mode === record.print.mode;
  return samePrint(disk.print, record.print) && !isRacy(record);
}

/**
 * Whether the file could have been changed right after the record was made without a trace in its times
 * (what git calls racily clean): its time of change is not safely apart from the time of the look.
 */
export function isRacy(record: IndexRecord): boolean {
  const mtimeNs = BigInt(record.print.mtimeNs);
  const tickMs = mtimeNs % 1_000_000_000n === 0n ? COARSE_TICK_MS : TICK_MS;
  return Math.abs(Number(mtimeNs / 1_000_000n) - record.checkedAtMs) <= tickMs;
}

function encode(value: object): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** The index is this program's own and its store checks what it reads. */
function decodeRecord(bytes: Uint8Array): IndexRecord {
  return JSON.parse(decoder.decode(bytes)) as IndexRecord;
}

interface Owner {
  readonly nodeId: string;
  readonly rootIdentity: string;
  readonly storeId: string;
}

function readOwner(bytes: Uint8Array | undefined): Owner | undefined {
  if (bytes === undefined) return undefined;
  const owner = JSON.parse(decoder.decode(bytes)) as Owner;
  return isWriteId(`${owner.nodeId}-0000000000000000`) ? owner : undefined;
}
