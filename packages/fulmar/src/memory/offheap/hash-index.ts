import { assert } from "../../base/assert.js";
import type { Ref } from "../engine.js";
import { HashPart } from "./hash-part.js";
import { KeyHash } from "./key-hash.js";
import type { Records } from "./records.js";
import { type EngineShape, exponentOf } from "./shape.js";

/** Spreads the bits of a hash over the number of its part, so that the hashes of a part are spread like all. */
const SPREAD = 0x9e3779b1;
/** Keys that may be announced at most. */
const ANNOUNCED_MAX = 2 ** 28;
/** Keys whose groups are read at the same time. */
export const READ_AHEAD = 32;
/** How far the keys of one part may be from its share, in standard deviations. */
const DEVIATIONS = 6;

/**
 * Finds the newest record of a key by a hash of the key. The keys are divided among parts, each of which has
 * tables of sizes of its own. So while the store grows there is mostly one part that is getting a larger
 * table, and only the writes to that one pay for it: with one table for all, a thousand writes in a row would.
 * For the same reason about three quarters of the slots are in use whatever the number of keys.
 */
export class HashIndex {
  readonly #hash: KeyHash;
  readonly #parts: readonly HashPart[];
  readonly #partShift: number;
  /** The part of the last {@link locate}. */
  #located: HashPart;
  /** What was read ahead: kept, so that it is read at all. */
  #touched = 0;

  constructor(records: Records, shape: EngineShape, secret: readonly [number, number]) {
    this.#hash = new KeyHash(secret);
    this.#partShift = 32 - exponentOf(shape.hashParts);
    this.#parts = Array.from(
      { length: shape.hashParts },
      (_, i) => new HashPart(records, shape, this.#hash, i),
    );
    this.#located = this.#parts[0];
  }

  get size(): number {
    let size = 0;
    for (const part of this.#parts) size += part.size;
    return size;
  }

  get allocatedBytes(): number {
    let bytes = 0;
    for (const part of this.#parts) bytes += part.allocatedBytes;
    return bytes;
  }

  /** Bytes that the tables may grow by when so many keys are added. */
  growthBytes(keys: number): number {
    const share = Math.min(keys, this.#shareOf(keys));
    const growths = this.#parts.map((part) => part.growthBytes(share)).sort((a, b) => b - a);
    // Few keys meet few parts.
    return growths.slice(0, keys).reduce((sum, bytes) => sum + bytes, 0);
  }

  find(bytes: Uint8Array, from: number, to: number): Ref {
    const hash = this.#hash.of(bytes, from, to);
    return this.#partOf(hash).find(hash, bytes, from, to);
  }

  /** Like {@link find}; what is found can be replaced or removed, and what is not can be added. */
  locate(bytes: Uint8Array, from: number, to: number): Ref {
    const hash = this.#hash.of(bytes, from, to);
    this.#located = this.#partOf(hash);
    return this.#located.locate(hash, bytes, from, to);
  }

  /** The same where it must not matter whether there is memory: for what is taken out, or lies elsewhere now. */
  locateAnyway(bytes: Uint8Array, from: number, to: number): Ref {
    const hash = this.#hash.of(bytes, from, to);
    this.#located = this.#partOf(hash);
    return this.#located.locateAnyway(hash, bytes, from, to);
  }

  /** The same for a key whose hash is known, in a table that waits for keys: it does not become smaller. */
  locateLoading(hash: number, bytes: Uint8Array, from: number, to: number): Ref {
    this.#located = this.#partOf(hash);
    return this.#located.locateLoading(hash, bytes, from, to);
  }

  /** Adds the key that the last {@link locate} did not find. */
  add(ref: Ref): void {
    this.#located.add(ref);
  }

  /** Puts another record in the place of the one that the last {@link locate} found. */
  replace(ref: Ref): void {
    this.#located.replace(ref);
  }

  /** Removes the key that the last {@link locate} found. */
  remove(): void {
    this.#located.remove();
  }

  /** Makes room for so many keys. The index is empty. */
  announce(keys: number): void {
    const share = this.#shareOf(Math.min(keys, ANNOUNCED_MAX));
    for (const part of this.#parts) part.announce(share);
  }

  /** Takes a part of the way to tables of fitting sizes after a load; whether there is more. */
  trim(): boolean {
    return this.#parts.some((part) => part.trim());
  }

  hashOf(bytes: Uint8Array, from: number, to: number): number {
    return this.#hash.of(bytes, from, to);
  }

  /** Adds keys by their hashes, surely new ones; best sorted by hash. */
  appendAll(hashes: Uint32Array, refs: Uint32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      if (i % READ_AHEAD === 0) this.readAhead(hashes, i, count);
      this.#partOf(hashes[i]).append(hashes[i], refs[i]);
    }
  }

  /** Has the processor fetch, all at once, what the next few of `hashes[from, to)` lead to. */
  readAhead(hashes: Uint32Array, from: number, to: number): void {
    const end = Math.min(to, from + READ_AHEAD);
    let touched = 0;
    for (let i = from; i < end; i++) touched += this.#partOf(hashes[i]).touch(hashes[i]);
    this.#touched = touched;
  }

  /** Throws INVARIANT unless the tables are sound; whether each key is found is up to the caller. */
  verify(): void {
    assert(Number.isFinite(this.#touched), "what is read ahead is read");
    for (const part of this.#parts) part.verify();
  }

  #partOf(hash: number): HashPart {
    // A shift by 32 is none at all, and of a single part every hash is.
    return this.#partShift === 32 ? this.#parts[0] : this.#parts[Math.imul(hash, SPREAD) >>> this.#partShift];
  }

  /** The most keys that one part gets of so many. */
  #shareOf(keys: number): number {
    const share = keys / this.#parts.length;
    return this.#parts.length === 1 ? keys : Math.ceil(share + DEVIATIONS * Math.sqrt(share));
  }
}
