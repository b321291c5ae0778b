import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeKey, encodeKey, isKey, type Key } from "../../src/keys/key.js";
import { LookupKey } from "../../src/keys/lookup.js";
import { anyKey } from "./arbitrary.js";

const MAX = 4096;

function outcome(action: () => Uint8Array): unknown {
  try {
    return [...action()];
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return [code, message];
  }
}

describe("LookupKey", () => {
  it("gives what encodeKey gives, also right after other keys", () => {
    const lookup = new LookupKey();
    const longer = fc.constantFrom<Key>("x".repeat(64), "x".repeat(65), "é".repeat(40), `${"x".repeat(63)}é`);
    fc.assert(
      fc.property(fc.array(fc.oneof(anyKey, longer), { minLength: 1, maxLength: 5 }), (keys) => {
        for (const key of keys) {
          lookup.encode(key, MAX);
          expect([...lookup.bytes.subarray(0, lookup.length)]).toEqual([...encodeKey(key, MAX)]);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("refuses what encodeKey refuses, with the same words", () => {
    const lookup = new LookupKey();
    const wrong = [
      Number.NaN,
      "\ud800",
      ["a", "\udfff"],
      undefined,
      {},
      "x".repeat(11),
      "é".repeat(6),
      5,
      5n,
    ];
    for (const key of [...wrong, new Uint8Array(10), "x".repeat(10), true, -0, ["x".repeat(9)]]) {
      for (const bytesMax of [8, 9, 10]) {
        const looked = outcome(() => {
          lookup.encode(key as Key, bytesMax);
          return lookup.bytes.subarray(0, lookup.length);
        });
        expect(looked).toEqual(outcome(() => encodeKey(key as Key, bytesMax)));
      }
    }
  });

  it("is not disturbed by a key whose elements look something up themselves", () => {
    const lookup = new LookupKey();
    const inner = (): string => {
      lookup.encode("another key, which is longer", MAX);
      return "b";
    };
    const key = Object.defineProperty(["a", "", "c"], 1, { get: inner });
    lookup.encode(key, MAX);
    expect([...lookup.bytes.subarray(0, lookup.length)]).toEqual([...encodeKey(["a", "b", "c"], MAX)]);
  });
});

describe("decodeKey", () => {
  it("reads no byte outside of its range", () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      anyKey.map((key) => encodeKey(key, MAX)),
    );
    const cut = fc
      .tuple(part, fc.nat(4))
      .map(([bytes, less]) => bytes.subarray(0, Math.max(0, bytes.length - less)));
    fc.assert(
      fc.property(
        cut,
        fc.uint8Array({ maxLength: 4 }),
        fc.uint8Array({ maxLength: 12 }),
        (bytes, before, after) => {
          const whole = Uint8Array.from([...before, ...bytes, ...after]);
          const [from, to] = [before.length, before.length + bytes.length];
          if (isKey(bytes)) expect(decodeKey(whole, from, to)).toEqual(decodeKey(bytes));
          else expect(() => decodeKey(whole, from, to)).toThrow(/^the (key|bytes) /);
        },
      ),
      { numRuns: 5000 },
    );
  });
});
