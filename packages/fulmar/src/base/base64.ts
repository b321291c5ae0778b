const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = valuesOf();
const PADDING = 61;
/** Characters handed to `fromCharCode` at once: each is an argument of one call. */
const CHARACTERS_MAX = 8192;

function valuesOf(): Int8Array {
  const values = new Int8Array(256).fill(-1);
  for (let i = 0; i < DIGITS.length; i++) values[DIGITS.charCodeAt(i)] = i;
  return values;
}

/** Base64 with padding (RFC 4648, section 4). */
export function toBase64(bytes: Uint8Array): string {
  const codes = new Uint8Array(4 * Math.ceil(bytes.length / 3)).fill(PADDING);
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i], bytes[i + 1] ?? 0, bytes[i + 2] ?? 0];
    const left = bytes.length - i;
    codes[at++] = DIGITS.charCodeAt(a >> 2);
    codes[at++] = DIGITS.charCodeAt(((a & 3) << 4) | (b >> 4));
    if (left > 1) codes[at] = DIGITS.charCodeAt(((b & 15) << 2) | (c >> 6));
    at++;
    if (left > 2) codes[at] = DIGITS.charCodeAt(c & 63);
    at++;
  }
  let text = "";
  for (let from = 0; from < codes.length; from += CHARACTERS_MAX) {
    text += String.fromCharCode(...codes.subarray(from, from + CHARACTERS_MAX));
  }
  return text;
}

/** The bytes of base64 as {@link toBase64} writes it, and of nothing else: undefined then. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const digits = text.length - padding;
  let [bits, held, at] = [0, 0, 0];
  for (let i = 0; i < digits; i++) {
    const value = VALUES[text.charCodeAt(i)] ?? -1;
    if (value < 0) return undefined;
    bits = ((bits << 6) | value) & 0xfff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[at++] = bits >> held;
  }
  // What is left of the last digit must be zeros, so that two texts never stand for the same bytes.
  return (bits & ((1 << held) - 1)) === 0 ? bytes : undefined;
}
