import { isReadable, toHex } from "../base/bytes.js";
import { FulmarTypeError } from "../base/errors.js";
import { isBytes, isList } from "../base/options.js";
import { invalidPart, keyTooLarge, unreadable } from "./describe.js";
import {
  isReserved,
  LEAD_BIGINT,
  LEAD_BOOLEAN,
  LEAD_BYTES,
  LEAD_NUMBER,
  LEAD_TUPLE,
  NAMESPACE_PREFIX,
} from "./leads.js";
import { type KeyRange, prefixRange } from "./range.js";
import { encodeBigint, NUMBER_BYTES, readBigint, readNumber, writeNumber } from "./scalars.js";
import { END, TupleReader, TupleWriter } from "./tuple.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

export { describeKey } from "./describe.js";
export { isReserved, NAMESPACE_PREFIX, OWN_PREFIX, userRanges } from "./leads.js";

/** What a key can be, and what a tuple can hold: tuples too, nested up to 64 deep. */
export type KeyPart = string | number | bigint | boolean | Uint8Array | readonly KeyPart[];

/** A string, number, bigint, boolean, `Uint8Array`, or a tuple of these. */
export type Key = KeyPart | readonly KeyPart[];

/**
 * The bytes of a key, whose order is the order of keys (`docs/format/keys.md`). The result is the
 * caller's own.
 *
 * @throws FulmarTypeError `INVALID_KEY`: another kind of value, NaN, a lone surrogate, tuples too deep.
 * @throws FulmarRangeError `KEY_TOO_LARGE`: more than `bytesMax` bytes encoded.
 */
export function encodeKey(key: Key, bytesMax: number): Uint8Array {
  const bytes = encode(key, bytesMax);
  if (bytes.length > bytesMax) throw keyTooLarge(bytes.length, bytesMax);
  return bytes;
}

function encode(key: Key, bytesMax: number): Uint8Array {
  if (typeof key === "string") {
    const utf8 = encodeUtf8(key);
    if (utf8 === undefined) throw invalidPart(key, "holds a lone surrogate");
    return utf8;
  }
  if (typeof key === "number") return encodeNumber(key);
  if (typeof key === "bigint") return led(LEAD_BIGINT, encodeBigint(key, bytesMax));
  if (typeof key === "boolean") return Uint8Array.of(LEAD_BOOLEAN, key ? 1 : 0);
  if (isBytes(key)) {
    if (!isReadable(key)) throw unreadable();
    // Before the copy is made: the caller's array can be of any size.
    if (key.length + 1 > bytesMax) throw keyTooLarge(key.length + 1, bytesMax);
    return led(LEAD_BYTES, key);
  }
  if (isList(key)) return encodeTuple(key, bytesMax, true);
  throw invalidPart(
    key,
    "cannot be a key: use a string, number, bigint, boolean, Uint8Array or an array of these",
  );
}

function encodeNumber(key: number): Uint8Array {
  if (Number.isNaN(key)) throw invalidPart(key, "cannot be a key");
  const bytes = new Uint8Array(1 + NUMBER_BYTES);
  bytes[0] = LEAD_NUMBER;
  writeNumber(bytes, 1, key);
  return bytes;
}

function led(lead: number, rest: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + rest.length);
  bytes[0] = lead;
  bytes.set(rest, 1);
  return bytes;
}

function encodeTuple(key: readonly KeyPart[], bytesMax: number, ended: boolean): Uint8Array {
  const writer = new TupleWriter(bytesMax);
  writer.byte(LEAD_TUPLE);
  writer.elements(key, 1);
  if (ended) writer.byte(END);
  return writer.finish();
}

/**
 * The key that {@link encodeKey} gave `bytes[from, to)`: it never throws for such bytes, and for others it
 * never returns. Nothing of the result refers to `bytes`.
 *
 * @throws FulmarTypeError `RESERVED_KEY`: a key of a namespace or of the store itself. `INVALID_KEY`:
 * bytes that are no key.
 */
export function decodeKey(bytes: Uint8Array, from = 0, to = bytes.length): Key {
  const key = decode(bytes, from, to);
  if (key === undefined) throw undecodable(bytes.subarray(from, to));
  return key;
}

function undecodable(bytes: Uint8Array): FulmarTypeError {
  if (isReserved(bytes)) {
    return new FulmarTypeError("RESERVED_KEY", `the key ${shown(bytes)} is of the store's own data`);
  }
  return new FulmarTypeError("INVALID_KEY", `the bytes ${shown(bytes)} are no key`);
}

/** Whether {@link encodeKey} gives these bytes for some key. */
export function isKey(bytes: Uint8Array): boolean {
  return decode(bytes, 0, bytes.length) !== undefined;
}

function decode(bytes: Uint8Array, from: number, to: number): Key | undefined {
  if (from === to || bytes[from] < NAMESPACE_PREFIX) return decodeUtf8(bytes, from, to);
  switch (bytes[from]) {
    case LEAD_BYTES:
      // Not `slice`, which on a Buffer is a view.
      return new Uint8Array(bytes.subarray(from + 1, to));
    case LEAD_NUMBER:
      return to - from === 1 + NUMBER_BYTES ? readNumber(bytes, from + 1) : undefined;
    case LEAD_BIGINT: {
      const read = readBigint(bytes, from + 1, to);
      return read?.next === to ? read.value : undefined;
    }
    case LEAD_BOOLEAN:
      if (to - from !== 2 || bytes[from + 1] > 1) return undefined;
      return bytes[from + 1] === 1;
    case LEAD_TUPLE: {
      const reader = new TupleReader(bytes, from + 1, to);
      const tuple = reader.elements(1);
      return reader.ended ? tuple : undefined;
    }
    default:
      return undefined;
  }
}

function shown(bytes: Uint8Array): string {
  return bytes.length > 32 ? `${toHex(bytes.subarray(0, 32))}...` : toHex(bytes);
}

/**
 * The keys that begin with `prefix`: strings that begin with a string, byte arrays that begin with a
 * byte array, tuples that begin with the elements of a tuple. Never keys of another kind.
 *
 * @throws FulmarTypeError `INVALID_ARGUMENT` for a prefix of another kind, and as {@link encodeKey}.
 */
export function prefixOf(prefix: Key, bytesMax: number): KeyRange {
  if (typeof prefix === "string" || isBytes(prefix)) {
    const range = prefixRange(encodeKey(prefix, bytesMax));
    // Every key begins with the empty string's encoding, but only strings begin with the empty string.
    return range.from.length === 0 ? { from: range.from, to: Uint8Array.of(NAMESPACE_PREFIX) } : range;
  }
  if (isList(prefix)) return prefixRange(encodeTuple(prefix, bytesMax, false));
  throw new FulmarTypeError(
    "INVALID_ARGUMENT",
    "prefix must be a string, a Uint8Array or a tuple: keys of other kinds have no beginning",
  );
}
