import {
  type Concurrent,
  concurrently,
  keyAt,
  quantile,
  shuffled,
  valuePool,
  warmUp,
} from "../../dist/measure.js";
import { bytesWritten } from "../../dist/observe.js";
import type { Handle, Level } from "./engine.js";
import { loadBatches } from "./load.js";
import type { CellResult, Context } from "./task.js";

export type Step = (handle: Handle, index: number) => unknown;
export type Measure = (context: Context) => Promise<CellResult>;

/** How much longer than the others a load may take, which has to come to its end to be one. */
const LOAD_TIMES = 4;
const OVERWRITE_ROUNDS = 5;
const OVERWRITE_TIMES = 6;

export interface Plan {
  readonly row: string;
  readonly level: Level;
  readonly writers: number;
  /** Steps at most, and how many entries each writes. */
  readonly steps: number;
  readonly entries: number;
  readonly timeMs: number;
  /** Whether the store holds all keys before. */
  readonly loaded: boolean;
}

/**
 * Warms up in stores of its own, which are thrown away, and then measures. `ended` is awaited before a store is
 * closed.
 */
export async function warmThenMeasured(
  context: Context,
  plan: Plan,
  step: Step,
  ended?: () => Promise<void>,
): Promise<CellResult> {
  const { engine, directory, keys, valueBytes } = context;
  const order = shuffled(keys);
  const once = async (place: string, stepsMax: number, timeMs: number): Promise<Concurrent> => {
    const handle = await engine.open(place, plan.level);
    if (plan.loaded) await loadBatches(handle, order, valueBytes);
    const result = await concurrently(plan.writers, stepsMax, timeMs, (index) =>
      step(handle, index % plan.steps),
    );
    await ended?.();
    await handle.close();
    return result;
  };
  await warmUp(context, (place, timeMs) => once(place, Number.POSITIVE_INFINITY, timeMs));
  const { operations, seconds, latencies } = await once(directory, plan.steps, plan.timeMs);
  const [p50Ms, p99Ms, p999Ms] = [0.5, 0.99, 0.999].map((q) => quantile(latencies, q));
  return {
    rows: { [plan.row]: (operations * plan.entries) / seconds },
    latency: { p50Ms, p99Ms, p999Ms },
  };
}

/** Sets each key once in random order into an empty store. */
export function setting(row: string, level: Level, writers: number): Measure {
  return async (context) => {
    const { engine, keys, valueBytes, measureMs } = context;
    if (level === "full" && !engine.durable) return {};
    const order = shuffled(keys);
    const valueFor = valuePool(valueBytes);
    const timeMs = level === "relaxed" ? LOAD_TIMES * measureMs : measureMs;
    const plan: Plan = { row, level, writers, steps: keys, entries: 1, timeMs, loaded: false };
    return warmThenMeasured(context, plan, (handle, index) =>
      handle.set(keyAt(order[index]), valueFor(index)),
    );
  };
}

/** One writer of batches of a hundred. */
export function batches(row: string, level: Level): Measure {
  return async (context) => {
    const { engine, keys, valueBytes, measureMs } = context;
    if (level === "full" && !engine.durable) return {};
    const order = shuffled(keys);
    const valueFor = valuePool(valueBytes);
    const steps = Math.ceil(keys / 100);
    const plan: Plan = { row, level, writers: 1, steps, entries: 100, timeMs: measureMs, loaded: false };
    return warmThenMeasured(context, plan, (handle, index) =>
      handle.batch(
        Array.from({ length: 100 }, (_, j) => {
          const at = 100 * index + j;
          return { key: keyAt(order[at % keys]), value: valueFor(at) };
        }),
      ),
    );
  };
}

/** Overwrites every key several times and counts what reaches the disk, once this has gone on for a while. */
export function overwriting(row: string): Measure {
  return async ({ engine, directory, keys, valueBytes, warmUpMs, measureMs }) => {
    if (!engine.durable) return {};
    const order = shuffled(keys);
    const valueFor = valuePool(valueBytes);
    const handle = await engine.open(directory, "full");
    await loadBatches(handle, order, valueBytes);
    const overwrite = (operationsMax: number, timeMs: number): Promise<Concurrent> =>
      concurrently(1000, operationsMax, timeMs, (index) =>
        handle.set(keyAt(order[(index * 7919) % keys]), valueFor(index)),
      );
    await overwrite(Number.POSITIVE_INFINITY, warmUpMs);
    const processId = handle.serverProcessId ?? "self";
    const before = bytesWritten(processId);
    const { operations } = await overwrite(OVERWRITE_ROUNDS * keys, OVERWRITE_TIMES * measureMs);
    await handle.flush();
    const after = bytesWritten(processId);
    await handle.close();
    if (before === undefined || after === undefined) return {};
    return { rows: { [row]: (after - before) / (operations * (16 + valueBytes)) } };
  };
}
