import { FulmarTypeError } from "../base/errors.js";
import { decodeKey, isKey, type Key } from "./key.js";
import { NAMESPACE_PREFIX, OWN_PREFIX } from "./leads.js";
import type { KeyRange } from "./range.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

/** Bytes of a namespace's name in UTF-8. */
export const NAMESPACE_NAME_BYTES_MAX = 255;

/** Ends a name: below every byte that a name is written with, so that names are ordered as strings are. */
const END = 0x00;
/** Stands before the two byte values that END and itself would be taken for, each one higher. */
const ESCAPE = 0x01;

/** The keys of all namespaces. */
export const NAMESPACES: KeyRange = Object.freeze({
  from: Uint8Array.of(NAMESPACE_PREFIX),
  to: Uint8Array.of(OWN_PREFIX),
});

/** What the bytes of a key stand for. */
export interface LocatedKey {
  /** Undefined for a key of the store itself. */
  readonly namespace: string | undefined;
  readonly key: Key;
}

/**
 * What the keys of a namespace begin with, and no other key: no such prefix begins another one.
 *
 * @throws FulmarTypeError `INVALID_ARGUMENT`: no string of 1 to 255 bytes in UTF-8.
 */
export function namespacePrefix(name: string): Uint8Array {
  const utf8 = typeof name === "string" ? encodeUtf8(name) : undefined;
  if (utf8 === undefined || utf8.length === 0 || utf8.length > NAMESPACE_NAME_BYTES_MAX) {
    const message = `the name of a namespace is a string of 1 to ${NAMESPACE_NAME_BYTES_MAX} bytes in UTF-8`;
    throw new FulmarTypeError("INVALID_ARGUMENT", message);
  }
  const bytes = [NAMESPACE_PREFIX];
  for (const byte of utf8) {
    if (byte > ESCAPE) bytes.push(byte);
    else bytes.push(ESCAPE, byte + 1);
  }
  bytes.push(END);
  return Uint8Array.from(bytes);
}

/** The namespace and the key that bytes stand for. @throws as `decodeKey` does */
export function locateKey(bytes: Uint8Array): LocatedKey {
  const head = namespaceOf(bytes);
  if (head === undefined) return { namespace: undefined, key: decodeKey(bytes) };
  return { namespace: head.name, key: decodeKey(bytes, head.length, bytes.length) };
}

/** Whether bytes are a key of some namespace, as they are written here. */
export function isNamespaceKey(bytes: Uint8Array): boolean {
  const head = namespaceOf(bytes);
  return head !== undefined && isKey(bytes.subarray(head.length));
}

/** The name that a key of a namespace begins with, and its length in it; undefined if it begins with none. */
export function namespaceOf(
  bytes: Uint8Array,
): { readonly name: string; readonly length: number } | undefined {
  if (bytes[0] !== NAMESPACE_PREFIX) return undefined;
  const utf8 = [];
  let at = 1;
  for (; at < bytes.length && bytes[at] !== END; at++) {
    if (bytes[at] !== ESCAPE) utf8.push(bytes[at]);
    else if (bytes[at + 1] === ESCAPE || bytes[at + 1] === ESCAPE + 1) utf8.push(bytes[++at] - 1);
    else return undefined;
  }
  if (at === bytes.length || utf8.length === 0 || utf8.length > NAMESPACE_NAME_BYTES_MAX) return undefined;
  const name = decodeUtf8(Uint8Array.from(utf8));
  return name === undefined ? undefined : { name, length: at + 1 };
}

/** `prefix`, then `rest`: `rest` itself when there is no prefix. */
export function joined(prefix: Uint8Array, rest: Uint8Array): Uint8Array {
  if (prefix.length === 0) return rest;
  const bytes = new Uint8Array(prefix.length + rest.length);
  bytes.set(prefix);
  bytes.set(rest, prefix.length);
  return bytes;
}
