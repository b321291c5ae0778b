import { closeSync, fdatasync, fdatasyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import BTree from "sorted-btree";
import { changed, type Engine, type Entry, type Handle, type Level } from "../engine.js";

const HEAD_BYTES = 8;
const CHUNK_BYTES = 8 << 20;
/** Written with zeros before anything is measured, as a file that grows syncs at half the rate. */
const FILLED_BYTES = 96 << 20;

/** Where the values of keys are: in no order, or in the order of the keys. */
type Places = Map<string, number> | BTree.default<string, number>;

/**
 * No store, but what one in JavaScript has to do at least: keep each value off the heap and its place by its key, and
 * append groups of entries with one checksum each to a file. No versions, no space that is used again, and an order
 * only where asked for.
 */
class Least {
  readonly #file: number;
  readonly #isSynced: boolean;
  readonly #isInline: boolean;
  readonly #places: Places;
  #chunks: Buffer[] = [Buffer.allocUnsafeSlow(CHUNK_BYTES)];
  #chunk = this.#chunks[0];
  /** Where the group that is being made begins in the chunk, and where its next entry belongs. */
  #begin = 0;
  #end = HEAD_BYTES;
  #fileEnd = 0;
  #waiting: (() => void)[] = [];
  #isBusy = false;

  constructor(directory: string, level: Level, places: Places, isInline: boolean) {
    this.#places = places;
    const path = `${directory}.log`;
    const found = readIfThere(path);
    this.#file = openSync(path, found === undefined ? "w+" : "r+");
    this.#isSynced = level === "full";
    this.#isInline = isInline;
    if (found === undefined) this.#fill();
    else this.#recover(found);
  }

  get(key: string): Uint8Array | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#valueAt(key, place);
  }

  /** How many entries it read from a key on. */
  range(from: string, limit: number): number {
    let seen = 0;
    for (const [key, place] of (this.#places as BTree.default<string, number>).entries(from)) {
      if (this.#valueAt(key, place).length > 0) seen++;
      if (seen === limit) break;
    }
    return seen;
  }

  #valueAt(key: string, place: number): Uint8Array {
    const chunk = this.#chunks[Math.floor(place / CHUNK_BYTES)];
    const at = (place & (CHUNK_BYTES - 1)) + 1 + key.length;
    const value = new Uint8Array(chunk.readUInt32LE(at));
    for (let i = 0; i < value.length; i++) value[i] = chunk[at + 4 + i];
    return value;
  }

  set(key: string, value: Uint8Array): Promise<void> {
    this.#reserve(5 + key.length + value.length);
    this.#put(key, value);
    return this.#written();
  }

  batch(entries: readonly Entry[]): Promise<void> {
    let bytes = 0;
    for (const { key, value } of entries) bytes += 5 + key.length + value.length;
    this.#reserve(bytes);
    for (const { key, value } of entries) this.#put(key, value);
    return this.#written();
  }

  update(first: string, second: string): Promise<void> {
    return this.batch([first, second].map((key) => ({ key, value: changed(this.get(key) as Uint8Array) })));
  }

  close(): void {
    closeSync(this.#file);
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= CHUNK_BYTES) return;
    // What is not written yet goes with the next group's: only ever a part of one turn's writes.
    this.#append();
    this.#chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#chunks.push(this.#chunk);
    this.#begin = 0;
    this.#end = HEAD_BYTES;
  }

  #put(key: string, value: Uint8Array): void {
    const chunk = this.#chunk;
    const place = this.#end;
    let at = place;
    chunk[at++] = key.length;
    for (let i = 0; i < key.length; i++) chunk[at++] = key.charCodeAt(i);
    at = chunk.writeUInt32LE(value.length, at);
    chunk.set(value, at);
    this.#places.set(key, (this.#chunks.length - 1) * CHUNK_BYTES + place);
    this.#end = at + value.length;
  }

  #written(): Promise<void> {
    if (!this.#isBusy) {
      this.#isBusy = true;
      queueMicrotask(this.#handOver);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Writes what was put in this turn, or while the last sync went on, and tells all who wait once it is durable. */
  readonly #handOver = (): void => {
    const told = this.#waiting;
    this.#waiting = [];
    this.#append();
    if (this.#isSynced && !this.#isInline) {
      fdatasync(this.#file, (error) => {
        if (error !== null) throw error;
        this.#tell(told);
      });
      return;
    }
    if (this.#isSynced) fdatasyncSync(this.#file);
    this.#tell(told);
  };

  #tell(told: readonly (() => void)[]): void {
    this.#isBusy = this.#waiting.length > 0;
    if (this.#isBusy) queueMicrotask(this.#handOver);
    for (const resolve of told) resolve();
  }

  #append(): void {
    const length = this.#end - this.#begin - HEAD_BYTES;
    if (length === 0) return;
    const content = this.#chunk.subarray(this.#begin + HEAD_BYTES, this.#end);
    this.#chunk.writeUInt32LE(length, this.#begin);
    this.#chunk.writeUInt32LE(crc32(content), this.#begin + 4);
    writeSync(this.#file, this.#chunk, this.#begin, HEAD_BYTES + length, this.#fileEnd);
    this.#fileEnd += HEAD_BYTES + length;
    this.#begin = this.#end;
    this.#end += HEAD_BYTES;
  }

  #fill(): void {
    const zeros = Buffer.alloc(CHUNK_BYTES);
    for (let at = 0; at < FILLED_BYTES; at += CHUNK_BYTES) writeSync(this.#file, zeros, 0, CHUNK_BYTES, at);
    fdatasyncSync(this.#file);
  }

  /** Reads groups up to the first that is not whole. */
  #recover(log: Buffer): void {
    let end = 0;
    while (end + HEAD_BYTES < log.length) {
      const length = log.readUInt32LE(end);
      const content = log.subarray(end + HEAD_BYTES, end + HEAD_BYTES + length);
      if (length === 0 || content.length < length || crc32(content) !== log.readUInt32LE(end + 4)) break;
      this.#recoverGroup(content);
      end += HEAD_BYTES + length;
    }
    this.#fileEnd = end;
  }

  #recoverGroup(content: Buffer): void {
    this.#reserve(content.length);
    for (let at = 0; at < content.length; ) {
      const keyEnd = at + 1 + content[at];
      const valueEnd = keyEnd + 4 + content.readUInt32LE(keyEnd);
      this.#put(content.toString("latin1", at + 1, keyEnd), content.subarray(keyEnd + 4, valueEnd));
      at = valueEnd;
    }
    this.#begin = this.#end;
    this.#end += HEAD_BYTES;
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

async function openLeast(least: Least): Promise<Handle> {
  return {
    set: (key, value) => least.set(key, value),
    batch: (entries) => least.batch(entries),
    get: (key) => least.get(key),
    update: (first, second) => least.update(first, second),
    flush: () => undefined,
    close: () => least.close(),
  };
}

const WORKLOADS = [
  ...["set-relaxed-1000", "set-full-1", "set-full-100", "set-full-1000", "batch-relaxed", "batch-full"],
  ...["get-hit", "get-miss", "update-relaxed-1", "update-full-100", "open-closed", "open-killed"],
];

export const least: Engine = {
  name: "least",
  durable: true,
  isStore: false,
  only: WORKLOADS,
  open: (directory, level) => openLeast(new Least(directory, level, new Map(), false)),
};

export const leastInline: Engine = {
  ...least,
  name: "least-inline",
  only: ["set-full-1"],
  open: (directory, level) => openLeast(new Least(directory, level, new Map(), true)),
};

export const leastOrdered: Engine = {
  ...least,
  name: "least-ordered",
  only: [...WORKLOADS, "range-100", "scan"],
  open: async (directory, level) => {
    const tree = new BTree.default<string, number>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const ordered = new Least(directory, level, tree, false);
    return { ...(await openLeast(ordered)), range: (from, limit) => ordered.range(from, limit) };
  },
};
