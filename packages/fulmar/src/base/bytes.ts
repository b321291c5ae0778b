/**
 * Little-endian integers in byte arrays. Plain shifts on a `Uint8Array`: V8 inlines them, and no
 * `DataView` has to be kept beside each array.
 */

export const EMPTY_BYTES = new Uint8Array(0);

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

export function readU24(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/**
 * A 56-bit unsigned integer; values of 2^53 and above lose precision, so decoders of untrusted bytes
 * check {@link isU53In56}.
 */
export function readU56(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU24(bytes, at + 4) * 4294967296;
}

/** Whether the 56-bit integer at `at` is below 2^53, and so exact as a number. */
export function isU53In56(bytes: Uint8Array, at: number): boolean {
  return bytes[at + 6] < 32;
}

/**
 * A 64-bit unsigned integer; values of 2^53 and above lose precision, so decoders of untrusted bytes
 * check {@link isU53}.
 */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU32(bytes, at + 4) * 4294967296;
}

/** Whether the 64-bit integer at `at` is below 2^53, and so exact as a number. */
export function isU53(bytes: Uint8Array, at: number): boolean {
  return bytes[at + 7] === 0 && bytes[at + 6] < 32;
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function writeU24(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Writes an integer below 2^53 as 56 bits. A shift takes the lower 32 of any such number. */
export function writeU56(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value >>> 0);
  writeU24(bytes, at + 4, Math.floor(value / 4294967296));
}

/** Writes an integer below 2^53 as 64 bits. */
export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value >>> 0);
  writeU32(bytes, at + 4, Math.floor(value / 4294967296));
}

/** Byte order of `a[aFrom, aTo)` against `b[bFrom, bTo)`: negative, zero or positive. A shorter prefix comes first. */
export function compareRanges(
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
): number {
  const length = Math.min(aTo - aFrom, bTo - bFrom);
  // A plain loop beats Buffer.compare below about 40 bytes, which is where keys are.
  for (let i = 0; i < length; i++) {
    const difference = a[aFrom + i] - b[bFrom + i];
    if (difference !== 0) return difference;
  }
  return aTo - aFrom - (bTo - bFrom);
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return compareRanges(a, 0, a.length, b, 0, b.length);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether bytes of an application can be read, and are as many as they say: not when their buffer was transferred. */
export function isReadable(bytes: Uint8Array): boolean {
  try {
    if (bytes.length !== bytes.byteLength) return false;
    // What has lost its buffer looks empty, until it is read.
    if (bytes.length === 0) EMPTY_BYTES.set(bytes);
    return true;
  } catch {
    return false;
  }
}

const HEX = "0123456789abcdef";

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte >>> 4] + HEX[byte & 15];
  return text;
}

/** The bytes of a string of hexadecimal digit pairs; undefined if it is not one. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** The least byte string above every string that starts with `prefix`; undefined if there is none. */
export function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  if (end === 0) return undefined;
  // Not `slice`, which on a Buffer is a view: the caller's bytes would change.
  const after = new Uint8Array(prefix.subarray(0, end));
  after[end - 1]++;
  return after;
}
