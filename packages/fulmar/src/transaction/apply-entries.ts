import type { MemoryEngine } from "../memory/engine.js";
import type { CommitBody } from "./commit-body.js";

/** Of so many entries it pays to look ahead at what all of them lead to. */
const TOGETHER_MIN = 4;

/** Writes the entries of a commit at `at` and applies them to memory from there; returns the position behind them. */
export function applyEntries(
  engine: MemoryEngine,
  version: number,
  body: CommitBody,
  bytes: Uint8Array,
  at: number,
): number {
  const { entryCount } = body;
  const isLarge = entryCount >= TOGETHER_MIN;
  let next = at;
  for (let i = 0; i < entryCount; i++) {
    const end = body.write(i, bytes, next);
    if (!isLarge) engine.put(version, bytes, next, end - next);
    next = end;
  }
  if (isLarge) engine.putAll(version, bytes, at, next);
  return next;
}
