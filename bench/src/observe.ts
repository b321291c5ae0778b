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
  /**
   * The most processor time that this thread took in one turn, where that is known: what remains when other
   * processes, and waiting for the disk, are left out.
   */
  readonly longestBusyMs: number;
  readonly longestGcMs: number;
}

/** Turns that are shorter share a look at what the system counts, which costs some microseconds. */
const LOOK_MS_MIN = 0.5;

/**
 * Watches the event loop while something runs. A loop of setImmediate looks at the clock in each turn:
 * the platform's own monitor of the delay samples once a millisecond at best and misses the rest.
 */
export class StallWatch {
  #longestStallMs = 0;
  #longestOwnStallMs = 0;
  #longestBusyMs = 0;
  #longestGcMs = 0;
  #lastMs = performance.now();
  #lookedMs = this.#lastMs;
  readonly #times = new ThreadTimes();
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
        const { busyMs = stallMs, waitedMs = 0 } = this.#times.sinceLast();
        this.#longestOwnStallMs = Math.max(this.#longestOwnStallMs, stallMs - waitedMs);
        this.#longestBusyMs = Math.max(this.#longestBusyMs, busyMs);
        this.#lookedMs = performance.now();
      }
      this.#lastMs = performance.now();
    }
    this.#times.close();
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
      longestBusyMs: this.#longestBusyMs,
      longestGcMs: this.#longestGcMs,
    };
  }
}

/** What the system counted for a thread; nothing where it counts nothing. */
interface ThreadTime {
  readonly busyMs?: number;
  readonly waitedMs?: number;
}

/**
 * How long this thread had a processor, and how long it was ready to run but had none, because others had them. On
 * a machine that does something else as well this is most of what a clock shows. Linux counts both.
 */
class ThreadTimes {
  readonly #file = openOrNothing(`/proc/self/task/${process.pid}/schedstat`);
  readonly #text = Buffer.alloc(128);
  #last = this.#read();

  /** Since this was called the last time. */
  sinceLast(): ThreadTime {
    const before = this.#last;
    if (before === undefined) return {};
    const now = this.#read() ?? before;
    this.#last = now;
    return { busyMs: now.busyMs - before.busyMs, waitedMs: now.waitedMs - before.waitedMs };
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  #read(): Required<ThreadTime> | undefined {
    if (this.#file === undefined) return undefined;
    // Asking for the usage brings the count of the running thread up to date, which is else done some times a second.
    process.cpuUsage();
    const length = readSync(this.#file, this.#text, 0, this.#text.length, 0);
    const [busyMs, waitedMs] = this.#text
      .toString("latin1", 0, length)
      .split(" ")
      .map((nanoseconds) => Number(nanoseconds) / 1e6);
    return { busyMs, waitedMs };
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
