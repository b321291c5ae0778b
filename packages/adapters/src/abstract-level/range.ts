import { Buffer } from "node:buffer";
import type { ListOptions } from "fulmar";
import type { EncodedRange } from "./options.js";

/** Every key of the database: the keys of the store that are byte arrays. */
const EVERY_KEY = new Uint8Array();

/** What the store is asked for. As everywhere in Level, `gte` comes before `gt`, and `lte` before `lt`. */
export function listOptions(range: EncodedRange): ListOptions {
  const { gt, gte, lt, lte, reverse } = range;
  const lower = gte !== undefined ? { gte } : gt !== undefined ? { gt } : {};
  const upper = lte !== undefined ? { lte } : lt !== undefined ? { lt } : {};
  return { prefix: EVERY_KEY, ...lower, ...upper, reverse };
}

/** Whether a key is within the bounds. */
export function inBounds(key: Uint8Array, { gt, gte, lt, lte }: EncodedRange): boolean {
  if (gte !== undefined ? Buffer.compare(key, gte) < 0 : gt !== undefined && Buffer.compare(key, gt) <= 0) {
    return false;
  }
  return lte !== undefined ? Buffer.compare(key, lte) <= 0 : lt === undefined || Buffer.compare(key, lt) < 0;
}
