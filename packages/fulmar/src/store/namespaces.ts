import { afterPrefix } from "../base/bytes.js";
import { NAMESPACES, namespaceOf } from "../keys/namespace.js";
import { LATEST, NONE, type Ref } from "../memory/engine.js";
import { keyOf } from "../record/entry.js";
import type { Reader } from "./reader.js";

/** The names of the namespaces in which something can be read now, in order. */
export function namespaceNames(reader: Reader<unknown>): string[] {
  const { engine } = reader;
  const nowMs = reader.nowMs();
  const names: string[] = [];
  let from: Uint8Array | undefined = NAMESPACES.from;
  while (from !== undefined) {
    const ref = firstLive(reader, from, nowMs);
    if (ref === NONE) break;
    const key = keyOf(engine.slab(ref), engine.offset(ref));
    const head = namespaceOf(key);
    if (head !== undefined) names.push(head.name);
    // All other keys of the namespace lie before this.
    from = afterPrefix(head === undefined ? key : key.subarray(0, head.length));
  }
  return names;
}

function firstLive(reader: Reader<unknown>, from: Uint8Array, nowMs: number): Ref {
  const cursor = reader.engine.scan({ from, to: NAMESPACES.to }, LATEST, false);
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) if (reader.isLive(ref, nowMs)) return ref;
  return NONE;
}
