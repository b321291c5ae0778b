/** What one run of a workload measured; all rates per second, all latencies in ms. */
export interface Measurement {
  readonly workload: string;
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly note?: string;
}

export const KEY_COUNT = 100_000;
export const VALUE_BYTES = 100;

/** Sixteen bytes, as the comparison with other stores uses. */
export function keyAt(index: number): string {
  return `user:${index.toString().padStart(11, "0")}`;
}

export function valueAt(index: number): Uint8Array {
  const value = new Uint8Array(VALUE_BYTES);
  for (let i = 0; i < VALUE_BYTES; i++) value[i] = (index * 31 + i * 7) & 255;
  return value;
}

/** A permutation of 0 .. count-1, the same in each run: Fisher-Yates on a linear congruential generator. */
export function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 12345;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = state % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

/** Runs `writers` loops that each await one operation after the other, for at most `timeMs`. */
export async function concurrently(
  writers: number,
  operationsMax: number,
  timeMs: number,
  operation: (index: number) => Promise<unknown>,
): Promise<{ operations: number; seconds: number; latencies: number[] }> {
  const latencies: number[] = [];
  let next = 0;
  const begin = performance.now();
  const loop = async (): Promise<void> => {
    while (next < operationsMax) {
      const index = next++;
      const start = performance.now();
      await operation(index);
      const end = performance.now();
      latencies.push(end - start);
      if (end - begin > timeMs) return;
    }
  };
  await Promise.all(Array.from({ length: writers }, loop));
  const seconds = (performance.now() - begin) / 1000;
  return { operations: latencies.length, seconds, latencies: latencies.sort((a, b) => a - b) };
}
