import { FulmarError } from "../base/errors.js";

/** The error for an exception that no code of the log expects. */
export function logStopped(cause: unknown): FulmarError {
  const message =
    "an unexpected error stopped the log: open the store again, which finds out what of the last commits is on disk";
  return new FulmarError("STORE_FAILED", message, { cause });
}

/** The error for what comes after a failure. */
export function logFailedEarlier(failure: Error): FulmarError {
  const message = "the log failed earlier: close the store and open it again";
  return new FulmarError("STORE_FAILED", message, { cause: failure });
}
