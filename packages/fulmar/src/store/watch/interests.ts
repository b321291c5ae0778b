import { equalBytes } from "../../base/bytes.js";
import type { KeyRange } from "../../keys/range.js";
import { WatchedKeys } from "./watched-keys.js";
import { WatchedRanges } from "./watched-ranges.js";

/**
 * Who is interested in which keys. What a key costs that nobody watches depends neither on how many watches
 * there are nor on what they have in common with it, but for the steps of a search among the ends of ranges.
 */
export class Interests<T> {
  readonly #keys = new WatchedKeys<T>();
  readonly #ranges = new WatchedRanges<T>();

  add(range: KeyRange, item: T): void {
    if (isKey(range)) this.#keys.add(range.from, item);
    else this.#ranges.add(range, item);
  }

  /** With the same item, and a range of the same keys. */
  remove(range: KeyRange, item: T): void {
    if (isKey(range)) this.#keys.remove(range.from, item);
    else this.#ranges.remove(range, item);
  }

  /** Shows everybody who is interested in `key` until `found` returns true, and says whether it did. */
  some(key: Uint8Array, found: (item: T) => boolean): boolean {
    return this.#keys.some(key, found) || this.#ranges.some(key, found);
  }
}

/** Whether a range holds exactly one key: up to what follows it directly. */
function isKey({ from, to }: KeyRange): boolean {
  return to?.length === from.length + 1 && to[from.length] === 0 && equalBytes(to.subarray(0, -1), from);
}
