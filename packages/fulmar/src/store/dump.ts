import { checkOptions } from "../base/options.js";
import { userRanges } from "../keys/key.js";
import { NAMESPACES } from "../keys/namespace.js";
import { ALL_KEYS, type KeyRange } from "../keys/range.js";
import { LIVING, NONE } from "../memory/engine.js";
import { deadlineOf, keyOf, valueView } from "../record/entry.js";
import type { StoreCore } from "./core.js";
import { endLine, entryLine, headLine } from "./dump-line.js";
import { pinToSave } from "./pin-to-save.js";
import { type Scope, scopeOf } from "./scope.js";
import type { RangeOptions } from "./types.js";
import type { Writable } from "./writable.js";

/** Text is handed out when it has grown to this many characters. */
const TEXT_LENGTH = 64 * 1024;

/**
 * Everything that is readable in a store with its namespaces, in one namespace, or in a range of the own keys of
 * either, as JSON lines, of one synced state: keys of every kind, the bytes of every value whatever its codec, and
 * deadlines. Each piece is whole lines. The state stays pinned, and the old versions of what changes in memory,
 * until the iteration ends. A schema does not look at what is loaded. Of a store that has failed it is all that
 * memory shows, also what was not acknowledged.
 *
 * Throws INVALID_KEY, INVALID_ARGUMENT or UNKNOWN_OPTION here; CLOSED while iterating, or what the log refuses the
 * writes with that come before it.
 *
 * @example
 * ```ts
 * import { dump, load, open } from "fulmar";
 *
 * const db = await open();
 * await db.set(["user", 1n], { name: "Ada" });
 * const copy = await open();
 * await load(copy, dump(db));
 * console.log(copy.get(["user", 1n]));
 * await Promise.all([db.close(), copy.close()]);
 * ```
 */
export function dump<In, Out>(store: Writable<In, Out>, range?: RangeOptions): AsyncIterable<string> {
  const scope = scopeOf<In, Out>(store);
  checkOptions(range, ["prefix", "gt", "gte", "lt", "lte"], "dump");
  scope.core.assertOpen();
  return linesOf(scope.core, dumpedRanges(scope, range));
}

function dumpedRanges<In, Out>(
  { core, reader }: Scope<In, Out>,
  range: RangeOptions | undefined,
): KeyRange[] {
  const { space } = reader;
  if (space.name === undefined && range === undefined) {
    const [strings, others] = userRanges(ALL_KEYS);
    return [strings, NAMESPACES, others];
  }
  return space.ranges(range ?? {}, core.limits.keyBytesMax);
}

async function* linesOf(
  core: StoreCore<unknown>,
  ranges: readonly KeyRange[],
): AsyncGenerator<string, void, undefined> {
  core.assertOpen();
  const { pin } = await pinToSave(core.committer, "user");
  try {
    const { engine, reader } = core;
    const nowMs = reader.nowMs();
    let text = headLine(pin.version);
    let entries = 0;
    for (const range of ranges) {
      const cursor = engine.scan(range, pin.version, false, LIVING);
      for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
        if (!reader.isLive(ref, nowMs)) continue;
        const [bytes, at] = [engine.slab(ref), engine.offset(ref)];
        text += entryLine(keyOf(bytes, at), valueView(bytes, at), deadlineOf(bytes, at));
        entries++;
        if (text.length < TEXT_LENGTH) continue;
        yield text;
        text = "";
        await core.timers.turn();
        core.assertOpen();
      }
    }
    yield text + endLine(entries);
  } finally {
    pin.release();
  }
}
