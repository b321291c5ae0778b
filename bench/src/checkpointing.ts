import { CALLS_PER_TURN, fill, openBytes } from "./fill.js";
import {
  type Concurrent,
  concurrently,
  keyAt,
  type Measurement,
  quantile,
  type Run,
  shuffled,
  valuePool,
} from "./measure.js";
import { watched } from "./observe.js";

const WRITERS = 16;

/** A checkpoint of everything beside writers that each await durable writes, and the same writers before it. */
export async function checkpointing({ directory, keys, valueBytes, measureMs }: Run): Promise<Measurement> {
  const order = shuffled(keys);
  const valueFor = valuePool(valueBytes);
  const db = await openBytes(directory, "relaxed");
  await fill(db, order, valueBytes, CALLS_PER_TURN);
  await db.flush();
  const write = (index: number): Promise<unknown> =>
    db.set(keyAt(order[index % keys]), valueFor(index), { durability: "full" });
  const alone = await concurrently(WRITERS, Number.POSITIVE_INFINITY, measureMs, write);
  let isOver = false;
  const writing = concurrently(
    WRITERS,
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    write,
    () => isOver,
  );
  const { result, ms, ...longest } = await watched(() => db.checkpoint());
  // Only now: what sorts their latencies would be part of the last turn.
  isOver = true;
  const beside = await writing;
  await db.close();
  return {
    workload: `checkpoint, beside ${WRITERS} durable writers`,
    keys,
    valueBytes,
    operations: beside.operations,
    perSecond: beside.operations / beside.seconds,
    figures: {
      "checkpoint ms": ms,
      MB: result.bytes / 1e6,
      "longest stall ms": longest.longestStallMs,
      "without waiting for a processor ms": longest.longestOwnStallMs,
      "processor time ms": longest.longestBusyMs,
      "longest GC ms": longest.longestGcMs,
      ...quantiles("before", alone),
      ...quantiles("beside", beside),
    },
  };
}

function quantiles(name: string, { latencies }: Concurrent): Record<string, number> {
  return {
    [`p50 ${name} ms`]: quantile(latencies, 0.5),
    [`p99 ${name} ms`]: quantile(latencies, 0.99),
    [`p99.9 ${name} ms`]: quantile(latencies, 0.999),
  };
}
