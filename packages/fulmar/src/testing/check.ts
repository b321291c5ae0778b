import { FulmarRangeError, FulmarTypeError } from "../base/errors.js";
import { checkOptions, isList, isRevoked } from "../base/options.js";

/** An error of the test that calls. */
export function refusal(message: string): FulmarTypeError {
  return new FulmarTypeError("INVALID_ARGUMENT", message);
}

/** The members of an options object, which may be undefined. @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function membersOf(
  options: unknown,
  known: readonly string[],
  where: string,
): ReadonlyMap<string, unknown> {
  checkOptions(options, known, where);
  const given = Object.entries(options ?? {}) as [string, unknown][];
  return new Map(given.filter(([, value]) => value !== undefined));
}

/** Refuses members that are not among the values given for them. */
export function checkChoices(
  members: ReadonlyMap<string, unknown>,
  choices: Readonly<Record<string, readonly unknown[]>>,
): void {
  for (const [name, values] of Object.entries(choices)) {
    if (!members.has(name) || values.includes(members.get(name))) continue;
    throw refusal(`${name} must be one of ${values.join(", ")}`);
  }
}

/** Refuses members that are not numbers between the least and the most given for them. */
export function checkNumbers(
  members: ReadonlyMap<string, unknown>,
  bounds: Readonly<Record<string, readonly [least: number, most: number]>>,
): void {
  for (const [name, [least, most]] of Object.entries(bounds)) {
    const value = members.get(name);
    if (value === undefined) continue;
    if (typeof value !== "number" || Number.isNaN(value)) throw refusal(`${name} must be a number`);
    if (value >= least && value <= most) continue;
    throw new FulmarRangeError("INVALID_ARGUMENT", `${name} must be between ${least} and ${most}`);
  }
}

/** Refuses what is not an array of which each item is an object that `isRight`. */
export function checkHistory(
  history: unknown,
  isRight: (item: Readonly<Record<string, unknown>>) => boolean,
  what: string,
): void {
  const isItem = (item: unknown): boolean =>
    typeof item === "object" && item !== null && !isRevoked(item) && isRight(item as Record<string, unknown>);
  if (!isList(history) || !history.every(isItem)) throw refusal(`a history must be an array of ${what}`);
}
