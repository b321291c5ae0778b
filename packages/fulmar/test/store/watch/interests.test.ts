import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inRange, type KeyRange, prefixRange, successor } from "../../../src/keys/range.js";
import { Interests } from "../../../src/store/watch/interests.js";
import { Segments, SegmentsBuilder } from "../../../src/store/watch/segments.js";

// Few bytes, so that keys, prefixes and ends of ranges coincide; 255 has no next prefix of its length. What comes
// before them makes common beginnings, of all or of some, that are shorter and longer than what is compared at once.
const tail = fc.uint8Array({ maxLength: 4 }).map((array) => array.map((byte) => [0, 1, 97, 255][byte & 3]));
const start = fc.constantFrom("", "", "user:", "user:0000000", "users/", "\u0000");
const bytes = fc.tuple(start, tail).map(([text, end]) => Uint8Array.of(...encode(text), ...end));
const range = fc.oneof(
  bytes.map((from): KeyRange => ({ from, to: successor(from) })),
  bytes.map(prefixRange),
  fc.tuple(bytes, fc.option(bytes, { nil: undefined })).map(([from, to]): KeyRange => ({ from, to })),
);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ add: range }) },
  { weight: 2, arbitrary: fc.record({ removeAt: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ look: bytes, times: fc.integer({ min: 1, max: 12 }) }) },
);

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Who wants a key, by what is looked at and by the definition; and whether anybody does. */
function check(interests: Interests<number>, model: ReadonlyMap<number, KeyRange>, key: Uint8Array): void {
  const expected = [...model].filter(([, watched]) => inRange(key, watched)).map(([id]) => id);
  const found: number[] = [];
  expect(interests.some(key, (id) => found.push(id) < 0)).toBe(false);
  expect(found.sort((a, b) => a - b)).toEqual(expected);
  expect(interests.some(key, () => true)).toBe(expected.length > 0);
}

test("a key finds exactly those whose range holds it, whatever is added and removed in between", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 150, size: "max" }),
      fc.array(bytes, { minLength: 1, maxLength: 20 }),
      (steps, keys) => {
        const interests = new Interests<number>();
        const model = new Map<number, KeyRange>();
        for (const [id, one] of steps.entries()) {
          if ("add" in one) {
            model.set(id, one.add);
            interests.add(one.add, id);
          } else if ("look" in one) {
            // Again and again: what is looked for in vain makes it improve what it knows.
            for (let i = 0; i < one.times; i++) check(interests, model, one.look);
          } else if (model.size > 0) {
            const chosen = [...model.keys()][one.removeAt % model.size];
            const { from, to } = model.get(chosen) as KeyRange;
            // Equal bytes are enough.
            interests.remove({ from: from.slice(), to: to?.slice() }, chosen);
            model.delete(chosen);
          }
        }
        for (const key of keys) check(interests, model, key);
        for (const { from, to } of [...model.values()]) {
          check(interests, model, from);
          if (to !== undefined) check(interests, model, to);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("many thousands that come and go, beside and over each other, in the middle of looking", () => {
  const random = fc.sample(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { numRuns: 6000, seed: 4711 });
  const name = (index: number): Uint8Array => encode(`user:${String(index % 1000).padStart(8, "0")}`);
  const interests = new Interests<number>();
  const model = new Map<number, KeyRange>();
  for (const [id, number] of random.entries()) {
    const from = name(number);
    const kind = number % 7;
    const end = name((number % 1000) + (number % 11));
    const added: KeyRange =
      kind === 0 ? { from, to: successor(from) } : kind < 3 ? prefixRange(from) : { from, to: end };
    if (number % 3 > 0) {
      model.set(id, added);
      interests.add(added, id);
    } else if (model.size > 400) {
      const [chosen, known] = model.entries().next().value as [number, KeyRange];
      interests.remove(known, chosen);
      model.delete(chosen);
    }
    const near = Uint8Array.of(...name(number >>> 8), number & 1);
    interests.some(near, () => true);
    if (id % 40 === 0) check(interests, model, near);
    if (id % 40 === 20) check(interests, model, name(number >>> 8));
  }
  // When all are gone, nothing is left of them.
  for (const [id, known] of model) interests.remove(known, id);
  expect(interests.some(name(1), () => true)).toBe(false);
});

describe("segments", () => {
  test("tell exactly which keys lie in one of some ranges, and never deny one that was added", () => {
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 40 }),
        fc.array(range, { maxLength: 3 }),
        fc.array(bytes, { minLength: 1, maxLength: 40 }),
        (ranges, added, keys) => {
          const compare = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);
          const inOrder = [...ranges].sort((a, b) => compare(a.from, b.from));
          const builder = new SegmentsBuilder();
          for (const one of inOrder) builder.add(one);
          const segments = builder.finish();
          const ends = ranges.flatMap(({ from, to }) => (to === undefined ? [from] : [from, to]));
          for (const key of [...keys, ...ends]) {
            expect(segments.covers(key)).toBe(ranges.some((one) => inRange(key, one)));
          }
          for (const one of added) segments.cover(one);
          for (const key of [...keys, ...ends]) {
            if ([...ranges, ...added].some((one) => inRange(key, one)))
              expect(segments.covers(key)).toBe(true);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("without any range cover nothing", () => {
    expect(Segments.none().covers(encode("a"))).toBe(false);
    expect(Segments.none().covers(new Uint8Array())).toBe(false);
  });
});

describe("a key that nobody watches", () => {
  /** Counts how often the ends of ranges are looked at: every comparison reads their length. */
  function counted(interests: Interests<number>, index: number, counts: { ends: number }): void {
    const name = `range:${String(index).padStart(5, "0")}`;
    const to = encode(`${name}:m`);
    const proxy = new Proxy(to, {
      get: (target, property) => {
        if (property === "length") counts.ends++;
        const value: unknown = Reflect.get(target, property);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    interests.add({ from: encode(`${name}:c`), to: proxy }, index);
  }

  test("is told from thousands of ranges with a few comparisons, and after some time without a look at any", () => {
    const interests = new Interests<number>();
    const counts = { ends: 0 };
    for (let i = 0; i < 4000; i++) counted(interests, i, counts);
    counts.ends = 0;
    expect(interests.some(encode("range:01999:z"), () => true)).toBe(false);
    expect(counts.ends).toBeLessThan(500);
    for (let i = 0; i < 4000 / 16; i++) interests.some(encode("range:01999:z"), () => true);
    counts.ends = 0;
    for (let i = 0; i < 4000; i++) {
      expect(interests.some(encode(`range:${String(i).padStart(5, "0")}:z`), () => true)).toBe(false);
    }
    expect(counts.ends).toBe(0);
    expect(interests.some(encode("range:01999:d"), () => true)).toBe(true);
    // Another one costs those that come near it, and nobody else.
    counted(interests, 20_000, counts);
    counts.ends = 0;
    expect(interests.some(encode("range:01999:z"), () => true)).toBe(false);
    expect(interests.some(encode("range:20000:d"), () => true)).toBe(true);
    expect(counts.ends).toBeLessThan(500);
    counts.ends = 0;
    expect(interests.some(encode("range:01999:z"), () => true)).toBe(false);
    expect(counts.ends).toBe(0);
  });

  test("costs no comparison for ranges that are gone, after some time", () => {
    const interests = new Interests<number>();
    const counts = { ends: 0 };
    for (let i = 0; i < 1000; i++) counted(interests, i, counts);
    const key = encode("range:00500:d");
    expect(interests.some(key, () => true)).toBe(true);
    interests.remove({ from: encode("range:00500:c"), to: encode("range:00500:m") }, 500);
    for (let i = 0; i < 200; i++) expect(interests.some(key, () => true)).toBe(false);
    counts.ends = 0;
    expect(interests.some(key, () => true)).toBe(false);
    expect(counts.ends).toBe(0);
  });
});
