import { isMadeBy } from "./options.js";
import type { Diagnostics } from "./runtime/interface.js";

/**
 * Calls code of the application that is only to be told something. What it throws, and what a promise that it returns
 * rejects with, goes to `report`: neither may disturb the work that tells it, nor end the process as a rejection that
 * nobody handles.
 */
export function tell<T>(listener: (event: T) => unknown, event: T, report: (error: unknown) => void): void {
  try {
    const given = listener(event);
    if (isMadeBy(given, Promise)) given.then(undefined, report);
  } catch (error) {
    report(error);
  }
}

/** A promise that an application gave where none belongs: whatever comes of it is of no more interest. */
export function ignoreRejection(given: unknown): void {
  if (isMadeBy(given, Promise)) given.then(undefined, () => undefined);
}

/** Tells of progress whoever wants to know, and reports errors of theirs as `fulmar:progress-error`. */
export function progressTeller<T>(
  diagnostics: Diagnostics,
  listener: ((progress: T) => void) | undefined,
): (progress: T) => void {
  if (listener === undefined) return () => undefined;
  const report = (error: unknown): void => diagnostics.emit("progress-error", () => ({ error }));
  return (progress) => tell(listener, progress, report);
}
