import { expect, test } from "vitest";
import { ADOPTED_NUMBERS_MAX } from "../../../src/base/limits.js";
import { trueVersions } from "../../../src/durability/salvage-versions.js";

const LINKED = [false, true, true, true, true];

test("versions that rise are true", () => {
  expect(trueVersions([], [], undefined)).toEqual([]);
  expect(trueVersions([0, 1, 2, 9], LINKED, undefined)).toEqual([0, 1, 2, 9]);
  expect(trueVersions([5, ADOPTED_NUMBERS_MAX], LINKED, undefined)).toEqual([5, ADOPTED_NUMBERS_MAX]);
});

test("one that does not fit among the others is the one between them", () => {
  for (const wrong of [0, 4, 7, 8, 1000, ADOPTED_NUMBERS_MAX + 1, Number.MAX_SAFE_INTEGER]) {
    const told = [4, 5, wrong, 7, 8];
    expect(trueVersions(told, LINKED, undefined), String(wrong)).toEqual([4, 5, 6, 7, 8]);
  }
  // The first says nothing of itself, and the last is known by what comes after it.
  expect(trueVersions([1000, 5, 6, 7], LINKED, undefined)).toEqual([undefined, 5, 6, 7]);
  expect(trueVersions([4, 5, 1000], LINKED, 7)).toEqual([4, 5, 6]);
  expect(trueVersions([4, 5, 1000], LINKED, undefined)).toEqual([4, 5, 1000]);
  expect(trueVersions([4, 5, 6], LINKED, 1)).toEqual([4, 5, 6]);
  expect(trueVersions([4, 5, 4], LINKED, undefined)).toEqual([4, 5, 6]);
});

test("one that no store reaches is not known where it follows nothing", () => {
  const apart = [false, false, false];
  expect(trueVersions([5], apart, undefined)).toEqual([5]);
  expect(trueVersions([4, ADOPTED_NUMBERS_MAX + 1], apart, undefined)).toEqual([4, undefined]);
  expect(trueVersions([ADOPTED_NUMBERS_MAX + 1], apart, undefined)).toEqual([undefined]);
  const unreached = [ADOPTED_NUMBERS_MAX + 1, ADOPTED_NUMBERS_MAX + 1];
  expect(trueVersions(unreached, apart, undefined)).toEqual([undefined, undefined]);
});

test("several that do not fit count upwards, as far as there is room", () => {
  expect(trueVersions([4, 1000, 1000, 7, 8], LINKED, undefined)).toEqual([4, 5, 6, 7, 8]);
  expect(trueVersions([4, 1000, 1000, 6, 7], LINKED, undefined)).toEqual([4, 5, undefined, 6, 7]);
});

test("one that does not fit behind bytes that nobody could read is not known", () => {
  const apart = [false, true, false, true, true];
  expect(trueVersions([4, 5, 1000, 9, 10], apart, undefined)).toEqual([4, 5, undefined, 9, 10]);
  expect(trueVersions([4, 5, 8, 9, 10], apart, undefined)).toEqual([4, 5, 8, 9, 10]);
});
