import zlib from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32 } from "../../src/base/crc.js";

/** One bit at a time, straight from the definition. */
function slowCrc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return ~c >>> 0;
}

describe("crc32", () => {
  it("has the check value of the standard", () => {
    expect(crc32(Buffer.from("123456789"))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array())).toBe(0);
  });

  it("is the definition's, of any range, in one go or continued", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(), fc.nat(), fc.nat(), (bytes, a, b, c) => {
        const [from, middle, to] = [a, b, c].map((at) => at % (bytes.length + 1)).sort((x, y) => x - y);
        const expected = slowCrc32(bytes.subarray(from, to));
        expect(crc32(bytes, from, to)).toBe(expected);
        expect(crc32(bytes, middle, to, crc32(bytes, from, middle))).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it.skipIf(!("crc32" in zlib))("is that of zlib", () => {
    const native = (zlib as unknown as { crc32: (bytes: Uint8Array) => number }).crc32;
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 500 }),
        (bytes) => void expect(crc32(bytes)).toBe(native(bytes)),
      ),
    );
  });
});
