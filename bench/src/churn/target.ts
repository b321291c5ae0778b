import type { ChurnTarget } from "./plan.js";

/** Memory by the account of what is churned, in bytes. */
export interface Usage {
  /** Everything: records, indexes, free space. */
  readonly bytes: number;
  readonly recordBytes: number;
  readonly oldVersions: number;
}

/** Something to churn whose memory can be told. */
export interface MeasuredTarget extends ChurnTarget {
  /** Called now and then, when everything else that waits for its turn may have it. */
  turn(): Promise<void>;
  usage(): Usage;
  /** Throws unless all is consistent and each slot has a value of its size. */
  check(sizes: Int32Array): Promise<void>;
  close(): Promise<void>;
}
