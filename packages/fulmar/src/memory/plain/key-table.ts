import { assert } from "../../base/assert.js";
import { compareRanges } from "../../base/bytes.js";
import type { KeyChain } from "./record.js";

/** Finds keys by a hash of their bytes: several times as fast as searching them in their order. */
export class KeyTable {
  /** The first chain of each hash; those with the same hash are linked behind it. */
  readonly #buckets = new Map<number, KeyChain>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The chain of the key `bytes[from, to)`. */
  find(bytes: Uint8Array, from: number, to: number): KeyChain | undefined {
    let chain = this.#buckets.get(hashOf(bytes, from, to));
    while (chain !== undefined && compareRanges(chain.key, 0, chain.key.length, bytes, from, to) !== 0) {
      chain = chain.sameHash;
    }
    return chain;
  }

  add(chain: KeyChain): void {
    const hash = hashOf(chain.key, 0, chain.key.length);
    chain.sameHash = this.#buckets.get(hash);
    this.#buckets.set(hash, chain);
    this.#size++;
  }

  remove(chain: KeyChain): void {
    const hash = hashOf(chain.key, 0, chain.key.length);
    const first = this.#buckets.get(hash);
    this.#size--;
    if (first === chain) {
      if (chain.sameHash === undefined) this.#buckets.delete(hash);
      else this.#buckets.set(hash, chain.sameHash);
      return;
    }
    let before = first;
    while (before !== undefined && before.sameHash !== chain) before = before.sameHash;
    assert(before !== undefined, "a key is removed from where it was added");
    before.sameHash = chain.sameHash;
  }
}

/** FNV-1a, 30 bits of it: such a number needs no object of its own. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash >>> 2;
}
