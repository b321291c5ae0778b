import { type KeyRange, successor } from "../../keys/range.js";
import { deadlineOf, flagsOf, HAS_DEADLINE, keyOf, TOMBSTONE } from "../../record/entry.js";
import { NONE, type Ref } from "../engine.js";
import { copyBytes } from "../offheap/copying.js";
import type { ReaderTree } from "./reader-tree.js";
import { type SharedView, TornRead } from "./view.js";

/** One read looks at so many keys at most, and copies so many bytes or one entry. */
const KEYS_MAX = 4096;
const BYTES_MAX = 256 << 10;
/** What is copied shares arrays of this size. */
const COPY_BYTES = 16 << 10;

/** What of entries is wanted: how many there are, their keys, or all of them. */
export type Wanted = "count" | "keys" | "entries";

/** Which entries a batch looks for. */
export interface BatchRequest {
  readonly range: KeyRange;
  readonly reverse: boolean;
  readonly version: number;
  readonly nowMs: number;
  readonly wanted: Wanted;
  /** At most so many. */
  readonly limit: number;
}

/** Live entries of a part of a range, copied out of shared memory. */
export interface Batch {
  count: number;
  /** Where each entry is; with `keys` an entry ends with its key. */
  readonly bytes: Uint8Array[];
  readonly starts: number[];
  readonly versions: number[];
  /** What is left to be looked at; undefined at the end. */
  rest: KeyRange | undefined;
}

/** Whether a record can be read at a moment: not deleted, and its deadline not reached. */
export function isLiveAt(view: SharedView, ref: Ref, nowMs: number): boolean {
  const slab = view.slab(ref);
  const at = view.offset(ref);
  const flags = flagsOf(slab, at);
  if (flags === 0) return true;
  return (flags & TOMBSTONE) === 0 && ((flags & HAS_DEADLINE) === 0 || deadlineOf(slab, at) > nowMs);
}

/** Reads one batch; to be called within a read. */
export function readBatch(view: SharedView, tree: ReaderTree, request: BatchRequest): Batch {
  const { range, reverse, version, nowMs, wanted, limit } = request;
  const batch: Batch = { count: 0, bytes: [], starts: [], versions: [], rest: undefined };
  let looked = 0;
  let copied = 0;
  let room: Uint8Array = new Uint8Array(0);
  let used = 0;
  let last: Ref = NONE;
  const isDone = tree.scan(range, reverse, version, (ref, newest) => {
    looked++;
    last = newest;
    if (ref !== NONE && isLiveAt(view, ref, nowMs)) {
      batch.count++;
      if (wanted !== "count") {
        const length = view.checkedLength(ref, wanted === "entries");
        if (used + length > room.length) {
          room = new Uint8Array(Math.max(COPY_BYTES, length));
          used = 0;
        }
        copyEntry(view, ref, length, room, used);
        batch.bytes.push(room);
        batch.starts.push(used);
        batch.versions.push(view.versionOf(ref));
        used += length;
        copied += length;
      }
    }
    return batch.count < limit && looked < KEYS_MAX && copied < BYTES_MAX;
  });
  if (!isDone) batch.rest = restOf(range, reverse, copyKey(view, last));
  return batch;
}

/** The part of a range behind a key, in the direction of a walk. */
function restOf(range: KeyRange, reverse: boolean, key: Uint8Array): KeyRange {
  return reverse ? { from: range.from, to: key } : { from: successor(key), to: range.to };
}

function copyKey(view: SharedView, ref: Ref): Uint8Array {
  view.checkedLength(ref, false);
  return keyOf(view.slab(ref), view.offset(ref));
}

/** Copies the beginning of an entry, as long as `length` says. */
export function copyEntry(view: SharedView, ref: Ref, length: number, into: Uint8Array, at: number): void {
  copyBytes(view.slab(ref), view.offset(ref), into, at, length);
}

/** A copy of the value of an entry, in an array of so many bytes that `take` gives. */
export function copyValue(view: SharedView, ref: Ref, take: (length: number) => Uint8Array): Uint8Array {
  // Lengths are read once each: what was checked may be something else when it is read again.
  const keyEnd = view.checkedLength(ref, false);
  const length = view.checkedLength(ref, true) - keyEnd;
  if (length < 0) throw new TornRead("an entry ends before its key");
  const value = take(length);
  copyBytes(view.slab(ref), view.offset(ref) + keyEnd, value, 0, length);
  return value;
}
