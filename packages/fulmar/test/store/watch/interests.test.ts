import fc from "fast-check";
import { expect, test } from "vitest";
import { inRange, type KeyRange, prefixRange, successor } from "../../../src/keys/range.js";
import { Interests } from "../../../src/store/watch/interests.js";

// Few bytes, so that keys, prefixes and ends of ranges coincide; 255 has no next prefix of its length.
const bytes = fc.uint8Array({ maxLength: 4 }).map((array) => array.map((byte) => [0, 1, 97, 255][byte & 3]));
const range = fc.oneof(
  bytes.map((from): KeyRange => ({ from, to: successor(from) })),
  bytes.map(prefixRange),
  fc.tuple(bytes, fc.option(bytes, { nil: undefined })).map(([from, to]): KeyRange => ({ from, to })),
);
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ add: range }) },
  { weight: 1, arbitrary: fc.record({ removeAt: fc.nat() }) },
);

test("a key finds exactly those whose range holds it, whatever was added and removed", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.array(bytes, { minLength: 1, maxLength: 20 }),
      (steps, keys) => {
        const interests = new Interests<number>();
        const model = new Map<number, KeyRange>();
        for (const [id, one] of steps.entries()) {
          if ("add" in one) {
            model.set(id, one.add);
            interests.add(one.add, id);
          } else if (model.size > 0) {
            const chosen = [...model.keys()][one.removeAt % model.size];
            interests.remove(model.get(chosen) as KeyRange, chosen);
            model.delete(chosen);
          }
        }
        for (const key of keys) {
          const expected = [...model].filter(([, watched]) => inRange(key, watched)).map(([id]) => id);
          const found: number[] = [];
          expect(interests.some(key, (id) => found.push(id) < 0)).toBe(false);
          expect(found.sort((a, b) => a - b)).toEqual(expected);
          expect(interests.some(key, () => true)).toBe(expected.length > 0);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("a key that nobody watches is told from 10,000 keys, prefixes and ranges with a few comparisons", () => {
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  const interests = new Interests<number>();
  let ends = 0;
  for (let i = 0; i < 10_000; i++) {
    const name = `range:${String(i).padStart(5, "0")}`;
    const to = encode(`${name}:m`);
    // Every comparison with the end of a range reads its length.
    const counted = new Proxy(to, {
      get: (target, property) => {
        if (property === "length") ends++;
        const value: unknown = Reflect.get(target, property);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    interests.add({ from: encode(`${name}:c`), to: counted }, i);
  }
  ends = 0;
  expect(interests.some(encode("range:04999:z"), () => true)).toBe(false);
  expect(ends).toBeLessThan(500);
});
