import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeUtf8, encodeUtf8, writeShortAscii } from "../../src/keys/utf8.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const RUNS = { numRuns: 3000 };

/** Around the sizes at which another way is taken. */
const lengths = fc.constantFrom(
  0,
  1,
  3,
  4,
  5,
  7,
  8,
  9,
  12,
  13,
  15,
  16,
  17,
  20,
  24,
  28,
  31,
  32,
  33,
  63,
  64,
  65,
  66,
  200,
);
const ascii = lengths.chain((length) =>
  fc.string({ unit: "binary-ascii", minLength: length, maxLength: length }),
);
/** Characters of each length in UTF-8, the first and the last of it, and a byte order mark. */
const mixed = fc.string({
  unit: fc.constantFrom(
    "a",
    "\0",
    "\u007f",
    "\u0080",
    "\u07ff",
    "\u0800",
    "\uffff",
    "\u{10000}",
    "\u{10ffff}",
    "\ufeff",
  ),
  maxLength: 70,
});
const text = fc.oneof(
  ascii,
  mixed,
  fc.tuple(ascii, mixed, ascii).map((parts) => parts.join("")),
);
/** Any code units: surrogates without the other half among them. */
const units = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 127 }), fc.integer({ min: 0xd700, max: 0xe100 })), {
    maxLength: 70,
  })
  .map((codes) => String.fromCharCode(...codes));

function expectedText(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The bytes amid others, which must have no influence. */
function surrounded(bytes: Uint8Array, before: number, filler: number): Uint8Array {
  const whole = new Uint8Array(before + bytes.length + 9).fill(filler);
  whole.set(bytes, before);
  return whole;
}

describe("UTF-8", () => {
  it("encodes as TextEncoder does, and refuses what has no UTF-8 form", () => {
    fc.assert(
      fc.property(fc.oneof(text, units), (value) => {
        expect(encodeUtf8(value)).toEqual(!/\p{Surrogate}/u.test(value) ? encoder.encode(value) : undefined);
      }),
      RUNS,
    );
  });

  it("refuses a lone surrogate wherever it stands, however long the text is", () => {
    for (const length of [1, 8, 24, 64, 65, 300]) {
      for (const lone of ["\ud800", "\udbff", "\udc00", "\udfff"]) {
        for (const at of [0, length >>> 1, length - 1]) {
          const value = `${"x".repeat(at)}${lone}${"x".repeat(length - at - 1)}`;
          expect(encodeUtf8(value), `${length} ${at}`).toBeUndefined();
        }
      }
    }
  });

  it("writes short ASCII and nothing else in place", () => {
    fc.assert(
      fc.property(fc.oneof(text, units), fc.nat(5), fc.nat(80), (value, at, room) => {
        const bytes = new Uint8Array(at + room).fill(0xee);
        const written = writeShortAscii(value, bytes, at);
        const isAscii = [...value].every((character) => character.charCodeAt(0) < 128);
        expect(written).toBe(isAscii && value.length <= 64 && value.length <= room);
        if (!written) return;
        const expected = new Uint8Array(at + room).fill(0xee);
        expected.set(encoder.encode(value), at);
        expect(bytes).toEqual(expected);
      }),
      RUNS,
    );
  });

  it("decodes as TextDecoder does, wherever the bytes stand", () => {
    fc.assert(
      fc.property(text, fc.nat(9), fc.constantFrom(0, 0x41, 0x80, 0xbf, 0xff), (value, before, filler) => {
        const bytes = encoder.encode(value);
        expect(decodeUtf8(surrounded(bytes, before, filler), before, before + bytes.length)).toBe(value);
        expect(decodeUtf8(bytes)).toBe(value);
      }),
      RUNS,
    );
  });

  it("takes no other bytes for text: cut, overlong, of surrogates, with one byte changed", () => {
    const damaged = fc
      .tuple(text, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(3))
      .map(([value, at, byte, cut]) => {
        const bytes = encoder.encode(value);
        const changed = bytes.length === 0 ? bytes : bytes.with(at % bytes.length, byte);
        return changed.subarray(0, Math.max(0, changed.length - cut));
      });
    fc.assert(
      fc.property(
        fc.oneof(damaged, fc.uint8Array({ maxLength: 40 })),
        fc.constantFrom(0x41, 0x80),
        (bytes, filler) => {
          expect(decodeUtf8(surrounded(bytes, 3, filler), 3, 3 + bytes.length)).toBe(expectedText(bytes));
        },
      ),
      RUNS,
    );
    for (const bytes of [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff], [0x80]]) {
      expect(decodeUtf8(Uint8Array.from(bytes))).toBeUndefined();
    }
  });
});
