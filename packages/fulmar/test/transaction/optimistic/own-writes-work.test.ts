import { expect, test } from "vitest";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { ReadSet } from "../../../src/transaction/optimistic/read-set.js";
import { WriteSet } from "../../../src/transaction/optimistic/write-set.js";

let looks = 0;

/** A key that counts how often its length is asked for: twice by a comparison at most. */
class CountedKey extends Uint8Array {
  override get length(): number {
    looks++;
    return super.length;
  }
}

function keyAt(index: number): Uint8Array {
  return CountedKey.of(index >>> 16, (index >>> 8) & 0xff, index & 0xff);
}

/** Looks at keys for each of `count` times that something is done. */
function looksOf(count: number, step: (index: number) => void): number {
  looks = 0;
  for (let i = 0; i < count; i++) step(i);
  return looks / count;
}

test.each([false, true])(
  "a transaction that writes a key and looks at the outermost one, again and again, pays for neither all (reverse: %s)",
  (reverse) => {
    const costOf = (count: number): number => {
      const writes = new WriteSet<number>();
      const reads = new ReadSet();
      return looksOf(count, (i) => {
        writes.put(keyAt(i), i);
        const read = reads.range(ALL_KEYS, reverse);
        const first = writes.within(ALL_KEYS, reverse)?.next();
        expect(first?.what).toBe(reverse ? i : 0);
        if (first !== undefined) {
          read.hide(first.key);
          read.through(first.key);
        }
        reads.close(read);
      });
    };
    // Searches take a step more for twice as many keys, and nothing else depends on how many there are.
    expect(costOf(8000)).toBeLessThan(2 * costOf(500));
  },
);

test.each([false, true])(
  "what a transaction has read does not grow with how often it reads the same range (reverse: %s)",
  (reverse) => {
    const popped = 300;
    const at = (number: number): Uint8Array => keyAt(reverse ? 2 * popped - number : number);
    const reads = new ReadSet();
    looks = 0;
    let hides = 0;
    // Takes the outermost key each time, and comes by all that it took before.
    for (let i = 1; i <= popped; i++) {
      const read = reads.range(ALL_KEYS, reverse);
      for (let hidden = 1; hidden < i; hidden++, hides++) read.hide(at(hidden));
      read.through(at(i));
      reads.close(read);
    }
    // Two for each key, and some for each listing: of what was seen before no piece is kept again.
    expect(looks / hides).toBeLessThan(2.5);
    looks = 0;
    expect(reads.has(at(popped))).toBe(true);
    // To join what each of the listings saw by itself would take a look at least at each of 45,000 pieces.
    expect(looks).toBeLessThan(20 * popped);
    expect(reads.ranges()).toHaveLength(1);
    expect(reads.has(at(popped + 1))).toBe(false);
  },
);

test("ranges that a transaction reads are joined seldom, however many there are", () => {
  const costOf = (count: number): number => {
    const reads = new ReadSet();
    return looksOf(count, (i) => {
      const read = reads.range({ from: keyAt(2 * i), to: keyAt(2 * i + 1) }, false);
      read.toEnd();
      reads.close(read);
    });
  };
  expect(costOf(2000)).toBeLessThan(2 * costOf(250));
});
