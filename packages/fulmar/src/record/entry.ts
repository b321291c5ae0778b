import { assert } from "../base/assert.js";
import {
  isU53In56,
  readU16,
  readU24,
  readU32,
  readU56,
  writeU16,
  writeU24,
  writeU32,
  writeU56,
} from "../base/bytes.js";

/**
 * An entry is one version of one key. Its bytes are the same in memory, in the log, in a checkpoint
 * and on the wire; only the small origin number is resolved by a dictionary of each place. Each byte
 * here is one for every key in memory: numbers below 2^53 take seven.
 *
 * ```text
 *  0  u16 keyLength     2  u8 flags     3  u24 origin
 *  6  u32 valueLength  10  u32 valueChecksum
 * 14  u56 hlc          21  u56 seq
 * 28  u56 deadline, only with HAS_DEADLINE
 * ..  key, value
 * ```
 */

const KEY_LENGTH = 0;
const FLAGS = KEY_LENGTH + 2;
const ORIGIN = FLAGS + 1;
const VALUE_LENGTH = ORIGIN + 3;
const VALUE_CHECKSUM = VALUE_LENGTH + 4;
const HLC = VALUE_CHECKSUM + 4;
const SEQ = HLC + 7;
const DEADLINE = SEQ + 7;

/** Bytes of an entry before its deadline and key. */
export const ENTRY_HEADER_BYTES = DEADLINE;
/** Bytes of a deadline, in entries that have one. */
export const DEADLINE_BYTES = 7;
/** The highest number that can stand for an origin. */
export const ORIGIN_NUMBER_MAX = 2 ** 24 - 1;

/** The key is deleted. The entry has no value. */
export const TOMBSTONE = 1;
/** The entry carries a deadline. */
export const HAS_DEADLINE = 2;
/** A tombstone that the sweeper left: it keeps stamp and value checksum of the entry that expired. */
export const EXPIRED = 4;
/** A tombstone of a key that had to go for others: it keeps stamp and value checksum of the entry, too. */
export const EVICTED = 8;
const KNOWN_FLAGS = TOMBSTONE | HAS_DEADLINE | EXPIRED | EVICTED;

/** What an entry says of its key. */
export interface EntryContent {
  readonly key: Uint8Array;
  /** Empty for a tombstone. */
  readonly value: Uint8Array;
  readonly flags: number;
  /** Wall ms since 1970; used only with HAS_DEADLINE. */
  readonly deadline: number;
}

/** The stamp of an entry, with the number of its origin. */
export interface EntryStamp {
  readonly origin: number;
  readonly hlc: number;
  readonly seq: number;
}

/** All fields of an entry. */
export interface EntryFields extends EntryContent, EntryStamp {
  readonly valueChecksum: number;
}

export function entryBytes(keyLength: number, valueLength: number, flags: number): number {
  return ENTRY_HEADER_BYTES + ((flags & HAS_DEADLINE) === 0 ? 0 : DEADLINE_BYTES) + keyLength + valueLength;
}

/** Writes an entry at `at` and returns the position after it. */
export function writeEntry(bytes: Uint8Array, at: number, fields: EntryFields): number {
  return writeStamped(bytes, at, fields, fields, fields.valueChecksum);
}

/** The same from parts, so that nobody has to put an object together for each entry. */
export function writeStamped(
  bytes: Uint8Array,
  at: number,
  { key, value, flags, deadline }: EntryContent,
  { origin, hlc, seq }: EntryStamp,
  valueChecksum: number,
): number {
  writeU16(bytes, at + KEY_LENGTH, key.length);
  bytes[at + FLAGS] = flags;
  setOrigin(bytes, at, origin);
  writeU32(bytes, at + VALUE_LENGTH, value.length);
  writeU32(bytes, at + VALUE_CHECKSUM, valueChecksum);
  writeU56(bytes, at + HLC, hlc);
  writeU56(bytes, at + SEQ, seq);
  let next = at + ENTRY_HEADER_BYTES;
  if ((flags & HAS_DEADLINE) !== 0) {
    writeU56(bytes, next, deadline);
    next += DEADLINE_BYTES;
  }
  bytes.set(key, next);
  next += key.length;
  bytes.set(value, next);
  return next + value.length;
}

export function flagsOf(bytes: Uint8Array, at: number): number {
  return bytes[at + FLAGS];
}

export function isTombstone(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + FLAGS] & TOMBSTONE) !== 0;
}

export function originOf(bytes: Uint8Array, at: number): number {
  return readU24(bytes, at + ORIGIN);
}

/** Resolves the origin to another dictionary's number, in place. */
export function setOrigin(bytes: Uint8Array, at: number, origin: number): void {
  assert(origin <= ORIGIN_NUMBER_MAX, "the number of an origin has 24 bits");
  writeU24(bytes, at + ORIGIN, origin);
}

export function valueChecksumOf(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + VALUE_CHECKSUM);
}

export function hlcOf(bytes: Uint8Array, at: number): number {
  return readU56(bytes, at + HLC);
}

/** Gives the entry another time, in place. */
export function setHlc(bytes: Uint8Array, at: number, hlc: number): void {
  writeU56(bytes, at + HLC, hlc);
}

/** Gives the entry another sequence number, in place. */
export function setSeq(bytes: Uint8Array, at: number, seq: number): void {
  writeU56(bytes, at + SEQ, seq);
}

export function seqOf(bytes: Uint8Array, at: number): number {
  return readU56(bytes, at + SEQ);
}

/** The deadline in wall ms; Infinity when there is none. */
export function deadlineOf(bytes: Uint8Array, at: number): number {
  return (bytes[at + FLAGS] & HAS_DEADLINE) === 0 ? Number.POSITIVE_INFINITY : readU56(bytes, at + DEADLINE);
}

export function keyStart(bytes: Uint8Array, at: number): number {
  return at + ENTRY_HEADER_BYTES + ((bytes[at + FLAGS] & HAS_DEADLINE) === 0 ? 0 : DEADLINE_BYTES);
}

export function keyLengthOf(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + KEY_LENGTH);
}

export function valueLengthOf(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + VALUE_LENGTH);
}

export function valueStart(bytes: Uint8Array, at: number): number {
  return keyStart(bytes, at) + keyLengthOf(bytes, at);
}

/** A copy of the key. */
export function keyOf(bytes: Uint8Array, at: number): Uint8Array {
  const start = keyStart(bytes, at);
  // Not `slice`, which on a Buffer is a view.
  return new Uint8Array(bytes.subarray(start, start + keyLengthOf(bytes, at)));
}

/** A view of the value: whoever hands it out copies it first. */
export function valueView(bytes: Uint8Array, at: number): Uint8Array {
  const start = valueStart(bytes, at);
  return bytes.subarray(start, start + valueLengthOf(bytes, at));
}

export function entryLength(bytes: Uint8Array, at: number): number {
  return entryBytes(keyLengthOf(bytes, at), valueLengthOf(bytes, at), flagsOf(bytes, at));
}

/**
 * The length of the entry at `at`, or 0 if no well-formed entry fits before `end`. For bytes from
 * outside: it reads nothing beyond `end`, whatever the lengths claim.
 */
export function checkedEntryLength(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < ENTRY_HEADER_BYTES) return 0;
  const flags = flagsOf(bytes, at);
  const valueLength = valueLengthOf(bytes, at);
  if ((flags & ~KNOWN_FLAGS) !== 0) return 0;
  const why = flags & (EXPIRED | EVICTED);
  if (why !== 0 && ((flags & TOMBSTONE) === 0 || why === (EXPIRED | EVICTED))) return 0;
  if ((flags & TOMBSTONE) !== 0 && valueLength !== 0) return 0;
  const length = entryBytes(keyLengthOf(bytes, at), valueLength, flags);
  if (length > end - at) return 0;
  if (!isU53In56(bytes, at + HLC) || !isU53In56(bytes, at + SEQ)) return 0;
  if ((flags & HAS_DEADLINE) !== 0 && !isU53In56(bytes, at + DEADLINE)) return 0;
  return length;
}
