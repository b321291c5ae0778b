import { fromBase64, toBase64 } from "../base/base64.js";
import { codeOf, FulmarError } from "../base/errors.js";
import { DEADLINE_MS_MAX, type Limits } from "../base/limits.js";
import { keyFromJson, keyToJson } from "../keys/json.js";
import { locateKey } from "../keys/namespace.js";
import { KeySpace, STORE_KEYS } from "../keys/space.js";
import { decodeUtf8, encodeUtf8 } from "../keys/utf8.js";
import { HAS_DEADLINE } from "../record/entry.js";
import type { LocalWrite } from "../transaction/local-write.js";

/** The lines of a dump: `docs/format/dump.md`. */
export const DUMP_FORMAT = 1;

/** The first line. */
export function headLine(version: number): string {
  return `${JSON.stringify({ dump: DUMP_FORMAT, version })}\n`;
}

/** The last line, which tells a whole dump from one that was cut off. */
export function endLine(entries: number): string {
  return `${JSON.stringify({ end: entries })}\n`;
}

/** The line of one entry; `deadline` is Infinity without one. */
export function entryLine(bytes: Uint8Array, value: Uint8Array, deadline: number): string {
  const expiry = Number.isFinite(deadline) ? `,"expiresAt":${deadline}` : "";
  const { namespace, key } = locateKey(bytes);
  const member = namespace === undefined ? "" : `"namespace":${JSON.stringify(namespace)},`;
  return `{${member}"key":${JSON.stringify(keyToJson(key))}${expiry},${valueMember(value)}}\n`;
}

/** As readable as can be without losing a byte: JSON, else text, else base64. */
function valueMember(value: Uint8Array): string {
  const text = decodeUtf8(value);
  if (text === undefined) return `"bytes":"${toBase64(value)}"`;
  return isPlainJson(text) ? `"value":${text}` : `"text":${JSON.stringify(text)}`;
}

/** How JSON without spaces around it can begin. */
const JSON_START = /^[{["\-0-9tfn]/;

/** Whether reading a text as JSON and writing it again gives the same text, wherever that is done. */
function isPlainJson(text: string): boolean {
  // Most text is none, and it costs much to be told so by an exception.
  if (!JSON_START.test(text) || nestsDeeply(text)) return false;
  try {
    return JSON.stringify(JSON.parse(text)) === text;
  } catch {
    return false;
  }
}

/** How much stack there is differs between programs and threads, so that one could not read what another has dumped. */
const DEPTH_MAX = 1000;
const [QUOTE, BACKSLASH, LIST, LIST_END, OBJECT, OBJECT_END] = [34, 92, 91, 93, 123, 125];

/** Whether JSON nests so deeply that not every reader has the stack for it; of other text any answer will do. */
function nestsDeeply(text: string): boolean {
  if (text.length <= 2 * DEPTH_MAX) return false;
  let depth = 0;
  let isQuoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (isQuoted) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) isQuoted = false;
    } else if (code === QUOTE) isQuoted = true;
    else if (code === LIST || code === OBJECT) {
      if (++depth > DEPTH_MAX) return true;
    } else if (code === LIST_END || code === OBJECT_END) depth--;
  }
  return false;
}

/** What a line says. */
export type DumpLine =
  | { readonly kind: "head" }
  | { readonly kind: "end"; readonly entries: number }
  | { readonly kind: "entry"; readonly write: LocalWrite };

/** Reads line `number` of a dump, counted from 1. Throws DUMP_INVALID or FORMAT_NEWER. */
export function parseLine(bytes: Uint8Array, number: number, limits: Limits): DumpLine {
  const json = jsonOf(bytes, number);
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw invalid(number, "it is no object");
  const members = new Map<string, unknown>(Object.entries(json));
  if (members.has("dump")) return head(members, number);
  if (members.has("end")) return end(members, number);
  try {
    return { kind: "entry", write: writeOf(members, number, limits) };
  } catch (error) {
    if (error instanceof FulmarError || codeOf(error) === undefined) throw error;
    throw invalid(number, error instanceof Error ? error.message : String(error), error);
  }
}

function jsonOf(bytes: Uint8Array, number: number): unknown {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw invalid(number, "it is not UTF-8");
  try {
    // Only text with such digits can hold such a number: calling back for each member would take far longer.
    return HUGE.test(text) ? JSON.parse(text, (_member, value) => finite(value, number)) : JSON.parse(text);
  } catch (error) {
    if (error instanceof FulmarError) throw error;
    throw invalid(number, "it is not JSON", error);
  }
}

/** Digits of a number that may be beyond the largest, 1.8e308, which is read as `Infinity` and written as `null`. */
const HUGE = /[eE]\+?\d{3}|\d{100}/;

function finite(value: unknown, number: number): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  throw invalid(number, "a number in it is too large for JavaScript: give its JSON as text");
}

function head(members: ReadonlyMap<string, unknown>, number: number): DumpLine {
  const format = members.get("dump");
  if (number !== 1) throw invalid(number, "a dump begins within another one");
  if (typeof format !== "number" || format < 1) throw invalid(number, "its format is no number");
  if (format <= DUMP_FORMAT) return { kind: "head" };
  throw new FulmarError("FORMAT_NEWER", `a newer version of Fulmar wrote this dump, in format ${format}`, {
    version: format,
  });
}

function end(members: ReadonlyMap<string, unknown>, number: number): DumpLine {
  const entries = members.get("end");
  if (typeof entries !== "number" || members.size !== 1) throw invalid(number, "it is no end of a dump");
  return { kind: "end", entries };
}

const MEMBERS: ReadonlySet<string> = new Set(["namespace", "key", "expiresAt", "value", "text", "bytes"]);

function writeOf(members: ReadonlyMap<string, unknown>, number: number, limits: Limits): LocalWrite {
  for (const name of members.keys()) {
    if (!MEMBERS.has(name)) throw invalid(number, `it has an unknown member ${JSON.stringify(name)}`);
  }
  if (!members.has("key")) throw invalid(number, "it has no key");
  const space = members.has("namespace") ? new KeySpace(members.get("namespace") as string) : STORE_KEYS;
  const key = space.encode(keyFromJson(members.get("key")), limits.keyBytesMax);
  const value = valueBytes(members, number);
  if (value.length > limits.valueBytesMax) {
    throw invalid(number, `its value has ${value.length} bytes; the limit is ${limits.valueBytesMax}`);
  }
  const expiresAt = members.get("expiresAt");
  if (expiresAt === undefined) return { key, value, flags: 0, deadline: 0 };
  const deadline = Number.isInteger(expiresAt) ? Number(expiresAt) : 0;
  if (deadline < 1 || deadline > DEADLINE_MS_MAX)
    throw invalid(number, "expiresAt is no time in ms since 1970");
  return { key, value, flags: HAS_DEADLINE, deadline };
}

function valueBytes(members: ReadonlyMap<string, unknown>, number: number): Uint8Array {
  const kinds = ["value", "text", "bytes"].filter((name) => members.has(name));
  if (kinds.length !== 1) throw invalid(number, "it needs one of value, text and bytes");
  const [kind] = kinds;
  const given = members.get(kind);
  const text = kind === "value" ? jsonText(given, number) : given;
  const bytes = typeof text !== "string" ? undefined : kind === "bytes" ? fromBase64(text) : encodeUtf8(text);
  if (bytes === undefined) throw invalid(number, `its ${kind} is not what it says`);
  return bytes;
}

/** What can be read need not be possible to write, for want of stack. */
function jsonText(value: unknown, number: number): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw invalid(number, "its value nests too deeply: give it as text", error);
  }
}

/** The error for a line that cannot be loaded. */
export function invalid(line: number, what: string, cause?: unknown): FulmarError {
  const message = `line ${line} of the dump cannot be loaded: ${what}`;
  return new FulmarError("DUMP_INVALID", message, { line, ...(cause === undefined ? {} : { cause }) });
}
