import type { Ref } from "../engine.js";
import { DISCARDED } from "./record-marks.js";
import type { Records } from "./records.js";

const PAGE_EXPONENT = 14;
const PAGE_REFS = 2 ** PAGE_EXPONENT;
const PAGE_MASK = PAGE_REFS - 1;

/**
 * References in the order in which they came, during a load. Records that are discarded meanwhile are freed
 * and taken out by {@link sweep}, which goes round and round: what it passed has closed up in front of a gap.
 */
export class RefList {
  readonly #pages: Uint32Array[] = [];
  /** References are in `[0, #written)` and in `[#read, #end)`. */
  #written = 0;
  #read = 0;
  #end = 0;

  get size(): number {
    return this.#written + this.#end - this.#read;
  }

  push(ref: Ref): void {
    const page = this.#end >>> PAGE_EXPONENT;
    if (page === this.#pages.length) this.#pages.push(new Uint32Array(PAGE_REFS));
    this.#pages[page][this.#end & PAGE_MASK] = ref;
    this.#end++;
  }

  /** The reference at an index below {@link size}. */
  at(index: number): Ref {
    const place = index < this.#written ? index : index + this.#read - this.#written;
    return this.#pages[place >>> PAGE_EXPONENT][place & PAGE_MASK];
  }

  /** Looks at so many references, or at what is left of the round, and lets go of those that are discarded. */
  sweep(records: Records, count: number): void {
    const end = Math.min(this.#end, this.#read + count);
    for (; this.#read < end; this.#read++) {
      const ref = this.#pages[this.#read >>> PAGE_EXPONENT][this.#read & PAGE_MASK];
      if (records.has(ref, DISCARDED)) {
        records.free(ref);
        continue;
      }
      this.#pages[this.#written >>> PAGE_EXPONENT][this.#written & PAGE_MASK] = ref;
      this.#written++;
    }
    if (this.#read < this.#end) return;
    this.#end = this.#written;
    this.#read = 0;
    this.#written = 0;
    this.#pages.length = Math.ceil(this.#end / PAGE_REFS);
  }

  clear(): void {
    this.#pages.length = 0;
    this.#written = 0;
    this.#read = 0;
    this.#end = 0;
  }
}
