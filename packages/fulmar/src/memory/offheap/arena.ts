import { assert } from "../../base/assert.js";
import type { Ref } from "../engine.js";
import type { Backing } from "./backing.js";
import type { EngineShape } from "./shape.js";
import { SizeClasses } from "./size-classes.js";
import { RUN_DATA, type Run, Slabs } from "./slabs.js";

/** What the arena notes on the first page of a run. */
const CLASS = RUN_DATA;
/** Cells in use. */
const LIVE = RUN_DATA + 1;
/** One more than the unit of the first cell that was given back; 0 when there is none. */
const FREE = RUN_DATA + 2;
/** The unit from which on no cell was ever handed out. */
const FRESH = RUN_DATA + 3;
/** Neighbours in the list of spans that have room, of one class. */
const NEXT = RUN_DATA + 4;
const PREVIOUS = RUN_DATA + 5;

/** The class of a run that is one record. */
const WHOLE = 0xffff;
/** Spans without cells in use that are kept for the next need: as many as there are sizes of a short-lived thing. */
const IDLE_MAX = 8;
/** Of these none that is more than this part of a slab. */
const IDLE_SHARE = 1 / 16;

/**
 * Hands out and takes back memory. Small cells of one size share a span; the free ones of a span are chained through
 * their first words, and a span without cells in use goes back to the slabs, so that records of a new size use what
 * those of an old size left. The few that were emptied last stay for a while: a tombstone that comes and goes with each
 * deletion would have the pages of a slab searched twice for it.
 */
export class Arena {
  readonly slabs: Slabs;
  /** Takes what is given back instead, with its size in bytes, as long as other threads may look at it. */
  defer: ((ref: Ref, bytes: number) => void) | undefined;
  readonly #classes: SizeClasses;
  readonly #pageBytes: number;
  readonly #cellUnitsMax: number;
  readonly #ownBytesMin: number;
  /** The first span with room of each class; 0 when there is none. */
  readonly #open: Uint32Array;
  /** Spans that were emptied last, the latest at the end; some are in use again. */
  readonly #idle: Run[] = [];
  #usedBytes = 0;
  #waitingBytes = 0;
  #taken = 0;

  constructor(shape: EngineShape, backing?: Backing) {
    this.slabs = new Slabs(shape, backing);
    this.#classes = new SizeClasses(shape.cellBytesMax, shape.pageBytes, shape.spanPagesMin);
    this.#pageBytes = shape.pageBytes;
    this.#cellUnitsMax = shape.cellBytesMax >>> 3;
    this.#ownBytesMin = shape.ownSlabBytesMin;
    this.#open = new Uint32Array(this.#classes.units.length);
  }

  /** Bytes of everything that is handed out, rounded up as it is. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The same with what was given back and waits until nobody looks at it any more. */
  get liveBytes(): number {
    return this.#usedBytes + this.#waitingBytes;
  }

  /** Bytes that `take` hands out when so many are asked for. */
  sizeFor(bytes: number): number {
    const units = (bytes + 7) >>> 3;
    if (units <= this.#cellUnitsMax) return this.#classes.units[this.#classes.classOf(units)] * 8;
    return bytes >= this.#ownBytesMin ? units * 8 : Math.ceil(bytes / this.#pageBytes) * this.#pageBytes;
  }

  /** Bytes that were handed out at `ref`. */
  sizeOf(ref: Ref): number {
    const slabs = this.slabs;
    const slab = ref >>> slabs.slabShift;
    if (slabs.isOwn(slab)) return slabs.bytes[slab].length;
    const run = slabs.runOf(ref);
    const index = slabs.pages[slab][slabs.pageBase(run) + CLASS];
    return index === WHOLE ? slabs.runPages(run) * this.#pageBytes : this.#classes.units[index] * 8;
  }

  /** Memory for so many bytes, not zeroed. Throws, and nothing is taken, where there is none. */
  take(bytes: number): Ref {
    const ref = this.#takeWhere(bytes);
    this.#usedBytes += this.sizeFor(bytes);
    return ref;
  }

  #takeWhere(bytes: number): Ref {
    const units = (bytes + 7) >>> 3;
    if (units <= this.#cellUnitsMax) return this.#takeCell(this.#classes.classOf(units));
    if (bytes >= this.#ownBytesMin) return this.slabs.takeOwn(bytes);
    const run = this.slabs.takeRun(Math.ceil(bytes / this.#pageBytes));
    const slab = this.slabs.slabOf(run);
    const pages = this.slabs.pages[slab];
    const base = this.slabs.pageBase(run);
    pages[base + CLASS] = WHOLE;
    pages[base + LIVE] = 1;
    this.slabs.liveUnits[slab] += this.#unitsOf(run, WHOLE);
    return this.#refAt(run, this.slabs.firstUnit(run));
  }

  /**
   * Memory for some pieces of so many bytes, one behind the other and {@link sizeFor} bytes apart: at least one
   * and at most `count`, which {@link taken} tells.
   */
  takeRow(bytes: number, count: number): Ref {
    this.#taken = 1;
    const units = (bytes + 7) >>> 3;
    if (count === 1 || units > this.#cellUnitsMax) return this.take(bytes);
    const index = this.#classes.classOf(units);
    const run = this.#open[index] === 0 ? this.#addSpan(index) : this.#open[index];
    const slab = this.slabs.slabOf(run);
    const pages = this.slabs.pages[slab];
    const base = this.slabs.pageBase(run);
    // Cells that were given back stand anywhere.
    if (pages[base + FREE] !== 0) return this.take(bytes);
    const unit = pages[base + FRESH];
    const size = this.#classes.units[index];
    this.#taken = Math.min(count, Math.floor((this.#endUnit(run, index) - unit) / size));
    pages[base + FRESH] = unit + this.#taken * size;
    pages[base + LIVE] += this.#taken;
    this.slabs.liveUnits[slab] += this.#taken * size;
    this.#usedBytes += this.#taken * size * 8;
    if (this.#isFull(pages, base, run, index)) this.#unlist(run, index);
    return this.#refAt(run, unit);
  }

  /** Pieces that the last {@link takeRow} handed out. */
  get taken(): number {
    return this.#taken;
  }

  give(ref: Ref): void {
    const bytes = this.sizeOf(ref);
    this.#usedBytes -= bytes;
    if (this.defer === undefined) this.#release(ref);
    else {
      this.#waitingBytes += bytes;
      this.defer(ref, bytes);
    }
  }

  /** Takes memory back that was deferred, now that nobody looks at it any more. */
  release(ref: Ref): void {
    this.#waitingBytes -= this.sizeOf(ref);
    this.#release(ref);
  }

  #release(ref: Ref): void {
    const slabs = this.slabs;
    const slab = ref >>> slabs.slabShift;
    if (slabs.isOwn(slab)) {
      slabs.giveOwn(slab);
      return;
    }
    const run = slabs.runOf(ref);
    const pages = slabs.pages[slab];
    const base = slabs.pageBase(run);
    const index = pages[base + CLASS];
    const isSpan = index !== WHOLE;
    const isListed = isSpan && !slabs.isRetired(slab);
    const wasFull = isSpan && this.#isFull(pages, base, run, index);
    assert(pages[base + LIVE] > 0, "memory is given back once");
    slabs.liveUnits[slab] -= this.#unitsOf(run, index);
    if (--pages[base + LIVE] === 0) {
      if (isListed && this.#mayRest(index)) this.#rest(run, index, wasFull);
      else {
        if (isListed && !wasFull) this.#unlist(run, index);
        slabs.giveRun(run);
      }
      this.#giveIdleIn(slab);
      return;
    }
    const unit = ref & slabs.unitMask;
    slabs.words[slab][unit << 1] = pages[base + FREE];
    pages[base + FREE] = unit + 1;
    if (wasFull && isListed) this.#list(run, index);
  }

  /** The same of one slab that is shared by runs. */
  liveBytesOf(slab: number): number {
    return this.slabs.liveUnits[slab] * 8;
  }

  /** Hands nothing out from a slab from now on: it goes when the last that is in it is given back. */
  retire(slab: number): void {
    for (const run of this.#idle.filter((idle) => this.slabs.slabOf(idle) === slab)) this.#giveIdle(run);
    for (const [run, index] of this.#roomy(slab)) this.#unlist(run, index);
    this.slabs.retire(slab);
  }

  /** Takes back that a slab is retired. */
  restore(slab: number): void {
    this.slabs.restore(slab);
    for (const [run, index] of this.#roomy(slab)) this.#list(run, index);
  }

  /** How many pieces of memory are handed out, by a walk over all; throws INVARIANT if anything contradicts. */
  verify(): number {
    this.slabs.verify();
    let [live, open, bytes] = [0, 0, 0];
    for (let slab = 1; slab < this.slabs.bytes.length; slab++) {
      if (!this.slabs.isOwn(slab)) continue;
      live++;
      bytes += this.slabs.bytes[slab].length;
    }
    const units = this.slabs.bytes.map(() => 0);
    for (const run of this.slabs.runs()) {
      const pages = this.slabs.pages[this.slabs.slabOf(run)];
      const base = this.slabs.pageBase(run);
      live += pages[base + LIVE];
      bytes += pages[base + LIVE] * this.sizeOf(this.#refAt(run, this.slabs.firstUnit(run)));
      units[this.slabs.slabOf(run)] += pages[base + LIVE] * this.#unitsOf(run, pages[base + CLASS]);
      if (pages[base + CLASS] === WHOLE) assert(pages[base + LIVE] === 1, "a run for one record holds one");
      else if (this.#verifySpan(run, pages, base) && !this.slabs.isRetired(this.slabs.slabOf(run))) open++;
    }
    for (const [index, first] of this.#open.entries()) open -= this.#verifyList(index, first);
    assert(this.#idle.length <= IDLE_MAX, "few spans are kept that are not in use");
    assert(open === 0, "spans with room are listed, others are not");
    const isCounted = units.every((count, slab) => count === this.slabs.liveUnits[slab]);
    assert(isCounted, "what is handed out of each slab is counted");
    assert(bytes === this.liveBytes, "bytes that are handed out are counted");
    return live;
  }

  /** Whether `ref` is where a cell begins that is handed out. For tests: it walks the free cells. */
  isLive(ref: Ref): boolean {
    const slabs = this.slabs;
    const slab = ref >>> slabs.slabShift;
    if (slabs.isOwn(slab)) return (ref & slabs.unitMask) === 0;
    const run = slabs.runOf(ref);
    const pages = slabs.pages[slab];
    const base = slabs.pageBase(run);
    const unit = ref & slabs.unitMask;
    const first = slabs.firstUnit(run);
    if (pages[base + CLASS] === WHOLE) return unit === first;
    const size = this.#classes.units[pages[base + CLASS]];
    if ((unit - first) % size !== 0 || unit >= pages[base + FRESH]) return false;
    for (let free = pages[base + FREE]; free !== 0; free = slabs.words[slab][(free - 1) << 1]) {
      if (free === unit + 1) return false;
    }
    return true;
  }

  #mayRest(index: number): boolean {
    return this.#classes.spanPages[index] <= this.slabs.pagesPerSlab * IDLE_SHARE;
  }

  /** Keeps a span that was emptied, and gives the one back that has been kept the longest. */
  #rest(run: Run, index: number, wasFull: boolean): void {
    if (wasFull) this.#list(run, index);
    this.#set(run, FREE, 0);
    this.#set(run, FRESH, this.slabs.firstUnit(run));
    if (this.#idle.includes(run)) return;
    this.#idle.push(run);
    if (this.#idle.length <= IDLE_MAX) return;
    const [oldest] = this.#idle;
    this.#giveIdle(oldest);
    this.#giveIdleIn(this.slabs.slabOf(oldest));
  }

  /** Gives a span back that was kept, unless it is in use again. */
  #giveIdle(run: Run): void {
    this.#idle.splice(this.#idle.indexOf(run), 1);
    if (this.#get(run, LIVE) > 0) return;
    this.#unlist(run, this.#get(run, CLASS));
    this.slabs.giveRun(run);
  }

  /** Gives the spans of a slab back that were kept, if there is nothing else in it. */
  #giveIdleIn(slab: number): void {
    const idle = this.#idle.filter((run) => this.slabs.slabOf(run) === slab && this.#get(run, LIVE) === 0);
    if (idle.length === 0) return;
    const pages = idle.reduce((sum, run) => sum + this.slabs.runPages(run), 0);
    if (pages === this.slabs.usedPagesOf(slab)) for (const run of idle) this.#giveIdle(run);
  }

  /** The spans of a slab that have room, each with its class. */
  *#roomy(slab: number): IterableIterator<[Run, number]> {
    const pages = this.slabs.pages[slab];
    for (const run of this.slabs.runsIn(slab)) {
      const base = this.slabs.pageBase(run);
      const index = pages[base + CLASS];
      if (index !== WHOLE && !this.#isFull(pages, base, run, index)) yield [run, index];
    }
  }

  #takeCell(index: number): Ref {
    const slabs = this.slabs;
    const run = this.#open[index] === 0 ? this.#addSpan(index) : this.#open[index];
    const slab = slabs.slabOf(run);
    const pages = slabs.pages[slab];
    const base = slabs.pageBase(run);
    const free = pages[base + FREE];
    let unit = free - 1;
    if (free === 0) {
      unit = pages[base + FRESH];
      pages[base + FRESH] = unit + this.#classes.units[index];
    } else pages[base + FREE] = slabs.words[slab][unit << 1];
    pages[base + LIVE]++;
    slabs.liveUnits[slab] += this.#classes.units[index];
    if (this.#isFull(pages, base, run, index)) this.#unlist(run, index);
    return this.#refAt(run, unit);
  }

  #addSpan(index: number): Run {
    const run = this.slabs.takeRun(this.#classes.spanPages[index]);
    const pages = this.slabs.pages[this.slabs.slabOf(run)];
    const base = this.slabs.pageBase(run);
    pages[base + CLASS] = index;
    pages[base + FRESH] = this.slabs.firstUnit(run);
    this.#list(run, index);
    return run;
  }

  #isFull(pages: Uint32Array, base: number, run: Run, index: number): boolean {
    const end = pages[base + FRESH] + this.#classes.units[index];
    return pages[base + FREE] === 0 && end > this.#endUnit(run, index);
  }

  /** Units of each piece of a run of this class. */
  #unitsOf(run: Run, index: number): number {
    return index === WHOLE ? (this.slabs.runPages(run) * this.#pageBytes) >>> 3 : this.#classes.units[index];
  }

  #endUnit(run: Run, index: number): number {
    return this.slabs.firstUnit(run) + ((this.#classes.spanPages[index] * this.#pageBytes) >>> 3);
  }

  #refAt(run: Run, unit: number): Ref {
    return ((this.slabs.slabOf(run) << this.slabs.slabShift) | unit) >>> 0;
  }

  #list(run: Run, index: number): void {
    const next = this.#open[index];
    this.#open[index] = run;
    this.#set(run, NEXT, next);
    this.#set(run, PREVIOUS, 0);
    if (next !== 0) this.#set(next, PREVIOUS, run);
  }

  #unlist(run: Run, index: number): void {
    const next = this.#get(run, NEXT);
    const previous = this.#get(run, PREVIOUS);
    if (previous === 0) this.#open[index] = next;
    else this.#set(previous, NEXT, next);
    if (next !== 0) this.#set(next, PREVIOUS, previous);
  }

  #get(run: Run, field: number): number {
    return this.slabs.pages[this.slabs.slabOf(run)][this.slabs.pageBase(run) + field];
  }

  #set(run: Run, field: number, value: number): void {
    this.slabs.pages[this.slabs.slabOf(run)][this.slabs.pageBase(run) + field] = value;
  }

  /** Checks the free cells of a span; whether it has room. */
  #verifySpan(run: Run, pages: Uint32Array, base: number): boolean {
    const index = pages[base + CLASS];
    const size = this.#classes.units[index];
    const first = this.slabs.firstUnit(run);
    const words = this.slabs.words[this.slabs.slabOf(run)];
    const free = new Set<number>();
    const isWhole = this.slabs.runPages(run) === this.#classes.spanPages[index];
    assert(isWhole, "a span is as long as its class says");
    for (let next = pages[base + FREE]; next !== 0; next = words[(next - 1) << 1]) {
      const unit = next - 1;
      assert(unit >= first && unit < pages[base + FRESH], "free cells are of their span");
      assert((unit - first) % size === 0 && !free.has(unit), "free cells are whole and listed once");
      free.add(unit);
    }
    assert(pages[base + FRESH] <= this.#endUnit(run, index), "cells end with their span");
    const used = (pages[base + FRESH] - first) / size - free.size;
    assert(pages[base + LIVE] === used, "cells in use are counted");
    assert(pages[base + LIVE] > 0 || this.#idle.includes(run), "a span without cells in use is given back");
    return !this.#isFull(pages, base, run, index);
  }

  #verifyList(index: number, first: Run): number {
    let count = 0;
    let previous = 0;
    for (let run = first; run !== 0; run = this.#get(run, NEXT)) {
      assert(this.#get(run, PREVIOUS) === previous, "spans with room are linked both ways");
      const pages = this.slabs.pages[this.slabs.slabOf(run)];
      const base = this.slabs.pageBase(run);
      assert(pages[base + CLASS] === index, "a list has spans of one class");
      assert(!this.#isFull(pages, base, run, index), "a listed span has room");
      previous = run;
      count++;
    }
    return count;
  }
}
