import { listOf } from "../../base/uncounted.js";
import { keyText } from "../../keys/key-text.js";

/** Among so many keys each is looked at, from the end on, where keys mostly differ; a map would cost more. */
const FEW = 8;

/** Items in the order in which they were added, found by their keys, of which no two are equal. */
export class KeyedList<T extends { readonly key: Uint8Array }> {
  readonly items: T[] = listOf();
  /** Where each key is, once there are more than a few. */
  #places: Map<string, number> | undefined;

  /** Where the item of a key is, or -1. */
  indexOf(key: Uint8Array): number {
    if (this.#places !== undefined) return this.#places.get(keyText(key)) ?? -1;
    const { items } = this;
    for (let i = items.length - 1; i >= 0; i--) if (isSame(items[i].key, key)) return i;
    return -1;
  }

  /** Adds an item whose key is not there. */
  push(item: T): void {
    const index = this.items.push(item) - 1;
    if (this.#places !== undefined) this.#places.set(keyText(item.key), index);
    else if (index === FEW) this.#places = new Map(this.items.map(({ key }, i) => [keyText(key), i]));
  }

  /** Takes the last item away. */
  pop(): void {
    const item = this.items.pop();
    if (item !== undefined) this.#places?.delete(keyText(item.key));
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = a.length - 1; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
}
