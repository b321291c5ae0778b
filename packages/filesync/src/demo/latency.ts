import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { DemoFailure } from "./cluster.js";

const LOOK_EVERY_MS = 2;
const PATIENCE_MS = 120_000;

export interface Latency {
  readonly p50Ms: number;
  readonly maxMs: number;
  readonly samples: number;
}

/** Saves a small file so many times and measures how long until all other directories show it. */
export async function measureLatency(
  from: string,
  others: readonly string[],
  samples: number,
  signal: AbortSignal,
): Promise<Latency> {
  const times: number[] = [];
  for (let i = 0; i < samples; i++) {
    const content = `change number ${i}\n`;
    const startMs = performance.now();
    await writeFile(join(from, "small change.txt"), content);
    await Promise.all(others.map((other) => untilShown(join(other, "small change.txt"), content, signal)));
    times.push(performance.now() - startMs);
  }
  times.sort((a, b) => a - b);
  return {
    p50Ms: times[Math.floor(times.length / 2)] as number,
    maxMs: times.at(-1) as number,
    samples: times.length,
  };
}

async function untilShown(path: string, content: string, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while ((await readFile(path, "utf8").catch(() => undefined)) !== content) {
    signal.throwIfAborted();
    if (performance.now() > deadlineMs) throw new DemoFailure(`a small change did not arrive at ${path}`);
    await setTimeout(LOOK_EVERY_MS);
  }
}
