import { type Key, keyFromJson, keyToJson } from "fulmar";
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
  return keyFromJson(parsed);
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
