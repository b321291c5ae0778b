import { assert } from "../base/assert.js";
import { writeU32, writeU64 } from "../base/bytes.js";
import type { Runtime } from "../base/runtime/interface.js";

const PREFIX_BYTES = 8;
/** Stands before what is sealed. */
export const NONCE_BYTES = PREFIX_BYTES + 4;
/** Stands behind it. */
const TAG_BYTES = 16;
/** What sealing adds. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES;
const COUNTER_MAX = 2 ** 32 - 1;

/**
 * Seals and unseals the parts of one file: nonce, ciphertext, tag. Each part is bound to its place in the file and
 * to bytes that stay readable.
 *
 * A nonce is 8 random bytes, drawn once by whoever appends, and a counter that never goes back, neither after a refused
 * write: so it never repeats under the file's key, also if two copies of the file are continued apart.
 */
export class FileSeal {
  /** The id of the key that the file's own was derived from. */
  readonly keyId: string;
  /** The file's header, which the first sealed part is bound to. */
  readonly header: Uint8Array;
  readonly #runtime: Runtime;
  readonly #key: Uint8Array;
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #counter = -1;
  #scratch = new Uint8Array(256);

  constructor(runtime: Runtime, keyId: string, header: Uint8Array, key: Uint8Array) {
    this.#runtime = runtime;
    this.keyId = keyId;
    this.header = header;
    this.#key = key;
  }

  /**
   * Seals the `length` bytes that stand {@link NONCE_BYTES} behind `at`, in place; nonce and tag come around them.
   * `position` is that of the sealed part's record or block in the file; `bound` are bytes that stay readable.
   */
  seal(bytes: Uint8Array, at: number, length: number, position: number, ...bound: Uint8Array[]): void {
    const nonce = bytes.subarray(at, at + NONCE_BYTES);
    this.#nextNonce(nonce);
    const space = bytes.subarray(at + NONCE_BYTES, at + SEAL_BYTES + length);
    this.#runtime.cryptography.sealInPlace(this.#key, nonce, space, this.#associated(position, bound));
  }

  /** What is sealed in the `length` bytes at `at`; undefined if these are not the bytes sealed for this place. */
  unseal(
    bytes: Uint8Array,
    at: number,
    length: number,
    position: number,
    ...bound: Uint8Array[]
  ): Uint8Array | undefined {
    if (length < SEAL_BYTES) return undefined;
    const nonce = bytes.subarray(at, at + NONCE_BYTES);
    const sealed = bytes.subarray(at + NONCE_BYTES, at + length);
    return this.#runtime.cryptography.unseal(this.#key, nonce, sealed, this.#associated(position, bound));
  }

  /** The file's key, as far as it can be forgotten. Nothing is sealed afterwards. */
  erase(): void {
    this.#key.fill(0);
  }

  #nextNonce(nonce: Uint8Array): void {
    if (this.#counter === -1) this.#runtime.random.fill(this.#prefix);
    assert(this.#counter < COUNTER_MAX, "a file is full long before its nonces are used up");
    nonce.set(this.#prefix);
    writeU32(nonce, PREFIX_BYTES, ++this.#counter);
  }

  /** Place and readable bytes in one array, valid until the next call. */
  #associated(position: number, bound: readonly Uint8Array[]): Uint8Array {
    const length = 8 + bound.reduce((sum, bytes) => sum + bytes.length, 0);
    if (length > this.#scratch.length) this.#scratch = new Uint8Array(2 * length);
    writeU64(this.#scratch, 0, position);
    let next = 8;
    for (const bytes of bound) {
      this.#scratch.set(bytes, next);
      next += bytes.length;
    }
    return this.#scratch.subarray(0, length);
  }
}

/** By which seal a part of a file is sealed, and where in the file its record or block begins. */
export interface Sealing {
  readonly seal: FileSeal;
  readonly position: number;
}

/** What sealing adds to a payload. */
export function sealBytes(seal: FileSeal | undefined): number {
  return seal === undefined ? 0 : SEAL_BYTES;
}

/** Room that it takes before a payload. */
export function roomBefore(seal: FileSeal | undefined): number {
  return seal === undefined ? 0 : NONCE_BYTES;
}
