import { codeOf } from "../base/errors.js";
import { readFully, withFile } from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import type { Manifest } from "./manifest.js";
import { readSegmentHeader, SEGMENT_HEADER_BYTES } from "./segment-format.js";
import { inspectSegment, type Opening, type SegmentFile } from "./segment-reader.js";

/** A segment of a directory that may be damaged. */
export interface Segment {
  readonly number: number;
  /** The number in its name. */
  readonly named: number;
  readonly path: string;
  /** Undefined when the header is damaged. */
  readonly inspected: SegmentFile | undefined;
}

/**
 * A segment may have been renamed: its header says which one it is. One of a sealed segment is believed only where
 * the opening, which is sealed together with it, proves it.
 */
export async function inspect(runtime: DiskRuntime, path: string, named: number): Promise<Segment> {
  const header = await withFile(runtime.fileSystem, path, "read", async (handle) => {
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    const length = await readFully(handle, bytes, 0);
    return readSegmentHeader(runtime.checksum, bytes.subarray(0, length));
  });
  const stated = typeof header === "object" ? header.number : named;
  const inspected = await inspectSegment(runtime, path, stated, undefined).catch((error: unknown) => {
    if (codeOf(error) !== "CORRUPT") throw error;
    return undefined;
  });
  const proven = inspected !== undefined && (inspected.seal === undefined || inspected.opening !== undefined);
  // No segment has the number 0: as the previous one it stands for none.
  return { number: proven && stated > 0 ? stated : named, named, path, inspected };
}

/** Segments in the order that they were written in, each with its number. */
export function inOrder(found: readonly Segment[], manifest: Manifest | undefined): Segment[] {
  const segments = found.map((segment) => ({ ...segment, number: numberOf(segment, found, manifest) }));
  return segments.sort((a, b) => a.number - b.number);
}

/**
 * The segments of `older`, oldest first, that lead up to `first` without a gap. One that does not say which it
 * continues follows the one of the number before its own, if anything.
 */
export function leadingTo(first: Segment | undefined, older: readonly Segment[]): Segment[] {
  const leading: Segment[] = [];
  let next = first;
  while (next !== undefined) {
    const { number, inspected } = next;
    const opening = inspected?.opening;
    const previous = opening === undefined ? number - 1 : opening.previousSegment;
    // One that says that it continues itself, or a later one, would never come to an end.
    next = older.find((segment) => segment.number === previous && previous < number);
    if (next !== undefined) leading.unshift(next);
  }
  return leading;
}

/**
 * What the header says, unless more speaks for the number in the name: then it is not the name that was changed, but
 * the header.
 */
function numberOf(segment: Segment, found: readonly Segment[], manifest: Manifest | undefined): number {
  const { number, named } = segment;
  if (number === named) return number;
  const weight = (each: number): number => {
    if (!fits(segment, each, found)) return 0;
    if (isSynced(segment, each, manifest) || isContinued(segment, each, found)) return 3;
    // What is older than the first would be left out as history.
    return each < (manifest?.firstSegment ?? 0) ? 1 : 2;
  };
  return weight(named) > weight(number) ? named : number;
}

/** Whether a number is free, and in order among those of which header and name agree: openings tell what came first. */
function fits(segment: Segment, number: number, found: readonly Segment[]): boolean {
  return !found.some(
    (other) =>
      other.number === other.named &&
      (other.number === number ||
        (isBefore(other, segment) && other.number > number) ||
        (isBefore(segment, other) && other.number < number)),
  );
}

/** Whether the manifest says that the log had come to this number, and into the segment or behind it. */
function isSynced({ inspected }: Segment, number: number, manifest: Manifest | undefined): boolean {
  const synced = manifest?.synced;
  return synced?.segment === number && (inspected?.opening?.base ?? 0) < synced.version;
}

/** Whether another segment continues the one with this number. It begins at the same version if that one is empty. */
function isContinued({ inspected }: Segment, number: number, found: readonly Segment[]): boolean {
  const opening = inspected?.opening;
  const isNext = (next: Opening | undefined): boolean =>
    next?.previousSegment === number &&
    (opening === undefined || opening.base < next.base || opening.crc === next.predecessorCrc);
  return found.some((other) => isNext(other.inspected?.opening));
}

/** Whether one segment begins after a lower version than another, as far as their openings tell. */
function isBefore(one: Segment, other: Segment): boolean {
  const base = one.inspected?.opening?.base ?? Number.POSITIVE_INFINITY;
  return base < (other.inspected?.opening?.base ?? 0);
}
