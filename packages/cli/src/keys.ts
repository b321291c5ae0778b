import type { Key } from "fulmar";
import { CommandError } from "./errors.js";

/** A key from the command line: the text itself, or with `asJson` any kind of key written as JSON. */
export function parseKey(text: string, asJson: boolean): Key {
  if (!asJson) return text;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new CommandError("INVALID_KEY", `the key ${text} is not JSON (strings need double quotes)`);
  }
  return keyFromJson(parsed, text);
}

function keyFromJson(json: unknown, text: string): Key {
  if (typeof json === "string" || typeof json === "number" || typeof json === "boolean") return json;
  if (Array.isArray(json)) return json.map((part) => keyFromJson(part, text));
  if (typeof json === "object" && json !== null) {
    const members = Object.entries(json);
    if (members.length === 1 && typeof members[0][1] === "string") {
      const key = taggedKey(members[0][0], members[0][1]);
      if (key !== undefined) return key;
    }
  }
  throw new CommandError("INVALID_KEY", `the key ${text} holds something that cannot be part of a key`);
}

/** Kinds of key that JSON lacks. */
function taggedKey(tag: string, text: string): Key | undefined {
  if (tag === "bytes") return parseBase64(text);
  if (tag === "bigint" && /^-?\d+$/.test(text)) return BigInt(text);
  if (tag === "number" && ["Infinity", "-Infinity", "-0"].includes(text)) return Number(text);
  return undefined;
}

/** The bytes that base64 text stands for; undefined when it is not base64. */
export function parseBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64").replace(/=+$/, "") === text.replace(/=+$/, "")
    ? new Uint8Array(bytes)
    : undefined;
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** A key as a JSON value that {@link parseKey} turns back into the same key. */
export function keyToJson(key: Key): unknown {
  if (typeof key === "bigint") return { bigint: String(key) };
  if (typeof key === "number") return jsonNumber(key);
  if (key instanceof Uint8Array) return { bytes: toBase64(key) };
  if (Array.isArray(key)) return key.map(keyToJson);
  return key;
}

function jsonNumber(key: number): unknown {
  if (Object.is(key, -0)) return { number: "-0" };
  return Number.isFinite(key) ? key : { number: String(key) };
}

/** A key for people: strings as they are, everything else as JSON. */
export function describeKey(key: Key): string {
  return typeof key === "string" ? oneLine(key) : oneLine(JSON.stringify(keyToJson(key)));
}

/** Text that stays on its line and cannot steer a terminal; quoted as JSON if it would. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
  if (!/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) return text;
  const escaped = (character: string): string =>
    `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029]/g, escaped);
}
