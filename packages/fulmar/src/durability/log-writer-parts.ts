import type { Runtime } from "../base/runtime/interface.js";
import type { OriginTable } from "../record/origins.js";
import type { FlushPolicy, LogObserver } from "./commit-log.js";
import type { GroupEnd } from "./group-buffer.js";
import { endOf, type LogSegment, type LogSegments } from "./log-segments.js";
import type { LogEnd } from "./manifest.js";
import type { Presence } from "./presence.js";
import type { SegmentPool } from "./segment-pool.js";

/** A sync of more takes longer than one of little, and is not made in the calling turn. */
const INLINE_BYTES_MAX = 64 * 1024;

/** What a log writer works on and with. */
export interface LogWriterParts {
  readonly runtime: Runtime;
  readonly origins: OriginTable;
  readonly segments: LogSegments;
  readonly pool: SegmentPool;
  readonly observer: LogObserver;
  readonly presence: Pick<Presence, "isDue" | "look">;
  readonly flush: FlushPolicy;
  readonly inlineSync: boolean;
  readonly segmentBytes: number;
  /** Where the log ends now; everything before is synced. */
  readonly end: LogEnd;
}

/** How far one step of a commit's way has come. */
export interface Progress {
  readonly commits: number;
  readonly bytes: number;
  readonly end: LogEnd;
}

/** Progress by records that were wholly handed over to a segment. */
export function advanced(
  progress: Progress,
  segment: LogSegment,
  { bytes, commits, crc, version }: GroupEnd,
): Progress {
  segment.position += bytes;
  return {
    commits: progress.commits + commits,
    bytes: progress.bytes + bytes,
    end: endOf(segment, crc, version),
  };
}

/** Whether a turn may wait for the disk: that is allowed, and little is on its way, in files that are surely there. */
export function maySyncInLine(parts: LogWriterParts, logged: Progress, synced: Progress): boolean {
  return parts.inlineSync && logged.bytes - synced.bytes <= INLINE_BYTES_MAX && !parts.presence.isDue;
}
