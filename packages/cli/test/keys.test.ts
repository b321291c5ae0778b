import fc from "fast-check";
import { type Key, keyToJson } from "fulmar";
import { describe, expect, it } from "vitest";
import { describeKey, oneLine, parseBase64, parseKey } from "../src/keys.js";
import { parseInput, parseValue, valueToJson, valueToText } from "../src/values.js";

const part = fc.letrec<{ key: Key }>((tie) => ({
  key: fc.oneof(
    { maxDepth: 3 },
    fc.string(),
    fc.double({ noNaN: true }),
    fc.bigInt(),
    fc.boolean(),
    fc.uint8Array({ maxLength: 20 }),
    fc.array(tie("key"), { maxLength: 4 }) as fc.Arbitrary<Key>,
  ),
})).key;

describe("keys on the command line", () => {
  it("are plain strings unless --key-json says otherwise", () => {
    expect(parseKey('["user",1]', false)).toBe('["user",1]');
    expect(parseKey('["user",1]', true)).toEqual(["user", 1]);
  });

  it("of every kind survive being printed as JSON and read again", () => {
    fc.assert(
      fc.property(part, (key) => {
        expect(parseKey(JSON.stringify(keyToJson(key)), true)).toStrictEqual(key);
      }),
    );
  });

  it("that no key can be are refused with a reason", () => {
    const wrong = [
      "user",
      "null",
      "{}",
      '{"bytes":"?"}',
      '{"bigint":"1.5"}',
      '{"number":"NaN"}',
      '{"bytes":"","x":1}',
      "[null]",
    ];
    for (const text of wrong) {
      expect(() => parseKey(text, true), text).toThrow(expect.objectContaining({ code: "INVALID_KEY" }));
    }
  });

  it("for people stay on their line and cannot steer a terminal", () => {
    expect(describeKey("user:1")).toBe("user:1");
    expect(describeKey(["user", 1n])).toBe('["user",{"bigint":"1"}]');
    expect(oneLine("a\tb\u001b[2Jc\u009bd\u2028e")).toBe('"a\\tb\\u001b[2Jc\\u009bd\\u2028e"');
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
        expect(oneLine(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
      }),
    );
  });
});

describe("values on the command line", () => {
  it("are JSON, text, base64 or digits", () => {
    expect(parseValue('{"a":[1]}', "json")).toEqual({ a: [1] });
    expect(parseValue('{"a":[1]}', "text")).toBe('{"a":[1]}');
    expect(parseValue("AAEC", "bytes")).toEqual(Uint8Array.of(0, 1, 2));
    expect(parseValue("-18446744073709551617", "bigint")).toBe(-(2n ** 64n) - 1n);
    expect(() => parseValue("hello", "json")).toThrow(/write strings as '"hello"'/);
    expect(() => parseValue("not base64!", "bytes")).toThrow(/base64/);
    for (const text of ["", "1.5", "0x10", "1n"])
      expect(() => parseValue(text, "bigint")).toThrow(/no integer/);
  });

  it("come from standard input as they are", () => {
    expect(parseInput(Uint8Array.of(255, 0), "bytes")).toEqual(Uint8Array.of(255, 0));
    expect(parseInput(new TextEncoder().encode("\ufeffa\n"), "text")).toBe("\ufeffa\n");
    expect(parseInput(new TextEncoder().encode("12\n"), "bigint")).toBe(12n);
    expect(() => parseInput(Uint8Array.of(255), "text")).toThrow(/UTF-8/);
    expect(() => parseInput(new TextEncoder().encode("{"), "json")).toThrow(/not JSON/);
  });

  it("are printed so that they can be read again", () => {
    expect(valueToText({ a: 1 }, "json")).toBe('{"a":1}');
    expect(valueToText("a\nb", "text")).toBe("a\nb");
    expect(valueToJson(Uint8Array.of(1, 2, 3))).toBe("AQID");
    expect([valueToText(-12n, "bigint"), valueToJson(2n ** 64n)]).toEqual(["-12", "18446744073709551616"]);
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(parseBase64(valueToText(bytes, "bytes"))).toEqual(bytes);
      }),
    );
  });
});
