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
import { bytesHanded, bytesWritten } from "./observe.js";

/** Each key is overwritten so often, unless time is up before. */
const ROUNDS = 5;
/** Long enough that several checkpoints are among what is counted. */
const TIMES_MEASURED = 8;
/** Segments that the first checkpoint sets free stay as history; those of the third are used again for certain. */
const CHECKPOINTS_BEFORE = 3;
const BEFORE_MS_MAX = 60_000;
const SLICE_OPERATIONS = 50_000;

type Bytes = Awaited<ReturnType<typeof openBytes>>;
type Overwrite = (operationsMax: number, timeMs: number) => Promise<Concurrent>;

/**
 * Bytes that reach the disk for each byte of key and value, while keys are overwritten in random order. What
 * the first segments of a log cost, which are filled with zeros, is over when the counting begins.
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
  const overwrite: Overwrite = (operationsMax, timeMs) =>
    concurrently(1000, operationsMax, timeMs, (index) =>
      db.set(keyAt(order[(index * 7919) % keys]), valueFor(index)),
    );
  await overwrite(Number.POSITIVE_INFINITY, warmUpMs);
  await untilRecycled(db, overwrite);
  const before = bytesWritten();
  const handedBefore = bytesHanded();
  const { operations, seconds } = await overwrite(ROUNDS * keys, TIMES_MEASURED * measureMs);
  await db.flush();
  const after = bytesWritten();
  const handedAfter = bytesHanded();
  const { log, checkpoint } = db.status();
  await db.close();
  const payload = operations * (KEY_BYTES + valueBytes);
  const counted = before === undefined || after === undefined ? undefined : (after - before) / payload;
  const known = handedBefore !== undefined && handedAfter !== undefined;
  return {
    workload: "steady overwrite, full, 1000 in flight",
    keys,
    valueBytes,
    operations,
    perSecond: operations / seconds,
    figures: {
      ...(counted === undefined ? {} : { "bytes written for each of payload": counted }),
      ...(known ? { "bytes handed over for each of payload": (handedAfter - handedBefore) / payload } : {}),
      "log MB at the end": (log?.bytes ?? 0) / 1e6,
      "checkpoint MB": (checkpoint?.bytes ?? 0) / 1e6,
    },
    ...(counted === undefined ? { note: "this system does not count the bytes that a process writes" } : {}),
  };
}

async function untilRecycled(db: Bytes, overwrite: Overwrite): Promise<void> {
  const endMs = performance.now() + BEFORE_MS_MAX;
  let seen = db.status().checkpoint?.version;
  for (let checkpoints = 0; checkpoints < CHECKPOINTS_BEFORE && performance.now() < endMs; ) {
    await overwrite(SLICE_OPERATIONS, BEFORE_MS_MAX);
    const { version } = db.status().checkpoint ?? {};
    if (version !== seen) checkpoints++;
    seen = version;
  }
}
