import type { GroupBuffer } from "./group-buffer.js";
import { liveSegment } from "./log-segments.js";
import type { LogWriterParts } from "./log-writer-parts.js";

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
