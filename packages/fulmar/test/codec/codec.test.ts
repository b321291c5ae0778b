import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bigintCodec,
  bytesCodec,
  type Codec,
  jsonCodec,
  rangeDecoder,
  resolveCodec,
  textCodec,
} from "../../src/codec/codec.js";

const invalidValue = expect.objectContaining({ code: "INVALID_VALUE" });

describe("jsonCodec", () => {
  it("round trips every JSON value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(jsonCodec.decode(jsonCodec.encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("round trips strings that need care", () => {
    for (const text of ["", "\ufeffmark", "é".repeat(100), "\ud800 alone", "\0", "\u{1F426}"]) {
      expect(jsonCodec.decode(jsonCodec.encode(text))).toBe(text);
    }
  });

  it.each<[string, unknown]>([
    ["undefined", undefined],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["NaN", Number.NaN],
    ["an infinity", Number.NEGATIVE_INFINITY],
    ["a bigint", 1n],
    ["a nested bigint", { deep: [1n] }],
    ["bytes", new Uint8Array(3)],
    ["a Buffer", Buffer.from("x")],
    ["an ArrayBuffer", new ArrayBuffer(1)],
    ["a Map", new Map([["a", 1]])],
    ["a Set", new Set([1])],
    ["a promise", Promise.resolve(1)],
  ])("refuses %s", (_name, value) => {
    expect(() => jsonCodec.encode(value)).toThrow(invalidValue);
    expect(() => jsonCodec.encode(value)).toThrow(TypeError);
  });

  it("names the way out for bytes and bigints", () => {
    expect(() => jsonCodec.encode(new Uint8Array())).toThrow(/codec "bytes"/);
    expect(() => jsonCodec.encode(1n)).toThrow(/codec "bigint"/);
  });

  it("refuses a cyclic value, and one that throws, with the reason", () => {
    const value: { self?: unknown } = {};
    value.self = value;
    expect(() => jsonCodec.encode(value)).toThrow(invalidValue);
    expect(() => jsonCodec.encode(value)).toThrow(/JSON cannot hold this value: .*circular/);
    const toJSON = (): never => {
      throw "no reason";
    };
    expect(() => jsonCodec.encode({ toJSON })).toThrow(/this value: .*no reason/);
  });

  it("refuses a proxy that was revoked", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(() => jsonCodec.encode(proxy)).toThrow(invalidValue);
  });

  it("tells a value that has no JSON from one of a type that never has", () => {
    expect(() => jsonCodec.encode({ toJSON: () => undefined })).toThrow(/a value of type object/);
    expect(() => jsonCodec.encode(undefined)).toThrow(/a value of type undefined/);
  });

  it("refuses bytes that are no JSON", () => {
    for (const bytes of [new Uint8Array(), Buffer.from("{"), Uint8Array.of(0x22, 0xff, 0x22)]) {
      expect(() => jsonCodec.decode(bytes)).toThrow(invalidValue);
    }
    expect(() => jsonCodec.decode(Buffer.from("{"))).toThrow(/not JSON \(.+\): was another codec used/);
  });

  it("keeps a member named __proto__ an ordinary one", () => {
    const value = JSON.parse('{"__proto__":{"polluted":true}}');
    const decoded = jsonCodec.decode(jsonCodec.encode(value)) as Record<string, unknown>;
    expect(Object.hasOwn(decoded, "__proto__")).toBe(true);
    expect(decoded.polluted).toBeUndefined();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe("bytesCodec", () => {
  it("takes bytes as they are", () => {
    const value = Uint8Array.of(1, 2);
    expect(bytesCodec.encode(value)).toBe(value);
    expect(bytesCodec.encode(Buffer.from("x"))).toEqual(Buffer.from("x"));
  });

  it("hands out a copy, even of a Buffer", () => {
    for (const stored of [Uint8Array.of(1, 2, 3), Buffer.from([1, 2, 3])]) {
      const value = bytesCodec.decode(stored);
      stored[0] = 9;
      expect(value).toEqual(Uint8Array.of(1, 2, 3));
    }
  });

  it("copies out of shared memory into memory of its own", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(4)).subarray(1, 3);
    expect(bytesCodec.decode(shared).buffer).toBeInstanceOf(ArrayBuffer);
  });

  it.each(["text", [1], new ArrayBuffer(1), new Uint16Array(1), undefined, null])("refuses %s", (value) => {
    expect(() => bytesCodec.encode(value as unknown as Uint8Array)).toThrow(invalidValue);
  });
});

describe("textCodec", () => {
  it("round trips well-formed strings", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        (value) => void expect(textCodec.decode(textCodec.encode(value))).toBe(value),
      ),
    );
    const long = `\ufeff${"é\0".repeat(200)}`;
    expect(textCodec.decode(textCodec.encode(long))).toBe(long);
  });

  it("reads from shared memory", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set([0xc3, 0xa9, 0x21]);
    expect(textCodec.decode(shared)).toBe("é!");
    expect(jsonCodec.decode(new Uint8Array(new SharedArrayBuffer(1)).fill(0x31))).toBe(1);
  });

  it("refuses lone surrogates, other values and bytes that are not UTF-8", () => {
    expect(() => textCodec.encode("\ud800")).toThrow(invalidValue);
    expect(() => textCodec.encode(1 as unknown as string)).toThrow(invalidValue);
    expect(() => textCodec.decode(Uint8Array.of(0xc3))).toThrow(invalidValue);
  });
});

describe("bigintCodec", () => {
  it("round trips bigints of any size, in as few bytes as hold them", () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.nat(70), (value, shift) => {
        for (const each of [value, -value, value << BigInt(8 * shift)]) {
          const bytes = bigintCodec.encode(each);
          expect(bigintCodec.decode(bytes)).toBe(each);
          const isRoomy = bytes.length > 1 && BigInt.asIntN(8 * (bytes.length - 1), each) === each;
          expect(isRoomy).toBe(false);
        }
      }),
    );
  });

  it.each<[bigint, string]>([
    [0n, "00"],
    [-1n, "ff"],
    [127n, "7f"],
    [128n, "0080"],
    [-128n, "80"],
    [-129n, "ff7f"],
    [2n ** 64n, "010000000000000000"],
  ])("stores %s as %s", (value, hex) => {
    expect(Buffer.from(bigintCodec.encode(value)).toString("hex")).toBe(hex);
  });

  it("reads from shared memory", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(2));
    shared.set([1, 0]);
    expect(bigintCodec.decode(shared)).toBe(256n);
  });

  it("refuses other values and no bytes at all", () => {
    expect(() => bigintCodec.encode(1 as unknown as bigint)).toThrow(invalidValue);
    expect(() => bigintCodec.decode(new Uint8Array())).toThrow(invalidValue);
  });
});

describe("resolveCodec", () => {
  it("knows names, takes codecs and falls back on json", () => {
    const own: Codec<number> = {
      name: "own",
      encode: (value) => Uint8Array.of(value),
      decode: (bytes) => bytes[0],
    };
    expect(resolveCodec(own)).toBe(own);
    expect(
      [undefined, "json", "bytes", "text", "bigint"].map((name) => resolveCodec(name as "json").name),
    ).toEqual(["json", "json", "bytes", "text", "bigint"]);
  });

  const call = (): number => 1;
  const parts = [
    { name: "x", encode: call },
    { name: "x", decode: call },
    { encode: call, decode: call },
  ];
  const named = Object.assign(() => 1, { encode: call, decode: call });
  it.each<unknown>(["JSON", "toString", null, 1, {}, ...parts, named])("refuses %s", (option) => {
    expect(() => resolveCodec(option as "json")).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });
});

describe("rangeDecoder", () => {
  const copied = Uint8Array.of(9);
  const copy = (): Uint8Array => copied;
  const decoded = <V>(codec: Codec<V>, text: string): unknown =>
    rangeDecoder(codec, copy)(new TextEncoder().encode(`..${text}..`), 2, 2 + text.length);

  it("decodes a stretch as its codec does", () => {
    expect(decoded(jsonCodec, "[1]")).toEqual([1]);
    expect(decoded(textCodec, "[1]")).toBe("[1]");
    expect(decoded(bigintCodec, "\u0001")).toBe(1n);
  });

  it("leaves copies of bytes to whoever asks", () => {
    expect(decoded(bytesCodec, "[1]")).toBe(copied);
  });

  it("gives any other codec its bytes alone", () => {
    const own: Codec<number[]> = {
      name: "json",
      encode: (value) => Uint8Array.from(value),
      decode: (bytes) => [...bytes],
    };
    expect(decoded(own, "ab")).toEqual([97, 98]);
  });
});
