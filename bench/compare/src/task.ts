import type { Engine } from "./engine.js";

/** One engine and one workload at one size. */
export interface Task {
  readonly engine: string;
  readonly workload: string;
  readonly keys: number;
  readonly valueBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface Context extends Omit<Task, "engine"> {
  readonly engine: Engine;
  /** Does not exist yet; removed afterwards, with what lies beside it. */
  readonly directory: string;
}

/** What one run measured, by the name of the row; undefined when the library lacks what is needed. */
export interface CellResult {
  readonly rows?: Readonly<Record<string, number>>;
  /** Of the awaited writes, in ms. */
  readonly latency?: { readonly p50Ms: number; readonly p99Ms: number; readonly p999Ms: number };
}
