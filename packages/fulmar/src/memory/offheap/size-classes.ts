/** Cell sizes step by eight bytes up to so many units, and then sixteen times for each doubling. */
const EXACT_UNITS = 32;
const STEPS_PER_DOUBLING = 16;
/** Least cells of a span, so that what is left at its end stays small. */
const SPAN_CELLS_MIN = 8;

/**
 * Cell sizes in units of eight bytes. Rounding a size up to its class wastes at most 1/16 of it: entries
 * are not all of one size, and every size more is spans that are only partly filled.
 */
export class SizeClasses {
  /** Units of the cells of each class, ascending. */
  readonly units: Uint32Array;
  /** Pages of a span of each class. */
  readonly spanPages: Uint32Array;
  /** The class for each number of units. */
  readonly #classes: Uint16Array;

  constructor(cellBytesMax: number, pageBytes: number, spanPagesMin: number) {
    const unitsMax = cellBytesMax >>> 3;
    const sizes: number[] = [];
    for (let units = 2; units < unitsMax; units += step(units)) sizes.push(units);
    sizes.push(unitsMax);
    this.units = Uint32Array.from(sizes);
    this.spanPages = this.units.map((units) => {
      let pages = spanPagesMin;
      while (pages * pageBytes < SPAN_CELLS_MIN * 8 * units) pages *= 2;
      return pages;
    });
    this.#classes = new Uint16Array(unitsMax + 1);
    for (let units = 0, index = 0; units <= unitsMax; units++) {
      if (units > sizes[index]) index++;
      this.#classes[units] = index;
    }
  }

  /** The class of the smallest cells that hold so many units. */
  classOf(units: number): number {
    return this.#classes[units];
  }
}

function step(units: number): number {
  return units < EXACT_UNITS ? 1 : 2 ** (31 - Math.clz32(units)) / STEPS_PER_DOUBLING;
}
