import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { openBytes } from "./fill.js";
import type { Measurement, Run } from "./measure.js";
import { memoryNow, watched } from "./observe.js";

const FILLER = fileURLToPath(new URL("./fill-process.js", import.meta.url));

/**
 * Opens what another process left when it was killed with SIGKILL. Not warmed up: whoever opens a store
 * has just started.
 */
export function opening(kind: "log" | "checkpoint"): (run: Run) => Promise<Measurement> {
  return async ({ directory, keys, valueBytes }) => {
    await fillAndKill([directory, String(keys), String(valueBytes), kind]);
    const before = await memoryNow();
    const { result: db, ms, longestStallMs, longestGcMs } = await watched(() => openBytes(directory, "full"));
    const after = await memoryNow();
    if (db.count() !== keys) throw new Error(`the store came back with ${db.count()} keys of ${keys}`);
    await db.close();
    return {
      workload: `open from the ${kind} after kill -9 (keys)`,
      keys,
      valueBytes,
      operations: keys,
      perSecond: (keys * 1000) / ms,
      figures: {
        "open ms": ms,
        "longest stall ms": longestStallMs,
        "longest GC ms": longestGcMs,
        "RSS growth MB": (after.rssBytes - before.rssBytes) / 1e6,
      },
    };
  };
}

async function fillAndKill(parameters: readonly string[]): Promise<void> {
  const filler = fork(FILLER, parameters);
  const gone = once(filler, "exit");
  const filled = once(filler, "message");
  const first = await Promise.race([filled, gone.then(() => undefined)]);
  if (first === undefined) throw new Error("the process that fills the store failed");
  filler.kill("SIGKILL");
  await gone;
}
