import { FulmarTypeError } from "fulmar";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** In unicode mode the halves of a pair are one character, so that this finds lone surrogates only. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The bytes that a string item is stored as. @throws INVALID_VALUE for what would not come back as it is */
export function encodeText(value: string): Uint8Array {
  if (typeof value !== "string") throw new FulmarTypeError("INVALID_VALUE", "an item must be a string");
  if (LONE_SURROGATE.test(value)) {
    throw new FulmarTypeError("INVALID_VALUE", "the item holds a lone surrogate, which has no UTF-8 form");
  }
  return encoder.encode(value);
}

/** The string of an item, or null if there is none. */
export function decodeText(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : decoder.decode(bytes);
}

/** The bytes of a raw item. @throws INVALID_VALUE for what is neither bytes nor a string */
export function bytesOfRaw(value: unknown): Uint8Array {
  if (typeof value === "string") return encodeText(value);
  try {
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
  } catch {
    // Their buffer belongs to somebody else by now, or nothing can be asked of them.
  }
  throw new FulmarTypeError(
    "INVALID_VALUE",
    "setItemRaw takes bytes (a Uint8Array, Buffer or ArrayBuffer) or a string",
  );
}
