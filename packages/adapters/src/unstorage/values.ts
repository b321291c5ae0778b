const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The bytes that a string item is stored as. */
export function encodeText(value: string): Uint8Array {
  return encoder.encode(value);
}

/** The string of an item, or null if there is none. */
export function decodeText(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : decoder.decode(bytes);
}

/** The bytes of a raw item. @throws TypeError for what is neither bytes nor a string */
export function bytesOfRaw(value: unknown): Uint8Array {
  if (typeof value === "string") return encoder.encode(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw new TypeError("setItemRaw takes bytes (a Uint8Array, Buffer or ArrayBuffer) or a string");
}
