import type { Ref } from "../engine.js";
import type { OrderTree } from "./order-tree.js";

/** Items of the first and of the longest array that collects a group. */
const COLLECTED_MIN = 32;
const COLLECTED_MAX = 1 << 16;
/** Items that are looked at in one step: well below a millisecond. */
const STEP_ITEMS = 1 << 14;
/** Bits that one pass sorts by, of few items and of many. */
const FEW_BITS = 8;
const MANY_BITS = 11;
const MANY = 1 << 14;
/** Words of an item. */
const WORDS = 2;
const MINOR = 0;
const REF = 1;

/** The items of one group, in the order in which they came. */
interface Collected {
  readonly arrays: Uint32Array[];
  /** Items in the last array. */
  used: number;
  count: number;
  lastMinor: number;
  lastRef: Ref;
  /** Whether minors, and references, never descended. */
  minorsAscend: boolean;
  refsAscend: boolean;
}

/**
 * Collects items in any order and adds them to an {@link OrderTree} sorted, which leaves full leaves and
 * needs no search. Sorting is by radix, in steps.
 */
export class OrderSorter {
  readonly #tree: OrderTree;
  readonly #groups = new Map<number, Collected>();
  #work: Iterator<void, void> | undefined;

  constructor(tree: OrderTree) {
    this.#tree = tree;
  }

  add(group: number, minor: number, ref: Ref): void {
    let items = this.#groups.get(group);
    if (items === undefined) {
      items = newGroup();
      this.#groups.set(group, items);
    }
    let array = items.arrays[items.arrays.length - 1];
    if (items.used * WORDS === array.length) {
      array = new Uint32Array(Math.min(2 * array.length, COLLECTED_MAX * WORDS));
      items.arrays.push(array);
      items.used = 0;
    }
    array[items.used * WORDS + MINOR] = minor;
    array[items.used * WORDS + REF] = ref;
    items.used++;
    items.count++;
    if (minor < items.lastMinor) items.minorsAscend = false;
    if (ref < items.lastRef) items.refsAscend = false;
    items.lastMinor = minor;
    items.lastRef = ref;
  }

  /** Goes on with adding to the tree what was collected; true when everything is there. */
  step(): boolean {
    this.#work ??= this.#run();
    return this.#work.next().done === true;
  }

  *#run(): Generator<void, void> {
    for (const [group, collected] of [...this.#groups].sort(([a], [b]) => a - b)) {
      this.#groups.delete(group);
      const items = yield* sorted(collected);
      for (let from = 0; from < items.length; from += STEP_ITEMS * WORDS) {
        this.#addPart(group, items, from);
        yield;
      }
    }
  }

  #addPart(group: number, items: Uint32Array, from: number): void {
    const end = Math.min(items.length, from + STEP_ITEMS * WORDS);
    for (let i = from; i < end; i += WORDS) this.#tree.add(group, items[i + MINOR], items[i + REF]);
  }
}

function newGroup(): Collected {
  return {
    arrays: [new Uint32Array(COLLECTED_MIN * WORDS)],
    used: 0,
    count: 0,
    lastMinor: 0,
    lastRef: 0,
    minorsAscend: true,
    refsAscend: true,
  };
}

/** All items of a group in the order of minors and, where these are equal, references. */
function* sorted(collected: Collected): Generator<void, Uint32Array> {
  let items = new Uint32Array(collected.count * WORDS);
  let at = 0;
  for (const array of collected.arrays.splice(0)) {
    const rest = items.length - at;
    items.set(array.length > rest ? array.subarray(0, rest) : array, at);
    at += array.length;
    yield;
  }
  if (collected.minorsAscend && collected.refsAscend) return items;
  let other = new Uint32Array(items.length);
  const columns = collected.refsAscend ? [MINOR] : [REF, MINOR];
  const bits = collected.count < MANY ? FEW_BITS : MANY_BITS;
  for (const column of columns) {
    const varying = yield* varyingBits(items, column);
    for (let shift = 0; shift < 32; shift += bits) {
      if (((varying >>> shift) & (2 ** bits - 1)) === 0) continue;
      yield* distribute(items, other, column, shift, 2 ** bits);
      [items, other] = [other, items];
    }
  }
  return items;
}

/** The bits in which not all words of a column agree. */
function* varyingBits(items: Uint32Array, column: number): Generator<void, number> {
  let bits = 0;
  for (let from = 0; from < items.length; from += STEP_ITEMS * WORDS) {
    bits |= varyingInPart(items, from, column);
    yield;
  }
  return bits;
}

/** Sorts items by some bits of a column; those that agree in them keep their order. */
function* distribute(
  items: Uint32Array,
  into: Uint32Array,
  column: number,
  shift: number,
  values: number,
): Generator<void, void> {
  const places = new Uint32Array(values);
  const mask = values - 1;
  for (let from = 0; from < items.length; from += STEP_ITEMS * WORDS) {
    countPart(items, from, column, shift, mask, places);
    yield;
  }
  let place = 0;
  for (let value = 0; value < values; value++) {
    const count = places[value];
    places[value] = place;
    place += count * WORDS;
  }
  for (let from = 0; from < items.length; from += STEP_ITEMS * WORDS) {
    movePart(items, into, from, column, shift, mask, places);
    yield;
  }
}

// Plain functions: a loop in a generator is compiled much worse.

function varyingInPart(items: Uint32Array, from: number, column: number): number {
  const end = Math.min(items.length, from + STEP_ITEMS * WORDS);
  let bits = 0;
  for (let i = from; i < end; i += WORDS) bits |= items[i + column] ^ items[column];
  return bits;
}

function countPart(
  items: Uint32Array,
  from: number,
  column: number,
  shift: number,
  mask: number,
  counts: Uint32Array,
): void {
  const end = Math.min(items.length, from + STEP_ITEMS * WORDS);
  for (let i = from; i < end; i += WORDS) counts[(items[i + column] >>> shift) & mask]++;
}

function movePart(
  items: Uint32Array,
  into: Uint32Array,
  from: number,
  column: number,
  shift: number,
  mask: number,
  places: Uint32Array,
): void {
  const end = Math.min(items.length, from + STEP_ITEMS * WORDS);
  for (let i = from; i < end; i += WORDS) {
    const value = (items[i + column] >>> shift) & mask;
    const at = places[value];
    places[value] = at + WORDS;
    into[at] = items[i];
    into[at + 1] = items[i + 1];
  }
}
