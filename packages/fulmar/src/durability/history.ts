import { codeOf } from "../base/errors.js";
import type { Runtime } from "../base/runtime/interface.js";
import type { CommitView } from "../record/commit.js";
import { EVICTED, EXPIRED, entryLength, flagsOf, originOf } from "../record/entry.js";
import { type Layout, segmentName } from "./layout.js";
import type { LogSegment } from "./log-segments.js";
import { SEGMENT_HEADER_BYTES } from "./segment-format.js";
import { inspectSegment, type Opening } from "./segment-reader.js";

/** A commit as the log holds it: entries back to back in `bytes` from `at` on, valid during the call only. */
export interface PastCommit {
  readonly version: number;
  /** Whether it was merged from a peer. */
  readonly remote: boolean;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly entryCount: number;
}

/** Takes a commit. False: enough for now. */
export type PastVisitor = (commit: PastCommit) => boolean;

/** A place in the history of commits. */
export interface HistoryCursor {
  /**
   * Shows commits up to version `through`, all of them published, in order, until the visitor has enough.
   * Resolves to the version up to which everything was shown, or to undefined when what comes next is not
   * kept. One call at a time.
   */
  read(through: number, visit: PastVisitor): Promise<number | undefined>;
}

/** The commits that are still kept. */
export interface CommitHistory {
  /** The oldest version that reading can begin behind. */
  readonly oldest: number;
  /** Bytes that are kept for readers only. */
  readonly bytes: number;
  /** Begins behind version `after`. `exact`: it must be that of a commit, or nothing is read. */
  cursor(after: number, exact: boolean): HistoryCursor;
}

/** A commit that was written by the origin of this number, or merged. */
export function pastCommit(version: number, view: CommitView, bytes: Uint8Array, writer: number): PastCommit {
  const { entriesAt: at, entryCount } = view;
  const remote = view.changes.length > 0 || hasForeign(bytes, at, entryCount, writer);
  return { version, remote, bytes, at, entryCount };
}

/** What expired or was evicted keeps the stamp of whoever wrote it. */
function hasForeign(bytes: Uint8Array, at: number, entryCount: number, writer: number): boolean {
  let next = at;
  for (let i = 0; i < entryCount; i++) {
    const own = originOf(bytes, next) === writer || (flagsOf(bytes, next) & (EXPIRED | EVICTED)) !== 0;
    if (!own) return true;
    next += entryLength(bytes, next);
  }
  return false;
}

/** A segment that commits can be read from. */
export interface PastSegment {
  readonly number: number;
  readonly path: string;
  /** The last version before it. */
  readonly base: number;
  /** Where its records end. */
  readonly end: number;
  /** Bytes of the file. */
  readonly sizeBytes: number;
}

/** A live segment as one to read from; undefined before its first record. */
export function pastSegment(segment: LogSegment): PastSegment | undefined {
  const { number, path, base, position, capacity } = segment;
  if (position <= SEGMENT_HEADER_BYTES) return undefined;
  return { number, path, base, end: position, sizeBytes: Math.max(capacity, position) };
}

/** Segments before the live ones: no recovery needs them, they are kept for watches that resume. */
export class SegmentHistory {
  readonly #bytesMax: number;
  readonly #list: PastSegment[];

  /** `list`: oldest first. */
  constructor(bytesMax: number, list: readonly PastSegment[]) {
    this.#bytesMax = bytesMax;
    this.#list = [...list];
  }

  get list(): readonly PastSegment[] {
    return this.#list;
  }

  get bytes(): number {
    return this.#list.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  /** Takes segments that are live no more, and returns what is not kept any longer, oldest first. */
  add(segments: readonly LogSegment[]): PastSegment[] {
    for (const segment of segments) {
      const past = pastSegment(segment);
      if (past !== undefined) this.#list.push(past);
    }
    const dropped: PastSegment[] = [];
    for (let bytes = this.bytes; bytes > this.#bytesMax; ) {
      const [oldest] = this.#list.splice(0, 1);
      dropped.push(oldest);
      bytes -= oldest.sizeBytes;
    }
    return dropped;
  }
}

/**
 * The segments before the first live one that continue each other up to it, oldest first, as many of the
 * newest as fit into `bytesMax`. What does not continue is none: a file that was about to be reused, say.
 */
export async function findHistory(
  runtime: Runtime,
  layout: Layout,
  storeId: string,
  first: Opening | undefined,
  bytesMax: number,
): Promise<PastSegment[]> {
  const { fileSystem } = runtime;
  const list: PastSegment[] = [];
  let bytes = 0;
  for (let next = first; next !== undefined && next.previousSegment > 0; ) {
    const path = fileSystem.join(layout.log, segmentName(next.previousSegment));
    const status = await fileSystem.status(path);
    if (status === undefined || bytes + status.sizeBytes > bytesMax) break;
    const opening = await openingOf(runtime, path, next.previousSegment, storeId);
    if (opening === undefined || status.sizeBytes < next.previousEnd || opening.base > next.base) break;
    const { previousSegment: number, previousEnd: end } = next;
    list.unshift({ number, path, base: opening.base, end, sizeBytes: status.sizeBytes });
    bytes += status.sizeBytes;
    next = opening;
  }
  return list;
}

async function openingOf(
  runtime: Runtime,
  path: string,
  number: number,
  storeId: string,
): Promise<Opening | undefined> {
  try {
    return (await inspectSegment(runtime, path, number, storeId)).opening;
  } catch (error) {
    const code = codeOf(error);
    if (code !== "CORRUPT" && code !== "FORMAT_NEWER") throw error;
    return undefined;
  }
}
