import { describe, expect, test } from "vitest";
import { inRange, type KeyRange } from "../../../src/keys/range.js";
import { type Segments, SegmentsBuilder } from "../../../src/store/watch/segments.js";

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The same numbers in each run. */
function numbers(count: number): number[] {
  let state = 4711;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 8;
  });
}

/** Ranges that lie apart: from the first end to the second, from the third to the fourth. */
function rangesOf(ends: readonly Uint8Array[]): KeyRange[] {
  const inOrder = [...new Map(ends.map((end) => [`${end}`, end])).values()].sort(Buffer.compare);
  const ranges: KeyRange[] = [];
  for (let i = 0; i < inOrder.length; i += 2) ranges.push({ from: inOrder[i], to: inOrder[i + 1] });
  return ranges;
}

/** Makes segments, and says how many numbers each table of them has: none may have more than a million. */
function made(ranges: readonly KeyRange[]): { segments: Segments; tables: number[] } {
  const builder = new SegmentsBuilder();
  for (const one of ranges) builder.add(one);
  const plain = globalThis.Uint32Array;
  const tables: number[] = [];
  globalThis.Uint32Array = new Proxy(plain, {
    construct: (target, args: [number]) => {
      const size = typeof args[0] === "number" ? args[0] : 0;
      if (size > 1_000_000) throw new RangeError(`a table of ${size}`);
      tables.push(size);
      return new target(...args);
    },
  });
  try {
    return { segments: builder.finish(), tables };
  } finally {
    globalThis.Uint32Array = plain;
  }
}

/** Keys at a boundary, close to it, and that are what it begins with. */
function around(end: Uint8Array): Uint8Array[] {
  const keys = [end, Uint8Array.of(...end, 0), Uint8Array.of(...end, 255)];
  for (let length = 0; length < end.length; length++) {
    const start = end.slice(0, length);
    keys.push(start, Uint8Array.of(...start, 255));
    for (const step of [-1, 1]) {
      const other = end.slice();
      other[length] += step;
      keys.push(other);
    }
  }
  return keys;
}

const name = (index: number): string => `user:${String(index).padStart(6, "0")}`;
const random = numbers(400);
const bytesOf = (number: number): Uint8Array =>
  Uint8Array.of(number, number >> 8, number >> 16, number >> 4, number).slice(0, 1 + (number % 5));

test.each<[string, Uint8Array[]]>([
  ["numbered ones", Array.from({ length: 200 }, (_, i) => encode(name(i)))],
  ["far apart", random.map((number) => encode(name(number % 1_000_000)))],
  ["everywhere", random.map(bytesOf)],
  ["everywhere behind a beginning", random.map((number) => Uint8Array.of(7, 8, ...bytesOf(number)))],
  [
    "many alike for longer than is compared at once",
    ["ab", "ac", "b"].flatMap((start) =>
      Array.from({ length: start === "ab" ? 61 : 18 }, (_, i) => encode(`k:${start}:same for all:${i + 10}`)),
    ),
  ],
  [
    "of zeros",
    [
      [],
      [0],
      [0, 0],
      [0, 0, 0],
      [0, 0, 0, 0],
      [0, 0, 0, 0, 0],
      [0, 0, 0, 0, 1],
      [0, 0, 0, 1],
      [0, 1],
      [1],
    ].map((bytes) => Uint8Array.from(bytes)),
  ],
  [
    "each the beginning of the next",
    Array.from({ length: 12 }, (_, i) => encode("abcdefghijklm".slice(0, i + 1))),
  ],
  ["one without an end", [encode("m")]],
  ["three, and one of them without an end", ["b", "c", "f:1", "f:2", "x"].map(encode)],
  ["one", [encode("b"), encode("c")]],
  [
    "the ends of bytes",
    [[0], [1], [127], [128], [128, 0], [254], [255], [255, 255]].map((b) => Uint8Array.from(b)),
  ],
])("every key close to an end of ranges is told exactly: %s", (_, ends) => {
  const ranges = rangesOf(ends);
  const { segments } = made(ranges);
  const wrong: string[] = [];
  for (const end of ends) {
    for (const key of around(end)) {
      const expected = ranges.some((range) => inRange(key, range));
      if (segments.covers(key) !== expected) wrong.push(`${key}: ${!expected}`);
    }
  }
  expect(wrong).toEqual([]);
});

describe("the tables by which ends are found", () => {
  /** Numbers in the table of buckets, which is the last that is made. */
  const buckets = (ends: readonly Uint8Array[]): number => made(rangesOf(ends)).tables.at(-1) ?? 0;

  test("have two places for each end and two more, at most, and not a fourth of that", () => {
    for (const count of [2, 10, 100, 400]) {
      const ends = Array.from({ length: count }, (_, i) => Uint8Array.of(1, 2, 3, i >> 8, i, 77));
      const groups = Math.ceil(count / 256);
      expect(buckets(ends), `${count} ends`).toBeLessThanOrEqual(2 * count + 3 * groups);
      expect(buckets(ends), `${count} ends`).toBeGreaterThan(count / 2);
    }
  });

  test("are as small for ends that lie as far apart as they can", () => {
    const ends = [0, 1, 2, 3].map((first) =>
      Uint8Array.of(9, 5 * (first >> 1), 255 * (first & 1), 255, 255, 255),
    );
    expect(buckets(ends)).toBeGreaterThan(4);
    expect(buckets(ends)).toBeLessThanOrEqual(2 * (2 * 2 + 3));
  });

  test("are empty without any, and have a place and its end for a single one", () => {
    expect([buckets([]), buckets([encode("m")])]).toEqual([0, 2]);
  });
});

describe("what is covered later", () => {
  const ranges = ["c", "f", "m", "p"].map((text) => encode(text));
  const covered = (segments: Segments): string[] =>
    [..."abcdefghijklmnopqrst"].filter((text) => segments.covers(encode(text)));

  test.each([
    ["in front", "a", "b", "a"],
    ["between", "g", "i", "gh"],
    ["over an end", "e", "h", "efg"],
    ["behind", "q", undefined, "qrst"],
    ["all", "", undefined, "abcdefghijklmnopqrst"],
  ])("is what was, and what comes to it: %s", (_, from, to, more) => {
    const { segments } = made(rangesOf(ranges));
    expect(covered(segments).join("")).toBe("cdemno");
    segments.cover({ from: encode(from), to: to === undefined ? undefined : encode(to) });
    for (const text of `cdemno${more}`) expect(segments.covers(encode(text)), text).toBe(true);
  });

  test("is not what lies in other segments, nor anything of an empty range", () => {
    const { segments } = made(rangesOf(ranges));
    segments.cover({ from: encode("b"), to: encode("a") });
    segments.cover({ from: encode("g"), to: encode("g") });
    segments.cover({ from: encode("r"), to: encode("h") });
    expect(covered(segments).join("")).toBe("cdemno");
    segments.cover({ from: encode("g"), to: encode("h") });
    expect(["a", "b", "q", "r"].some((text) => segments.covers(encode(text)))).toBe(false);
  });
});

describe("ranges that touch or lie one over the other", () => {
  const segmentsOf = (...ranges: [string, string | undefined][]): Segments =>
    made(ranges.map(([from, to]) => ({ from: encode(from), to: to === undefined ? undefined : encode(to) })))
      .segments;
  const told = (segments: Segments): string =>
    [..."abcdefghi"].filter((text) => segments.covers(encode(text))).join("");

  test("become one, as long as the longest, and an empty one is none", () => {
    expect(told(segmentsOf(["b", "d"], ["d", "f"]))).toBe("bcde");
    expect(told(segmentsOf(["b", "f"], ["c", "d"], ["g", "h"]))).toBe("bcdeg");
    expect(told(segmentsOf(["b", "d"], ["c", "f"]))).toBe("bcde");
    expect(told(segmentsOf(["b", "d"], ["c", undefined], ["e", "f"]))).toBe("bcdefghi");
    expect(told(segmentsOf(["a", "a"], ["b", "c"], ["e", "d"], ["f", "g"]))).toBe("bf");
  });

  test("take two ends, not those of each", () => {
    const { tables } = made([
      { from: encode("b"), to: encode("d") },
      { from: encode("c"), to: encode("f") },
      { from: encode("f"), to: encode("g") },
    ]);
    const one = made([{ from: encode("b"), to: encode("g") }]).tables;
    expect(tables).toEqual(one);
  });
});
