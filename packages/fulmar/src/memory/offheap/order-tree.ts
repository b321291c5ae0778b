import { assert } from "../../base/assert.js";
import type { Ref } from "../engine.js";
import { NO_NODE, type Node } from "./node-pool.js";
import { COUNT, NEXT, OrderNodes, PREVIOUS } from "./order-nodes.js";
import type { EngineShape } from "./shape.js";

const LEVELS_MAX = 64;
const ABSENT = -1;
/** A node is joined with a neighbour once at most this part of it is used, and both together fill at most JOINED. */
const THIN = 0.5;
const JOINED = 0.75;

/**
 * Records in the order of numbers: items (group, minor, record), group below 2^53, minor below 2^32,
 * each once. A B+tree that never looks at records. Items are mostly added at the end of their group:
 * full leaves are left behind full there.
 */
export class OrderTree {
  readonly nodes: OrderNodes;
  #root: Node;
  #height = 0;
  #size = 0;
  #edition = 0;
  /** The leaf that an item was last added to the end of, if it was the last of its group: more may follow. */
  #tail: Node = NO_NODE;
  readonly #path = new Uint32Array(LEVELS_MAX);
  readonly #slots = new Uint32Array(LEVELS_MAX);

  constructor(shape: EngineShape) {
    this.nodes = new OrderNodes(shape);
    this.#root = this.nodes.create(0);
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

  add(group: number, minor: number, ref: Ref): void {
    const { nodes } = this;
    this.#edition++;
    this.#size++;
    if (this.#tail !== NO_NODE && nodes.append(this.#tail, group, minor, ref)) return;
    const leaf = this.#descend(group, minor, ref);
    if (nodes.get(leaf, COUNT) === 0) {
      // Only the root can be empty, and it takes any group.
      nodes.pool.give(leaf);
      this.#root = nodes.create(group);
      nodes.insertItem(this.#root, 0, minor, ref);
      this.#tail = this.#root;
      return;
    }
    const own = nodes.group(leaf);
    if (own !== group) {
      this.#addGroup(leaf, group > own, group, minor, ref);
      return;
    }
    const index = nodes.searchLeaf(leaf, minor, ref);
    const count = nodes.get(leaf, COUNT);
    if (count < nodes.leafMax) {
      nodes.insertItem(leaf, index, minor, ref);
      if (index === count && this.#isOpen(group)) this.#tail = leaf;
    } else this.#split(leaf, index, group, minor, ref);
  }

  remove(group: number, minor: number, ref: Ref): void {
    assert(this.removeIfThere(group, minor, ref), "what is removed is there");
  }

  /** Removes an item; false if there is none. */
  removeIfThere(group: number, minor: number, ref: Ref): boolean {
    const leaf = this.#descend(group, minor, ref);
    const index = this.#indexOf(leaf, group, minor, ref);
    if (index === ABSENT) return false;
    this.#edition++;
    this.#size--;
    this.nodes.eraseItem(leaf, index);
    this.#shrink(leaf, 0);
    return true;
  }

  has(group: number, minor: number, ref: Ref): boolean {
    return this.#indexOf(this.leafOf(group, minor, ref), group, minor, ref) !== ABSENT;
  }

  /** The leaf that an item is in or would be. */
  leafOf(group: number, minor: number, ref: Ref): Node {
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      node = this.nodes.child(node, this.nodes.searchInner(node, group, minor, ref));
    }
    return node;
  }

  /** The first leaf; empty if and only if the tree is. */
  firstLeaf(): Node {
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) node = this.nodes.child(node, 0);
    return node;
  }

  /** Where an item is in the leaf that it would be in, or {@link ABSENT}. */
  #indexOf(leaf: Node, group: number, minor: number, ref: Ref): number {
    const { nodes } = this;
    if (nodes.group(leaf) !== group) return ABSENT;
    const index = nodes.searchLeaf(leaf, minor, ref);
    if (index >= nodes.get(leaf, COUNT) || nodes.ref(leaf, index) !== ref) return ABSENT;
    return nodes.minor(leaf, index) === minor ? index : ABSENT;
  }

  #descend(group: number, minor: number, ref: Ref): Node {
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      const index = this.nodes.searchInner(node, group, minor, ref);
      this.#path[level] = node;
      this.#slots[level] = index;
      node = this.nodes.child(node, index);
    }
    return node;
  }

  /** Adds a leaf for a group that the leaf, where the item would be, is not of. */
  #addGroup(leaf: Node, isBehind: boolean, group: number, minor: number, ref: Ref): void {
    const { nodes } = this;
    const added = nodes.create(group);
    nodes.insertItem(added, 0, minor, ref);
    if (isBehind) {
      this.#link(leaf, added, nodes.get(leaf, NEXT));
      // The least bound of its group: whatever is added to the group before it comes here too.
      this.#addChild(1, added, group, 0, 0);
      return;
    }
    // Before the first of all leaves, or the first of its group with a bound of a group before.
    this.#link(nodes.get(leaf, PREVIOUS), added, leaf);
    this.#replaceChild(leaf, added);
    this.#addChild(1, leaf, nodes.group(leaf), 0, 0);
  }

  /** Puts a leaf in the place of the one that the last descent ended at. */
  #replaceChild(leaf: Node, added: Node): void {
    if (this.#height === 0) {
      assert(this.#root === leaf, "a tree without levels is one leaf");
      this.#root = added;
      return;
    }
    const parent = this.#path[1];
    const index = this.#slots[1];
    this.nodes.setChild(parent, index, added);
  }

  #split(leaf: Node, index: number, group: number, minor: number, ref: Ref): void {
    const { nodes } = this;
    const count = nodes.get(leaf, COUNT);
    const next = nodes.get(leaf, NEXT);
    const isAppended = index === count && this.#isLastOfGroup(leaf, group);
    const kept = isAppended ? count : count >>> 1;
    const right = nodes.create(group);
    if (isAppended && this.#isOpen(group)) this.#tail = right;
    else if (this.#tail === leaf) this.#tail = NO_NODE;
    nodes.move(leaf, kept, right, true);
    this.#link(leaf, right, next);
    if (index < kept || (index === kept && !isAppended)) nodes.insertItem(leaf, index, minor, ref);
    else nodes.insertItem(right, index - kept, minor, ref);
    this.#addChild(1, right, group, nodes.minor(right, 0), nodes.ref(right, 0));
  }

  #isLastOfGroup(leaf: Node, group: number): boolean {
    const next = this.nodes.get(leaf, NEXT);
    return next === NO_NODE || this.nodes.group(next) !== group;
  }

  /** Whether whatever may come behind all items of a group leads to the leaf that the last descent ended at. */
  #isOpen(group: number): boolean {
    for (let level = 1; level <= this.#height; level++) {
      const next = this.#slots[level] + 1;
      if (next < this.nodes.get(this.#path[level], COUNT)) {
        // Mostly that of another group; but one of items that are gone can have stayed.
        return this.nodes.bound(this.#path[level], next)[0] > group;
      }
    }
    return true;
  }

  /** Puts a leaf between two neighbours, either of which may be none. */
  #link(previous: Node, leaf: Node, next: Node): void {
    const { nodes } = this;
    nodes.set(leaf, PREVIOUS, previous);
    nodes.set(leaf, NEXT, next);
    if (previous !== NO_NODE) nodes.set(previous, NEXT, leaf);
    if (next !== NO_NODE) nodes.set(next, PREVIOUS, leaf);
  }

  /** Puts a node with its bound behind the child that the last descent took on `level`. */
  #addChild(level: number, child: Node, group: number, minor: number, ref: Ref): void {
    const { nodes } = this;
    if (level > this.#height) {
      const root = nodes.create(0);
      nodes.insertChild(root, 0, this.#root);
      nodes.insertChild(root, 1, child);
      nodes.setBound(root, 1, group, minor, ref);
      this.#root = root;
      this.#height = level;
      return;
    }
    const node = this.#path[level];
    const index = this.#slots[level] + 1;
    const count = nodes.get(node, COUNT);
    if (count < nodes.innerMax) {
      nodes.insertChild(node, index, child);
      nodes.setBound(node, index, group, minor, ref);
      return;
    }
    const isAppended = index === count;
    const half = (count + 1) >>> 1;
    const goesLeft = !isAppended && index < half;
    const right = nodes.create(0);
    nodes.move(node, isAppended ? count - 1 : half - (goesLeft ? 1 : 0), right, false);
    const target = goesLeft ? node : right;
    const at = goesLeft ? index : index - nodes.get(node, COUNT);
    nodes.insertChild(target, at, child);
    nodes.setBound(target, at, group, minor, ref);
    // The bound of the right node's first child is that of the node.
    const [upGroup, upMinor, upRef] = nodes.bound(right, 0);
    this.#addChild(level + 1, right, upGroup, upMinor, upRef);
  }

  #shrink(node: Node, level: number): void {
    const { nodes } = this;
    if (level === this.#height) {
      this.#lowerRoot();
      return;
    }
    const isLeaf = level === 0;
    const count = nodes.get(node, COUNT);
    const parent = this.#path[level + 1];
    const index = this.#slots[level + 1];
    if (count === 0) {
      if (isLeaf) this.#unlink(node);
      nodes.eraseChild(parent, index);
      nodes.pool.give(node);
      this.#shrink(parent, level + 1);
      return;
    }
    const max = isLeaf ? nodes.leafMax : nodes.innerMax;
    // An inner node with one child would be a level that halves nothing: it never stays alone.
    const isAlone = !isLeaf && count === 1;
    if (count > THIN * max && !isAlone) return;
    const limit = isAlone ? max : Math.max(2, JOINED * max);
    const last = nodes.get(parent, COUNT) - 1;
    if (index > 0 && this.#canJoin(parent, index, isLeaf, limit)) this.#join(parent, index, isLeaf);
    else if (index < last && this.#canJoin(parent, index + 1, isLeaf, limit))
      this.#join(parent, index + 1, isLeaf);
    else {
      if (isAlone) this.#borrow(node, parent, index);
      return;
    }
    this.#shrink(parent, level + 1);
  }

  /** Whether the child at `index` and the one before it may become one node of at most `limit` entries. */
  #canJoin(parent: Node, index: number, isLeaf: boolean, limit: number): boolean {
    const { nodes } = this;
    const left = nodes.child(parent, index - 1);
    const right = nodes.child(parent, index);
    if (isLeaf && nodes.group(left) !== nodes.group(right)) return false;
    return nodes.get(left, COUNT) + nodes.get(right, COUNT) <= limit;
  }

  /** Takes a child from a neighbour. */
  #borrow(node: Node, parent: Node, index: number): void {
    const { nodes } = this;
    const fromLeft = index > 0;
    const donor = nodes.child(parent, fromLeft ? index - 1 : index + 1);
    const given = fromLeft ? nodes.get(donor, COUNT) - 1 : 0;
    const child = nodes.child(donor, given);
    if (fromLeft) {
      nodes.insertChild(node, 0, child);
      // The bound of the node was that of its first child, which is the second now.
      nodes.copyBound(parent, index, node, 1);
      nodes.copyBound(donor, given, parent, index);
    } else {
      nodes.insertChild(node, 1, child);
      nodes.copyBound(parent, index + 1, node, 1);
      nodes.copyBound(donor, 1, parent, index + 1);
    }
    nodes.eraseChild(donor, given);
  }

  /** Moves the child at `index` into the one before it. */
  #join(parent: Node, index: number, isLeaf: boolean): void {
    const { nodes } = this;
    const left = nodes.child(parent, index - 1);
    const right = nodes.child(parent, index);
    const start = nodes.get(left, COUNT);
    nodes.move(right, 0, left, isLeaf);
    if (isLeaf) this.#unlink(right);
    else nodes.copyBound(parent, index, left, start);
    nodes.eraseChild(parent, index);
    nodes.pool.give(right);
  }

  #lowerRoot(): void {
    const { nodes } = this;
    while (this.#height > 0 && nodes.get(this.#root, COUNT) <= 1) {
      const root = this.#root;
      const isEmpty = nodes.get(root, COUNT) === 0;
      this.#root = isEmpty ? nodes.create(0) : nodes.child(root, 0);
      this.#height = isEmpty ? 0 : this.#height - 1;
      nodes.pool.give(root);
    }
  }

  #unlink(leaf: Node): void {
    const { nodes } = this;
    if (this.#tail === leaf) this.#tail = NO_NODE;
    const next = nodes.get(leaf, NEXT);
    const previous = nodes.get(leaf, PREVIOUS);
    if (next !== NO_NODE) nodes.set(next, PREVIOUS, previous);
    if (previous !== NO_NODE) nodes.set(previous, NEXT, next);
  }
}
