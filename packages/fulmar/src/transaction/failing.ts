import { FulmarError, isNoMemory } from "../base/errors.js";
import type { MemoryEngine } from "../memory/engine.js";

/** Why a store that failed takes nothing more. */
export function readOnly(cause: Error): FulmarError {
  const message = "the store failed and is read-only: backup() saves what it holds; then reopen it";
  return new FulmarError("STORE_FAILED", message, { cause });
}

/**
 * Takes a commit back with which something went wrong: no memory for it, or a bug. Nobody may see half of it, nor what
 * the log does not have the end of. False when that went wrong, too: no more may be built on what is left of it.
 */
export function takeBack(engine: MemoryEngine, before: number): boolean {
  try {
    engine.rollback(before);
    return true;
  } catch {
    return false;
  }
}

/** Takes back a commit that could not be applied. True when all goes on without it: there was no memory for it. */
export function isUndone(engine: MemoryEngine, before: number, cause: unknown): boolean {
  return takeBack(engine, before) && isNoMemory(cause);
}
