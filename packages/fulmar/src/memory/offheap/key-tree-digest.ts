import { isEmptyRange, type KeyRange } from "../../keys/range.js";
import { keyOf } from "../../record/entry.js";
import { addHash, DIGEST_WORDS } from "../digest.js";
import type { Digest, EntryHash } from "../engine.js";
import { COUNT, SIZE, STALE, STATE, SUM } from "./key-node-layout.js";
import type { KeyTree } from "./key-tree.js";
import type { Node } from "./node-pool.js";
import type { Records } from "./records.js";

/**
 * Digests of ranges of newest entries. Each node remembers that of the keys below it until one of them
 * changes, so that the digest of a range costs what changed since the last time and two paths.
 */
export class TreeDigests {
  readonly #tree: KeyTree;
  readonly #records: Records;
  readonly #hash: EntryHash;
  readonly #word = new Uint32Array(DIGEST_WORDS);
  #sum = new Uint32Array(DIGEST_WORDS);
  #count = 0;
  #isUsed = false;
  #leavesLeft = 0;

  constructor(tree: KeyTree, records: Records, hash: EntryHash) {
    this.#tree = tree;
    this.#records = records;
    this.#hash = hash;
  }

  /** Whether nodes may remember digests, so that they have to be told of every change. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  digest(range: KeyRange): Digest {
    this.#isUsed = true;
    this.#sum = new Uint32Array(DIGEST_WORDS);
    this.#count = 0;
    const { from, to } = range;
    if (!isEmptyRange(range))
      this.#add(this.#tree.root, this.#tree.height, from.length > 0 ? from : undefined, to);
    return { count: this.#count, sum: this.#sum };
  }

  /**
   * Renews what some stale leaves remember, from that of the key `from` on, and the nodes above them that are done.
   * Returns the first key of the leaf to go on with; undefined once no leaf of the range is stale.
   */
  prepare(from: Uint8Array, to: Uint8Array | undefined, leaves: number): Uint8Array | undefined {
    this.#isUsed = true;
    this.#leavesLeft = leaves;
    return this.#prepareBelow(this.#tree.root, this.#tree.height, from.length > 0 ? from : undefined, to);
  }

  /** The digest of everything below a node, by a recount into `sum`; returns the number of keys. */
  recount(node: Node, level: number, sum: Uint32Array): number {
    const { nodes } = this.#tree;
    const count = nodes.get(node, COUNT);
    let size = 0;
    for (let i = 0; i < count; i++) {
      if (level > 0) size += this.recount(nodes.child(node, i), level - 1, sum);
      else this.#addEntry(node, i, sum);
    }
    return level > 0 ? size : count;
  }

  /** Adds the keys of a node from `from` and below `to`; undefined where the node lies within the range. */
  #add(node: Node, level: number, from: Uint8Array | undefined, to: Uint8Array | undefined): void {
    const { nodes } = this.#tree;
    if (from === undefined && to === undefined) {
      this.#addWhole(node, level);
      return;
    }
    if (level === 0) {
      const first = from === undefined ? 0 : nodes.search(node, from, 0, from.length, true, 0);
      const end = to === undefined ? nodes.get(node, COUNT) : nodes.search(node, to, 0, to.length, true, 0);
      for (let i = first; i < end; i++) this.#addEntry(node, i, this.#sum);
      this.#count += end - first;
      return;
    }
    const first = from === undefined ? 0 : nodes.childIndex(node, from, 0, from.length, 0);
    const last = to === undefined ? nodes.get(node, COUNT) - 1 : nodes.childIndex(node, to, 0, to.length, 0);
    for (let i = first; i <= last; i++) {
      this.#add(nodes.child(node, i), level - 1, i === first ? from : undefined, i === last ? to : undefined);
    }
  }

  #addWhole(node: Node, level: number): void {
    const { pool } = this.#tree.nodes;
    this.#renew(node, level);
    const words = pool.words(node);
    const base = pool.base(node);
    for (let i = 0; i < DIGEST_WORDS; i++) this.#word[i] = words[base + SUM + i];
    addHash(this.#sum, this.#word);
    this.#count += words[base + SIZE];
  }

  /** Computes what a node remembers, if something below it changed. */
  #renew(node: Node, level: number): void {
    const { nodes } = this.#tree;
    if ((nodes.get(node, STATE) & STALE) === 0) return;
    const sum = new Uint32Array(DIGEST_WORDS);
    const count = nodes.get(node, COUNT);
    let size = level === 0 ? count : 0;
    for (let i = 0; i < count; i++) {
      if (level === 0) {
        this.#addEntry(node, i, sum);
        continue;
      }
      const child = nodes.child(node, i);
      this.#renew(child, level - 1);
      for (let word = 0; word < DIGEST_WORDS; word++) this.#word[word] = nodes.get(child, SUM + word);
      addHash(sum, this.#word);
      size += nodes.get(child, SIZE);
    }
    for (let word = 0; word < DIGEST_WORDS; word++) nodes.set(node, SUM + word, sum[word]);
    nodes.set(node, SIZE, size);
    nodes.set(node, STATE, nodes.get(node, STATE) & ~STALE);
  }

  #prepareBelow(
    node: Node,
    level: number,
    from: Uint8Array | undefined,
    to: Uint8Array | undefined,
  ): Uint8Array | undefined {
    const { nodes } = this.#tree;
    if ((nodes.get(node, STATE) & STALE) === 0) return undefined;
    if (level === 0) {
      if (this.#leavesLeft === 0) return this.#firstKey(node);
      this.#leavesLeft--;
      this.#renew(node, 0);
      return undefined;
    }
    const count = nodes.get(node, COUNT);
    const first = from === undefined ? 0 : nodes.childIndex(node, from, 0, from.length, 0);
    const last = to === undefined ? count - 1 : nodes.childIndex(node, to, 0, to.length, 0);
    for (let i = first; i <= last; i++) {
      const low = i === first ? from : undefined;
      const rest = this.#prepareBelow(nodes.child(node, i), level - 1, low, i === last ? to : undefined);
      if (rest !== undefined) return rest;
    }
    // What lies before or behind the range is nobody's wish.
    for (let i = 0; i < count; i++) {
      if ((nodes.get(nodes.child(node, i), STATE) & STALE) !== 0) return undefined;
    }
    this.#renew(node, level);
    return undefined;
  }

  #firstKey(leaf: Node): Uint8Array {
    const ref = this.#tree.nodes.ref(leaf, 0, true);
    return keyOf(this.#records.slab(ref), this.#records.offset(ref));
  }

  #addEntry(leaf: Node, index: number, sum: Uint32Array): void {
    const ref = this.#tree.nodes.ref(leaf, index, true);
    this.#hash(this.#records.slab(ref), this.#records.offset(ref), this.#word);
    addHash(sum, this.#word);
  }
}
