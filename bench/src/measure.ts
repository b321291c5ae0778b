/** What one run of a workload measured; all rates per second, all latencies in ms. */
export interface Measurement {
  readonly workload: string;
  readonly keys: number;
  readonly valueBytes: number;
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly p999Ms?: number;
  /** Latencies in ms at {@link CURVE}, for the plot. */
  readonly curveMs?: readonly number[];
  /** Numbers of another kind, each with its unit in its name; workloads with the same ones share a table. */
  readonly figures?: Readonly<Record<string, number>>;
  readonly note?: string;
}

/** What a workload is given. */
export interface Run {
  /** An empty place on disk that is removed afterwards; the directory itself does not exist yet. */
  readonly directory: string;
  readonly keys: number;
  readonly valueBytes: number;
  /** How long to do the same before measuring, in ms, so that V8 has compiled what is measured. */
  readonly warmUpMs: number;
  /** How long to measure at most, in ms. */
  readonly measureMs: number;
}

/** Of the latencies of one run the quantiles that a plot shows: to 1 in 10,000, closer to the end each time. */
export const CURVE: readonly number[] = [
  0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9999,
];

export const KEY_BYTES = 16;
/** Of the workloads that have one size only. */
export const KEY_COUNT = 100_000;
export const VALUE_BYTES = 100;

/** Sixteen bytes, as the comparison with other stores uses. */
export function keyAt(index: number): string {
  return `user:${index.toString().padStart(11, "0")}`;
}

export function valueAt(index: number, valueBytes = VALUE_BYTES): Uint8Array {
  const value = new Uint8Array(valueBytes);
  for (let i = 0; i < valueBytes; i++) value[i] = i < 4 ? index >>> (8 * i) : (index * 31 + i * 7) & 255;
  return value;
}

/**
 * Values of which each is made long before it is written, as an application's would be: making one costs
 * more than storing it. A prime number of different ones, so that a key that is written again after any round
 * number of writes gets another value: some stores do nothing when it is the same.
 */
export function valuePool(valueBytes: number): (index: number) => Uint8Array {
  const pool = Array.from({ length: 1009 }, (_, i) => valueAt(i, valueBytes));
  return (index) => pool[index % pool.length];
}

/** A permutation of 0 .. count-1, the same in each run: Fisher-Yates on a linear congruential generator. */
export function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 12345;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    // The high bits: the low ones of such a generator go round in short circles.
    const j = Math.floor((state / 4294967296) * (i + 1));
    const held = order[i];
    order[i] = order[j];
    order[j] = held;
  }
  return order;
}

export function quantile(sorted: ArrayLike<number>, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

/** Median, p99, p99.9 and the curve of ascending latencies. */
export function latencyFigures(
  sorted: ArrayLike<number>,
): Pick<Measurement, "p50Ms" | "p99Ms" | "p999Ms" | "curveMs"> {
  const [p50Ms, p99Ms, p999Ms] = [0.5, 0.99, 0.999].map((q) => quantile(sorted, q));
  return { p50Ms, p99Ms, p999Ms, curveMs: CURVE.map((q) => quantile(sorted, q)) };
}

/**
 * Does the same work before it is measured, in two stores, one after the other, which are thrown away. V8 compiles it
 * in the first one, for what is the same all the time in one store: fields that have only ever had one value or one
 * shape. Most of that it throws away when the second one is opened, and compiles it again, for whatever store comes.
 */
export async function warmUp(
  { directory, warmUpMs }: Pick<Run, "directory" | "warmUpMs">,
  work: (directory: string, timeMs: number) => Promise<unknown>,
): Promise<void> {
  await work(`${directory}-warm-1`, warmUpMs / 2);
  await work(`${directory}-warm-2`, warmUpMs / 2);
}

/** What {@link concurrently} saw; latencies in ms, ascending. */
export interface Concurrent {
  readonly operations: number;
  readonly seconds: number;
  readonly latencies: Float64Array;
}

/** Runs `writers` loops that each await one operation after the other, for at most `timeMs` and until `isOver`. */
export async function concurrently(
  writers: number,
  operationsMax: number,
  timeMs: number,
  operation: (index: number) => unknown,
  isOver: () => boolean = () => false,
): Promise<Concurrent> {
  const latencies = new Latencies();
  let next = 0;
  const begin = performance.now();
  const loop = async (): Promise<void> => {
    while (next < operationsMax) {
      const index = next++;
      const start = performance.now();
      await operation(index);
      const end = performance.now();
      latencies.add(end - start);
      if (end - begin > timeMs || isOver()) return;
    }
  };
  await Promise.all(Array.from({ length: writers }, loop));
  const seconds = (performance.now() - begin) / 1000;
  return { operations: latencies.count, seconds, latencies: latencies.sorted() };
}

/** A list of numbers that grows without a number object for each. */
class Latencies {
  count = 0;
  #values = new Float64Array(65_536);

  add(value: number): void {
    if (this.count === this.#values.length) {
      const larger = new Float64Array(2 * this.count);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.count++] = value;
  }

  sorted(): Float64Array {
    return this.#values.subarray(0, this.count).sort();
  }
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
