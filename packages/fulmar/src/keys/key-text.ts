/** Bytes that one call turns into text at most: more arguments than that can overflow the stack. */
const CHUNK_BYTES = 2048;

/** A key as a string with one unit a byte: what a `Map` can find it by. */
export function keyText(key: Uint8Array): string {
  if (key.length <= CHUNK_BYTES) return String.fromCharCode.apply(null, key as unknown as number[]);
  let text = "";
  for (let at = 0; at < key.length; at += CHUNK_BYTES) {
    text += String.fromCharCode.apply(null, key.subarray(at, at + CHUNK_BYTES) as unknown as number[]);
  }
  return text;
}
