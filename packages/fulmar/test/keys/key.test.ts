import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, toHex } from "../../src/base/bytes.js";
import {
  decodeKey,
  describeKey,
  encodeKey,
  isReserved,
  type Key,
  type KeyPart,
  NAMESPACE_PREFIX,
  OWN_PREFIX,
} from "../../src/keys/key.js";
import { anyKey, compareKeys } from "./arbitrary.js";

const MAX = 4096;

function codeAndKind(action: () => unknown): [string, string] {
  try {
    action();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return [`${(error as Error).constructor.name} ${code}`, message];
  }
  throw new Error("nothing was thrown");
}

describe("encodeKey", () => {
  it("orders keys as the documentation says", () => {
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        const order = compareBytes(encodeKey(a, MAX), encodeKey(b, MAX));
        expect(Math.sign(order)).toBe(Math.sign(compareKeys(a, b)));
      }),
      { numRuns: 5000 },
    );
  });

  it("round trips through decodeKey", () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const decoded = decodeKey(encodeKey(key, MAX));
        expect(compareKeys(decoded, key)).toBe(0);
        expect(decoded).toEqual(normal(key));
      }),
      { numRuns: 2000 },
    );
  });

  it("takes negative zero for zero, at the top and in tuples", () => {
    expect(encodeKey(-0, MAX)).toEqual(encodeKey(0, MAX));
    expect(encodeKey([[-0]], MAX)).toEqual(encodeKey([[0]], MAX));
    expect(Object.is(decodeKey(encodeKey(-0, MAX)), 0)).toBe(true);
  });

  it("never produces a reserved key or the byte FF first", () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const bytes = encodeKey(key, MAX);
        expect(isReserved(bytes)).toBe(false);
        expect([0xf7, 0xfc, 0xfd, 0xff]).not.toContain(bytes[0]);
      }),
    );
  });

  it("gives bytes that are the caller's own, and takes Buffers as byte arrays", () => {
    const key = Buffer.from("abc");
    const bytes = encodeKey(key, MAX);
    const decoded = decodeKey(Buffer.from(bytes)) as Uint8Array;
    key[0] = 0;
    expect(toHex(bytes)).toBe("f8616263");
    expect(Object.getPrototypeOf(decoded)).toBe(Uint8Array.prototype);
  });

  it("does not hand out a view of the bytes it decodes", () => {
    const bytes = Buffer.from("f8616263", "hex");
    const decoded = decodeKey(bytes);
    bytes.fill(0);
    expect(decoded).toEqual(Uint8Array.of(0x61, 0x62, 0x63));
  });

  it.each<[string, unknown]>([
    ["NaN", Number.NaN],
    ["NaN in a tuple", ["a", Number.NaN]],
    ["a lone high surrogate", "a\ud800"],
    ["a lone low surrogate", "\udc00a"],
    ["swapped surrogates", "\udc00\ud800"],
    ["a lone surrogate in a long string", `${"x".repeat(100)}\ud83d`],
    ["a lone surrogate in a tuple", [["\ud800"]]],
    ["undefined", undefined],
    ["null", null],
    ["null in a tuple", [null]],
    ["a hole in a tuple", new Array(1)],
    ["an object", {}],
    ["a date", new Date(0)],
    ["a symbol", Symbol("s")],
    ["a function", () => 1],
    ["another typed array", new Uint16Array(1)],
  ])("refuses %s", (_name, key) => {
    expect(codeAndKind(() => encodeKey(key as Key, MAX))[0]).toBe("FulmarTypeError INVALID_KEY");
  });

  it("keeps surrogate pairs, NUL and a byte order mark", () => {
    for (const key of ["\u{1F426}", "\0", "\ufeffa", `\ufeff${"é".repeat(90)}`]) {
      expect(decodeKey(encodeKey(key, MAX))).toBe(key);
      expect(decodeKey(encodeKey([key], MAX))).toEqual([key]);
    }
  });

  it.each<[string, (length: number) => Key]>([
    ["an ASCII string", (length) => "k".repeat(length)],
    ["a string of two-byte characters", (length) => "é".repeat(length >> 1) + "a".repeat(length & 1)],
    ["bytes", (length) => new Uint8Array(length - 1)],
    ["a bigint", (length) => 256n ** BigInt(length - 3) - 1n],
    ["a tuple", (length) => ["k".repeat(length - 4)]],
    ["a tuple of escaped bytes", (length) => [new Uint8Array(length - 18).fill(9), "\0".repeat(6)]],
  ])("takes %s of exactly the limit and refuses one byte more", (_name, make) => {
    for (const limit of [40, 65, 4096]) {
      expect(encodeKey(make(limit), limit).length).toBe(limit);
      const [kind, message] = codeAndKind(() => encodeKey(make(limit + 1), limit));
      expect(kind).toBe("FulmarRangeError KEY_TOO_LARGE");
      expect(message).toContain(String(limit + 1));
      expect(message).toContain(`limit is ${limit}`);
    }
  });

  it("refuses huge and cyclic keys without following them to the end", () => {
    const cyclic: KeyPart[] = [];
    cyclic.push(cyclic, cyclic);
    expect(codeAndKind(() => encodeKey(cyclic, MAX))[0]).toBe("FulmarTypeError INVALID_KEY");
    const wide: KeyPart[] = ["x"];
    for (let i = 0; i < 40; i++) wide[0] = [wide[0], wide[0]];
    expect(codeAndKind(() => encodeKey(wide, MAX))[0]).toBe("FulmarRangeError KEY_TOO_LARGE");
    expect(codeAndKind(() => encodeKey(1n << 1_000_000n, MAX))[0]).toBe("FulmarRangeError KEY_TOO_LARGE");
  });

  it("nests tuples up to 64 deep", () => {
    const nested = (depth: number): KeyPart[] => (depth === 1 ? [] : [nested(depth - 1)]);
    expect(decodeKey(encodeKey(nested(64), MAX))).toEqual(nested(64));
    expect(codeAndKind(() => encodeKey(nested(65), MAX))[0]).toBe("FulmarTypeError INVALID_KEY");
    const tooDeep = Uint8Array.from([...new Array(65).fill(0xfe), ...new Array(65).fill(0)]);
    expect(codeAndKind(() => decodeKey(tooDeep))[0]).toBe("FulmarTypeError INVALID_KEY");
  });
});

describe("decodeKey", () => {
  const leads = fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xf5, 0xf6, 0xf8, 0xf9, 0xfa, 0xfb, 0xfe, 0xff);
  const wild = fc
    .array(fc.oneof(leads, fc.nat(255)), { maxLength: 14 })
    .map((items) => Uint8Array.from(items));
  const mutated = fc.tuple(anyKey, fc.nat(), fc.nat(255), fc.nat(3)).map(([key, at, byte, cut]) => {
    const bytes = encodeKey(key, MAX);
    if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes.subarray(0, Math.max(0, bytes.length - cut));
  });

  it("returns a key only for the very bytes that encode it", () => {
    fc.assert(
      fc.property(fc.oneof(wild, mutated), (bytes) => {
        let key: Key;
        try {
          key = decodeKey(bytes);
        } catch (error) {
          expect(["INVALID_KEY", "RESERVED_KEY"]).toContain((error as { code: string }).code);
          expect(error).toBeInstanceOf(TypeError);
          return;
        }
        expect(toHex(encodeKey(key, MAX))).toBe(toHex(bytes));
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    ["f5", "RESERVED_KEY"],
    ["f600", "RESERVED_KEY"],
    ["f7", "INVALID_KEY"],
    ["ff", "INVALID_KEY"],
    ["80", "INVALID_KEY"],
    ["f9fff8000000000000", "INVALID_KEY"],
    ["f97fffffffffffffff", "INVALID_KEY"],
    ["f98000000000000000ff", "INVALID_KEY"],
    ["fa800100", "INVALID_KEY"],
    ["fa7fff", "INVALID_KEY"],
    ["fb02", "INVALID_KEY"],
    ["fe", "INVALID_KEY"],
    ["fe0000", "INVALID_KEY"],
    ["fe0161", "INVALID_KEY"],
    ["fe01010300", "INVALID_KEY"],
  ])("refuses %s", (hex, code) => {
    expect(codeAndKind(() => decodeKey(Buffer.from(hex, "hex")))[0]).toBe(`FulmarTypeError ${code}`);
  });
});

describe("isReserved", () => {
  it("is true of the two reserved first bytes only", () => {
    const reserved = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) =>
      isReserved(Uint8Array.of(byte)),
    );
    expect(reserved).toEqual([NAMESPACE_PREFIX, OWN_PREFIX]);
    expect(isReserved(new Uint8Array())).toBe(false);
  });
});

describe("describeKey", () => {
  it("is short and never an error", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => void expect(describeKey(value).length).toBeLessThan(40_000)),
    );
    expect(describeKey(["a", 1, 2n, true, Uint8Array.of(255)])).toBe('["a", 1, 2n, true, bytes ff]');
    expect(describeKey("x".repeat(1000)).length).toBeLessThan(50);
    expect(describeKey(new Uint8Array(1000)).length).toBeLessThan(80);
    expect(describeKey(10n ** 500n).length).toBeLessThan(80);
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    expect(describeKey(cyclic)).toBe("[[[[...]]]]");
  });
});

describe("docs/format/keys.md", () => {
  const page = readFileSync(new URL("../../../../docs/format/keys.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `(.+)` \| ([0-9a-f ]+|\(no bytes\)) \|$/gm)].map(([, source, hex]) => ({
    source,
    hex: hex === "(no bytes)" ? "" : hex.replaceAll(" ", ""),
  }));

  it("has examples", () => expect(rows.length).toBeGreaterThan(20));

  it.each(rows)("is right about $source", ({ source, hex }) => {
    const key = new Function(`return ${source}`)() as Key;
    expect(toHex(encodeKey(key, MAX))).toBe(hex);
    expect(decodeKey(Buffer.from(hex, "hex"))).toEqual(key);
  });

  it("lists them in order", () => {
    for (let i = 1; i < rows.length; i++) expect(rows[i - 1].hex < rows[i].hex, rows[i].source).toBe(true);
  });
});

/** The key as it comes back: without negative zeros. */
function normal(key: KeyPart): KeyPart {
  if (typeof key === "number") return key + 0;
  return Array.isArray(key) ? key.map(normal) : key;
}
