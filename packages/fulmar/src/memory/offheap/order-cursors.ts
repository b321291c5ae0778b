import { assert } from "../../base/assert.js";
import type { Cursor } from "../engine.js";
import { type CursorSource, NOTHING, OrderCursor } from "./cursors.js";
import { originGroup } from "./origin-order.js";

const TWO_32 = 4294967296;

/** A cursor over what `origin` wrote with `afterSeq < seq <= throughSeq`, as it is visible at `at`. */
export function originCursor(
  source: CursorSource,
  origin: number,
  afterSeq: number,
  throughSeq: number,
  at: number,
): Cursor {
  const { origins } = source.indexes;
  assert(origins.state === "complete", "the order by origin is asked for before it is read");
  const first = Math.max(0, afterSeq + 1);
  const last = Math.min(throughSeq, Number.MAX_SAFE_INTEGER);
  if (first > last) return NOTHING;
  const from = [originGroup(origin, first), first % TWO_32] as const;
  const to = [originGroup(origin, last), last % TWO_32] as const;
  return new OrderCursor(source, origins.whole, from, to, at);
}

/** A cursor over what has a deadline from `fromMs`, which is whole and not negative, to `throughMs`. */
export function deadlineCursor(source: CursorSource, fromMs: number, throughMs: number): Cursor {
  const last = Math.min(Math.floor(throughMs), Number.MAX_SAFE_INTEGER);
  if (!(last >= fromMs)) return NOTHING;
  const from = [Math.floor(fromMs / TWO_32), fromMs % TWO_32] as const;
  const to = [Math.floor(last / TWO_32), last % TWO_32] as const;
  return new OrderCursor(source, source.indexes.deadlines, from, to, undefined);
}
