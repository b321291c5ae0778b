import fc from "fast-check";
import { expect, test } from "vitest";
import { bitsOf, finished, hashOf, mixed, wordAt } from "../../../src/store/watch/hashing.js";

function onesOf(bits: number): number {
  return [...(bits >>> 0).toString(2)].filter((bit) => bit === "1").length;
}

test("the hash of a beginning is the same whether it is made at once or on the way to a longer one", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 40 }), (key, wanted) => {
      const length = Math.min(wanted, key.length);
      let hash = 0;
      let at = 0;
      for (; at + 4 <= length; at += 4) hash = mixed(hash, wordAt(key, at));
      expect(finished(hash, key, at, length)).toBe(hashOf(key.slice(0, length)));
    }),
  );
});

test("a word is four bytes, the first one lowest", () => {
  expect(wordAt(Uint8Array.of(9, 1, 2, 3, 4, 9), 1)).toBe(0x04030201);
  expect(wordAt(Uint8Array.of(255, 0, 0, 128), 0)).toBe(-0x80000000 + 255);
});

test("what is asked of a word of a filter is one to three of its bits", () => {
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 10_000; i++) {
    const bits = bitsOf(hashOf(new TextEncoder().encode(`user:${i}`)));
    counts[onesOf(bits)]++;
  }
  // Three of 32 that are drawn apart are all different in 91 of 100 cases.
  expect(counts[0]).toBe(0);
  expect(counts[3]).toBeGreaterThan(8800);
});

/** Bits that differ between the hashes of a key and of the same key with one bit turned, for each bit of the key. */
function differences(key: Uint8Array): number[] {
  return Array.from({ length: 8 * key.length }, (_, bit) => {
    const other = key.slice();
    other[bit >> 3] ^= 1 << (bit & 7);
    return onesOf(hashOf(key) ^ hashOf(other));
  });
}

test("each bit of a key turns about half of the bits of its hash, wherever it is", () => {
  for (const text of ["user:00000012345", "a", "abc", "abcd", "abcdefghi"]) {
    const all = differences(new TextEncoder().encode(text));
    const mean = all.reduce((sum, one) => sum + one, 0) / all.length;
    expect(mean, text).toBeGreaterThan(12);
    expect(mean, text).toBeLessThan(20);
    expect(Math.min(...all), text).toBeGreaterThan(0);
  }
});

test("keys of zeros are told by their lengths, and numbered ones fill the words of a filter evenly", () => {
  expect(new Set(Array.from({ length: 64 }, (_, i) => hashOf(new Uint8Array(i)))).size).toBe(64);
  const words = new Uint32Array(256);
  for (let i = 0; i < 25_600; i++) words[hashOf(new TextEncoder().encode(`user:${i}`)) & 255]++;
  expect(Math.min(...words)).toBeGreaterThan(50);
  expect(Math.max(...words)).toBeLessThan(160);
});
