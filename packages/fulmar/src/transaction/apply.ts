import { assert } from "../base/assert.js";
import type { CommitLog } from "../durability/commit-log.js";
import type { MemoryEngine } from "../memory/engine.js";
import {
  COMMIT_HEADER_BYTES,
  type CoverageChange,
  coverageBytes,
  writeCommitHead,
} from "../record/commit.js";
import type { CommitBody } from "./commit-body.js";
import { isUndone } from "./failing.js";

export interface ApplyParts {
  readonly engine: MemoryEngine;
  readonly log: CommitLog;
  /** The commit could be neither applied nor taken back; returns the error that says so. */
  readonly broken: (cause: unknown) => Error;
}

/** Encodes a commit into the log's buffer and applies each entry from there; all of it, or without memory nothing. */
export function applyCommit(
  { engine, log, broken }: ApplyParts,
  version: number,
  changes: readonly CoverageChange[],
  body: CommitBody,
): void {
  const length = COMMIT_HEADER_BYTES + coverageBytes(changes) + body.entriesBytes;
  const { bytes, at } = log.begin(version, length);
  const before = engine.version;
  try {
    const start = writeCommitHead(bytes, at, body.entryCount, changes);
    const end = body.copyHidden?.(bytes, start) ?? putEach(engine, version, body, bytes, start);
    assert(end === at + length, "a commit fills exactly the space reserved for it");
    if (body.copyHidden !== undefined) engine.show();
  } catch (cause) {
    if (!isUndone(engine, before, cause)) throw broken(cause);
    log.abandon();
    throw cause;
  }
}

/** Returns where the entries end. */
function putEach(
  engine: MemoryEngine,
  version: number,
  body: CommitBody,
  bytes: Uint8Array,
  at: number,
): number {
  let next = at;
  for (let i = 0; i < body.entryCount; i++) {
    const end = body.write(i, bytes, next);
    engine.put(version, bytes, next, end - next);
    next = end;
  }
  return next;
}
