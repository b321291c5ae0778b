import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { inRange, isEmptyRange, type KeyRange, prefixRange } from "../../../src/keys/range.js";
import { Beginnings, BeginningsBuilder } from "../../../src/store/watch/beginnings.js";

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

  /** Which beginnings stand for a range. */
  function those(one: KeyRange): Uint8Array[] {
    const add = vi.spyOn(Beginnings.prototype, "add");
    try {
      beginningsOf([one]);
      return add.mock.calls.map(([beginning]) => beginning);
    } finally {
      add.mockRestore();
    }
  }

  const branches = (text: string, first: number, last: number): Uint8Array[] =>
    Array.from({ length: last - first + 1 }, (_, i) => Uint8Array.of(...encode(text), first + i));
  test.each<[string, KeyRange, Uint8Array[]]>([
    ["a prefix, by itself", prefixRange(encode("user:")), [encode("user:")]],
    ["a prefix of one byte, by itself", prefixRange(encode("u")), [encode("u")]],
    ["what begins with its lower end, by that", between("ab", "abz"), [encode("ab")]],
    ["what begins at the first key, by nothing", between("", "z"), [new Uint8Array()]],
    ["all keys, by nothing", between("", undefined), [new Uint8Array()]],
    ["what ends with the byte that tells, without it", between("xy:a", "xy:f"), branches("xy:", 97, 101)],
    ["what ends behind that byte, with it", between("xy:a", "xy:f\u0000"), branches("xy:", 97, 102)],
    ["sixteen branches", between("xy:a", "xy:q"), branches("xy:", 97, 112)],
    ["no more of them behind two bytes", between("xya", "xyr"), [encode("xy")]],
    ["any number of them behind one byte", between("xa", "xz"), branches("x", 97, 121)],
    ["without an end, all first bytes from the lower end on", between("b", undefined), branches("", 98, 255)],
  ])("tell %s", (_, one, expected) => {
    expect(those(one)).toEqual(expected);
  });

  test("of five lengths are looked up at four: the shortest, and the most frequent of the others", () => {
    // Of the same ones again and again, so that the filter is large for what is in it, and tells them from all others.
    const ranges: KeyRange[] = [];
    for (const [letter, length, count] of [
      ["e", 5, 60],
      ["f", 6, 40],
      ["m", 7, 100],
      ["h", 8, 80],
    ] as const) {
      for (let i = 0; i < count; i++) ranges.push(prefixRange(encode(letter.repeat(length - 1) + (i % 2))));
    }
    for (let i = 0; i < 20; i++) ranges.push(prefixRange(encode("w")));
    const beginnings = beginningsOf(ranges);
    for (const one of ranges) expect(beginnings.mayHold(one.from)).toBe(true);
    const other = (text: string): boolean => beginnings.mayHold(encode(text));
    // Those of six bytes are told by five of them, and all others by as many as they have.
    expect(["fffff?", "fffff9999"].map(other)).toEqual([true, true]);
    expect(["eeee?", "mmmmmm?", "hhhhhhh?", "ffff?", "v"].map(other)).toEqual(Array(5).fill(false));
    // A key that is shorter than a beginning does not begin with it, whatever it ends with.
    beginnings.add(encode("zzzzzz\u0000"));
    expect(["zzzzzz", "zzzzz", "zzzzzz\u0000", "zzzzzz\u00001"].map(other)).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  test("added to what knows no length let every key pass, and to what knows longer ones, too", () => {
    expect(beginningsOf([]).mayHold(encode("a"))).toBe(false);
    for (const ranges of [[], [prefixRange(encode("user:"))]]) {
      const beginnings = beginningsOf(ranges);
      expect(beginnings.mayHold(encode("peer:1"))).toBe(false);
      beginnings.addRange(prefixRange(encode("p")));
      expect(["peer:1", "p", "q", ""].map((text) => beginnings.mayHold(encode(text)))).toEqual(
        Array(4).fill(true),
      );
    }
  });
});
