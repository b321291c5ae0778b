import { corrupt, listOwn, withFile } from "./files.js";
import type { ReadRuntime } from "./keyring.js";
import { type Layout, segmentName, segmentNumber } from "./layout.js";
import type { LogEnd, Manifest } from "./manifest.js";
import {
  firstCommitAt,
  headerBytes,
  RECYCLED,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from "./segment-format.js";
import {
  inspectSegment,
  type Link,
  type Mark,
  type RecordVisitor,
  readRecords,
  type SegmentFile,
} from "./segment-reader.js";
import { searchRemainder } from "./segment-remainder.js";

/** A segment of the live log, as read. */
export interface LiveSegment {
  readonly file: SegmentFile;
  readonly header: SegmentHeader;
  /** The last version before this segment. */
  readonly base: number;
  /** Where its valid records end. */
  readonly end: number;
  readonly lastVersion: number;
  readonly marks: readonly Mark[];
}

export interface LogScan {
  readonly live: readonly LiveSegment[];
  /** Segments that hold nothing of the log: prepared ones, and what stands behind a cut. */
  readonly dead: readonly SegmentFile[];
  readonly end: LogEnd;
  /** Every version up to here is known to have been synced by the process that wrote it. */
  readonly proven: number;
  /** Whether bytes stand behind the end that could be a torn record. */
  readonly torn: boolean;
  readonly cutBytes: number;
  /** The highest segment number in the directory. */
  readonly lastNumber: number;
}

export interface ScanVisitor extends RecordVisitor {
  /** The first segment is about to begin; all together have so many bytes, with what of them was never used. */
  begin(bytesTotal: number): void;
  /** A segment begins: origin numbers are defined anew. */
  segment(header: SegmentHeader): void;
}

/**
 * Reads the whole log in order. It ends at the first record that is not valid: a torn tail, unless
 * something proves that this position had been synced, which makes it corruption.
 */
export async function scanLog(
  runtime: ReadRuntime,
  layout: Layout,
  manifest: Manifest,
  visitor: ScanVisitor,
  progress: (bytes: number, bytesTotal: number) => void,
): Promise<LogScan> {
  const files = await listSegments(runtime, layout, manifest);
  const first = files[0];
  if (first?.number !== manifest.firstSegment) {
    throw corrupt(
      runtime.fileSystem.join(layout.log, segmentName(manifest.firstSegment)),
      0,
      "it is missing",
    );
  }
  if (first.opening === undefined)
    throw corrupt(first.path, SEGMENT_HEADER_BYTES, "its first record is not valid");
  if (first.opening.base > manifest.checkpoint.version) {
    const what = `the log begins after version ${first.opening.base}, the checkpoint ends before it`;
    throw corrupt(first.path, SEGMENT_HEADER_BYTES, what);
  }
  const link: Link = { crc: 0, version: first.opening.base, syncedThrough: 0 };
  const bytesTotal = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  visitor.begin(bytesTotal);
  let bytesRead = 0;
  const advance = (bytes: number): void => {
    bytesRead += bytes;
    progress(bytesRead, bytesTotal);
  };
  const live: LiveSegment[] = [];
  for (const file of files) {
    if (file !== first && !continues(file, live[live.length - 1], link)) break;
    live.push(await readSegment(runtime, file, link, visitor, advance));
  }
  const dead = files.slice(live.length);
  const last = live[live.length - 1];
  const end: LogEnd = { segment: last.file.number, position: last.end, crc: link.crc, version: link.version };
  const rest = await weigh(runtime, manifest, live, dead, end, link);
  checkMissing(runtime, layout, last, dead);
  const lastNumber = files[files.length - 1].number;
  return { live, dead, end, lastNumber, proven: rest.proven, torn: rest.torn, cutBytes: rest.cutBytes };
}

async function listSegments(
  runtime: ReadRuntime,
  layout: Layout,
  manifest: Manifest,
): Promise<SegmentFile[]> {
  const { fileSystem } = runtime;
  const files: SegmentFile[] = [];
  const names = await listOwn(fileSystem, layout.log);
  const numbers = names.map(segmentNumber).filter((number) => number !== undefined);
  for (const number of numbers.sort((a, b) => a - b)) {
    if (number < manifest.firstSegment) continue;
    const path = fileSystem.join(layout.log, segmentName(number));
    files.push(await inspectSegment(runtime, path, number, manifest.storeId));
  }
  return files;
}

function continues(file: SegmentFile, previous: LiveSegment, link: Link): boolean {
  const { opening } = file;
  return (
    opening !== undefined &&
    opening.previousSegment === previous.file.number &&
    opening.previousEnd === previous.end &&
    opening.predecessorCrc === link.crc &&
    opening.base === link.version
  );
}

async function readSegment(
  runtime: ReadRuntime,
  file: SegmentFile,
  link: Link,
  visitor: ScanVisitor,
  advance: (bytes: number) => void,
): Promise<LiveSegment> {
  const { header, opening } = file;
  if (header === undefined || opening === undefined) throw corrupt(file.path, 0, "its header is not valid");
  link.crc = opening.crc;
  link.syncedThrough = Math.max(link.syncedThrough, opening.syncedThrough);
  visitor.segment(header);
  const { end, marks } = await withFile(runtime.fileSystem, file.path, "read", (handle) =>
    readRecords(runtime, handle, file, link, visitor, advance),
  );
  return { file, header, base: opening.base, end, lastVersion: link.version, marks };
}

/** Decides between a torn tail and corruption by everything that stands behind the end. */
async function weigh(
  runtime: ReadRuntime,
  manifest: Manifest,
  live: readonly LiveSegment[],
  dead: readonly SegmentFile[],
  end: LogEnd,
  link: Link,
): Promise<{ proven: number; torn: boolean; cutBytes: number }> {
  const last = live[live.length - 1];
  const { path } = last.file;
  const { synced, checkpoint } = manifest;
  let proven = Math.max(link.syncedThrough, checkpoint.version, synced.version);
  let cutBytes = 0;
  let torn = false;
  for (const file of [last.file, ...dead]) {
    const from = file === last.file ? last.end : headerBytes(file.seal);
    const rest = await withFile(runtime.fileSystem, file.path, "read", (handle) =>
      searchRemainder(runtime, handle, file, from),
    );
    proven = Math.max(proven, rest.syncedThrough);
    if (file === last.file) torn = rest.lastNonZero >= 0;
    const recycled = ((file.header?.flags ?? 0) & RECYCLED) !== 0;
    cutBytes += Math.max(0, (recycled ? rest.lastHead : rest.lastNonZero) - from);
  }
  if (proven > end.version) {
    const what = `the record after version ${end.version} is not valid, though it was synced`;
    throw corrupt(path, end.position, what);
  }
  const behind =
    synced.segment > end.segment || (synced.segment === end.segment && synced.position > end.position);
  if (behind) throw corrupt(path, end.position, "the log ends before what was synced");
  if (manifest.clean && !endsCleanly(live, synced, end)) {
    throw corrupt(path, end.position, "the log does not end where the last orderly close left it");
  }
  return { proven, torn, cutBytes };
}

/**
 * Whether the log ends where an orderly close left it. Behind that an opening may have begun segments, and have
 * been cut off before the manifest knew of them: there is nothing in these.
 */
function endsCleanly(live: readonly LiveSegment[], closed: LogEnd, found: LogEnd): boolean {
  const index = live.findIndex(({ file }) => file.number === closed.segment);
  if (index < 0 || live[index].end !== closed.position) return false;
  const behind = live.slice(index + 1);
  if (behind.length === 0) return found.crc === closed.crc;
  const isEmpty = behind.every(({ base, lastVersion }) => base === closed.version && lastVersion === base);
  return isEmpty && behind[0].file.opening?.predecessorCrc === closed.crc;
}

/** Segments come into being durably before they are used, so a gap in the chain is a lost file. */
function checkMissing(
  { fileSystem }: ReadRuntime,
  layout: Layout,
  last: LiveSegment,
  dead: readonly SegmentFile[],
): void {
  const present = new Set(dead.map((file) => file.number));
  for (const { opening } of dead) {
    const previous = opening?.previousSegment ?? 0;
    if (previous <= last.file.number || present.has(previous)) continue;
    throw corrupt(fileSystem.join(layout.log, segmentName(previous)), 0, "it is missing");
  }
}

/** Where the first commit of a plain segment begins. */
export const FIRST_RECORD_AT = firstCommitAt(undefined);
