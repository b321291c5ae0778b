import { afterPrefix } from "../base/bytes.js";
import { NAMESPACES, namespaceOf } from "../keys/namespace.js";
import type { KeyRange } from "../keys/range.js";

/**
 * The names of the namespaces in which something can be read, in order. `firstKey` gives the first key of a range that
 * can be read, encoded.
 */
export function namespaceNames(firstKey: (range: KeyRange) => Uint8Array | undefined): string[] {
  const names: string[] = [];
  let from: Uint8Array | undefined = NAMESPACES.from;
  while (from !== undefined) {
    const key = firstKey({ from, to: NAMESPACES.to });
    if (key === undefined) break;
    const head = namespaceOf(key);
    if (head !== undefined) names.push(head.name);
    // All other keys of the namespace lie before this.
    from = afterPrefix(head === undefined ? key : key.subarray(0, head.length));
  }
  return names;
}
