import { toHex } from "../base/bytes.js";
import { FulmarRangeError, FulmarTypeError } from "../base/errors.js";
import { isBytes, isList } from "../base/options.js";

const SHOWN_MAX = 40;
const DEPTH_SHOWN = 3;

/** A key for messages: short, whatever it is, and never an error. */
export function describeKey(key: unknown): string {
  return describe(key, 0);
}

function describe(key: unknown, depth: number): string {
  if (typeof key === "string")
    return JSON.stringify(key.length > SHOWN_MAX ? `${key.slice(0, SHOWN_MAX)}...` : key);
  if (typeof key === "number") return String(key);
  if (typeof key === "bigint") return describeBigint(key);
  if (typeof key === "boolean" || key === undefined || key === null) return String(key);
  if (isBytes(key)) return describeBytes(key);
  if (isList(key)) return describeTuple(key, depth);
  return `a value of type ${typeof key}`;
}

function describeBigint(key: bigint): string {
  const text = key.toString();
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...n (${text.length} digits)` : `${text}n`;
}

function describeBytes(key: Uint8Array): string {
  const shown = toHex(key.subarray(0, SHOWN_MAX / 2));
  return key.length > SHOWN_MAX / 2 ? `bytes ${shown}... (${key.length} bytes)` : `bytes ${shown}`;
}

function describeTuple(key: readonly unknown[], depth: number): string {
  if (depth === DEPTH_SHOWN) return "[...]";
  const shown = Array.from(key.slice(0, 8), (part) => describe(part, depth + 1));
  if (key.length > 8) shown.push("...");
  return `[${shown.join(", ")}]`;
}

export function keyTooLarge(size: string | number, bytesMax: number): FulmarRangeError {
  return new FulmarRangeError(
    "KEY_TOO_LARGE",
    `the key takes ${size} bytes encoded; the limit is ${bytesMax}`,
  );
}

export function invalidPart(part: unknown, why: string): FulmarTypeError {
  return new FulmarTypeError("INVALID_KEY", `${describeKey(part)} ${why}`);
}

export function unreadable(): FulmarTypeError {
  return new FulmarTypeError(
    "INVALID_KEY",
    "the bytes of a key cannot be read: was their buffer transferred?",
  );
}
