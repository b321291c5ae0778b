import { readU32, readU64 } from "../../src/base/bytes.js";

/** A commit in a segment. */
export interface LogRecord {
  readonly version: number;
  readonly from: number;
  readonly to: number;
}

/** The last version before a segment that is whole, and its commits. */
export function readSegment(bytes: Uint8Array): { base: number; records: LogRecord[] } {
  const first = (readU32(bytes, 12) & 2) === 0 ? 68 : 68 + 104;
  const salt = bytes.subarray(24, 32).toString();
  const records: LogRecord[] = [];
  for (let from = first; from + 44 <= bytes.length; ) {
    if (bytes.subarray(from + 8, from + 16).toString() !== salt) break;
    const to = from + 44 + readU32(bytes, from);
    records.push({ version: readU64(bytes, from + 16), from, to });
    from = to;
  }
  const [opening, ...commits] = records;
  return { base: opening.version, records: commits };
}
