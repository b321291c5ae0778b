import { fill, openBytes } from "./fill.js";
import {
  type Concurrent,
  concurrently,
  KEY_BYTES,
  keyAt,
  type Measurement,
  type Run,
  shuffled,
  valuePool,
} from "./measure.js";
import { bytesWritten } from "./observe.js";

/** Each key is overwritten so often, unless time is up before. */
const ROUNDS = 5;
/** Long enough that several checkpoints are among what is counted. */
const TIMES_MEASURED = 8;

/**
 * Bytes that reach the disk for each byte of key and value, while keys are overwritten in random order. What
 * the first segments of a log cost, which are written for the first time, is over when the counting begins.
 */
export async function overwriting({
  directory,
  keys,
  valueBytes,
  warmUpMs,
  measureMs,
}: Run): Promise<Measurement> {
  const order = shuffled(keys);
  const valueFor = valuePool(valueBytes);
  const db = await openBytes(directory, "full");
  await fill(db, order, valueBytes);
  await db.checkpoint();
  const overwrite = (operationsMax: number, timeMs: number): Promise<Concurrent> =>
    concurrently(1000, operationsMax, timeMs, (index) =>
      db.set(keyAt(order[(index * 7919) % keys]), valueFor(index)),
    );
  await overwrite(Number.POSITIVE_INFINITY, warmUpMs);
  const before = bytesWritten();
  const { operations, seconds } = await overwrite(ROUNDS * keys, TIMES_MEASURED * measureMs);
  await db.flush();
  const after = bytesWritten();
  const { log, checkpoint } = db.status();
  await db.close();
  const payload = operations * (KEY_BYTES + valueBytes);
  const counted = before === undefined || after === undefined ? undefined : (after - before) / payload;
  return {
    workload: "steady overwrite, full, 1000 in flight",
    keys,
    valueBytes,
    operations,
    perSecond: operations / seconds,
    figures: {
      ...(counted === undefined ? {} : { "bytes written for each of payload": counted }),
      "log MB at the end": (log?.bytes ?? 0) / 1e6,
      "checkpoint MB": (checkpoint?.bytes ?? 0) / 1e6,
    },
    ...(counted === undefined ? { note: "this system does not count the bytes that a process writes" } : {}),
  };
}
