import { isReadable } from "../base/bytes.js";
import { FulmarTypeError } from "../base/errors.js";
import { KEY_TUPLE_DEPTH_MAX } from "../base/limits.js";
import { isBytes, isList } from "../base/options.js";
import { invalidPart, keyTooLarge, unreadable } from "./describe.js";
import type { KeyPart } from "./key.js";
import { LEAD_BIGINT, LEAD_BOOLEAN, LEAD_BYTES, LEAD_NUMBER, LEAD_TUPLE } from "./leads.js";
import { encodeBigint, NUMBER_BYTES, readBigint, readNumber, writeNumber } from "./scalars.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

/**
 * The inside of a tuple: elements back to back, each begun by its lead byte and ended by itself or by
 * END. END is below every lead byte, so that a tuple comes before every longer one that begins with it.
 */

/** Ends a string, bytes or a tuple. */
export const END = 0x00;
/** Begins a string: below every other lead, so that strings come first inside a tuple as they do outside. */
const LEAD_STRING = 0x01;
/** Stands before the two byte values that END and itself would be taken for, each one higher. */
const ESCAPE = 0x01;
/** Strings up to here are tried character by character. */
const PLAIN_MAX = 64;

/** Collects an encoded tuple. Refuses to grow beyond the limit, so that not even a cyclic array runs away. */
export class TupleWriter {
  readonly #bytesMax: number;
  #bytes = new Uint8Array(64);
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** Writes each element; `depth` counts the tuples around them. */
  elements(tuple: readonly KeyPart[], depth: number): void {
    if (depth > KEY_TUPLE_DEPTH_MAX) {
      throw new FulmarTypeError("INVALID_KEY", `a key nests tuples more than ${KEY_TUPLE_DEPTH_MAX} deep`);
    }
    for (let i = 0; i < tuple.length; i++) this.#element(tuple[i], depth);
  }

  #element(part: KeyPart, depth: number): void {
    if (typeof part === "string") {
      this.byte(LEAD_STRING);
      if (this.#plain(part)) return;
      const utf8 = encodeUtf8(part);
      if (utf8 === undefined) throw invalidPart(part, "holds a lone surrogate");
      this.#escaped(utf8);
    } else if (typeof part === "number") {
      if (Number.isNaN(part)) throw invalidPart(part, "cannot be a key");
      this.byte(LEAD_NUMBER);
      this.#reserve(NUMBER_BYTES);
      writeNumber(this.#bytes, this.#length, part);
      this.#length += NUMBER_BYTES;
    } else if (typeof part === "bigint") {
      this.byte(LEAD_BIGINT);
      this.#raw(encodeBigint(part, this.#bytesMax));
    } else if (typeof part === "boolean") {
      this.byte(LEAD_BOOLEAN);
      this.byte(part ? 1 : 0);
    } else if (isBytes(part)) {
      if (!isReadable(part)) throw unreadable();
      this.byte(LEAD_BYTES);
      this.#escaped(part);
    } else if (isList(part)) {
      this.byte(LEAD_TUPLE);
      this.elements(part, depth + 1);
      this.byte(END);
    } else throw invalidPart(part, "cannot be part of a key");
  }

  /** Writes a string if it is short and its characters are bytes that need no escape; whether it is. */
  #plain(text: string): boolean {
    const { length } = text;
    if (length > PLAIN_MAX) return false;
    this.#reserve(length + 1);
    const bytes = this.#bytes;
    const at = this.#length;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code <= ESCAPE || code > 127) return false;
      bytes[at + i] = code;
    }
    bytes[at + length] = END;
    this.#length = at + length + 1;
    return true;
  }

  #raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #escaped(bytes: Uint8Array): void {
    this.#reserve(bytes.length + 1);
    for (const byte of bytes) {
      if (byte > ESCAPE) this.byte(byte);
      else {
        this.byte(ESCAPE);
        this.byte(byte + 1);
      }
    }
    this.byte(END);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed > this.#bytesMax) throw keyTooLarge(`at least ${needed}`, this.#bytesMax);
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** Reads the elements of a tuple in `bytes[at, end)` back; any malformed byte makes it undefined. */
export class TupleReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  /** Whether every byte is used up. */
  get ended(): boolean {
    return this.#at === this.#end;
  }

  /** The elements up to END. */
  elements(depth: number): KeyPart[] | undefined {
    if (depth > KEY_TUPLE_DEPTH_MAX) return undefined;
    const tuple: KeyPart[] = [];
    while (this.#at < this.#end) {
      const lead = this.#bytes[this.#at++];
      if (lead === END) return tuple;
      const part = this.#element(lead, depth);
      if (part === undefined) return undefined;
      tuple.push(part);
    }
    return undefined;
  }

  #element(lead: number, depth: number): KeyPart | undefined {
    switch (lead) {
      case LEAD_STRING:
        return this.#string();
      case LEAD_BYTES:
        return this.#escaped();
      case LEAD_NUMBER: {
        const at = this.#at;
        this.#at += NUMBER_BYTES;
        return this.#at <= this.#end ? readNumber(this.#bytes, at) : undefined;
      }
      case LEAD_BIGINT: {
        const read = readBigint(this.#bytes, this.#at, this.#end);
        if (read !== undefined) this.#at = read.next;
        return read?.value;
      }
      case LEAD_BOOLEAN: {
        if (this.#at === this.#end) return undefined;
        const byte = this.#bytes[this.#at++];
        return byte === 1 ? true : byte === 0 ? false : undefined;
      }
      case LEAD_TUPLE:
        return this.elements(depth + 1);
      default:
        return undefined;
    }
  }

  /** Strings seldom hold what has to be escaped: then their bytes are their UTF-8. */
  #string(): string | undefined {
    const bytes = this.#bytes;
    const from = this.#at;
    let to = from;
    while (to < this.#end && bytes[to] > ESCAPE) to++;
    if (to < this.#end && bytes[to] === END) {
      this.#at = to + 1;
      return decodeUtf8(bytes, from, to);
    }
    const utf8 = this.#escaped();
    return utf8 && decodeUtf8(utf8);
  }

  #escaped(): Uint8Array | undefined {
    const bytes = this.#bytes;
    const content = new Uint8Array(this.#end - this.#at);
    let length = 0;
    while (this.#at < this.#end) {
      const byte = bytes[this.#at++];
      if (byte === END) return content.slice(0, length);
      if (byte !== ESCAPE) content[length++] = byte;
      else {
        if (this.#at === this.#end) return undefined;
        const shifted = bytes[this.#at++];
        if (shifted !== 1 && shifted !== 2) return undefined;
        content[length++] = shifted - 1;
      }
    }
    return undefined;
  }
}
