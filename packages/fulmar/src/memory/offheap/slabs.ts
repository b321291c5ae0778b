import { assert } from "../../base/assert.js";
import { FulmarError } from "../../base/errors.js";
import type { Ref } from "../engine.js";
import { type Backing, PRIVATE_BACKING } from "./backing.js";
import { type EngineShape, exponentOf, powerWithin } from "./shape.js";

/** Slabs numbers fill the upper bits of a reference; the lower ones count units of eight bytes. */
const UNIT_EXPONENT = 3;
/** No slab: the first number is never used. */
const NO_SLAB = 0;

/** What is noted for each page of a slab. Only START means anything beside the first page of a run. */
export const PAGE_WORDS = 8;
/** One more than the first page of the run that the page is in; 0 when the page is free. */
const START = 0;
/** Pages of the run. */
const RUN_PAGES = 1;
/** Words of the first page from here on belong to whoever took the run. */
export const RUN_DATA = 2;

/** A run of pages: slab number times pages a slab, plus the first page. Never 0. */
export type Run = number;
const NO_RUN: Run = 0;

/**
 * The memory of the arena: slabs that are cut into runs of pages, the larger the more there are, and slabs made to
 * measure for what is too large to share one. A slab is given back to the system when nothing is left in it.
 */
export class Slabs {
  /** The bytes of each slab, and the same memory as words; empty arrays where there is no slab. */
  readonly bytes: Uint8Array[] = [new Uint8Array(0)];
  readonly words: Uint32Array[] = [new Uint32Array(0)];
  /** {@link PAGE_WORDS} words for each page of a shared slab. */
  readonly pages: Uint32Array[] = [new Uint32Array(0)];
  /** Units that are handed out of each shared slab. Whoever takes runs counts them. */
  readonly liveUnits: number[] = [0];
  /** A reference shifted right by this is its slab's number. */
  readonly slabShift: number;
  readonly unitMask: number;
  /** Pages of the largest slab that is shared: how far apart the runs of two slabs are numbered. */
  readonly pagesPerSlab: number;
  readonly #shape: EngineShape;
  readonly #backing: Backing;
  readonly #slabsMax: number;
  readonly #pageUnitShift: number;
  /** The longest run that is free in each slab; 0 for slabs made to measure and for none. */
  readonly #freeRun: number[] = [0];
  readonly #usedPages: number[] = [0];
  /** Before the first of these pages of a slab none is free, and from the second on all are. */
  readonly #firstFree: number[] = [0];
  readonly #tail: number[] = [0];
  readonly #freeNumbers: number[] = [];
  /** Slabs that hand nothing out any more, and go when the last run in them is given back. */
  readonly #retired = new Set<number>();
  /** A slab without anything in it that is kept for the next need, unless a new one would be smaller. */
  #spare = NO_SLAB;
  #allocatedBytes = 0;
  /** The part of that which is not for records: what is noted, and what buffers have beyond what was asked for. */
  #besideBytes = 0;

  constructor(shape: EngineShape, backing: Backing = PRIVATE_BACKING) {
    this.#shape = shape;
    this.#backing = backing;
    this.slabShift = exponentOf(shape.slabBytes) - UNIT_EXPONENT;
    this.unitMask = 2 ** this.slabShift - 1;
    this.pagesPerSlab = shape.slabBytes / shape.pageBytes;
    this.#pageUnitShift = exponentOf(shape.pageBytes) - UNIT_EXPONENT;
    this.#slabsMax = 2 ** (32 - this.slabShift);
  }

  /** Bytes of all slabs and of what is noted about them. */
  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** Bytes of all slabs that records can be in. */
  get dataBytes(): number {
    return this.#allocatedBytes - this.#besideBytes;
  }

  /** Bytes of a slab that would be added now. */
  get nextBytes(): number {
    return this.#bytesBeside(this.dataBytes);
  }

  /** A new slab is as large as all others together, up to a size that the system surely gets back. */
  #bytesBeside(others: number): number {
    return powerWithin(others, this.#shape.slabBytesMin, this.#shape.slabBytes);
  }

  /** Takes `count` pages in a row. */
  takeRun(count: number): Run {
    let slab = 1;
    // At most 1023 slabs, and only once for a span of many records.
    while (slab < this.#freeRun.length && this.#freeRun[slab] < count) slab++;
    if (slab === this.#freeRun.length) slab = this.#addShared(count);
    const pages = this.pages[slab];
    const from = this.#firstFree[slab];
    const first = findFree(pages, from, count);
    for (let page = first; page < first + count; page++) pages[page * PAGE_WORDS + START] = first + 1;
    pages[first * PAGE_WORDS + RUN_PAGES] = count;
    if (slab === this.#spare) this.#spare = NO_SLAB;
    this.#usedPages[slab] += count;
    if (first === from) this.#firstFree[slab] = first + count;
    this.#tail[slab] = Math.max(this.#tail[slab], first + count);
    this.#freeRun[slab] = this.#longestFree(slab);
    return slab * this.pagesPerSlab + first;
  }

  giveRun(run: Run): void {
    const slab = this.slabOf(run);
    const pages = this.pages[slab];
    const first = run % this.pagesPerSlab;
    const count = pages[first * PAGE_WORDS + RUN_PAGES];
    assert(pages[first * PAGE_WORDS + START] === first + 1, "a run of pages is given back once");
    pages.fill(0, first * PAGE_WORDS, (first + count) * PAGE_WORDS);
    this.#usedPages[slab] -= count;
    this.#firstFree[slab] = Math.min(this.#firstFree[slab], first);
    if (this.#tail[slab] === first + count) this.#tail[slab] = first;
    const isRetired = this.isRetired(slab);
    this.#freeRun[slab] = isRetired ? 0 : this.#longestFree(slab);
    if (this.#usedPages[slab] > 0) return;
    if (isRetired) this.#drop(slab);
    this.#keepOne(isRetired ? [this.#spare] : [this.#spare, slab]);
  }

  /** Of empty slabs the largest stays that is not larger than a new one would be, and is the spare one. */
  #keepOne(empty: readonly number[]): void {
    const sizeOf = (slab: number): number => this.bytes[slab].length;
    const most = this.#bytesBeside(empty.reduce((others, slab) => others - sizeOf(slab), this.dataBytes));
    this.#spare = NO_SLAB;
    for (const slab of empty.toSorted((a, b) => sizeOf(b) - sizeOf(a))) {
      if (slab === NO_SLAB) continue;
      if (this.#spare === NO_SLAB && sizeOf(slab) <= most) this.#spare = slab;
      else this.#drop(slab);
    }
  }

  /** A slab for one record of so many bytes. */
  takeOwn(bytes: number): Ref {
    const slab = this.#add(Math.ceil(bytes / 8) * 8, 0);
    return (slab << this.slabShift) >>> 0;
  }

  isOwn(slab: number): boolean {
    return this.#usedPages[slab] < 0;
  }

  giveOwn(slab: number): void {
    assert(this.isOwn(slab), "a slab of a record of its own is given back once");
    this.#drop(slab);
    this.#keepOne([this.#spare]);
  }

  /** Whether a slab is shared by runs, and at least one is in use. */
  isShared(slab: number): boolean {
    return this.#usedPages[slab] > 0;
  }

  /** Pages of a shared slab that are in use. */
  usedPagesOf(slab: number): number {
    return this.#usedPages[slab];
  }

  isRetired(slab: number): boolean {
    return this.#retired.size > 0 && this.#retired.has(slab);
  }

  /** Whether any slab is retired. */
  get hasRetired(): boolean {
    return this.#retired.size > 0;
  }

  /** Hands nothing out from a shared slab from now on. */
  retire(slab: number): void {
    assert(this.isShared(slab), "a slab that is retired has something in it");
    this.#retired.add(slab);
    this.#freeRun[slab] = 0;
  }

  /** Takes back that a slab is retired. */
  restore(slab: number): void {
    this.#retired.delete(slab);
    this.#freeRun[slab] = this.#longestFree(slab);
  }

  slabOf(run: Run): number {
    return Math.floor(run / this.pagesPerSlab);
  }

  /** Where the words of a run's first page begin in `pages` of its slab. */
  pageBase(run: Run): number {
    return (run % this.pagesPerSlab) * PAGE_WORDS;
  }

  runPages(run: Run): number {
    return this.pages[this.slabOf(run)][this.pageBase(run) + RUN_PAGES];
  }

  /** Where a reference begins in the bytes of its slab. */
  byteAt(ref: Ref): number {
    return (ref & this.unitMask) << UNIT_EXPONENT;
  }

  /** The unit at which a run begins in its slab. */
  firstUnit(run: Run): number {
    return (run % this.pagesPerSlab) << this.#pageUnitShift;
  }

  /** The run that holds a reference to a shared slab. */
  runOf(ref: Ref): Run {
    const slab = ref >>> this.slabShift;
    const page = (ref & this.unitMask) >>> this.#pageUnitShift;
    const start = this.pages[slab][page * PAGE_WORDS + START];
    assert(start > 0, "a reference leads to pages that are in use");
    return slab * this.pagesPerSlab + start - 1;
  }

  /** All runs in use, slabs made to measure not among them. */
  *runs(): IterableIterator<Run> {
    for (const slab of this.pages.keys()) yield* this.runsIn(slab);
  }

  /** The runs in use of one slab. */
  *runsIn(slab: number): IterableIterator<Run> {
    let run = this.#runFrom(slab, 0);
    while (run !== NO_RUN) {
      yield run;
      run = this.#runFrom(slab, (run % this.pagesPerSlab) + this.runPages(run));
    }
  }

  #runFrom(slab: number, from: number): Run {
    const pages = this.pages[slab];
    const end = pages.length / PAGE_WORDS;
    let page = from;
    while (page < end && pages[page * PAGE_WORDS + START] === 0) page++;
    return page < end ? slab * this.pagesPerSlab + page : NO_RUN;
  }

  /** Throws INVARIANT unless what is noted of slabs and pages is what a recount gives. */
  verify(): void {
    let bytes = 0;
    let data = 0;
    const empty: number[] = [];
    for (const [slab, memory] of this.bytes.entries()) {
      const pages = this.pages[slab];
      bytes += memory.buffer.byteLength + pages.length * 4;
      data += memory.length;
      assert(
        this.words[slab].buffer === memory.buffer || memory.length === 0,
        "bytes and words are one memory",
      );
      if (pages.length === 0) continue;
      let used = 0;
      for (let at = START; at < pages.length; at += PAGE_WORDS) if (pages[at] > 0) used++;
      if (used === 0) empty.push(slab);
      assert(used === this.#usedPages[slab], "used pages are counted");
      const longest = this.isRetired(slab) ? 0 : longestFree(pages, 0, pages.length / PAGE_WORDS);
      assert(this.#freeRun[slab] === longest, "the longest free run is known");
    }
    assert(empty.length <= 1 && (empty[0] ?? NO_SLAB) === this.#spare, "no slab is empty but the spare one");
    assert(bytes === this.#allocatedBytes && data === this.dataBytes, "the bytes of slabs are counted");
  }

  #longestFree(slab: number): number {
    return longestFree(this.pages[slab], this.#firstFree[slab], this.#tail[slab]);
  }

  /** A slab with room for a run of so many pages. */
  #addShared(count: number): number {
    const { pageBytes, slabBytes } = this.#shape;
    const pageCount =
      Math.max(this.nextBytes, powerWithin(2 * count * pageBytes - 1, 1, slabBytes)) / pageBytes;
    const slab = this.#add(pageCount * pageBytes, pageCount);
    this.#freeRun[slab] = pageCount;
    this.#usedPages[slab] = 0;
    return slab;
  }

  #add(byteLength: number, pageCount: number): number {
    if (this.#freeNumbers.length === 0 && this.bytes.length === this.#slabsMax) throw this.#full();
    // First: there may be no memory for them.
    const pages = new Uint32Array(pageCount * PAGE_WORDS);
    const buffer = this.#backing.allocate(byteLength);
    // Slab 0 is never used, so that no reference is 0.
    const slab = this.#freeNumbers.pop() ?? this.bytes.length;
    this.words[slab] = new Uint32Array(buffer, 0, byteLength / 4);
    this.bytes[slab] = new Uint8Array(buffer, 0, byteLength);
    this.pages[slab] = pages;
    this.liveUnits[slab] = 0;
    this.#freeRun[slab] = 0;
    this.#firstFree[slab] = 0;
    this.#tail[slab] = 0;
    this.#usedPages[slab] = -1;
    this.#allocatedBytes += buffer.byteLength + this.pages[slab].byteLength;
    this.#besideBytes += buffer.byteLength + this.pages[slab].byteLength - byteLength;
    this.#backing.added(slab, buffer);
    return slab;
  }

  #full(): FulmarError {
    const usedBytes = this.dataBytes;
    const stated = `a store has ${this.#slabsMax - 1} pieces of memory at most, and all are in use`;
    return new FulmarError("MEMORY_FULL", `${stated}: delete something, or use several stores`, {
      usedBytes,
    });
  }

  #drop(slab: number): void {
    const { buffer } = this.bytes[slab];
    this.#retired.delete(slab);
    this.#allocatedBytes -= buffer.byteLength + this.pages[slab].byteLength;
    this.#besideBytes -= buffer.byteLength + this.pages[slab].byteLength - this.bytes[slab].length;
    this.bytes[slab] = this.bytes[0];
    this.words[slab] = this.words[0];
    this.pages[slab] = this.pages[0];
    this.#freeRun[slab] = 0;
    this.#usedPages[slab] = 0;
    this.#backing.dropped(slab, buffer, () => this.#freeNumbers.push(slab));
  }
}

/** The first page of the first free run that is long enough, at or behind a page. */
function findFree(pages: Uint32Array, from: number, count: number): number {
  let length = 0;
  for (let page = from; page * PAGE_WORDS < pages.length; page++) {
    length = pages[page * PAGE_WORDS + START] === 0 ? length + 1 : 0;
    if (length === count) return page - count + 1;
  }
  assert(false, "a slab has the free run that is noted");
}

/** The longest free run, where none is free before `from` and all are free from `tail` on. */
function longestFree(pages: Uint32Array, from: number, tail: number): number {
  let longest = 0;
  let length = 0;
  for (let page = from; page < tail; page++) {
    length = pages[page * PAGE_WORDS + START] === 0 ? length + 1 : 0;
    if (length > longest) longest = length;
  }
  return Math.max(longest, length + pages.length / PAGE_WORDS - tail);
}
