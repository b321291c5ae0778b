import { codeOf } from "../base/errors.js";
import type { CommitView } from "../record/commit.js";
import { EVICTED, EXPIRED, entryLength, flagsOf, originOf } from "../record/entry.js";
import type { DiskRuntime } from "./keyring.js";
import { type Layout, segmentName } from "./layout.js";
import type { LogSegment } from "./log-segments.js";
import { headerBytes } from "./segment-format.js";
import { inspectSegment, type SegmentFile } from "./segment-reader.js";

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
  /** The id of the key that it is encrypted under; undefined when it is plain. */
  readonly keyId: string | undefined;
}

/** A live segment as one to read from; undefined before its first record. */
export function pastSegment(segment: LogSegment): PastSegment | undefined {
  const { number, path, base, position, capacity, seal } = segment;
  if (position <= headerBytes(seal)) return undefined;
  return { number, path, base, end: position, sizeBytes: Math.max(capacity, position), keyId: seal?.keyId };
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

  /** Keeps none of them any longer, and returns them, oldest first. */
  clear(): PastSegment[] {
    return this.#list.splice(0);
  }

  /**
   * Takes segments that are live no more, and returns what is not kept any longer, oldest first. What is encrypted
   * under another key than that of `keyId`, or plain where that is none, goes with all before it: nothing needs
   * that key then.
   */
  add(segments: readonly LogSegment[], keyId: string | undefined): PastSegment[] {
    for (const segment of segments) {
      const past = pastSegment(segment);
      if (past !== undefined) this.#list.push(past);
    }
    const foreign = this.#list.findLastIndex((segment) => segment.keyId !== keyId);
    const dropped = this.#list.splice(0, foreign + 1);
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
  runtime: DiskRuntime,
  layout: Layout,
  storeId: string,
  first: Pick<SegmentFile, "number" | "opening"> | undefined,
  bytesMax: number,
): Promise<PastSegment[]> {
  const { fileSystem } = runtime;
  const list: PastSegment[] = [];
  let bytes = 0;
  for (let next = first; next?.opening !== undefined && next.opening.previousSegment > 0; ) {
    const { base, previousSegment: number, previousEnd: end } = next.opening;
    // One that says that it continues itself, or a later one, would never come to an end.
    if (number >= next.number) break;
    const path = fileSystem.join(layout.log, segmentName(number));
    const status = await fileSystem.status(path);
    if (status === undefined || bytes + status.sizeBytes > bytesMax) break;
    const segment = await inspectIfSound(runtime, path, number, storeId);
    const opening = segment?.opening;
    if (opening === undefined || status.sizeBytes < end || opening.base > base) break;
    const keyId = segment?.seal?.keyId;
    list.unshift({ number, path, base: opening.base, end, sizeBytes: status.sizeBytes, keyId });
    bytes += status.sizeBytes;
    next = segment;
  }
  return list;
}

/** What makes a segment one that cannot be read: damage, or a key that is not given any more. */
const UNREADABLE: ReadonlySet<string | undefined> = new Set([
  "CORRUPT",
  "FORMAT_NEWER",
  "ENCRYPTION_KEY_MISSING",
  "ENCRYPTION_KEY_WRONG",
  "NOT_ENCRYPTED",
]);

/** A segment as it says that it is; undefined when it cannot be read. */
export async function inspectIfSound(
  runtime: DiskRuntime,
  path: string,
  number: number,
  storeId: string,
): Promise<SegmentFile | undefined> {
  try {
    return await inspectSegment(runtime, path, number, storeId);
  } catch (error) {
    // A provider of keys that failed may give them next time: what it would open is not to be let go of.
    const isFinal = error instanceof Error && error.cause === undefined;
    if (!isFinal || !UNREADABLE.has(codeOf(error))) throw error;
    return undefined;
  }
}
