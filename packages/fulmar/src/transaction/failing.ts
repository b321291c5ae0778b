import { FulmarError } from "../base/errors.js";
import type { MemoryEngine } from "../memory/engine.js";

/** Why a store that failed takes nothing more. */
export function readOnly(cause: Error): FulmarError {
  const message = "the store failed and is read-only: backup() saves what it holds; then reopen it";
  return new FulmarError("STORE_FAILED", message, { cause });
}

/**
 * Takes a commit back with which something went wrong that nobody expected: no memory for it, or a bug. Nobody may see
 * half of it, nor what the log does not have the end of.
 */
export function takeBack(engine: MemoryEngine, before: number): void {
  try {
    engine.rollback(before);
  } catch {
    // What is left of it stays in memory: whatever happens, no more is built on that.
  }
}
