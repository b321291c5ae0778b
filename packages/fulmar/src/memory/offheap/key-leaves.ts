import { assert } from "../../base/assert.js";
import { commonLength, headOf, prefixWord } from "./key-heads.js";
import { COUNT, HEADS, PREFIX, STALE, STATE } from "./key-node-layout.js";
import type { KeyNodes } from "./key-nodes.js";
import type { Node } from "./node-pool.js";
import type { Records } from "./records.js";

/** Makes an empty leaf hold the first `count` of some records, whose keys ascend. */
export function fillLeaf(
  nodes: KeyNodes,
  records: Records,
  leaf: Node,
  refs: Uint32Array,
  count: number,
): void {
  const words = nodes.pool.words(leaf);
  const base = nodes.pool.base(leaf);
  const heads = base + HEADS;
  const first = refs[0];
  const last = refs[count - 1];
  const start = records.keyStart(first);
  const lastStart = records.keyStart(last);
  const end = start + records.keyLength(first);
  const lastEnd = lastStart + records.keyLength(last);
  const prefix = commonLength(records.slab(first), start, end, records.slab(last), lastStart, lastEnd);
  words[base + COUNT] = count;
  words[base + PREFIX] = prefixWord(records.slab(first), start, prefix);
  words[base + STATE] = STALE;
  let before = 0;
  for (let i = 0; i < count; i++) {
    const ref = refs[i];
    const key = records.keyStart(ref);
    const head = headOf(records.slab(ref), key + prefix, key + records.keyLength(ref));
    assert(head > before || i === 0 || isAbove(nodes, records, refs[i - 1], ref), "loaded keys ascend");
    words[heads + i] = head;
    words[heads + nodes.leafMax + i] = ref;
    before = head;
  }
}

/** Whether the key of a record is above that of another. */
export function isAbove(nodes: KeyNodes, records: Records, lower: number, ref: number): boolean {
  const start = records.keyStart(ref);
  return nodes.compare(lower, true, records.slab(ref), start, start + records.keyLength(ref), 0) < 0;
}
