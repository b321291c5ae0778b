import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concatBytes, toHex } from "../../src/base/bytes.js";
import {
  encodeKey,
  type KeyPart,
  NAMESPACE_PREFIX,
  OWN_PREFIX,
  prefixOf,
  userRanges,
} from "../../src/keys/key.js";
import { ALL_KEYS, inRange, intersect, isEmptyRange, prefixRange, successor } from "../../src/keys/range.js";
import { type KeyBounds, resolveRange } from "../../src/keys/resolve.js";
import { anyKey, anyTuple, byteArray, compareKeys, text } from "./arbitrary.js";

const MAX = 4096;
const bytesArbitrary = fc.array(fc.constantFrom(0, 1, 0x61, 0xf4, 0xf5, 0xf6, 0xf7, 0xfe, 0xff), {
  maxLength: 4,
});
const anyBytes = bytesArbitrary.map((items) => Uint8Array.from(items));
const anyRange = fc.record({ from: anyBytes, to: fc.option(anyBytes, { nil: undefined }) });

/** What the documentation calls beginning with a prefix, told from the values. */
function begins(key: KeyPart, prefix: KeyPart): boolean {
  if (typeof prefix === "string") return typeof key === "string" && key.startsWith(prefix);
  if (prefix instanceof Uint8Array) {
    return key instanceof Uint8Array && compareKeys(key.slice(0, prefix.length), prefix) === 0;
  }
  if (!Array.isArray(prefix)) throw new Error("no prefix");
  return (
    Array.isArray(key) &&
    key.length >= prefix.length &&
    compareKeys(key.slice(0, prefix.length), prefix) === 0
  );
}

const prefixes: fc.Arbitrary<KeyPart> = fc.oneof(text, byteArray, anyTuple);

describe("prefixOf", () => {
  it("selects exactly what begins with the prefix, among keys of every kind", () => {
    fc.assert(
      fc.property(prefixes, fc.array(anyKey, { maxLength: 20 }), anyKey, (prefix, others, tail) => {
        const extended: KeyPart = Array.isArray(prefix)
          ? [...prefix, tail]
          : typeof prefix === "string"
            ? `${prefix}${typeof tail === "string" ? tail : "x"}`
            : concatBytes(prefix as Uint8Array, Uint8Array.of(255, 0));
        const range = prefixOf(prefix, MAX);
        for (const key of [prefix, extended, ...others]) {
          expect(inRange(encodeKey(key, MAX), range)).toBe(begins(key, prefix));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("keeps a tuple apart from one whose string is longer", () => {
    const range = prefixOf(["a"], MAX);
    expect(inRange(encodeKey(["a", "b"], MAX), range)).toBe(true);
    for (const other of [["ab"], ["a\0"], ["a\u0001"], [["a"]], "a"]) {
      expect(inRange(encodeKey(other, MAX), range)).toBe(false);
    }
  });

  it("selects every string for the empty string, and only strings", () => {
    const range = prefixOf("", MAX);
    expect(inRange(encodeKey("\u{10ffff}\u{10ffff}", MAX), range)).toBe(true);
    expect(inRange(Uint8Array.of(NAMESPACE_PREFIX), range)).toBe(false);
    expect(inRange(encodeKey(new Uint8Array(), MAX), range)).toBe(false);
  });

  it.each([1, 1n, true])("refuses %s", (prefix) => {
    expect(() => prefixOf(prefix, MAX)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

describe("resolveRange", () => {
  const maybe = fc.option(anyKey, { nil: undefined });
  const bounds = fc.record({
    prefix: fc.option(prefixes, { nil: undefined }),
    gt: maybe,
    gte: maybe,
    lt: maybe,
    lte: maybe,
  });
  const holds = (key: KeyPart, { prefix, gt, gte, lt, lte }: KeyBounds): boolean =>
    (prefix === undefined || begins(key, prefix)) &&
    (gt === undefined || compareKeys(key, gt) > 0) &&
    (gte === undefined || compareKeys(key, gte) >= 0) &&
    (lt === undefined || compareKeys(key, lt) < 0) &&
    (lte === undefined || compareKeys(key, lte) <= 0);

  it("makes all bounds hold together", () => {
    fc.assert(
      fc.property(bounds, fc.array(anyKey, { maxLength: 10 }), (options, keys) => {
        const range = resolveRange(options, MAX);
        const named = Object.values(options).filter((key) => key !== undefined);
        for (const key of [...keys, ...named])
          expect(inRange(encodeKey(key, MAX), range)).toBe(holds(key, options));
      }),
      { numRuns: 3000 },
    );
  });

  it("is everything without bounds, and takes a key of the full length as a bound", () => {
    expect(resolveRange({}, MAX)).toEqual(ALL_KEYS);
    const key = "k".repeat(MAX);
    const { from, to } = resolveRange({ gte: key, lte: key }, MAX);
    expect([from.length, to?.length]).toEqual([MAX, MAX + 1]);
    expect(() => resolveRange({ lt: `${key}k` }, MAX)).toThrow(
      expect.objectContaining({ code: "KEY_TOO_LARGE" }),
    );
  });
});

describe("ranges of bytes", () => {
  it("intersect as sets do", () => {
    fc.assert(
      fc.property(anyRange, anyRange, anyBytes, (a, b, key) => {
        expect(inRange(key, intersect(a, b))).toBe(inRange(key, a) && inRange(key, b));
        if (isEmptyRange(a)) expect(inRange(key, a)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it("have the least key of a range in it unless it is empty", () => {
    fc.assert(
      fc.property(anyRange, (range) => void expect(inRange(range.from, range)).toBe(!isEmptyRange(range))),
    );
  });

  it("of a prefix hold what begins with it", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, anyBytes, (prefix, tail, other) => {
        const range = prefixRange(prefix);
        expect(inRange(concatBytes(prefix, tail), range)).toBe(true);
        expect(inRange(other, range)).toBe(toHex(other).startsWith(toHex(prefix)));
      }),
    );
  });

  it("have nothing between a key and its successor", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (key, other) => {
        const between = inRange(other, { from: key, to: successor(key) });
        expect(between).toBe(toHex(other) === toHex(key));
      }),
    );
  });

  it("of the user leave out the reserved keys only", () => {
    fc.assert(
      fc.property(anyRange, anyBytes, (range, key) => {
        const parts = userRanges(range);
        const reserved = key[0] === NAMESPACE_PREFIX || key[0] === OWN_PREFIX;
        expect(parts.filter((part) => inRange(key, part)).length).toBe(
          inRange(key, range) && !reserved ? 1 : 0,
        );
        expect(parts.some(isEmptyRange)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});
