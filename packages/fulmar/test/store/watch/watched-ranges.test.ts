import { afterEach, expect, test, vi } from "vitest";
import { type KeyRange, prefixRange, successor } from "../../../src/keys/range.js";
import { Interests } from "../../../src/store/watch/interests.js";
import { RangeTree } from "../../../src/store/watch/range-tree.js";
import { WatchedKeys } from "../../../src/store/watch/watched-keys.js";
import { WatchedRanges } from "../../../src/store/watch/watched-ranges.js";

/** Ranges that are looked at in one step of making new segments. */
const STEP = 64;

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** From `c` to `m` behind a number. */
function range(index: number): KeyRange {
  const name = `range:${String(index).padStart(5, "0")}`;
  return { from: encode(`${name}:c`), to: encode(`${name}:m`) };
}

const WANTED = encode("range:00001:d");
const VAIN = encode("range:00001:z");

function watched(count: number): WatchedRanges<number> {
  const ranges = new WatchedRanges<number>();
  for (let i = 0; i < count; i++) ranges.add(range(i), i);
  return ranges;
}

/** Looks for a key so often, and says how many steps of making new segments that was. */
function steps(ranges: WatchedRanges<number>, key: Uint8Array, times: number): number {
  const next = vi.spyOn(RangeTree.prototype, "next");
  for (let i = 0; i < times; i++) ranges.some(key, () => true);
  const { length } = next.mock.calls;
  next.mockRestore();
  return length;
}

/** Whether the tree is asked for a key. */
function isSearched(ranges: WatchedRanges<number>, key: Uint8Array): boolean {
  const some = vi.spyOn(RangeTree.prototype, "some");
  ranges.some(key, () => true);
  const { length } = some.mock.calls;
  some.mockRestore();
  return length > 0;
}

afterEach(() => void vi.restoreAllMocks());

test("after sixteen keys in vain new segments are made, a step with each further one, and then they tell", () => {
  const ranges = watched(3 * STEP + 8);
  expect(steps(ranges, VAIN, 15)).toBe(0);
  for (let step = 1; step <= 4; step++) {
    expect(isSearched(ranges, VAIN), `step ${step}`).toBe(true);
  }
  expect(isSearched(ranges, VAIN)).toBe(false);
  expect(ranges.some(WANTED, (item) => item === 1)).toBe(true);
});

test("among more than a thousand, so many keys in vain are as many as there are steps", () => {
  const ranges = watched(32 * STEP);
  expect([steps(ranges, VAIN, 31), steps(ranges, VAIN, 1), steps(ranges, VAIN, 10)]).toEqual([0, 1, 10]);
});

test("keys that somebody wants make no new segments, whatever they say", () => {
  const ranges = watched(10);
  expect(steps(ranges, WANTED, 100)).toBe(0);
  for (let i = 0; i < 100; i++) ranges.some(WANTED, () => false);
  expect([steps(ranges, VAIN, 15), steps(ranges, VAIN, 1)]).toEqual([0, 1]);
});

test.each([
  ["go on", 128, true],
  ["begin again", 129, false],
])("segments in the making %s after %i more ranges", (_, more, goOn) => {
  const ranges = watched(2 * STEP);
  expect(steps(ranges, VAIN, 16)).toBe(1);
  for (let i = 0; i < more; i++) ranges.add(range(1000 + i), i);
  const next = vi.spyOn(RangeTree.prototype, "next");
  ranges.some(VAIN, () => true);
  expect(next.mock.calls).toEqual([[goOn ? range(STEP - 1) : undefined, STEP]]);
  for (let i = 0; i < 10; i++) ranges.some(VAIN, () => true);
  expect(isSearched(ranges, VAIN)).toBe(false);
  for (let i = 0; i < more; i++) {
    const name = `range:0${1000 + i}:d`;
    expect(ranges.some(encode(name), (item) => item === i)).toBe(true);
  }
});

test("when the last range is gone no key is looked for, and segments in the making are given up", () => {
  const ranges = watched(2 * STEP);
  expect(steps(ranges, VAIN, 16)).toBe(1);
  for (let i = 1; i < 2 * STEP; i++) ranges.remove(range(i), i);
  expect(isSearched(ranges, WANTED)).toBe(true);
  ranges.remove(range(0), 0);
  expect([isSearched(ranges, WANTED), isSearched(ranges, VAIN)]).toEqual([false, false]);
  ranges.add(range(1), 1);
  expect(ranges.some(WANTED, () => true)).toBe(true);
  expect([steps(ranges, VAIN, 15), steps(ranges, VAIN, 1)]).toEqual([0, 1]);
});

test("without memory for new segments keys are found without them, and it is tried again after as many in vain", () => {
  const ranges = watched(2 * STEP);
  expect(steps(ranges, VAIN, 16)).toBe(1);
  const next = vi.spyOn(RangeTree.prototype, "next");
  next.mockImplementation(() => {
    throw new RangeError("Array buffer allocation failed");
  });
  expect([ranges.some(VAIN, () => true), ranges.some(WANTED, () => true)]).toEqual([false, true]);
  next.mockRestore();
  expect([steps(ranges, VAIN, 15), steps(ranges, VAIN, 1)]).toEqual([0, 1]);
  for (let i = 0; i < 2; i++) ranges.some(VAIN, () => true);
  expect([isSearched(ranges, VAIN), ranges.some(WANTED, () => true)]).toEqual([false, true]);
});

test("an error that nobody expected is told while new segments are made", () => {
  const ranges = watched(1);
  expect(steps(ranges, VAIN, 15)).toBe(0);
  const error = new TypeError("a mistake");
  vi.spyOn(RangeTree.prototype, "next").mockImplementation(() => {
    throw error;
  });
  expect(() => ranges.some(VAIN, () => true)).toThrow(error);
});

test("a range of a single key is a watched key, and every other one is a range", () => {
  const keys = vi.spyOn(WatchedKeys.prototype, "add");
  const others = vi.spyOn(WatchedRanges.prototype, "add");
  const interests = new Interests<string>();
  for (const name of ["", "a", "user:1"]) {
    const one = encode(name);
    interests.add({ from: one, to: successor(one) }, name);
  }
  expect(keys.mock.calls.map(([key]) => key)).toEqual(["", "a", "user:1"].map(encode));
  expect(others).not.toHaveBeenCalled();
  const ranges = [
    prefixRange(encode("a")),
    { from: encode("a"), to: undefined },
    { from: encode("a"), to: encode("a\u0001") },
    { from: encode("a"), to: encode("a\u0000\u0000") },
    { from: encode("a"), to: encode("b\u0000") },
    { from: encode("ab"), to: encode("ac\u0000") },
  ];
  for (const one of ranges) interests.add(one, "range");
  expect(others.mock.calls.map(([one]) => one)).toEqual(ranges);
  expect(keys).toHaveBeenCalledTimes(3);
});
