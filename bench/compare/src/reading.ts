import { keyAt, shuffled } from "../../dist/measure.js";
import type { Handle } from "./engine.js";
import { loadBatches } from "./load.js";
import type { CellResult, Context } from "./task.js";

/** Reads for keys from `at` on and tells how many entries it saw; undefined when the library cannot. */
type Block = (handle: Handle, order: Uint32Array) => number | Promise<number>;
type Measure = (context: Context) => Promise<CellResult>;

function reading(row: string, blockKeys: number, able: (handle: Handle) => boolean, block: Block): Measure {
  return async ({ engine, directory, keys, valueBytes, warmUpMs, measureMs }) => {
    const handle = await engine.open(directory, "relaxed");
    if (!able(handle)) {
      await handle.close();
      return {};
    }
    await loadBatches(handle, shuffled(keys), valueBytes);
    // Another order than that of the load, in which the records may lie.
    const order = shuffled(keys).map((index) => keys - 1 - index);
    await repeatedly(handle, order, blockKeys, block, warmUpMs);
    const perSecond = await repeatedly(handle, order, blockKeys, block, measureMs);
    await handle.close();
    return { rows: { [row]: perSecond } };
  };
}

async function repeatedly(
  handle: Handle,
  order: Uint32Array,
  blockKeys: number,
  block: Block,
  timeMs: number,
): Promise<number> {
  const begin = performance.now();
  let operations = 0;
  for (let at = 0; ; at = at + blockKeys < order.length ? at + blockKeys : 0) {
    operations += await block(handle, order.subarray(at, at + blockKeys));
    const ms = performance.now() - begin;
    if (ms > timeMs) return (operations * 1000) / ms;
  }
}

const hasGet = ({ get, getLater }: Handle): boolean => get !== undefined || getLater !== undefined;

/** One after the other: at once where the library can, awaited where it cannot. */
export function getHit(row: string): Measure {
  return reading(row, 500, hasGet, ({ get, getLater }, order) => {
    if (get === undefined) return oneByOne(order, async (key) => (await getLater?.(key)) !== undefined);
    for (const index of order) if (get(keyAt(index)) === undefined) throw new Error(`lost ${keyAt(index)}`);
    return order.length;
  });
}

export function getMiss(row: string): Measure {
  return reading(row, 500, hasGet, ({ get, getLater }, order) => {
    if (get === undefined)
      return oneByOne(order, async (key) => (await getLater?.(`none${key}`)) === undefined);
    for (const index of order) if (get(`none:${index}`) !== undefined) throw new Error("never written");
    return order.length;
  });
}

async function oneByOne(order: Uint32Array, check: (key: string) => Promise<boolean>): Promise<number> {
  for (const index of order) if (!(await check(keyAt(index)))) throw new Error(`wrong ${keyAt(index)}`);
  return order.length;
}

export function getView(row: string): Measure {
  return reading(
    row,
    500,
    ({ view }) => view !== undefined,
    ({ view }, order) => {
      for (const index of order) if (view?.(keyAt(index)) === undefined) throw new Error("a lost key");
      return order.length;
    },
  );
}

/** A hundred under way at once, of the libraries that read with a promise. */
export function getConcurrent(row: string): Measure {
  return reading(
    row,
    100,
    ({ getLater }) => getLater !== undefined,
    async ({ getLater }, order) => {
      await Promise.all(Array.from(order, (index) => getLater?.(keyAt(index))));
      return order.length;
    },
  );
}

export function rangeOfHundred(row: string): Measure {
  return reading(
    row,
    1,
    ({ range }) => range !== undefined,
    async ({ range }, order) => (await range?.(keyAt(order[0]), 100)) ?? 0,
  );
}

export function fullScan(row: string): Measure {
  return async (context) =>
    reading(
      row,
      context.keys,
      ({ range }) => range !== undefined,
      async ({ range }) => (await range?.(keyAt(0), context.keys)) ?? 0,
    )(context);
}
