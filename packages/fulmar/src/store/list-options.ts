import { booleanOption, checkOptions, integerOption } from "../base/options.js";
import type { ListOptions, RangeOptions } from "./types.js";

export const RANGE_OPTIONS = [
  "prefix",
  "gt",
  "gte",
  "lt",
  "lte",
] as const satisfies readonly (keyof RangeOptions)[];
export const LIST_OPTIONS = [
  ...RANGE_OPTIONS,
  "reverse",
  "limit",
] as const satisfies readonly (keyof ListOptions)[];

/** In which direction, and how many at most. */
export interface ListShape {
  readonly reverse: boolean;
  readonly limit: number;
}

/** The options of a listing beside its range, checked and completed. @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkListOptions(options: ListOptions, known: readonly string[] = LIST_OPTIONS): ListShape {
  checkOptions(options, known, "list");
  const most = Number.MAX_SAFE_INTEGER;
  return {
    reverse: booleanOption(options.reverse, "reverse", false),
    limit: integerOption(options.limit, "limit", most, 0, most),
  };
}
