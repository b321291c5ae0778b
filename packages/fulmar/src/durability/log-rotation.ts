import type { GroupBuffer } from "./group-buffer.js";
import { liveSegment } from "./log-segments.js";
import type { LogWriterParts } from "./log-writer-parts.js";
import type { LogEnd } from "./manifest.js";
import { headerBytes } from "./segment-format.js";

/** A segment with less than this part of it used goes on at a checkpoint: small stores keep to one. */
const LEFT_AFTER = 1 / 16;

/** Whether a checkpoint had better leave the log in its present segment. */
export function holdsLittle({ segments, segmentBytes }: LogWriterParts): boolean {
  return segments.current.position < segmentBytes * LEFT_AFTER;
}

/** Begins the empty group with the opening of a segment that is prepared; false when none is. */
export function openNext(
  { segments, pool }: LogWriterParts,
  group: GroupBuffer,
  syncedThrough: number,
): boolean {
  const { current } = segments;
  const prepared = pool.take();
  if (prepared === undefined) return false;
  segments.push(liveSegment(prepared, group.version));
  group.open(prepared.salt, syncedThrough, current.number, current.position, prepared.seal);
  return true;
}

/** Where a group begins. */
export interface GroupStart {
  readonly recordBytes: number;
  readonly syncedThrough: number;
  /** The end of what was handed over. */
  readonly logged: LogEnd;
  /** False after a refusal, until its traces are gone. */
  readonly mayGoOn: boolean;
}

/** Decides where a group goes, before its first record is encoded: records carry the segment's salt. */
export function startGroup(parts: LogWriterParts, group: GroupBuffer, start: GroupStart): void {
  const { current } = parts.segments;
  const begins = current.position === headerBytes(current.seal);
  const isFull = current.position + start.recordBytes > parts.segments.limit(parts.segmentBytes);
  if (isFull && start.mayGoOn && !begins && openNext(parts, group, start.syncedThrough)) return;
  // The opening of the present segment was refused together with its first group.
  if (begins) {
    const { segment, position } = start.logged;
    group.open(current.salt, start.syncedThrough, segment, position, current.seal);
  }
}
