import { describe, expect, it } from "vitest";
import { Trail } from "../../../src/transaction/optimistic/trail.js";

/** What the trail remembers at most. */
const MOST = 65_536;

const keyOf = (n: number): Uint8Array => Uint8Array.of(n >> 16, (n >> 8) & 255, n & 255);
const change = (...numbers: number[]) => numbers.map((n) => ({ key: keyOf(n) }));
const numbersOf = (keys: readonly Uint8Array[] | undefined): number[] | undefined =>
  keys?.map(([high, middle, low]) => (high << 16) | (middle << 8) | low).sort((a, b) => a - b);

/** A trail that is followed from version 0 on, with so many commits of so many keys, of versions from 1 on. */
function filled(commits: number, keysEach: number): Trail {
  const trail = new Trail();
  trail.follow(0);
  for (let i = 0; i < commits; i++) {
    trail.add(i + 1, change(...Array.from({ length: keysEach }, (_, k) => i * keysEach + k)));
  }
  return trail;
}

describe("a trail", () => {
  it("tells what was changed above a version, if that is not more than is asked for", () => {
    const trail = filled(4, 2);
    expect(numbersOf(trail.since(0, 8))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(numbersOf(trail.since(3, 2))).toEqual([6, 7]);
    expect(numbersOf(trail.since(4, 0))).toEqual([]);
    expect(trail.since(0, 7)).toBeUndefined();
    expect(trail.since(3, 1)).toBeUndefined();
  });

  it("knows nothing of what was before the first of those who follow", () => {
    const trail = new Trail();
    expect([trail.followed, trail.since(9, 9)]).toEqual([false, undefined]);
    trail.follow(5);
    trail.follow(7);
    trail.add(8, change(1));
    expect(trail.since(4, 9)).toBeUndefined();
    expect(numbersOf(trail.since(5, 9))).toEqual([1]);
  });

  it("is kept until the last of them leaves, and begun anew by the next", () => {
    const trail = new Trail();
    trail.follow(0);
    trail.follow(0);
    trail.add(1, change(1));
    trail.leave();
    expect([trail.followed, numbersOf(trail.since(0, 9))]).toEqual([true, [1]]);
    trail.leave();
    expect([trail.followed, trail.since(0, 9)]).toEqual([false, undefined]);
    trail.follow(2);
    trail.add(3, change(2));
    expect(numbersOf(trail.since(2, 9))).toEqual([2]);
    trail.leave();
    // Nothing was committed while it was followed.
    trail.follow(3);
    trail.leave();
    expect(() => trail.leave()).toThrow("who leaves has followed");
  });

  it("forgets what was taken back", () => {
    const trail = filled(4, 2);
    trail.rollback(2);
    expect(numbersOf(trail.since(0, 9))).toEqual([0, 1, 2, 3]);
    trail.add(7, change(40));
    expect(numbersOf(trail.since(2, 9))).toEqual([40]);
    trail.rollback(0);
    expect(trail.since(0, 9)).toEqual([]);
    trail.rollback(0);
  });

  it("remembers so many keys, and beyond them at least half as many, the newest", () => {
    const trail = filled(4, MOST / 4);
    expect(trail.since(0, MOST)).toHaveLength(MOST);
    trail.add(5, change(1));
    expect([0, 1, 2].map((version) => trail.since(version, MOST))).toEqual([undefined, undefined, undefined]);
    expect(trail.since(3, MOST)).toHaveLength(MOST / 4 + 1);
    // So much has room again.
    trail.add(6, change(...Array.from({ length: (3 * MOST) / 4 - 1 }, (_, k) => k)));
    expect(trail.since(3, MOST)).toHaveLength(MOST);
    trail.add(7, change(2));
    expect(trail.since(3, 2 * MOST)).toBeUndefined();
    expect(numbersOf(trail.since(6, MOST))).toEqual([2]);
  });

  it("forgets no more than half of what it remembers at most", () => {
    const trail = filled(5, MOST / 4);
    expect(trail.since(2, MOST)).toBeUndefined();
    expect(trail.since(3, MOST)).toHaveLength(MOST / 2);
  });

  it("does not count what was taken back, nor what those had who left", () => {
    const trail = filled(4, MOST / 4);
    trail.rollback(1);
    trail.add(5, change(...Array.from({ length: (3 * MOST) / 4 }, (_, k) => k)));
    expect(trail.since(0, MOST)).toHaveLength(MOST);
    trail.leave();
    trail.follow(5);
    trail.add(6, change(...Array.from({ length: MOST }, (_, k) => k)));
    expect(trail.since(5, MOST)).toHaveLength(MOST);
    trail.add(7, change(1));
    expect([trail.since(5, MOST), numbersOf(trail.since(6, MOST))]).toEqual([undefined, [1]]);
  });

  it("forgets a commit that is larger than all that it remembers", () => {
    const trail = filled(1, MOST + 1);
    expect(trail.since(0, 2 * MOST)).toBeUndefined();
    expect(trail.since(1, 1)).toEqual([]);
    trail.add(2, change(1));
    expect(numbersOf(trail.since(1, 1))).toEqual([1]);
  });
});
