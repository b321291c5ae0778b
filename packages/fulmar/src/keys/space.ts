import { EMPTY_BYTES } from "../base/bytes.js";
import { decodeKey, encodeKey, type Key, userRanges } from "./key.js";
import { joined, namespacePrefix } from "./namespace.js";
import { isEmptyRange, type KeyRange, prefixRange } from "./range.js";
import { type KeyBounds, resolveRange } from "./resolve.js";
import { SHORT_CHARACTERS, writeShortAscii } from "./utf8.js";

/** Keys that applications name: those of a store itself, or of one of its namespaces. */
export class KeySpace {
  /** Undefined for the keys of the store itself. */
  readonly name: string | undefined;
  /** What all of its keys begin with, encoded; empty for the keys of the store itself. */
  readonly prefix: Uint8Array;
  readonly #extent: KeyRange;

  /** @throws FulmarTypeError `INVALID_ARGUMENT` for a name that is none */
  constructor(name?: string) {
    this.name = name;
    this.prefix = name === undefined ? EMPTY_BYTES : namespacePrefix(name);
    this.#extent = prefixRange(this.prefix);
  }

  /** The bytes of a key, at most `bytesMax` in all; the caller's own. @throws as `encodeKey` */
  encode(key: Key, bytesMax: number): Uint8Array {
    const { prefix } = this;
    // The usual key of a namespace is written behind the prefix at once.
    const isShort = typeof key === "string" && key.length <= SHORT_CHARACTERS;
    if (isShort && prefix.length > 0 && prefix.length + key.length <= bytesMax) {
      const bytes = new Uint8Array(prefix.length + key.length);
      if (writeShortAscii(key, bytes, prefix.length)) {
        for (let i = 0; i < prefix.length; i++) bytes[i] = prefix[i];
        return bytes;
      }
    }
    return joined(prefix, encodeKey(key, bytesMax - prefix.length));
  }

  /** The key of `bytes[from, to)`, which must be one of these. @throws as `decodeKey` */
  decode(bytes: Uint8Array, from = 0, to = bytes.length): Key {
    return decodeKey(bytes, from + this.prefix.length, to);
  }

  /** The ranges, in ascending order, of the keys within bounds. @throws as `resolveRange` */
  ranges(bounds: KeyBounds, bytesMax: number): KeyRange[] {
    const { prefix } = this;
    const range = resolveRange(bounds, bytesMax - prefix.length);
    if (prefix.length === 0) return userRanges(range);
    if (isEmptyRange(range)) return [];
    const to = range.to === undefined ? this.#extent.to : joined(prefix, range.to);
    return [{ from: joined(prefix, range.from), to }];
  }
}

/** The keys of a store itself. */
export const STORE_KEYS = new KeySpace();
