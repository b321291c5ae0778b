import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inRange, isEmptyRange, type KeyRange, prefixRange } from "../../../src/keys/range.js";
import { type Beginnings, BeginningsBuilder } from "../../../src/store/watch/beginnings.js";

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function between(from: string, to: string | undefined): KeyRange {
  return { from: encode(from), to: to === undefined ? undefined : encode(to) };
}

function beginningsOf(ranges: readonly KeyRange[]): Beginnings {
  const builder = new BeginningsBuilder();
  for (const range of ranges) builder.add(range);
  return builder.finish();
}

// Few bytes, so that ends of ranges and keys share beginnings of many lengths; 255 has no next.
const tail = fc
  .uint8Array({ maxLength: 7 })
  .map((array) => array.map((byte) => [0, 1, 2, 40, 97, 255][byte % 6]));
const start = fc.constantFrom("", "u", "user:", "user:0000000");
const bytes = fc.tuple(start, tail).map(([text, end]) => Uint8Array.of(...encode(text), ...end));
const range = fc
  .oneof(
    bytes.map(prefixRange),
    fc.tuple(bytes, fc.option(bytes, { nil: undefined })).map(([from, to]): KeyRange => ({ from, to })),
  )
  .filter((one) => !isEmptyRange(one));

describe("beginnings of ranges", () => {
  test("are those of every key in them, of how many lengths they ever are, and in those added later", () => {
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 30 }),
        fc.array(range, { maxLength: 3 }),
        fc.array(bytes, { minLength: 1, maxLength: 30 }),
        (ranges, added, keys) => {
          const beginnings = beginningsOf(ranges);
          for (const one of added) beginnings.addRange(one);
          const all = [...ranges, ...added];
          for (const key of [...keys, ...all.map(({ from }) => from)]) {
            if (all.some((one) => inRange(key, one))) expect(beginnings.mayHold(key)).toBe(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  const keys = Array.from({ length: 10_000 }, (_, i) => encode(`user:${String(i).padStart(5, "0")}:n`));

  /** How many of 10,000 keys may be in some ranges. */
  function held(beginnings: Beginnings): number {
    return keys.filter((key) => beginnings.mayHold(key)).length;
  }

  const name = (index: number): string => `user:${String(index).padStart(5, "0")}`;
  test.each([
    ["none", () => []],
    ["another prefix for each", (i: number) => [prefixRange(encode(`${name(i)}:m`))]],
    ["others from a to m", (i: number) => [between(`${name(i + 20_000)}:a`, `${name(i + 20_000)}:m`)]],
    ["from a up to f behind each", (i: number) => [between(`${name(i)}:a`, `${name(i)}:f`)]],
    ["all behind", (i: number) => (i > 0 ? [] : [between("v", undefined)])],
    ["all before", (i: number) => (i > 0 ? [] : [between("a", "u")])],
  ])("tell nearly all keys from ranges that end near them: %s", (_, rangesOf) => {
    const ranges = keys.flatMap((_key, i) => rangesOf(i));
    expect(held(beginningsOf(ranges))).toBeLessThan(500);
  });

  test("of six lengths are looked up at four, of which the shortest and the most frequent are", () => {
    const ranges = [prefixRange(encode("w")), prefixRange(encode("user"))];
    for (let i = 0; i < 100; i++) {
      for (const end of ["", ":x", ":xx"]) ranges.push(prefixRange(encode(`user:${10_000 + i}${end}`)));
    }
    ranges.push(prefixRange(encode("zz")));
    const beginnings = beginningsOf(ranges);
    for (const text of ["w", "wa", "zz", "user:10001", "user:10001:x"]) {
      expect(beginnings.mayHold(encode(text)), text).toBe(true);
    }
    expect(beginnings.mayHold(encode("v"))).toBe(false);
  });
});
