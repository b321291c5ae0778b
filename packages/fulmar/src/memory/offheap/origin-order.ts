import { assert } from "../../base/assert.js";
import { originOf, seqOf } from "../../record/entry.js";
import type { Ref } from "../engine.js";
import { OrderTree } from "./order-tree.js";
import type { Records } from "./records.js";
import type { EngineShape } from "./shape.js";

const TWO_32 = 4294967296;
/** Sequence numbers have 53 bits: the origin stands above their upper 21 in the group of an item. */
const SEQ_HIGH = 2 ** 21;

/** The group of the items of an origin whose sequence numbers share their upper bits with `seq`. */
export function originGroup(origin: number, seq: number): number {
  return origin * SEQ_HIGH + Math.floor(seq / TWO_32);
}

/** `absent`: nothing is kept. `building`: all that changes is kept apart. `merging`: all is in one of both trees. */
type OrderState = "absent" | "building" | "merging" | "complete";

/**
 * Every version of every key by origin and sequence number, as an item of the group of origin and upper seq, and
 * the lower seq: only replication reads it, so it is there only once it was asked for.
 *
 * While it is being built the engine goes on. What was there and cannot go is collected elsewhere, and added
 * to {@link whole} in order; whatever comes, and may go again, is in {@link young}, which is merged in the end.
 */
export class OriginOrder {
  readonly #records: Records;
  readonly #shape: EngineShape;
  #state: OrderState = "absent";
  #whole: OrderTree | undefined;
  #young: OrderTree | undefined;

  constructor(records: Records, shape: EngineShape) {
    this.#records = records;
    this.#shape = shape;
  }

  get state(): OrderState {
    return this.#state;
  }

  /** The tree of all records, once it is complete; of some before. */
  get whole(): OrderTree {
    assert(this.#whole !== undefined, "the order by origin is there only once it was asked for");
    return this.#whole;
  }

  get young(): OrderTree {
    assert(this.#young !== undefined, "there are two orders only until one is complete");
    return this.#young;
  }

  /** Bytes of nodes in use, and of all. */
  get usedBytes(): number {
    return (this.#whole?.nodes.pool.usedBytes ?? 0) + (this.#young?.nodes.pool.usedBytes ?? 0);
  }

  get allocatedBytes(): number {
    return (this.#whole?.nodes.pool.allocatedBytes ?? 0) + (this.#young?.nodes.pool.allocatedBytes ?? 0);
  }

  /** Keeps whatever comes from now on. */
  begin(): void {
    assert(this.#state === "absent", "an order is begun once");
    // Both or neither: there may be no memory for them.
    const whole = new OrderTree(this.#shape);
    this.#young = new OrderTree(this.#shape);
    this.#whole = whole;
    this.#state = "building";
  }

  /** Allocates now what one more record takes. */
  makeRoom(): void {
    if (this.#state === "absent") return;
    const tree = this.#state === "building" ? this.young : this.whole;
    tree.nodes.pool.makeRoom();
  }

  /** A record is there, that may go at any time. */
  admit(ref: Ref): void {
    if (this.#state === "absent") return;
    const tree = this.#state === "building" ? this.young : this.whole;
    const seq = this.#seqOf(ref);
    tree.add(this.#groupOf(ref, seq), seq >>> 0, ref);
  }

  /** The same of one that may have been admitted when it came. */
  admitAgain(ref: Ref): void {
    const seq = this.#seqOf(ref);
    if (!this.young.has(this.#groupOf(ref, seq), seq >>> 0, ref)) this.admit(ref);
  }

  /** A record goes. */
  expel(ref: Ref): void {
    if (this.#state === "absent") return;
    const seq = this.#seqOf(ref);
    const group = this.#groupOf(ref, seq);
    if (this.#state !== "complete" && this.young.removeIfThere(group, seq >>> 0, ref)) return;
    // Before that it is one that nobody has come to yet.
    if (this.#state !== "building") this.whole.remove(group, seq >>> 0, ref);
  }

  /** All that was collected is in {@link whole}, which is kept from now on. */
  beginMerging(): void {
    assert(this.#state === "building", "an order is built before it is merged");
    this.#state = "merging";
  }

  /** Moves items from the younger tree, so many at most; true when the order is complete. */
  merge(count: number): boolean {
    const { young, whole } = this;
    for (let i = 0; i < count && young.size > 0; i++) {
      const leaf = young.firstLeaf();
      const group = young.nodes.group(leaf);
      const minor = young.nodes.minor(leaf, 0);
      const ref = young.nodes.ref(leaf, 0);
      young.remove(group, minor, ref);
      whole.add(group, minor, ref);
    }
    if (young.size > 0) return false;
    this.#young = undefined;
    this.#state = "complete";
    return true;
  }

  /** Keeps nothing any more. While it is being built, only whoever does that may say so. */
  forget(): void {
    this.#state = "absent";
    this.#whole = undefined;
    this.#young = undefined;
  }

  #seqOf(ref: Ref): number {
    return seqOf(this.#records.slab(ref), this.#records.offset(ref));
  }

  #groupOf(ref: Ref, seq: number): number {
    return originGroup(originOf(this.#records.slab(ref), this.#records.offset(ref)), seq);
  }
}
