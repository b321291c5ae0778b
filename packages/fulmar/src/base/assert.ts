import { FulmarError } from "./errors.js";

/**
 * States an invariant of the program. A failure is a bug in Fulmar, never bad input; it stays on in
 * production because a store that continues past a broken invariant destroys data.
 */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new FulmarError("INVARIANT", `broken invariant: ${invariant}`);
}
