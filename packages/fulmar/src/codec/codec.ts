import { assert } from "../base/assert.js";
import { fromHex, toHex } from "../base/bytes.js";
import { FulmarTypeError } from "../base/errors.js";
import { isBytes, isMadeBy, isRevoked, textOf } from "../base/options.js";
import { decodeUtf8, encodeUtf8 } from "../keys/utf8.js";

/** How values become bytes and back. */
export interface Codec<V> {
  /** For messages and status. */
  readonly name: string;
  /**
   * The bytes of a value. The store copies them before anything else happens, so that they may belong
   * to the caller or be reused. Must not write to the store (REENTRANT).
   */
  encode(value: V): Uint8Array;
  /**
   * The value of bytes that `encode` made. `bytes` may be a view into memory that is reused after the
   * call: copy what the value keeps of it. Whatever is returned is the reader's own.
   * Must not write to the store (REENTRANT).
   */
  decode(bytes: Uint8Array): V;
}

/** The codecs that can be chosen by name. */
export type CodecName = "json" | "bytes" | "text" | "bigint";

/**
 * The names of the codecs that can hold values of a type: `json` any, `text` strings and `bigint` bigints, of which `V`
 * may be a part, and `bytes` what is read as a plain `Uint8Array`, and so no `Buffer`.
 */
export type CodecNameFor<V> =
  | "json"
  | ([ReturnType<Uint8Array["slice"]>] extends [V] ? "bytes" : never)
  | ([V] extends [string] ? "text" : [string] extends [V] ? "text" : never)
  | ([V] extends [bigint] ? "bigint" : [bigint] extends [V] ? "bigint" : never);

/** Options with a codec whose name says of what type values are. */
export type OptionsOfBytes<Options> = Options & { readonly codec: "bytes" };

/** Options with a codec whose name says of what type values are. */
export type OptionsOfText<Options> = Options & { readonly codec: "text" };

/** Options with a codec whose name says of what type values are. */
export type OptionsOfBigint<Options> = Options & { readonly codec: "bigint" };

/**
 * Anything that `JSON.stringify` can write, as UTF-8; `toJSON` is honoured. Refused: bigints anywhere, and
 * where the value itself is one of these (they would turn into something else in silence): `undefined`,
 * functions, symbols, NaN, infinities, byte arrays, `Map`, `Set`, promises. Deeper inside a value those
 * become what `JSON.stringify` makes of them: nothing, `null` or `{}`. A member named `__proto__` comes
 * back as an ordinary own property.
 */
export const jsonCodec: Codec<unknown> = Object.freeze({
  name: "json",
  encode(value: unknown): Uint8Array {
    const loss = jsonLoss(value);
    if (loss !== undefined) throw invalidValue(loss);
    const text = stringify(value);
    if (text === undefined) throw invalidValue(`JSON cannot hold a value of type ${typeof value}`);
    // JSON.stringify escapes lone surrogates, so that its result always has a UTF-8 form.
    return encodeUtf8(text) as Uint8Array;
  },
  decode(bytes: Uint8Array): unknown {
    return decodeJson(bytes, 0, bytes.length);
  },
});

function decodeJson(bytes: Uint8Array, from: number, to: number): unknown {
  const text = decodeUtf8(bytes, from, to);
  if (text === undefined)
    throw invalidValue("the stored bytes are not UTF-8, so no JSON: was another codec used?");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidValue(`the stored bytes are not JSON (${reason(error)}): was another codec used?`);
  }
}

function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw invalidValue(`JSON cannot hold this value: ${reason(error)}`);
  }
}

/** Why a value would not come back as it is; undefined when nothing speaks against it. */
function jsonLoss(value: unknown): string | undefined {
  if (typeof value === "number" && !Number.isFinite(value)) return `JSON cannot hold ${value}`;
  if (typeof value === "bigint") return 'JSON cannot hold a bigint: use a namespace with codec "bigint"';
  if (typeof value !== "object" || value === null || isRevoked(value)) return undefined;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return 'JSON cannot hold bytes: open the store with codec "bytes", or encode them as text';
  }
  if (value instanceof Map || value instanceof Set) {
    return 'JSON cannot hold a Map or Set: store an array of its entries, or encode it yourself with codec "bytes"';
  }
  return value instanceof Promise ? "the value is a promise: await it first" : undefined;
}

/** A `Uint8Array` in, the reader's own copy out. */
export const bytesCodec: Codec<Uint8Array> = Object.freeze({
  name: "bytes",
  encode(value: Uint8Array): Uint8Array {
    if (isBytes(value)) return value;
    throw invalidValue(`codec "bytes" takes a Uint8Array, not a value of type ${typeof value}`);
  },
  decode(bytes: Uint8Array): Uint8Array {
    // Not `slice`, which on a Buffer is a view.
    return new Uint8Array(bytes);
  },
});

/** Strings as UTF-8. A lone surrogate has no UTF-8 form and is refused. */
export const textCodec: Codec<string> = Object.freeze({
  name: "text",
  encode(value: string): Uint8Array {
    if (typeof value !== "string") {
      throw invalidValue(`codec "text" takes a string, not a value of type ${typeof value}`);
    }
    const bytes = encodeUtf8(value);
    if (bytes === undefined) throw invalidValue("the string holds a lone surrogate, which has no UTF-8 form");
    return bytes;
  },
  decode(bytes: Uint8Array): string {
    return decodeText(bytes, 0, bytes.length);
  },
});

function decodeText(bytes: Uint8Array, from: number, to: number): string {
  const text = decodeUtf8(bytes, from, to);
  if (text === undefined) throw invalidValue("the stored bytes are not UTF-8: was another codec used?");
  return text;
}

/** Bigints of any size, in as few bytes as hold them: two's complement, the highest first. */
export const bigintCodec: Codec<bigint> = Object.freeze({
  name: "bigint",
  encode(value: bigint): Uint8Array {
    if (typeof value !== "bigint") {
      throw invalidValue(`codec "bigint" takes a bigint, not a value of type ${typeof value}`);
    }
    // By hexadecimal digits, which take time in proportion to the size; one bit above them is for the sign.
    const digits = (value < 0n ? ~value : value).toString(16);
    const bits = 4 * digits.length + 29 - Math.clz32(Number.parseInt(digits[0], 16));
    const length = Math.ceil(bits / 8);
    const bytes = fromHex(
      BigInt.asUintN(8 * length, value)
        .toString(16)
        .padStart(2 * length, "0"),
    );
    assert(bytes !== undefined, "pairs of hexadecimal digits are bytes");
    return bytes;
  },
  decode(bytes: Uint8Array): bigint {
    if (bytes.length === 0) throw invalidValue("the stored bytes are no bigint: was another codec used?");
    return BigInt.asIntN(8 * bytes.length, BigInt(`0x${toHex(bytes)}`));
  },
});

/** Decodes `bytes[from, to)`. `bytes` must be no Buffer. */
export type RangeDecoder<V> = (bytes: Uint8Array, from: number, to: number) => V;

/**
 * What a codec decodes, without a view for each value where the codec is one of ours. `copy` makes the copies of
 * codec `bytes`.
 */
export function rangeDecoder<V>(codec: Codec<V>, copy: RangeDecoder<Uint8Array>): RangeDecoder<V> {
  const known: unknown = codec;
  if (known === jsonCodec) return decodeJson as RangeDecoder<V>;
  if (known === textCodec) return decodeText as RangeDecoder<unknown> as RangeDecoder<V>;
  if (known === bytesCodec) return copy as RangeDecoder<unknown> as RangeDecoder<V>;
  return (bytes, from, to) => codec.decode(bytes.subarray(from, to));
}

const CODECS: ReadonlyMap<unknown, Codec<unknown>> = new Map<unknown, Codec<unknown>>([
  [undefined, jsonCodec],
  ["json", jsonCodec],
  ["bytes", bytesCodec as Codec<unknown>],
  ["text", textCodec as Codec<unknown>],
  ["bigint", bigintCodec as Codec<unknown>],
]);

/**
 * The codec that an option names or is; `json` when it is absent.
 *
 * @throws FulmarTypeError `INVALID_ARGUMENT` for anything else.
 */
export function resolveCodec<V>(option: Codec<V> | CodecName | undefined): Codec<V> {
  const named = CODECS.get(option);
  if (named !== undefined) return named as Codec<V>;
  if (isCodec<V>(option)) return option;
  throw new FulmarTypeError(
    "INVALID_ARGUMENT",
    'codec must be "json", "bytes", "text", "bigint" or an object with name, encode and decode',
  );
}

function isCodec<V>(option: unknown): option is Codec<V> {
  if (typeof option !== "object" || option === null || isRevoked(option)) return false;
  const { name, encode, decode } = option as Partial<Codec<V>>;
  return typeof name === "string" && typeof encode === "function" && typeof decode === "function";
}

function invalidValue(message: string): FulmarTypeError {
  return new FulmarTypeError("INVALID_VALUE", message);
}

function reason(error: unknown): string {
  return isMadeBy(error, Error) ? error.message : textOf(error);
}
