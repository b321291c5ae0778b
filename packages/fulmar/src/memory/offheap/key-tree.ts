import { assert } from "../../base/assert.js";
import { NONE, type Ref } from "../engine.js";
import type { Backing } from "./backing.js";
import { KeyDescent } from "./key-descent.js";
import { fillLeaf, isAbove } from "./key-leaves.js";
import { KeyNeighbours } from "./key-neighbours.js";
import { COUNT, NEXT, PREVIOUS, STALE, STATE } from "./key-node-layout.js";
import { KeyNodes } from "./key-nodes.js";
import { type TreeAudience, TreeCopies } from "./key-tree-copies.js";
import { NO_NODE, type Node } from "./node-pool.js";
import type { Records } from "./records.js";
import type { EngineShape } from "./shape.js";

/** A node is joined with a neighbour once at most this part of it is used ... */
const THIN = 0.25;
/** ... and both together leave some room for what comes next. */
const JOINED = 0.75;

/**
 * The newest records of all keys in the order of their keys: a B+tree. It changes in place, or with an
 * audience as {@link TreeCopies} tells.
 */
export class KeyTree {
  readonly nodes: KeyNodes;
  readonly #records: Records;
  readonly #neighbours: KeyNeighbours;
  readonly #copies: TreeCopies;
  /** Whether somebody walks the tree on another thread: `#copies` has an audience. */
  #isWatched = false;
  #root: Node;
  /** Levels above the leaves. */
  #height = 0;
  #size = 0;
  #edition = 0;
  readonly #way: KeyDescent;
  /** Of the last way to a change. */
  readonly #path: Uint32Array;
  readonly #slots: Uint32Array;

  constructor(records: Records, shape: EngineShape, backing?: Backing) {
    this.#records = records;
    this.nodes = new KeyNodes(records, shape, backing);
    this.#neighbours = new KeyNeighbours(this.nodes, records);
    this.#copies = new TreeCopies(this.nodes);
    this.#root = this.nodes.create();
    this.#way = new KeyDescent(this.nodes);
    this.#path = this.#way.path;
    this.#slots = this.#way.slots;
  }

  get root(): Node {
    return this.#root;
  }

  get height(): number {
    return this.#height;
  }

  get size(): number {
    return this.#size;
  }

  /** Changes whenever a place in a leaf may have become wrong. */
  get edition(): number {
    return this.#edition;
  }

  /** From now on the tree is walked on other threads, or no more. */
  watch(audience: TreeAudience | undefined): void {
    this.#copies.audience = audience;
    this.#isWatched = audience !== undefined;
    audience?.publishRoot(this.#root, this.#height);
  }

  /** Adds the record of a key, `bytes[from, to)`, that is not there. */
  insert(bytes: Uint8Array, from: number, to: number, ref: Ref): void {
    const leaf = this.#descend(bytes, from, to);
    const index = this.#way.search(leaf, bytes, from, to);
    assert(!this.nodes.found, "a key is added to the order once");
    if (this.nodes.get(leaf, COUNT) === this.nodes.leafMax) {
      this.#insertInFull(leaf, index, bytes, from, to, ref);
      return;
    }
    this.#changed(leaf, 1);
    const own = this.#isWatched ? this.#copies.replace(leaf, true) : leaf;
    this.nodes.insertSought(own, index, ref);
    if (own !== leaf) this.#publishLeaf(own);
  }

  /** Adds the first `count` of some records, a leaf of them, whose keys ascend and are above all others. */
  appendLeaf(refs: Uint32Array, count: number): void {
    const { nodes } = this;
    assert(!this.#isWatched && count > 0 && count <= nodes.leafMax, "nobody reads what is being loaded");
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      const last = nodes.get(node, COUNT) - 1;
      this.#way.step(level, node, last);
      node = nodes.child(node, last);
    }
    const isFirst = this.#size === 0;
    this.#changed(node, count);
    const leaf = isFirst ? node : this.#copies.create();
    fillLeaf(nodes, this.#records, leaf, refs, count);
    if (isFirst) return;
    const left = nodes.ref(node, nodes.get(node, COUNT) - 1, true);
    assert(isAbove(nodes, this.#records, left, refs[0]), "loaded keys ascend");
    nodes.set(leaf, PREVIOUS, node);
    nodes.set(node, NEXT, leaf);
    this.#addChild(1, this.#neighbours.separate(left, refs[0]), leaf);
  }

  /** Puts another record of the same key in the place of `old`. */
  replace(bytes: Uint8Array, from: number, to: number, old: Ref, ref: Ref): void {
    const leaf = this.#descend(bytes, from, to);
    // The key is there: its head leads to the reference, and no key has to be read.
    const index = this.nodes.indexOfRef(leaf, bytes, from, to, old);
    this.#changed(leaf, 0);
    if (this.#isWatched) this.nodes.publishRef(leaf, index, ref);
    else this.nodes.setRef(leaf, index, ref, true);
  }

  remove(bytes: Uint8Array, from: number, to: number, old: Ref): void {
    const leaf = this.#descend(bytes, from, to);
    const index = this.#indexOf(leaf, bytes, from, to, old);
    this.#changed(leaf, -1);
    if (this.#isWatched && !this.#isThin(leaf, -1)) {
      const own = this.#copies.replace(leaf, true);
      this.nodes.erase(own, index, true);
      this.#publishLeaf(own);
      return;
    }
    const own = this.#ownPath(leaf);
    this.nodes.erase(own, index, true);
    this.#shrink(own, 0);
    this.#publish();
  }

  /** The leaf in which a key is or belongs. */
  leafOf(bytes: Uint8Array, from: number, to: number): Node {
    return this.#way.toLeaf(this.#root, this.#height, bytes, from, to);
  }

  /** The index of the first key not below another, in the leaf that {@link leafOf} has just found for that one. */
  indexIn(leaf: Node, bytes: Uint8Array, from: number, to: number): number {
    return this.#way.search(leaf, bytes, from, to);
  }

  /** The first leaf, or the last. */
  outermost(last: boolean): Node {
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      node = this.nodes.child(node, last ? this.nodes.get(node, COUNT) - 1 : 0);
    }
    return node;
  }

  /** To the leaf of a key that is about to change: the digests on the way become stale. */
  #descend(bytes: Uint8Array, from: number, to: number): Node {
    return this.#way.toChange(this.#root, this.#height, bytes, from, to);
  }

  /** The leaf of the last descent, and what stands above it, ready to be changed. */
  #ownPath(leaf: Node): Node {
    if (!this.#isWatched) return leaf;
    const own = this.#copies.ownPath(leaf, this.#height, this.#path, this.#slots);
    this.#root = this.#height > 0 ? this.#path[this.#height] : own;
    return own;
  }

  /** Whether a leaf below the root would be thin with so many entries more. */
  #isThin(leaf: Node, by: number): boolean {
    return this.#height > 0 && this.nodes.get(leaf, COUNT) + by <= THIN * this.nodes.leafMax;
  }

  /** Shows what was done with copies of the whole way up to the root. */
  #publish(): void {
    if (this.#isWatched) this.#copies.publishRoot(this.#root, this.#height);
  }

  /** Shows a copy of the leaf of the last descent. */
  #publishLeaf(leaf: Node): void {
    if (this.#height > 0) this.#copies.publishChild(this.#path[1], this.#slots[1], leaf);
    else {
      this.#root = leaf;
      this.#publish();
    }
  }

  #indexOf(leaf: Node, bytes: Uint8Array, from: number, to: number, old: Ref): number {
    const index = this.#way.search(leaf, bytes, from, to);
    assert(this.nodes.found && this.nodes.ref(leaf, index, true) === old, "the order has the newest record");
    return index;
  }

  /** A leaf has one key more, one less, or another record. */
  #changed(leaf: Node, by: number): void {
    this.#edition++;
    this.#size += by;
    this.nodes.set(leaf, STATE, STALE);
  }

  /** Adds the record of a key, which belongs at `index` of a full leaf: a neighbour shares with it, or it is split. */
  #insertInFull(leaf: Node, index: number, bytes: Uint8Array, from: number, to: number, ref: Ref): void {
    const { nodes } = this;
    const count = nodes.get(leaf, COUNT);
    // Whoever writes at the end goes on there: the full leaf stays full.
    const isAppended = index === count && nodes.get(leaf, NEXT) === NO_NODE;
    const isShared = this.#height > 0 && !isAppended;
    const between = isShared ? this.#neighbours.roomBeside(this.#path[1], this.#slots[1]) : 0;
    const kept = isAppended ? count : count >>> 1;
    // Before anything changes: there may be no memory for it.
    const separator =
      between > 0
        ? this.#neighbours.separateHalves(this.#path[1], between)
        : this.#neighbours.separate(
            nodes.ref(leaf, kept - 1, true),
            isAppended ? ref : nodes.ref(leaf, kept, true),
          );
    const goesRight = nodes.compare(separator, false, bytes, from, to, 0) <= 0;
    const own = this.#ownPath(leaf);
    if (between > 0) {
      const target = this.#share(between, separator, goesRight);
      this.#changed(target, 1);
      nodes.insertSought(target, nodes.search(target, bytes, from, to, true, 0), ref);
    } else {
      this.#changed(own, 1);
      const right = this.#splitLeaf(own, kept);
      nodes.insert(goesRight ? right : own, goesRight ? index - kept : index, ref, NO_NODE);
      this.#addChild(1, separator, right);
    }
    this.#publish();
  }

  /** Has a full leaf and its neighbour, on both sides of a new separator, share what they have; returns one of them. */
  #share(between: number, separator: Ref, isRight: boolean): Node {
    const left = this.#copies.own(this.#path[1], between - 1, true);
    const right = this.#copies.own(this.#path[1], between, true);
    this.#neighbours.share(this.#path[1], between, left, right, separator);
    return isRight ? right : left;
  }

  /** Moves the entries from `kept` on to a new leaf behind. */
  #splitLeaf(leaf: Node, kept: number): Node {
    const { nodes } = this;
    const right = this.#copies.create();
    nodes.move(leaf, kept, right, true);
    const next = nodes.get(leaf, NEXT);
    nodes.set(right, NEXT, next);
    nodes.set(right, PREVIOUS, leaf);
    nodes.set(leaf, NEXT, right);
    if (next !== NO_NODE) nodes.set(next, PREVIOUS, right);
    nodes.tighten(leaf, true);
    nodes.tighten(right, true);
    return right;
  }

  /** Puts a node behind the child that the last descent took on `level`. */
  #addChild(level: number, separator: Ref, child: Node): void {
    const { nodes } = this;
    if (level > this.#height) {
      const root = this.#copies.create();
      nodes.insert(root, 0, NONE, this.#root);
      nodes.insert(root, 1, separator, child);
      this.#root = root;
      this.#height = level;
      return;
    }
    const node = this.#path[level];
    const index = this.#slots[level] + 1;
    const count = nodes.get(node, COUNT);
    if (count < nodes.innerMax) {
      nodes.insert(node, index, separator, child);
      return;
    }
    const isAppended = index === count;
    const half = (count + 1) >>> 1;
    const goesLeft = !isAppended && index < half;
    const right = this.#copies.create();
    nodes.move(node, isAppended ? count - 1 : half - (goesLeft ? 1 : 0), right, false);
    if (goesLeft) nodes.insert(node, index, separator, child);
    else nodes.insert(right, index - nodes.get(node, COUNT), separator, child);
    // The separator of the right node's first child goes up instead.
    const middle = nodes.ref(right, 0, false);
    nodes.setRef(right, 0, NONE, false);
    nodes.tighten(node, false);
    nodes.tighten(right, false);
    this.#addChild(level + 1, middle, right);
  }

  /** Joins a node that became thin with a neighbour, or takes it out when it is empty. */
  #shrink(node: Node, level: number): void {
    if (level === this.#height) {
      this.#lowerRoot();
      return;
    }
    const { nodes } = this;
    const isLeaf = level === 0;
    const max = isLeaf ? nodes.leafMax : nodes.innerMax;
    const count = nodes.get(node, COUNT);
    const parent = this.#path[level + 1];
    const index = this.#slots[level + 1];
    if (count === 0) {
      this.#takeOut(node, parent, index, isLeaf);
      this.#shrink(parent, level + 1);
      return;
    }
    // An inner node with one child would be a level that halves nothing: it never stays alone.
    const isAlone = !isLeaf && count === 1;
    if (count > THIN * max && !isAlone) return;
    const limit = isAlone ? max : Math.max(2, JOINED * max);
    const joined = this.#neighbours.joinable(parent, index, limit);
    if (joined > 0) this.#join(parent, joined, isLeaf);
    else {
      if (isAlone) this.#borrow(node, parent, index);
      return;
    }
    this.#shrink(parent, level + 1);
  }

  /** Takes a child from a neighbour; the separators turn through the parent. */
  #borrow(node: Node, parent: Node, index: number): void {
    const { nodes } = this;
    const fromLeft = index > 0;
    const donor = this.#copies.own(parent, fromLeft ? index - 1 : index + 1, false);
    const given = fromLeft ? nodes.get(donor, COUNT) - 1 : 0;
    const child = nodes.child(donor, given);
    const between = fromLeft ? index : index + 1;
    const down = nodes.ref(parent, between, false);
    const up = nodes.ref(donor, fromLeft ? given : 1, false);
    nodes.erase(donor, given, false);
    if (fromLeft) nodes.insert(node, 0, NONE, child);
    else nodes.insert(node, 1, down, child);
    if (fromLeft) nodes.setRef(node, 1, down, false);
    else nodes.setRef(donor, 0, NONE, false);
    nodes.setRef(parent, between, up, false);
    for (const changed of [node, donor, parent]) nodes.refresh(changed, false);
    nodes.set(donor, STATE, STALE);
  }

  /** Moves the child at `index` into the one before it. */
  #join(parent: Node, index: number, isLeaf: boolean): void {
    const { nodes } = this;
    const left = this.#copies.own(parent, index - 1, isLeaf);
    const right = this.#copies.own(parent, index, isLeaf);
    const start = nodes.get(left, COUNT);
    const separator = nodes.ref(parent, index, false);
    nodes.move(right, 0, left, isLeaf);
    if (isLeaf) {
      this.#unlink(right);
      nodes.freeSeparator(separator);
    } else {
      // What separated the two nodes now separates their children.
      nodes.setRef(left, start, separator, false);
    }
    nodes.refresh(left, isLeaf);
    nodes.set(left, STATE, STALE);
    nodes.erase(parent, index, false);
    this.#copies.discard(right);
  }

  #takeOut(node: Node, parent: Node, index: number, isLeaf: boolean): void {
    const { nodes } = this;
    if (isLeaf) this.#unlink(node);
    // When the first child goes, the second needs no separator any more.
    const freed = Math.max(1, index);
    if (freed < nodes.get(parent, COUNT)) nodes.freeSeparator(nodes.ref(parent, freed, false));
    nodes.erase(parent, index, false);
    if (nodes.get(parent, COUNT) > 0) nodes.setRef(parent, 0, NONE, false);
    this.#copies.discard(node);
  }

  #lowerRoot(): void {
    const { nodes } = this;
    while (this.#height > 0 && nodes.get(this.#root, COUNT) <= 1) {
      const root = this.#root;
      const isEmpty = nodes.get(root, COUNT) === 0;
      this.#root = isEmpty ? this.#copies.create() : nodes.child(root, 0);
      this.#height = isEmpty ? 0 : this.#height - 1;
      this.#copies.discard(root);
    }
  }

  #unlink(leaf: Node): void {
    const { nodes } = this;
    const next = nodes.get(leaf, NEXT);
    const previous = nodes.get(leaf, PREVIOUS);
    if (next !== NO_NODE) nodes.set(next, PREVIOUS, previous);
    if (previous !== NO_NODE) nodes.set(previous, NEXT, next);
  }
}
