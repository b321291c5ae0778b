import { compareBytes } from "../../base/bytes.js";
import type { KeyRange } from "../../keys/range.js";
import { type Cursor, NONE } from "../engine.js";
import { isVisible, type KeyChain, type PlainRecord, visibleIn } from "./record.js";
import type { SortedChunks } from "./sorted-chunks.js";

const NOTHING: Cursor = Object.freeze({ next: () => NONE });

export function scanCursor(
  chains: SortedChunks<KeyChain>,
  range: KeyRange,
  at: number,
  reverse: boolean,
): Cursor {
  const { from, to } = range;
  const isPast = (key: Uint8Array): boolean =>
    reverse ? compareBytes(key, from) < 0 : to !== undefined && compareBytes(key, to) >= 0;
  const end = reverse ? to : from;
  // In reverse without an upper end everything lies before the start.
  const cursor = chains.cursor((chain) => (end === undefined ? -1 : compareBytes(chain.key, end)), reverse);
  return until(() => {
    for (let chain = cursor.next(); chain !== undefined && !isPast(chain.key); chain = cursor.next()) {
      const record = visibleIn(chain, at);
      if (record !== undefined) return record;
    }
    return undefined;
  });
}

export function originCursor(
  records: SortedChunks<PlainRecord> | undefined,
  afterSeq: number,
  throughSeq: number,
  at: number,
): Cursor {
  if (records === undefined) return NOTHING;
  const cursor = records.cursor((record) => (record.seq <= afterSeq ? -1 : 1), false);
  return until(() => {
    for (
      let record = cursor.next();
      record !== undefined && record.seq <= throughSeq;
      record = cursor.next()
    ) {
      if (isVisible(record, at)) return record;
    }
    return undefined;
  });
}

export function deadlineCursor(
  records: SortedChunks<PlainRecord>,
  fromMs: number,
  throughMs: number,
): Cursor {
  const cursor = records.cursor(({ deadline }) => (deadline < fromMs ? -1 : 1), false);
  return until(() => {
    const record = cursor.next();
    return record !== undefined && record.deadline <= throughMs ? record : undefined;
  });
}

/** A cursor that stays at its end once it is there. */
function until(next: () => PlainRecord | undefined): Cursor {
  let ended = false;
  return {
    next: () => {
      const record = ended ? undefined : next();
      ended = record === undefined;
      return record?.ref ?? NONE;
    },
  };
}
