import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { keyAt, shuffled } from "../../dist/measure.js";
import { memoryNow, watched } from "../../dist/observe.js";
import { loadSingly } from "./load.js";
import type { CellResult, Context } from "./task.js";

const FILLER = fileURLToPath(new URL("./fill-process.js", import.meta.url));
type Measure = (context: Context) => Promise<CellResult>;

/** Rows of {@link holding}. */
export interface HoldingRows {
  readonly rss: string;
  readonly heap: string;
  readonly stall: string;
  readonly gc: string;
}

/** Memory, and how long the event loop stood still, while all keys are set. Without warm-up, which takes memory. */
export function holding(rows: HoldingRows): Measure {
  return async ({ engine, directory, keys, valueBytes }) => {
    const order = shuffled(keys);
    const before = await memoryNow();
    const handle = await engine.open(directory, "relaxed");
    const load = await watched(() => loadSingly(handle, order, valueBytes));
    const after = await memoryNow();
    const server = handle.serverProcessId === undefined ? 0 : residentBytes(handle.serverProcessId);
    await handle.close();
    const growth = after.rssBytes - before.rssBytes + server;
    return {
      rows: {
        [rows.rss]: growth / keys - (16 + valueBytes),
        [rows.heap]: (after.heapBytes - before.heapBytes) / 1e6,
        [rows.stall]: load.longestStallMs,
        [rows.gc]: load.longestGcMs,
      },
    };
  };
}

function residentBytes(processId: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${processId}/status`, "utf8"));
  return found === null ? 0 : 1024 * Number(found[1]);
}

/** Opens what another process left, which closed it or was killed, until the first key can be read. */
export function opening(row: string, end: "closed" | "killed"): Measure {
  return async ({ engine, directory, keys, valueBytes }) => {
    if (!engine.durable) return {};
    await leave([engine.name, directory, String(keys), String(valueBytes), end], end);
    const begin = performance.now();
    const handle = await engine.open(directory, "full");
    const first = handle.get === undefined ? await handle.getLater?.(keyAt(0)) : handle.get(keyAt(0));
    const ms = performance.now() - begin;
    if (first === undefined) throw new Error("the store came back without its first key");
    await handle.close();
    return { rows: { [row]: ms } };
  };
}

async function leave(parameters: readonly string[], end: "closed" | "killed"): Promise<void> {
  const filler = fork(FILLER, parameters);
  const gone = once(filler, "exit");
  const told = once(filler, "message") as Promise<[{ serverProcessId?: number }]>;
  const message = await Promise.race([told, gone.then(() => undefined)]);
  if (message === undefined) throw new Error("the process that fills the store failed");
  const { serverProcessId } = message[0];
  if (end === "killed") {
    if (serverProcessId !== undefined) process.kill(serverProcessId, "SIGKILL");
    filler.kill("SIGKILL");
  }
  await gone;
}
