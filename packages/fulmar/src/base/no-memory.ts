import { codeOf } from "./errors.js";

/** Whether something was thrown because there is no memory for a buffer. What this library throws itself has a code. */
export function isNoMemory(error: unknown): boolean {
  return error instanceof RangeError && codeOf(error) === undefined;
}
