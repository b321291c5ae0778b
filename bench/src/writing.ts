import type { Durability } from "fulmar";
import { type ByteStore, openBytes } from "./fill.js";
import {
  type Concurrent,
  concurrently,
  keyAt,
  latencyFigures,
  type Measurement,
  type Run,
  shuffled,
  valuePool,
  warmUp,
} from "./measure.js";

/** What to do with a store, once for each index. */
type Step = (db: ByteStore, index: number) => Promise<unknown>;

/** Does `step` in stores that are thrown away until V8 has compiled it, and then in a fresh one. */
async function warmThenMeasured(
  run: Run,
  durability: Durability,
  writers: number,
  steps: number,
  step: Step,
): Promise<Concurrent> {
  const once = async (directory: string, stepsMax: number, timeMs: number): Promise<Concurrent> => {
    const db = await openBytes(directory, durability);
    const result = await concurrently(writers, stepsMax, timeMs, (index) => step(db, index % steps));
    await db.close();
    return result;
  };
  await warmUp(run, (directory, timeMs) => once(directory, Number.POSITIVE_INFINITY, timeMs));
  return once(run.directory, steps, run.measureMs);
}

/** So many writers, each of which sets a key of its own, waits for it, and sets the next. */
export function setting(durability: Durability, writers: number): (run: Run) => Promise<Measurement> {
  return async (run) => {
    const { keys, valueBytes } = run;
    const order = shuffled(keys);
    const valueFor = valuePool(valueBytes);
    const step: Step = (db, index) => db.set(keyAt(order[index]), valueFor(index));
    const { operations, seconds, latencies } = await warmThenMeasured(run, durability, writers, keys, step);
    const { curveMs, ...quantiles } = latencyFigures(latencies);
    return {
      workload: `set, ${durability}, ${writers} in flight`,
      keys,
      valueBytes,
      operations,
      perSecond: operations / seconds,
      ...quantiles,
      ...(durability === "memory" ? {} : { curveMs }),
    };
  };
}

/** One writer of batches of a hundred entries. */
export function batches(durability: Durability): (run: Run) => Promise<Measurement> {
  return async (run) => {
    const { keys, valueBytes } = run;
    const order = shuffled(keys);
    const valueFor = valuePool(valueBytes);
    const entry = (index: number) =>
      ({ type: "set", key: keyAt(order[index % keys]), value: valueFor(index) }) as const;
    const step: Step = (db, index) => db.batch(Array.from({ length: 100 }, (_, j) => entry(100 * index + j)));
    const steps = Math.ceil(keys / 100);
    const { operations, seconds, latencies } = await warmThenMeasured(run, durability, 1, steps, step);
    const { curveMs: _, ...quantiles } = latencyFigures(latencies);
    return {
      workload: `batch of 100, ${durability} (entries)`,
      keys,
      valueBytes,
      operations: 100 * operations,
      perSecond: (100 * operations) / seconds,
      ...quantiles,
    };
  };
}
