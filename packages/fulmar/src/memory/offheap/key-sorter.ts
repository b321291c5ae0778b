import { compareRanges } from "../../base/bytes.js";
import type { Ref } from "../engine.js";
import { commonLength, headOf } from "./key-heads.js";
import type { Records } from "./records.js";

/** Words of an item: the eight bytes of a key behind what all keys begin with, and the record. */
const HIGH = 0;
const LOW = 1;
const REF = 2;
const WORDS = 3;
const HEAD_BYTES = 8;
/** Bits that one pass sorts by, of few items and of many. */
const FEW_BITS = 8;
const MANY_BITS = 11;
const MANY = 1 << 14;
/** Items that are looked at in one step: well below a millisecond. */
const STEP_ITEMS = 1 << 13;
/** Records that are fetched at the same time, before their keys are read. */
const TOUCHED = 64;
/** Keys by which the common beginning is guessed. */
const GUESSED_FROM = 32;
/** Up to so many keys that agree in eight bytes are sorted by comparing them. */
const COMPARED_MAX = 24;

/**
 * Puts records, of different keys, into the order of their keys, a step at a time: by radix over eight bytes
 * behind the common beginning, and those that agree in them once more in the same way.
 */
export function* sortByKey(records: Records, refs: Uint32Array): Generator<void, void> {
  if (refs.length <= COMPARED_MAX) {
    sortFew(records, refs, 0, refs.length);
    return;
  }
  let items: Uint32Array = new Uint32Array(refs.length * WORDS);
  // A few keys tell, and are right but for rare cases: so all keys are read once only.
  const guess = commonOfFew(records, refs);
  let skip = yield* readAllHeads(records, refs, guess, items);
  if (skip < guess) skip = yield* readAllHeads(records, refs, yield* commonPrefix(records, refs), items);
  items = yield* sortHeads(items, new Uint32Array(items.length));
  for (let from = 0; from < refs.length; from += STEP_ITEMS) {
    const to = Math.min(refs.length, from + STEP_ITEMS);
    for (let i = from; i < to; i++) refs[i] = items[i * WORDS + REF];
    yield;
  }
  for (let at = 0; at < refs.length; ) {
    at = sortShortRuns(records, items, refs, at, Math.min(refs.length, at + STEP_ITEMS));
    const end = endOfRun(items, at);
    if (end - at <= COMPARED_MAX) continue;
    yield* sortRun(records, refs.subarray(at, end), skip + HEAD_BYTES);
    at = end;
  }
}

/** Reads the heads behind `skip` bytes. Returns it, or less if some key differs before. */
function* readAllHeads(
  records: Records,
  refs: Uint32Array,
  skip: number,
  items: Uint32Array,
): Generator<void, number> {
  for (let from = 0; from < refs.length; from += STEP_ITEMS) {
    const common = readHeads(records, refs, from, skip, items);
    if (common < skip) return common;
    yield;
  }
  return skip;
}

/** The bytes that all keys begin with. */
function* commonPrefix(records: Records, refs: Uint32Array): Generator<void, number> {
  let common = records.keyLength(refs[0]);
  for (let from = 0; from < refs.length; from += STEP_ITEMS) {
    common = commonInPart(records, refs, from, common);
    yield;
  }
  return common;
}

/** Sorts items by both parts of their heads. Returns the one of the two arrays that has the result. */
function* sortHeads(items: Uint32Array, other: Uint32Array): Generator<void, Uint32Array> {
  let [from, into] = [items, other];
  const bits = items.length < MANY * WORDS ? FEW_BITS : MANY_BITS;
  const places = new Uint32Array(2 ** bits);
  for (const column of [LOW, HIGH]) {
    let varying = 0;
    for (let at = 0; at < from.length; at += STEP_ITEMS * WORDS) {
      varying |= varyingInPart(from, at, column);
      yield;
    }
    // Each pass begins at a bit in which heads differ.
    for (let shift = 0; shift < 32; shift += (varying >>> shift) & 1 ? bits : 1) {
      if (((varying >>> shift) & 1) === 0) continue;
      places.fill(0);
      for (let at = 0; at < from.length; at += STEP_ITEMS * WORDS) {
        countPart(from, at, column, shift, places);
        yield;
      }
      sumUp(places);
      for (let at = 0; at < from.length; at += STEP_ITEMS * WORDS) {
        movePart(from, into, at, column, shift, places);
        yield;
      }
      [from, into] = [into, from];
    }
  }
  return from;
}

/** Sorts many records whose keys agree in what was sorted by so far, `depth` bytes, or end before. */
function* sortRun(records: Records, run: Uint32Array, depth: number): Generator<void, void> {
  // A key that ends stands before those that go on with zeros. Keys differ, so there are few that end.
  const ended: Ref[] = [];
  let end = run.length;
  for (let at = run.length; at > 0; at -= STEP_ITEMS) {
    end = partitionPart(records, run, Math.max(0, at - STEP_ITEMS), at, end, depth, ended);
    yield;
  }
  run.set(ended);
  sortFew(records, run, 0, ended.length);
  yield* sortByKey(records, run.subarray(end));
}

// Plain functions: a loop in a generator is compiled much worse.

function commonInPart(records: Records, refs: Uint32Array, from: number, common: number): number {
  const to = Math.min(refs.length, from + STEP_ITEMS);
  let least = common;
  for (let i = from; i < to; i++) least = commonWith(records, refs[0], refs[i], least);
  return least;
}

/** Moves what goes on behind `depth` up to `end`, from the back to the front; where it begins then. */
function partitionPart(
  records: Records,
  run: Uint32Array,
  from: number,
  to: number,
  end: number,
  depth: number,
  ended: Ref[],
): number {
  let into = end;
  for (let i = to - 1; i >= from; i--) {
    const ref = run[i];
    if (records.keyLength(ref) > depth) run[--into] = ref;
    else ended.push(ref);
  }
  return into;
}

/** How many bytes some keys, here and there, have in common. */
function commonOfFew(records: Records, refs: Uint32Array): number {
  let common = records.keyLength(refs[0]);
  const step = Math.ceil(refs.length / GUESSED_FROM);
  for (let i = 0; i < refs.length; i += step) common = commonWith(records, refs[0], refs[i], common);
  return common;
}

/** How many of the first `max` bytes two keys have in common. */
function commonWith(records: Records, first: Ref, ref: Ref, max: number): number {
  const start = records.keyStart(first);
  const key = records.keyStart(ref);
  const end = key + Math.min(records.keyLength(ref), max);
  return commonLength(records.slab(first), start, start + max, records.slab(ref), key, end);
}

/** Reads the heads of a part, as long as keys begin with `skip` bytes of the first; the least they do. */
function readHeads(
  records: Records,
  refs: Uint32Array,
  from: number,
  skip: number,
  items: Uint32Array,
): number {
  const to = Math.min(refs.length, from + STEP_ITEMS);
  for (let i = from; i < to; i++) {
    if ((i - from) % TOUCHED === 0) records.touch(refs.subarray(i, to), Math.min(TOUCHED, to - i));
    const ref = refs[i];
    const common = commonWith(records, refs[0], ref, skip);
    if (common < skip) return common;
    const slab = records.slab(ref);
    const key = records.keyStart(ref);
    const end = key + records.keyLength(ref);
    items[i * WORDS + HIGH] = headOf(slab, key + skip, end);
    items[i * WORDS + LOW] = headOf(slab, key + skip + 4, end);
    items[i * WORDS + REF] = ref;
  }
  return skip;
}

/** The bits in which not all words of a part of a column agree with the first of all. */
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
  counts: Uint32Array,
): void {
  const mask = counts.length - 1;
  const end = Math.min(items.length, from + STEP_ITEMS * WORDS);
  for (let i = from; i < end; i += WORDS) counts[(items[i + column] >>> shift) & mask]++;
}

function sumUp(places: Uint32Array): void {
  let place = 0;
  for (let value = 0; value < places.length; value++) {
    const next = place + places[value] * WORDS;
    places[value] = place;
    place = next;
  }
}

function movePart(
  items: Uint32Array,
  into: Uint32Array,
  from: number,
  column: number,
  shift: number,
  places: Uint32Array,
): void {
  const mask = places.length - 1;
  const end = Math.min(items.length, from + STEP_ITEMS * WORDS);
  for (let i = from; i < end; i += WORDS) {
    const value = (items[i + column] >>> shift) & mask;
    const at = places[value];
    places[value] = at + WORDS;
    into[at] = items[i];
    into[at + 1] = items[i + 1];
    into[at + 2] = items[i + 2];
  }
}

/** Index behind the items whose heads are equal to that at an index. */
function endOfRun(items: Uint32Array, index: number): number {
  const from = index * WORDS;
  let at = from;
  while (at < items.length && items[at] === items[from] && items[at + 1] === items[from + 1]) at += WORDS;
  return at / WORDS;
}

/** Sorts what agrees in its heads, up to a run too long for that or to `to`; the index where it ended. */
function sortShortRuns(
  records: Records,
  items: Uint32Array,
  refs: Uint32Array,
  from: number,
  to: number,
): number {
  let at = from;
  while (at < to) {
    const end = endOfRun(items, at);
    if (end - at > COMPARED_MAX) return at;
    if (end - at > 1) sortFew(records, refs, at, end);
    at = end;
  }
  return at;
}

/** Sorts `refs[from, to)` by comparing keys. */
function sortFew(records: Records, refs: Uint32Array, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const ref = refs[i];
    let at = i;
    for (; at > from && compareKeys(records, refs[at - 1], ref) > 0; at--) refs[at] = refs[at - 1];
    refs[at] = ref;
  }
}

/** Order of the keys of two records. */
export function compareKeys(records: Records, a: Ref, b: Ref): number {
  const aStart = records.keyStart(a);
  const bStart = records.keyStart(b);
  const aEnd = aStart + records.keyLength(a);
  return compareRanges(records.slab(a), aStart, aEnd, records.slab(b), bStart, bStart + records.keyLength(b));
}
