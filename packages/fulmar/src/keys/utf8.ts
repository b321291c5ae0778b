const encoder = new TextEncoder();
// A byte order mark is a character like any other, and what is not UTF-8 must not become U+FFFD in silence.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Strings up to here are encoded character by character: twice as fast as the encoder for short ASCII. */
export const SHORT_CHARACTERS = 64;
/** Up to here bytes are turned into characters some at a time; beyond, the decoder is faster. */
const SHORT_BYTES = 32;
/** In unicode mode the halves of a pair are one character, so that this finds lone surrogates only. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The UTF-8 of `text`; undefined if it has a lone surrogate. */
export function encodeUtf8(text: string): Uint8Array | undefined {
  const { length } = text;
  if (length <= SHORT_CHARACTERS) {
    const bytes = new Uint8Array(length);
    if (writeAscii(text, bytes, 0)) return bytes;
  }
  return LONE_SURROGATE.test(text) ? undefined : encoder.encode(text);
}

/** Writes a text from `at` on if it is short ASCII and fits; whether it is. If not, anything may be there. */
export function writeShortAscii(text: string, bytes: Uint8Array, at: number): boolean {
  if (text.length > SHORT_CHARACTERS || at + text.length > bytes.length) return false;
  return writeAscii(text, bytes, at);
}

function writeAscii(text: string, bytes: Uint8Array, at: number): boolean {
  const { length } = text;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return false;
    bytes[at + i] = code;
  }
  return true;
}

/** The text of the UTF-8 in `bytes[from, to)`; undefined if it is not UTF-8. */
export function decodeUtf8(bytes: Uint8Array, from = 0, to = bytes.length): string | undefined {
  if (to - from <= SHORT_BYTES) {
    const text = decodeShortAscii(bytes, from, to);
    if (text !== undefined) return text;
  }
  try {
    return decoder.decode(bytes.subarray(from, to));
  } catch {
    return undefined;
  }
}

/** Undefined unless all bytes are ASCII. */
function decodeShortAscii(bytes: Uint8Array, from: number, to: number): string | undefined {
  let text = "";
  let at = from;
  // One call for sixteen, so that there is one string: parts of one that long would be joined when it is used.
  for (; at + 16 <= to; at += 16) {
    const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    const [e, f, g, h] = [bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]];
    const [i, j, k, l] = [bytes[at + 8], bytes[at + 9], bytes[at + 10], bytes[at + 11]];
    const [m, n, o, p] = [bytes[at + 12], bytes[at + 13], bytes[at + 14], bytes[at + 15]];
    if ((a | b | c | d | e | f | g | h | i | j | k | l | m | n | o | p) > 127) return undefined;
    text += String.fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
  }
  if (at + 8 <= to) {
    const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    const [e, f, g, h] = [bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]];
    if ((a | b | c | d | e | f | g | h) > 127) return undefined;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
    at += 8;
  }
  if (at + 4 <= to) {
    const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    if ((a | b | c | d) > 127) return undefined;
    text += String.fromCharCode(a, b, c, d);
    at += 4;
  }
  for (; at < to; at++) {
    if (bytes[at] > 127) return undefined;
    text += String.fromCharCode(bytes[at]);
  }
  return text;
}
