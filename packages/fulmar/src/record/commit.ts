import { isU53, readU32, readU64, writeU32, writeU64 } from "../base/bytes.js";
import type { Hole, OriginCoverage } from "./coverage.js";
import { checkedEntryLength, originOf } from "./entry.js";

/**
 * A commit is entries that change together, with what they add to the store's coverage of other
 * origins. Its bytes are the payload of a log record, after the record's origin definitions:
 *
 * ```text
 *  0  u32 entryCount     4  u32 coverageCount
 *  8  coverageCount times: u32 origin, u32 holeCount, u64 upTo, holeCount times: u64 from, u64 to
 * ..  entryCount entries, back to back
 * ```
 */

export const COMMIT_HEADER_BYTES = 8;
const COVERAGE_ITEM_BYTES = 16;
const HOLE_BYTES = 16;

/** New coverage of one origin, by the origin's number in the surrounding dictionary. */
export interface CoverageChange {
  readonly origin: number;
  readonly coverage: OriginCoverage;
}

export function coverageBytes(changes: readonly CoverageChange[]): number {
  let bytes = 0;
  for (const { coverage } of changes) bytes += COVERAGE_ITEM_BYTES + coverage.holes.length * HOLE_BYTES;
  return bytes;
}

/** Writes everything before the entries and returns the position of the first entry. */
export function writeCommitHead(
  bytes: Uint8Array,
  at: number,
  entryCount: number,
  changes: readonly CoverageChange[],
): number {
  writeU32(bytes, at, entryCount);
  writeU32(bytes, at + 4, changes.length);
  return writeCoverage(bytes, at + COMMIT_HEADER_BYTES, changes);
}

export function writeCoverage(bytes: Uint8Array, at: number, changes: readonly CoverageChange[]): number {
  let next = at;
  for (const { origin, coverage } of changes) {
    writeU32(bytes, next, origin);
    writeU32(bytes, next + 4, coverage.holes.length);
    writeU64(bytes, next + 8, coverage.upTo);
    next += COVERAGE_ITEM_BYTES;
    for (const hole of coverage.holes) {
      writeU64(bytes, next, hole.from);
      writeU64(bytes, next + 8, hole.to);
      next += HOLE_BYTES;
    }
  }
  return next;
}

/**
 * Reads `count` coverage items before `end`. Undefined unless every item is well-formed: origins
 * between 1 and `origins`, holes sorted, disjoint and below `upTo`.
 */
export function readCoverage(
  bytes: Uint8Array,
  at: number,
  end: number,
  count: number,
  origins: number,
): { changes: CoverageChange[]; next: number } | undefined {
  const changes: CoverageChange[] = [];
  let next = at;
  if (count > (end - at) / COVERAGE_ITEM_BYTES) return undefined;
  for (let i = 0; i < count; i++) {
    if (end - next < COVERAGE_ITEM_BYTES || !isU53(bytes, next + 8)) return undefined;
    const origin = readU32(bytes, next);
    const holeCount = readU32(bytes, next + 4);
    const upTo = readU64(bytes, next + 8);
    next += COVERAGE_ITEM_BYTES;
    if (origin === 0 || origin > origins) return undefined;
    const holes = readHoles(bytes, next, end, holeCount, upTo);
    if (holes === undefined) return undefined;
    next += holeCount * HOLE_BYTES;
    changes.push({ origin, coverage: { upTo, holes } });
  }
  return { changes, next };
}

function readHoles(
  bytes: Uint8Array,
  at: number,
  end: number,
  count: number,
  upTo: number,
): Hole[] | undefined {
  if (count > (end - at) / HOLE_BYTES) return undefined;
  const holes: Hole[] = [];
  let least = 1;
  for (let i = 0; i < count; i++) {
    const item = at + i * HOLE_BYTES;
    if (!isU53(bytes, item) || !isU53(bytes, item + 8)) return undefined;
    const from = readU64(bytes, item);
    const to = readU64(bytes, item + 8);
    if (from < least || to < from || to > upTo) return undefined;
    least = to + 2;
    holes.push({ from, to });
  }
  return holes;
}

/** A decoded commit: where its entries are, not the entries themselves. */
export interface CommitView {
  readonly changes: readonly CoverageChange[];
  readonly entryCount: number;
  /** Position of the first entry. */
  readonly entriesAt: number;
}

/**
 * Decodes `bytes[at, end)` as a commit, checking every length, and that every origin is between 1 and
 * `origins`. Undefined when it is not well-formed to the last byte.
 */
export function readCommit(
  bytes: Uint8Array,
  at: number,
  end: number,
  origins: number,
): CommitView | undefined {
  if (end - at < COMMIT_HEADER_BYTES) return undefined;
  const entryCount = readU32(bytes, at);
  const coverage = readCoverage(bytes, at + COMMIT_HEADER_BYTES, end, readU32(bytes, at + 4), origins);
  if (coverage === undefined) return undefined;
  let next = coverage.next;
  for (let i = 0; i < entryCount; i++) {
    const length = checkedEntryLength(bytes, next, end);
    if (length === 0) return undefined;
    const origin = originOf(bytes, next);
    if (origin === 0 || origin > origins) return undefined;
    next += length;
  }
  if (next !== end) return undefined;
  return { changes: coverage.changes, entryCount, entriesAt: coverage.next };
}
