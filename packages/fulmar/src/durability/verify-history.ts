import { FulmarError } from "../base/errors.js";
import { OriginTable } from "../record/origins.js";
import type { Finding } from "./directory-types.js";
import type { PastSegment } from "./history.js";
import { LogCursor } from "./history-cursor.js";
import type { DiskRuntime } from "./keyring.js";
import type { SegmentFile } from "./segment-reader.js";

/**
 * Reads the segments that are kept for watches as such a watch would, all of them, whatever is damaged, up to where the
 * log goes on. `kept` say that they continue each other, oldest first, up to `first`, the first one that is not kept.
 * What that damage means depends on whether the directory `opens`.
 */
export async function checkHistory(
  runtime: DiskRuntime,
  storeId: string,
  kept: readonly PastSegment[],
  first: SegmentFile | undefined,
  opens: boolean,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const through = first?.opening?.base ?? 0;
  // Of the first one only whether it continues them: its records are the log's.
  const all = first === undefined ? kept : [...kept, { ...first, base: through, end: 0, keyId: undefined }];
  for (let from = 0; from < kept.length; ) {
    const segments = all.slice(from);
    const damaged = await firstDamage(runtime, storeId, segments);
    if (damaged === undefined) break;
    from += 1 + segments.findIndex(({ path }) => path === damaged.details.file);
    const { file, offset } = damaged.details;
    const since = kept[from]?.base ?? through;
    const place = { file: String(file), ...(typeof offset === "number" ? { offset } : {}) };
    findings.push({ severity: "history", ...place, message: opens ? messageFor(since) : NEEDED });
  }
  return findings;
}

const NEEDED =
  "damage in what is kept for watches: no open needs it, " +
  "but a repair takes from it what lost blocks of the checkpoint held";

function messageFor(since: number): string {
  return (
    "damage in what is kept for watches alone: the store opens with everything, and a repair changes nothing; " +
    `a watch that resumes from before version ${since} may reject with CORRUPT; ` +
    "to let go of it, open the store once with historyBytes: 0"
  );
}

async function firstDamage(
  runtime: DiskRuntime,
  storeId: string,
  segments: readonly PastSegment[],
): Promise<FulmarError | undefined> {
  const parts = { runtime, storeId, origins: new OriginTable(), segments: () => segments };
  const cursor = new LogCursor(parts, segments[0].base, false);
  try {
    await cursor.read(Number.MAX_SAFE_INTEGER, () => true);
    return undefined;
  } catch (error) {
    const isDamage = error instanceof FulmarError && error.code === "CORRUPT";
    if (!isDamage || !segments.some(({ path }) => path === error.details.file)) throw error;
    return error;
  }
}
