import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, toHex } from "../../src/base/bytes.js";
import { decodeKey, encodeKey, isKey, type Key, NAMESPACE_PREFIX } from "../../src/keys/key.js";
import { LookupKey } from "../../src/keys/lookup.js";
import { isNamespaceKey, locateKey, namespacePrefix } from "../../src/keys/namespace.js";
import { inRange } from "../../src/keys/range.js";
import { KeySpace, STORE_KEYS } from "../../src/keys/space.js";
import { anyKey, compareKeys } from "./arbitrary.js";

const MAX = 4096;
const MANY = { numRuns: 3000 };
/** Names that begin with each other, and with the bytes that the encoding itself uses. */
const anyName = fc
  .oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 8 }),
    fc.string({
      unit: fc.constantFrom("\0", "\u0001", "\u0002", "a", "\u{10ffff}"),
      minLength: 1,
      maxLength: 4,
    }),
  )
  .filter((name) => !/\p{Surrogate}/u.test(name));

describe("a namespace", () => {
  it("has keys in the order of names first, then of keys, and gives each back", () => {
    fc.assert(
      fc.property(anyName, anyKey, anyName, anyKey, (nameA, keyA, nameB, keyB) => {
        const [a, b] = [new KeySpace(nameA), new KeySpace(nameB)];
        const [bytesA, bytesB] = [a.encode(keyA, MAX), b.encode(keyB, MAX)];
        const order = compareKeys(nameA, nameB) || compareKeys(keyA, keyB);
        expect(Math.sign(compareBytes(bytesA, bytesB))).toBe(Math.sign(order));
        expect(compareKeys(a.decode(bytesA), keyA)).toBe(0);
        expect(locateKey(bytesA)).toEqual({ namespace: nameA, key: a.decode(bytesA) });
        expect(isNamespaceKey(bytesA)).toBe(true);
      }),
      MANY,
    );
  });

  it("shares no key with another one or with the store, whatever the bounds", () => {
    const bounds = fc.record(
      { gt: anyKey, gte: anyKey, lt: anyKey, lte: anyKey, prefix: fc.oneof(fc.string(), fc.array(anyKey)) },
      { requiredKeys: [] },
    );
    const spaces = fc.option(anyName).map((name) => (name === null ? STORE_KEYS : new KeySpace(name)));
    fc.assert(
      fc.property(spaces, spaces, anyKey, bounds, (a, b, key, within) => {
        const bytes = a.encode(key, MAX);
        const isIn = b.ranges(within, MAX).some((range) => inRange(bytes, range));
        if (a.name !== b.name) expect(isIn).toBe(false);
        // Without a namespace the same bounds choose the same keys.
        const plain = STORE_KEYS.ranges(within, MAX).some((range) => inRange(encodeKey(key, MAX), range));
        if (a.name === b.name) expect(isIn).toBe(plain);
      }),
      MANY,
    );
  });

  it("is looked up with the bytes that it is written with", () => {
    fc.assert(
      fc.property(anyName, fc.array(anyKey, { minLength: 1, maxLength: 4 }), (name, keys) => {
        const space = new KeySpace(name);
        const lookup = new LookupKey(space);
        for (const key of keys) {
          lookup.encode(key, MAX);
          expect(toHex(lookup.bytes.slice(0, lookup.length))).toBe(toHex(space.encode(key, MAX)));
        }
      }),
      MANY,
    );
  });

  it("counts its name into the size of a key", () => {
    const space = new KeySpace("n");
    for (const key of ["x".repeat(8), 5, new Uint8Array(7)] as Key[]) {
      const bytes = space.encode(key, 3 + 9);
      const lookup = new LookupKey(space);
      lookup.encode(key, bytes.length);
      expect(lookup.length).toBe(bytes.length);
      const tooLarge = expect.objectContaining({ code: "KEY_TOO_LARGE" });
      expect(() => space.encode(key, bytes.length - 1)).toThrow(tooLarge);
      expect(() => lookup.encode(key, bytes.length - 1)).toThrow(tooLarge);
    }
  });

  it("has a name of 1 to 255 bytes of UTF-8", () => {
    for (const name of ["a", "é".repeat(127), "x".repeat(255), "\0"])
      expect(new KeySpace(name).name).toBe(name);
    for (const name of ["", "x".repeat(256), "é".repeat(128), "\ud800", 1, null, ["a"]]) {
      const wrong = expect.objectContaining({ code: "INVALID_ARGUMENT" });
      expect(() => new KeySpace(name as string), String(name)).toThrow(wrong);
    }
  });
});

describe("bytes from elsewhere", () => {
  it("are a namespace's key only if they could have been written here", () => {
    const bytes = fc
      .array(fc.oneof(fc.constantFrom(0, 1, 2, 0x61, 0xf9, 0xff), fc.nat(255)), { maxLength: 12 })
      .map((rest) => Uint8Array.of(NAMESPACE_PREFIX, ...rest));
    fc.assert(
      fc.property(bytes, (given) => {
        if (!isNamespaceKey(given)) {
          expect(() => locateKey(given)).toThrow();
          return;
        }
        const { namespace, key } = locateKey(given);
        expect(toHex(new KeySpace(namespace).encode(key, MAX))).toBe(toHex(given));
      }),
      { numRuns: 20_000 },
    );
  });

  it("never name a namespace within a namespace", () => {
    const nested = Uint8Array.of(...namespacePrefix("a"), ...namespacePrefix("b"), 0x63);
    expect(isNamespaceKey(nested)).toBe(false);
    expect(isKey(nested)).toBe(false);
    expect(() => decodeKey(nested)).toThrow(expect.objectContaining({ code: "RESERVED_KEY" }));
  });
});

it("the documentation's examples of namespaces are what the code does", () => {
  const page = readFileSync(new URL("../../../../docs/format/keys.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| namespace `(.+)`, key `(.+)` \| ([0-9a-f ]+) \|$/gm)];
  expect(rows.length).toBeGreaterThan(2);
  for (const [, name, key, hex] of rows) {
    const bytes = new KeySpace(JSON.parse(name) as string).encode(JSON.parse(key) as Key, MAX);
    expect(toHex(bytes)).toBe(hex.replaceAll(" ", ""));
  }
});
