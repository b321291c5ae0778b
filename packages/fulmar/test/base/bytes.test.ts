import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  afterPrefix,
  compareBytes,
  compareRanges,
  concatBytes,
  equalBytes,
  fromHex,
  isU53,
  readU16,
  readU32,
  readU64,
  toHex,
  writeU16,
  writeU32,
  writeU64,
} from "../../src/base/bytes.js";

const near = fc.array(fc.constantFrom(0, 1, 127, 128, 254, 255), { maxLength: 4 });
const anyBytes = fc.oneof(
  near.map((items) => Uint8Array.from(items)),
  fc.uint8Array({ maxLength: 40 }),
);

/** The framed integer must touch its own bytes only. */
function framed(length: number, write: (bytes: Uint8Array, at: number) => void): Buffer {
  const bytes = Buffer.alloc(length + 2, 0xaa);
  write(bytes, 1);
  expect([bytes[0], bytes[length + 1]]).toEqual([0xaa, 0xaa]);
  return bytes;
}

describe("integers", () => {
  it("are little-endian and come back", () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffffffff), fc.maxSafeNat(), (u16, u32, u64) => {
        const two = framed(2, (bytes, at) => writeU16(bytes, at, u16));
        const four = framed(4, (bytes, at) => writeU32(bytes, at, u32));
        const eight = framed(8, (bytes, at) => writeU64(bytes, at, u64));
        expect([two.readUInt16LE(1), readU16(two, 1)]).toEqual([u16, u16]);
        expect([four.readUInt32LE(1), readU32(four, 1)]).toEqual([u32, u32]);
        expect([Number(eight.readBigUInt64LE(1)), readU64(eight, 1)]).toEqual([u64, u64]);
        expect(isU53(eight, 1)).toBe(true);
      }),
    );
  });

  it.each([0, 1, 255, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER])(
    "keep %d",
    (value) => {
      const bytes = new Uint8Array(8);
      writeU64(bytes, 0, value);
      expect(readU64(bytes, 0)).toBe(value);
    },
  );

  it("are exact below 2^53 only, and isU53 knows", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(2n ** 53n - 2n, 2n ** 53n + 2n)),
        (value) => {
          const bytes = Buffer.alloc(9);
          bytes.writeBigUInt64LE(value, 1);
          expect(isU53(bytes, 1)).toBe(value < 2n ** 53n);
        },
      ),
    );
  });
});

describe("byte order", () => {
  it("is that of Buffer.compare, of whole arrays and of ranges", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, anyBytes, (a, b, around) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
        expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
        const [wideA, wideB] = [concatBytes(around, a, around), concatBytes(b, around)];
        const order = compareRanges(wideA, around.length, around.length + a.length, wideB, 0, b.length);
        expect(Math.sign(order)).toBe(Buffer.compare(a, b));
      }),
    );
  });
});

describe("afterPrefix", () => {
  it("is above everything that starts with the prefix, and above nothing else", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, anyBytes, (prefix, tail, other) => {
        const after = afterPrefix(prefix);
        if (after === undefined) {
          expect(prefix.every((byte) => byte === 255)).toBe(true);
          return;
        }
        expect(compareBytes(concatBytes(prefix, tail), after)).toBeLessThan(0);
        const isBetween = compareBytes(other, prefix) >= 0 && compareBytes(other, after) < 0;
        expect(isBetween).toBe(toHex(other).startsWith(toHex(prefix)));
      }),
    );
  });

  it("leaves a Buffer as it is", () => {
    const prefix = Buffer.from("ab");
    afterPrefix(prefix);
    expect(prefix.toString()).toBe("ab");
  });
});

describe("hexadecimal", () => {
  it("round trips, and refuses everything else", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString("hex"));
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
    for (const text of ["a", "0g", "AB", " 00", "0x00", "00\n"]) expect(fromHex(text), text).toBeUndefined();
  });
});
