import { encodeKey, type Key, prefixOf } from "./key.js";
import { ALL_KEYS, intersect, type KeyRange, successor } from "./range.js";

/** Which keys; all bounds hold together. */
export interface KeyBounds {
  readonly prefix?: Key | undefined;
  readonly gt?: Key | undefined;
  readonly gte?: Key | undefined;
  readonly lt?: Key | undefined;
  readonly lte?: Key | undefined;
}

/**
 * The range of encoded keys that satisfy every bound given; possibly empty. Without a bound it is
 * {@link ALL_KEYS}, so that whoever serves applications narrows it with `userRanges`.
 *
 * @throws as `encodeKey` and `prefixOf` do for the keys given.
 */
export function resolveRange(bounds: KeyBounds, bytesMax: number): KeyRange {
  let range = ALL_KEYS;
  const { prefix, gt, gte, lt, lte } = bounds;
  if (prefix !== undefined) range = prefixOf(prefix, bytesMax);
  if (gt !== undefined) range = intersect(range, { from: successor(encodeKey(gt, bytesMax)), to: undefined });
  if (gte !== undefined) range = intersect(range, { from: encodeKey(gte, bytesMax), to: undefined });
  if (lt !== undefined) range = intersect(range, { from: ALL_KEYS.from, to: encodeKey(lt, bytesMax) });
  if (lte !== undefined) {
    range = intersect(range, { from: ALL_KEYS.from, to: successor(encodeKey(lte, bytesMax)) });
  }
  return range;
}
