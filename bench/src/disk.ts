import { closeSync, constants, fdatasyncSync, openSync, writeSync } from "node:fs";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { latencyFigures, type Measurement, type Run } from "./measure.js";

/** What a commit of a few entries writes and syncs, at least. */
const BLOCK_BYTES = 4096;
const BLOCKS_MAX = 4000;

interface Place {
  readonly path: string;
  /** Whether the file has its size, and zeros in it, before the first measured write. */
  readonly preallocated: boolean;
}

/**
 * What the disk itself gives to one writer that syncs each 4 KiB: the limit of every store here. `inline`
 * blocks the event loop meanwhile, `background` uses the thread pool.
 */
export function diskRate(
  way: "inline" | "background",
  preallocated: boolean,
): (run: Run) => Promise<Measurement> {
  return async ({ directory, keys, valueBytes, measureMs }) => {
    await mkdir(directory, { recursive: true });
    const place = { path: join(directory, "blocks"), preallocated };
    const latencies =
      way === "inline" ? await inLine(place, measureMs) : await inBackground(place, measureMs);
    await rm(place.path);
    const total = latencies.reduce((sum, ms) => sum + ms, 0);
    const { curveMs: _, ...quantiles } = latencyFigures(latencies.sort((a, b) => a - b));
    const file = preallocated ? "zero-filled" : "growing";
    return {
      workload: `the disk: 4 KiB synced, ${way}, ${file} file`,
      keys,
      valueBytes,
      operations: latencies.length,
      perSecond: (latencies.length * 1000) / total,
      ...quantiles,
    };
  };
}

async function prepare({ path, preallocated }: Place): Promise<void> {
  const file = await open(path, "w");
  if (preallocated) await zeroFill(file);
  await file.close();
}

async function zeroFill(file: FileHandle): Promise<void> {
  const zeros = new Uint8Array(256 * BLOCK_BYTES);
  for (let at = 0; at < BLOCKS_MAX * BLOCK_BYTES; at += zeros.length)
    await file.write(zeros, 0, zeros.length, at);
  await file.sync();
}

/** Blocks until time or file is used up. */
function isOver(count: number, beginMs: number, timeMs: number): boolean {
  return count >= BLOCKS_MAX || performance.now() - beginMs > timeMs;
}

async function inLine(place: Place, timeMs: number): Promise<number[]> {
  await prepare(place);
  const file = openSync(place.path, constants.O_WRONLY);
  const block = new Uint8Array(BLOCK_BYTES).fill(7);
  const latencies: number[] = [];
  const begin = performance.now();
  while (!isOver(latencies.length, begin, timeMs)) {
    const start = performance.now();
    writeSync(file, block, 0, BLOCK_BYTES, latencies.length * BLOCK_BYTES);
    fdatasyncSync(file);
    latencies.push(performance.now() - start);
  }
  closeSync(file);
  return latencies;
}

async function inBackground(place: Place, timeMs: number): Promise<number[]> {
  await prepare(place);
  // One trip to the thread pool instead of two, where the system can sync with the write.
  const file = await open(place.path, constants.O_WRONLY | (constants.O_DSYNC ?? 0));
  const block = new Uint8Array(BLOCK_BYTES).fill(7);
  const latencies: number[] = [];
  const begin = performance.now();
  while (!isOver(latencies.length, begin, timeMs)) {
    const start = performance.now();
    await file.write(block, 0, BLOCK_BYTES, latencies.length * BLOCK_BYTES);
    if (constants.O_DSYNC === undefined) await file.datasync();
    latencies.push(performance.now() - start);
  }
  await file.close();
  return latencies;
}
