import type { Ref } from "../engine.js";
import { COUNT, HEADS, STALE, STATE } from "./key-node-layout.js";
import type { KeyNodes } from "./key-nodes.js";
import type { Node } from "./node-pool.js";
import type { Records } from "./records.js";

/** A full leaf shares what it has with a neighbour that has room for this part of a leaf. */
const ROOM = 1 / 4;

/**
 * What is done with two neighbours below one node. A leaf that is full first shares its records with a neighbour,
 * and is split only if none has room: so leaves are four fifths full on average, after writes in random order,
 * and not two thirds.
 */
export class KeyNeighbours {
  readonly #nodes: KeyNodes;
  readonly #records: Records;

  constructor(nodes: KeyNodes, records: Records) {
    this.#nodes = nodes;
    this.#records = records;
  }

  /** Of the full leaf at an index and its emptier neighbour, the index of the right one; 0 if there is no room. */
  roomBeside(parent: Node, index: number): number {
    const nodes = this.#nodes;
    const most = nodes.leafMax - Math.max(2, Math.floor(nodes.leafMax * ROOM));
    const left = index > 0 ? this.#countOf(parent, index - 1) : nodes.leafMax;
    const right = index + 1 < nodes.get(parent, COUNT) ? this.#countOf(parent, index + 1) : nodes.leafMax;
    if (Math.min(left, right) > most) return 0;
    return left < right ? index : index + 1;
  }

  /** Gives both leaves as much, and their node another separator, made before, at the index of the right one. */
  share(parent: Node, index: number, left: Node, right: Node, separator: Ref): void {
    const nodes = this.#nodes;
    const total = nodes.get(left, COUNT) + nodes.get(right, COUNT);
    this.#moveEntries(left, right, total >>> 1);
    nodes.set(left, STATE, STALE);
    nodes.set(right, STATE, STALE);
    nodes.freeSeparator(nodes.ref(parent, index, false));
    nodes.setRef(parent, index, separator, false);
    nodes.fitPrefix(parent, index, false);
  }

  /** A separator between the halves of what the leaf at an index and the one before it have together. */
  separateHalves(parent: Node, index: number): Ref {
    const nodes = this.#nodes;
    const left = nodes.child(parent, index - 1);
    const right = nodes.child(parent, index);
    const leftCount = nodes.get(left, COUNT);
    const kept = (leftCount + nodes.get(right, COUNT)) >>> 1;
    const at = (i: number): Ref =>
      i < leftCount ? nodes.ref(left, i, true) : nodes.ref(right, i - leftCount, true);
    return this.separate(at(kept - 1), at(kept));
  }

  /** A separator between two records that follow one another. */
  separate(last: Ref, first: Ref): Ref {
    const records = this.#records;
    const start = records.keyStart(first);
    return this.#nodes.createSeparator(last, records.slab(first), start, start + records.keyLength(first));
  }

  /** The index of the right one of a child and the neighbour with which it can become one of `limit` entries; or 0. */
  joinable(parent: Node, index: number, limit: number): number {
    const left = index > 0 ? this.#countOf(parent, index - 1) : limit;
    const own = this.#countOf(parent, index);
    if (left + own <= limit) return index;
    const last = this.#nodes.get(parent, COUNT) - 1;
    return index < last && own + this.#countOf(parent, index + 1) <= limit ? index + 1 : 0;
  }

  #countOf(parent: Node, index: number): number {
    return this.#nodes.get(this.#nodes.child(parent, index), COUNT);
  }

  /** Moves entries to the other leaf until the left one has so many. */
  #moveEntries(left: Node, right: Node, kept: number): void {
    const nodes = this.#nodes;
    const { pool, leafMax } = nodes;
    const leftWords = pool.words(left);
    const rightWords = pool.words(right);
    const leftCount = nodes.get(left, COUNT);
    const rightCount = nodes.get(right, COUNT);
    const moved = leftCount - kept;
    for (let part = 0; part < 2; part++) {
      const leftAt = pool.base(left) + HEADS + part * leafMax;
      const rightAt = pool.base(right) + HEADS + part * leafMax;
      if (moved > 0) {
        rightWords.copyWithin(rightAt + moved, rightAt, rightAt + rightCount);
        for (let i = 0; i < moved; i++) rightWords[rightAt + i] = leftWords[leftAt + kept + i];
      } else {
        for (let i = 0; i < -moved; i++) leftWords[leftAt + leftCount + i] = rightWords[rightAt + i];
        rightWords.copyWithin(rightAt, rightAt - moved, rightAt + rightCount);
      }
    }
    nodes.set(left, COUNT, kept);
    nodes.set(right, COUNT, rightCount + moved);
    const giver = moved > 0 ? left : right;
    const taker = moved > 0 ? right : left;
    // Heads mean something only together with the prefix that they were made for.
    if (nodes.prefix(left) !== nodes.prefix(right)) nodes.refresh(taker, true);
    else nodes.loosen(taker, true);
    nodes.tighten(giver, true);
  }
}
