import { keyAt, turn, valuePool } from "../../dist/measure.js";
import type { Handle } from "./engine.js";

/** Entries of one batch of a load that is not measured. */
const BATCH = 1000;

/** Writes all keys in batches, as a load that nobody measures. */
export async function loadBatches(handle: Handle, order: Uint32Array, valueBytes: number): Promise<void> {
  const valueFor = valuePool(valueBytes);
  for (let at = 0; at < order.length; at += BATCH) {
    const part = Array.from(order.subarray(at, at + BATCH));
    await handle.batch(part.map((index) => ({ key: keyAt(index), value: valueFor(index) })));
    await turn();
  }
  await handle.flush();
}

/** Sets all keys one by one, a thousand under way at once, with a turn of the event loop after each thousand. */
export async function loadSingly(handle: Handle, order: Uint32Array, valueBytes: number): Promise<void> {
  const valueFor = valuePool(valueBytes);
  for (let at = 0; at < order.length; at += BATCH) {
    const part = Array.from(order.subarray(at, at + BATCH));
    await Promise.all(part.map((index) => handle.set(keyAt(index), valueFor(index))));
    await turn();
  }
  await handle.flush();
}
