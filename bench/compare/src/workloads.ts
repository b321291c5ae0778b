import { incrementing, updating, updatingBesideReads, updatingLater } from "./contending.js";
import { fullScan, getConcurrent, getHit, getMiss, getView, rangeOfHundred } from "./reading.js";
import type { CellResult, Context } from "./task.js";
import { holding, opening } from "./whole.js";
import { batches, overwriting, setting } from "./writing.js";

export interface CompareWorkload {
  readonly name: string;
  readonly measure: (context: Context) => Promise<CellResult>;
  /** How often it writes all keys besides what it measures, for the estimate of the time. */
  readonly loads: number;
  /** How many times the time of measuring it takes at most. */
  readonly times: number;
}

/** How a row is shown and what is better. */
export interface Row {
  readonly name: string;
  readonly isRate: boolean;
  readonly better: "higher" | "lower";
  /** Whether a ratio between the engines says something. */
  readonly compared: boolean;
}

/** What a workload is called, its function, and how long it takes. */
function workload(name: string, measure: CompareWorkload["measure"], loads = 0, times = 1): CompareWorkload {
  return { name, measure, loads, times };
}

const HOLDING = {
  rss: "memory over key and value, bytes a key",
  heap: "JavaScript heap, MB",
  stall: "longest stall of the event loop while loading, ms",
  gc: "longest garbage collection while loading, ms",
};
const LATER = "update of 2 keys that waits within, full, 100 in flight";
const LATER_CONTENDED = "update of 2 of 10 keys that waits within, full, 100 in flight";
const ATTEMPTS = "attempts for each of these";
const ATTEMPTS_CONTENDED = "attempts for each of these, of 10 keys";
const UPDATES_BESIDE = "update of 2 keys, full, 100 in flight, beside long reads";
const READS_BESIDE = "long reads of 10,000 keys beside those updates (entries)";
const OPEN_CLOSED = "open and first read, after close, ms";
const OPEN_KILLED = "open and first read, after kill -9, ms";
const WRITTEN = "bytes written for each of payload, overwriting";

/** In the order of the rows. */
export const WORKLOADS: readonly CompareWorkload[] = [
  workload("set-relaxed-1000", setting("set, relaxed, 1000 in flight", "relaxed", 1000), 0, 2),
  workload("set-full-1", setting("set, full, one awaited", "full", 1)),
  workload("set-full-100", setting("set, full, 100 in flight", "full", 100)),
  workload("set-full-1000", setting("set, full, 1000 in flight", "full", 1000)),
  workload("batch-relaxed", batches("batch of 100, relaxed (entries)", "relaxed")),
  workload("batch-full", batches("batch of 100, full (entries)", "full")),
  workload("get-hit", getHit("get, hit, a copy"), 1),
  workload("get-view", getView("get, hit, a view"), 1),
  workload("get-concurrent", getConcurrent("get, hit, 100 promises at once"), 1),
  workload("get-miss", getMiss("get, miss"), 1),
  workload("range-100", rangeOfHundred("range of 100 (entries)"), 1),
  workload("scan", fullScan("full scan (entries)"), 1),
  workload("update-relaxed-1", updating("update of 2 keys, relaxed, one awaited", "relaxed", 1), 2),
  workload("update-full-100", updating("update of 2 keys, full, 100 in flight", "full", 100), 2),
  workload("update-contended", updating("update of 2 of 10 keys, full, 100 in flight", "full", 100, 10), 2),
  workload("update-later", updatingLater(LATER, ATTEMPTS, 100), 2),
  workload("update-later-contended", updatingLater(LATER_CONTENDED, ATTEMPTS_CONTENDED, 100, 10), 2),
  workload("update-readers", updatingBesideReads(UPDATES_BESIDE, READS_BESIDE, "full", 100), 2),
  workload("increments", incrementing("increments of ten counters, full, 100 in flight", "full", 100), 2),
  workload("open-closed", opening(OPEN_CLOSED, "closed"), 2, 0),
  workload("open-killed", opening(OPEN_KILLED, "killed"), 2, 0),
  workload("memory", holding(HOLDING), 3, 0),
  workload("overwrite", overwriting(WRITTEN), 1, 4),
];

function rate(name: string): Row {
  return { name, isRate: true, better: "higher", compared: true };
}

function lower(name: string, compared: boolean): Row {
  return { name, isRate: false, better: "lower", compared };
}

/** All rows of the table. */
export const ROWS: readonly Row[] = [
  rate("set, relaxed, 1000 in flight"),
  rate("set, full, one awaited"),
  rate("set, full, 100 in flight"),
  rate("set, full, 1000 in flight"),
  rate("batch of 100, relaxed (entries)"),
  rate("batch of 100, full (entries)"),
  rate("get, hit, a copy"),
  rate("get, hit, a view"),
  rate("get, hit, 100 promises at once"),
  rate("get, miss"),
  rate("range of 100 (entries)"),
  rate("full scan (entries)"),
  rate("update of 2 keys, relaxed, one awaited"),
  rate("update of 2 keys, full, 100 in flight"),
  rate("update of 2 of 10 keys, full, 100 in flight"),
  rate(LATER),
  lower(ATTEMPTS, false),
  rate(LATER_CONTENDED),
  lower(ATTEMPTS_CONTENDED, false),
  rate(UPDATES_BESIDE),
  rate(READS_BESIDE),
  rate("increments of ten counters, full, 100 in flight"),
  lower(OPEN_CLOSED, true),
  lower(OPEN_KILLED, true),
  // Files that the system may drop from memory at any time count here, too: not the same thing.
  lower(HOLDING.rss, false),
  lower(HOLDING.heap, false),
  lower(HOLDING.stall, true),
  lower(HOLDING.gc, false),
  lower(WRITTEN, true),
];
