import { FulmarRangeError, FulmarTypeError } from "../base/errors.js";
import { quotedTextOf } from "../base/options.js";
import { describeKey } from "../keys/describe.js";
import type { Key } from "./types.js";

/** What a counter can be raised by. */
export type Step = number | bigint;

/** @throws FulmarTypeError `NOT_AN_INTEGER` unless `by` is a bigint or an integer below 2^53. */
export function checkStep(by: unknown, key: Key): Step {
  if (typeof by === "bigint" || Number.isSafeInteger(by)) return by as Step;
  throw new FulmarTypeError(
    "NOT_AN_INTEGER",
    `increment of ${describeKey(key)}: ${quotedTextOf(by)} is neither a bigint nor an integer below 2^53`,
  );
}

/**
 * `current` raised by a step; an absent counter counts from zero.
 *
 * @throws FulmarTypeError `NOT_AN_INTEGER` when the two are not both integers or both bigints.
 * @throws FulmarRangeError `INTEGER_OVERFLOW` when the sum is no exact number any more.
 */
export function incremented(current: unknown, by: Step, key: Key): Step {
  // Not minus zero, which no codec keeps.
  if (current === undefined) return by === 0 ? 0 : by;
  if (typeof current === "bigint" && typeof by === "bigint") return current + by;
  if (typeof by === "number" && typeof current === "number" && Number.isSafeInteger(current)) {
    const sum = current + by;
    if (Number.isSafeInteger(sum)) return sum;
    const message = `increment of ${describeKey(key)} leaves the integers below 2^53: use bigints, with codec "bigint"`;
    throw new FulmarRangeError("INTEGER_OVERFLOW", message);
  }
  const held = typeof current === "number" || typeof current === "bigint" ? String(current) : typeof current;
  throw new FulmarTypeError(
    "NOT_AN_INTEGER",
    `increment of ${describeKey(key)} by ${typeof by} ${String(by)}: the value is ${held}, which cannot be added to`,
  );
}
