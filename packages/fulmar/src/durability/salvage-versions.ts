import { ADOPTED_NUMBERS_MAX } from "../base/limits.js";

/**
 * Versions of the records of a segment, in their order. Writers number upwards, so what does not fit among the others
 * is wrong. The most that fit are believed. One behind a record that it follows directly, as `linked` tells, gets a
 * number in between; for any other nobody knows, and it gets undefined. `after` is more than all of them have, if
 * anything tells.
 */
export function trueVersions(
  versions: readonly number[],
  linked: readonly boolean[],
  after: number | undefined,
): (number | undefined)[] {
  const told = after === undefined ? versions : [...versions, after];
  const believed = risingMost(told);
  const result: (number | undefined)[] = [];
  let next = 0;
  for (let i = 0; i < versions.length; i++) {
    if (believed[next] === i) {
      next++;
      result.push(versions[i]);
      continue;
    }
    const before = i > 0 && linked[i] ? result[i - 1] : undefined;
    const above = next < believed.length ? told[believed[next]] : Number.POSITIVE_INFINITY;
    result.push(before !== undefined && before + 1 < above ? before + 1 : undefined);
  }
  return result;
}

/** Indexes of a longest part of the numbers that rises, without those that no store reaches. */
function risingMost(numbers: readonly number[]): number[] {
  /** Index of the lowest number that a rising part of each length can end with, shortest first. */
  const ends: number[] = [];
  const before: number[] = [];
  for (const [i, number] of numbers.entries()) {
    if (number > ADOPTED_NUMBERS_MAX) continue;
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (numbers[ends[middle]] < number) low = middle + 1;
      else high = middle;
    }
    before[i] = low === 0 ? -1 : ends[low - 1];
    ends[low] = i;
  }
  const rising: number[] = [];
  for (let i = ends.at(-1) ?? -1; i >= 0; i = before[i]) rising.push(i);
  return rising.reverse();
}
