import { CALLS_PER_TURN, fill, openBytes } from "./fill.js";
import { KEY_BYTES, type Measurement, type Run, shuffled } from "./measure.js";
import { memoryNow, watched } from "./observe.js";

/**
 * What a store of so many keys takes, and how long it holds up the event loop while it is loaded. Not
 * warmed up, because that would leave memory behind that the store then takes without showing it.
 */
export async function holding({ directory, keys, valueBytes }: Run): Promise<Measurement> {
  const order = shuffled(keys);
  const before = await memoryNow();
  const db = await openBytes(directory, "relaxed");
  const load = await watched(() => fill(db, order, valueBytes, CALLS_PER_TURN));
  await db.flush();
  const after = await memoryNow();
  const { recordBytes, overheadBytes } = db.status().memory;
  await db.close();
  const payload = KEY_BYTES + valueBytes;
  return {
    workload: "memory and stalls of a load, relaxed",
    keys,
    valueBytes,
    operations: keys,
    perSecond: (keys * 1000) / load.ms,
    figures: {
      "RSS over payload, bytes a key": (after.rssBytes - before.rssBytes) / keys - payload,
      "by the store's account": (recordBytes + overheadBytes) / keys - payload,
      "JS heap MB": (after.heapBytes - before.heapBytes) / 1e6,
      "longest stall ms": load.longestStallMs,
      "without waiting for a processor ms": load.longestOwnStallMs,
      "processor time ms": load.longestBusyMs,
      "longest GC ms": load.longestGcMs,
    },
  };
}
