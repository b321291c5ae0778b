import { fromBase64, toBase64 } from "../base/base64.js";
import { isReadable } from "../base/bytes.js";
import { FulmarTypeError } from "../base/errors.js";
import { KEY_BYTES_MAX, KEY_TUPLE_DEPTH_MAX } from "../base/limits.js";
import { isBytes, isList, isRevoked } from "../base/options.js";
import { invalidPart, unreadable } from "./describe.js";
import type { Key, KeyPart } from "./key.js";

/** A key as JSON: what JSON lacks is an object with one member, `bytes` (base64), `bigint` or `number`. */
export type KeyJson = string | number | boolean | { readonly [tag: string]: string } | readonly KeyJson[];

/** Digits that a bigint of the longest key cannot have; it takes quadratic time to read more. */
const BIGINT_DIGITS_MAX = 3 * KEY_BYTES_MAX;

/**
 * A key as a JSON value, from which {@link keyFromJson} makes the same key. @throws FulmarTypeError INVALID_KEY for a
 * value of a kind that no key has.
 *
 * @example
 * ```ts
 * import { keyFromJson, keyToJson } from "fulmar";
 *
 * const text = JSON.stringify(keyToJson(["user", 12n, Uint8Array.of(1)]));
 * console.log(text, keyFromJson(JSON.parse(text)));
 * ```
 */
export function keyToJson(key: Key): KeyJson {
  return partToJson(key, 0);
}

function partToJson(key: unknown, depth: number): KeyJson {
  if (typeof key === "bigint") return { bigint: String(key) };
  if (typeof key === "number") return numberToJson(key);
  if (isBytes(key)) {
    if (!isReadable(key)) throw unreadable();
    return { bytes: toBase64(key) };
  }
  if (typeof key === "string" || typeof key === "boolean") return key;
  if (isList(key) && depth < KEY_TUPLE_DEPTH_MAX) return key.map((part) => partToJson(part, depth + 1));
  throw invalidPart(key, "is nothing that can be a key, or part of one");
}

function numberToJson(key: number): KeyJson {
  if (Number.isNaN(key)) throw invalidPart(key, "cannot be a key");
  if (Object.is(key, -0)) return { number: "-0" };
  return Number.isFinite(key) ? key : { number: String(key) };
}

/**
 * The key that a JSON value stands for. @throws FulmarTypeError INVALID_KEY for a value that
 * {@link keyToJson} never gives.
 */
export function keyFromJson(json: unknown): Key {
  return partFromJson(json, 0);
}

function partFromJson(json: unknown, depth: number): KeyPart {
  if (typeof json === "string" || typeof json === "number" || typeof json === "boolean") return json;
  if (isList(json) && depth < KEY_TUPLE_DEPTH_MAX) return json.map((part) => partFromJson(part, depth + 1));
  if (typeof json === "object" && json !== null && !isRevoked(json)) {
    const members = Object.entries(json);
    const [tag, text] = members[0] ?? [];
    const part = members.length === 1 && typeof text === "string" ? tagged(tag, text) : undefined;
    if (part !== undefined) return part;
  }
  throw new FulmarTypeError("INVALID_KEY", "the JSON stands for nothing that can be a key, or part of one");
}

function tagged(tag: string | undefined, text: string): KeyPart | undefined {
  if (tag === "bytes") return fromBase64(text);
  if (tag === "bigint" && text.length <= BIGINT_DIGITS_MAX && /^-?\d+$/.test(text)) return BigInt(text);
  if (tag === "number" && ["Infinity", "-Infinity", "-0"].includes(text)) return Number(text);
  return undefined;
}
