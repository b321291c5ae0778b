import { keyTooLarge } from "./describe.js";

/**
 * Numbers and big integers as bytes whose order is the order of the values. Both say themselves where
 * they end, so that they need no terminator inside a tuple.
 */

/** Bytes of an encoded number, without its lead byte. */
export const NUMBER_BYTES = 8;
/** Bytes before the magnitude of an encoded big integer: sign and length in one. */
const SIZE_BYTES = 2;
/** The size field of zero; positive integers add the length of their magnitude, negative ones subtract it and one. */
const SIZE_ZERO = 0x8000;
/** The sign bit of a number's upper half. */
const SIGN = 1 << 31;
const view = new DataView(new ArrayBuffer(NUMBER_BYTES));

/**
 * IEEE 754 big-endian, with the sign bit flipped for positive numbers and every bit flipped for
 * negative ones: then byte order is numeric order.
 */
export function writeNumber(bytes: Uint8Array, at: number, value: number): void {
  // Adding zero turns -0 into 0: one key, as `===` has it.
  view.setFloat64(0, value + 0);
  let high = view.getInt32(0);
  let low = view.getInt32(4);
  if (high < 0) {
    high = ~high;
    low = ~low;
  } else high ^= SIGN;
  bytes[at] = high >>> 24;
  bytes[at + 1] = high >>> 16;
  bytes[at + 2] = high >>> 8;
  bytes[at + 3] = high;
  bytes[at + 4] = low >>> 24;
  bytes[at + 5] = low >>> 16;
  bytes[at + 6] = low >>> 8;
  bytes[at + 7] = low;
}

/**
 * The number in the {@link NUMBER_BYTES} from `at` on. Undefined for bytes that {@link writeNumber} never
 * writes: NaN and -0.
 */
export function readNumber(bytes: Uint8Array, at: number): number | undefined {
  const high = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  const low = (bytes[at + 4] << 24) | (bytes[at + 5] << 16) | (bytes[at + 6] << 8) | bytes[at + 7];
  // The sign bit is set for positive numbers.
  view.setInt32(0, high < 0 ? high ^ SIGN : ~high);
  view.setInt32(4, high < 0 ? low : ~low);
  const value = view.getFloat64(0);
  return Number.isNaN(value) || Object.is(value, -0) ? undefined : value;
}

/** Sign and length, then the magnitude big-endian; that of a negative integer with every bit flipped. */
export function encodeBigint(value: bigint, bytesMax: number): Uint8Array {
  const negative = value < 0n;
  const digits = value === 0n ? "" : (negative ? -value : value).toString(16);
  const length = (digits.length + 1) >>> 1;
  // Far below what the size field can state, whatever the limit.
  if (1 + SIZE_BYTES + length > bytesMax) throw keyTooLarge(1 + SIZE_BYTES + length, bytesMax);
  const bytes = new Uint8Array(SIZE_BYTES + length);
  const size = negative ? SIZE_ZERO - 1 - length : SIZE_ZERO + length;
  bytes[0] = size >>> 8;
  bytes[1] = size;
  const padded = digits.length % 2 === 0 ? digits : `0${digits}`;
  for (let i = 0; i < length; i++) {
    const byte = Number.parseInt(padded.slice(2 * i, 2 * i + 2), 16);
    bytes[SIZE_BYTES + i] = negative ? ~byte : byte;
  }
  return bytes;
}

/**
 * The big integer at `at` and the position after it; undefined for bytes that {@link encodeBigint} never
 * writes, or if it does not end before `end`.
 */
export function readBigint(
  bytes: Uint8Array,
  at: number,
  end: number,
): { value: bigint; next: number } | undefined {
  if (end - at < SIZE_BYTES) return undefined;
  const size = (bytes[at] << 8) | bytes[at + 1];
  const negative = size < SIZE_ZERO;
  const length = negative ? SIZE_ZERO - 1 - size : size - SIZE_ZERO;
  const from = at + SIZE_BYTES;
  if (length > end - from || (negative && length === 0)) return undefined;
  const flip = negative ? 255 : 0;
  if (length > 0 && (bytes[from] ^ flip) === 0) return undefined;
  let digits = "0";
  for (let i = from; i < from + length; i++) digits += (bytes[i] ^ flip).toString(16).padStart(2, "0");
  const magnitude = BigInt(`0x${digits}`);
  return { value: negative ? -magnitude : magnitude, next: from + length };
}
