import { assert } from "../../base/assert.js";
import { compareBytes } from "../../base/bytes.js";
import { DIGEST_WORDS } from "../digest.js";
import { NONE, type Ref } from "../engine.js";
import { prefixLength, prefixWord } from "./key-heads.js";
import { BARE, COUNT, HEADS, NEXT, PREFIX, PREVIOUS, SIZE, STALE, STATE, SUM } from "./key-node-layout.js";
import type { KeyTree } from "./key-tree.js";
import type { TreeDigests } from "./key-tree-digest.js";
import { NO_NODE, type Node } from "./node-pool.js";
import type { Records } from "./records.js";

/** What a walk over the key tree found. */
export interface TreeWalk {
  /** The newest records, in the order of their keys. */
  readonly refs: Ref[];
  readonly separators: Ref[];
}

/**
 * Throws INVARIANT unless order, bounds, prefixes, heads, links and digests of a key tree are right. `waiting`
 * nodes are in it no more, but readers on other threads may still be there.
 */
export function verifyKeyTree(tree: KeyTree, records: Records, digests: TreeDigests, waiting = 0): TreeWalk {
  const check = new TreeCheck(tree, records, digests);
  check.visit(tree.root, tree.height, undefined, undefined);
  check.verifyLinks();
  assert(check.walk.refs.length === tree.size, "the keys in the order are counted");
  tree.nodes.pool.verify();
  assert(tree.nodes.pool.used === check.nodeCount + waiting, "every node in use is in the tree");
  return check.walk;
}

class TreeCheck {
  readonly walk: TreeWalk = { refs: [], separators: [] };
  nodeCount = 0;
  readonly #tree: KeyTree;
  readonly #records: Records;
  readonly #digests: TreeDigests;
  readonly #leaves: Node[] = [];

  constructor(tree: KeyTree, records: Records, digests: TreeDigests) {
    this.#tree = tree;
    this.#records = records;
    this.#digests = digests;
  }

  visit(node: Node, level: number, low: Uint8Array | undefined, high: Uint8Array | undefined): void {
    const { nodes } = this.#tree;
    const isLeaf = level === 0;
    const count = nodes.get(node, COUNT);
    this.nodeCount++;
    assert(count > 0 || node === this.#tree.root, "only the root may be empty");
    assert(count <= (isLeaf ? nodes.leafMax : nodes.innerMax), "a node has no more than it can hold");
    assert(level === 0 || count > 1, "an inner node has a choice");
    const keys: Uint8Array[] = [];
    for (let i = isLeaf ? 0 : 1; i < count; i++) {
      const key = this.#keyOf(nodes.ref(node, i, isLeaf), isLeaf);
      assert(low === undefined || compareBytes(low, key) <= 0, "keys are not below their separator");
      assert(high === undefined || compareBytes(key, high) < 0, "keys are below the next separator");
      keys.push(key);
      assert(nodes.get(node, HEADS + i) === nodes.headAt(node, i, isLeaf), "heads are of their keys");
    }
    this.#verifyPrefix(keys, nodes.get(node, PREFIX));
    this.#verifyDigest(node, level);
    this.#verifyBare(node, level);
    if (isLeaf) {
      this.#leaves.push(node);
      for (let i = 0; i < count; i++) this.walk.refs.push(nodes.ref(node, i, true));
      return;
    }
    for (let i = 1; i < count; i++) this.walk.separators.push(nodes.ref(node, i, false));
    for (let i = 0; i < count; i++) {
      this.visit(
        nodes.child(node, i),
        level - 1,
        i === 0 ? low : keys[i - 1],
        i === count - 1 ? high : keys[i],
      );
    }
  }

  #keyOf(ref: Ref, isLeaf: boolean): Uint8Array {
    const { nodes } = this.#tree;
    const start = nodes.keyStart(ref, isLeaf);
    return this.#records.slab(ref).slice(start, start + nodes.keyLength(ref, isLeaf));
  }

  #verifyPrefix(keys: readonly Uint8Array[], word: number): void {
    const prefix = prefixLength(word);
    for (const [i, key] of keys.entries()) {
      assert(i === 0 || compareBytes(keys[i - 1], key) < 0, "keys of a node ascend");
      assert(key.length >= prefix, "every key is as long as the prefix");
      assert(prefixWord(key, 0, prefix) === word, "every key has the end of the prefix");
      assert(
        compareBytes(key.subarray(0, prefix), keys[0].subarray(0, prefix)) === 0,
        "keys share the prefix",
      );
    }
  }

  #verifyDigest(node: Node, level: number): void {
    const { nodes } = this.#tree;
    if ((nodes.get(node, STATE) & STALE) !== 0) return;
    const sum = new Uint32Array(DIGEST_WORDS);
    assert(this.#digests.recount(node, level, sum) === nodes.get(node, SIZE), "a digest counts the keys");
    for (let i = 0; i < DIGEST_WORDS; i++) {
      assert(sum[i] === nodes.get(node, SUM + i), "a digest is the sum of the hashes");
    }
    for (let i = 0; level > 0 && i < nodes.get(node, COUNT); i++) {
      const state = nodes.get(nodes.child(node, i), STATE);
      assert((state & STALE) === 0, "what stands above a stale digest is stale");
    }
  }

  #verifyBare(node: Node, level: number): void {
    const { nodes } = this.#tree;
    if ((nodes.get(node, STATE) & BARE) === 0) return;
    for (let i = 0; i < nodes.get(node, COUNT); i++) {
      const isBare =
        level > 0
          ? (nodes.get(nodes.child(node, i), STATE) & BARE) !== 0
          : this.#isDeleted(nodes.ref(node, i, true));
      assert(isBare, "below a bare node all is bare");
    }
  }

  #isDeleted(ref: Ref): boolean {
    return this.#records.isTombstone(ref) && this.#records.older(ref) === NONE;
  }

  verifyLinks(): void {
    const { nodes } = this.#tree;
    for (const [i, leaf] of this.#leaves.entries()) {
      assert(nodes.get(leaf, PREVIOUS) === (this.#leaves[i - 1] ?? NO_NODE), "leaves are linked backwards");
      assert(nodes.get(leaf, NEXT) === (this.#leaves[i + 1] ?? NO_NODE), "leaves are linked forwards");
    }
  }
}
