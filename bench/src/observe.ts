import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { turn } from "./measure.js";

/** The longest time that the event loop and the garbage collector held up everything else, in ms. */
export interface Stalls {
  readonly longestStallMs: number;
  /** The same without the time in which this thread could have run and had no processor, where that is known. */
  readonly longestOwnStallMs: number;
  readonly longestGcMs: number;
}

/** Turns that are shorter share a look at the time spent waiting, which costs some microseconds. */
const LOOK_MS_MIN = 0.5;

/**
 * Watches the event loop while something runs. A loop of setImmediate looks at the clock in each turn:
 * the platform's own monitor of the delay samples once a millisecond at best and misses the rest.
 */
export class StallWatch {
  #longestStallMs = 0;
  #longestOwnStallMs = 0;
  #longestGcMs = 0;
  #lastMs = performance.now();
  #lookedMs = this.#lastMs;
  readonly #waits = new ProcessorWaits();
  #running = true;
  readonly #ended: Promise<void>;
  readonly #observer: PerformanceObserver;

  constructor() {
    this.#observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) this.#longestGcMs = Math.max(this.#longestGcMs, duration);
    });
    this.#observer.observe({ entryTypes: ["gc"] });
    this.#ended = this.#loop();
  }

  async #loop(): Promise<void> {
    while (this.#running) {
      await turn();
      const nowMs = performance.now();
      const stallMs = nowMs - this.#lastMs;
      this.#longestStallMs = Math.max(this.#longestStallMs, stallMs);
      if (nowMs - this.#lookedMs >= LOOK_MS_MIN) {
        this.#longestOwnStallMs = Math.max(this.#longestOwnStallMs, stallMs - this.#waits.sinceLastMs());
        this.#lookedMs = performance.now();
      }
      this.#lastMs = performance.now();
    }
    this.#waits.close();
  }

  /** Ends the watch. */
  async stop(): Promise<Stalls> {
    this.#running = false;
    await this.#ended;
    // What the collector did last is told a turn later.
    await turn();
    this.#observer.disconnect();
    return {
      longestStallMs: this.#longestStallMs,
      longestOwnStallMs: this.#longestOwnStallMs,
      longestGcMs: this.#longestGcMs,
    };
  }
}

/**
 * How long this thread was ready to run but had no processor, because others had them. On a machine that does
 * something else as well this is most of what a clock shows. Linux counts it; elsewhere it is zero.
 */
class ProcessorWaits {
  readonly #file = openOrNothing(`/proc/self/task/${process.pid}/schedstat`);
  readonly #text = Buffer.alloc(128);
  #lastMs = this.#readMs();

  /** Since this was called the last time, in ms. */
  sinceLastMs(): number {
    const nowMs = this.#readMs();
    const waitedMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    return waitedMs;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  #readMs(): number {
    if (this.#file === undefined) return 0;
    const length = readSync(this.#file, this.#text, 0, this.#text.length, 0);
    return Number(this.#text.toString("latin1", 0, length).split(" ")[1]) / 1e6;
  }
}

function openOrNothing(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch {
    return undefined;
  }
}

/** Watches one piece of work. */
export async function watched<T>(work: () => T | Promise<T>): Promise<{ result: T; ms: number } & Stalls> {
  const watch = new StallWatch();
  await turn();
  const begin = performance.now();
  const result = await work();
  const ms = performance.now() - begin;
  return { result, ms, ...(await watch.stop()) };
}

let collectGarbage: (() => void) | undefined;

/** A full garbage collection, without a flag on the command line; then a moment for what it let go of. */
export async function collect(): Promise<void> {
  if (collectGarbage === undefined) {
    setFlagsFromString("--expose-gc");
    collectGarbage = runInNewContext("gc") as () => void;
  }
  // Twice: array buffers are given back to the system after the collection that found them unused.
  for (let i = 0; i < 2; i++) {
    collectGarbage();
    await turn();
  }
}

/** Memory of this process at a moment without garbage, in bytes. */
export interface MemoryAt {
  readonly rssBytes: number;
  readonly heapBytes: number;
}

export async function memoryNow(): Promise<MemoryAt> {
  await collect();
  const { rss, heapUsed } = process.memoryUsage();
  return { rssBytes: rss, heapBytes: heapUsed };
}

/**
 * Bytes that a process has had written to storage so far, counted by the system where it keeps such a
 * count (Linux); undefined elsewhere. It counts whole pieces of its cache, of up to a megabyte with some file
 * systems, each time that a byte of one is changed after a sync: more than the disk gets.
 */
export function bytesWritten(processId: number | "self" = "self"): number | undefined {
  return countOf("write_bytes", processId);
}

/** Bytes that this process gave to the system to be written, to files mostly; undefined where nobody counts. */
export function bytesHanded(): number | undefined {
  return countOf("wchar", "self");
}

function countOf(name: string, processId: number | "self"): number | undefined {
  try {
    const lines = readFileSync(`/proc/${processId}/io`, "utf8").split("\n");
    const line = lines.find((each) => each.startsWith(`${name}: `));
    return line === undefined ? undefined : Number(line.slice(name.length + 2));
  } catch {
    return undefined;
  }
}
