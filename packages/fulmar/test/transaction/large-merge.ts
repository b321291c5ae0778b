import { expect } from "vitest";
import { concatBytes } from "../../src/base/bytes.js";
import { LATEST, NONE } from "../../src/memory/engine.js";
import { ENTRIES_PER_STEP } from "../../src/transaction/merge.js";
import { MERGE_AT_ONCE_BYTES, STEPS_PER_SLICE } from "../../src/transaction/merge-queue.js";
import { committerFixture, key, PEER } from "./fixture.js";

export const ENTRIES = 6000;
export const VALUE = "v".repeat(100);
/** Slices in which every entry is looked at once. */
export const SLICES_OF_ALL = Math.ceil(ENTRIES / (STEPS_PER_SLICE * ENTRIES_PER_STEP));

/** A committer whose turns of the event loop come when the test says so, and a merge too large for one. */
export function largeMerge(options: Parameters<typeof committerFixture>[0] = {}) {
  const waiting: (() => void)[] = [];
  const turn = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  const fixture = committerFixture({ ...options, turn });
  const hlc = fixture.clock.next();
  const name = (i: number): string => `key ${i}`;
  const page = (from: number, to: number): Uint8Array =>
    concatBytes(
      ...Array.from({ length: to - from }, (_, i) =>
        fixture.foreign(PEER, from + i + 1, hlc + 10, name(from + i), VALUE),
      ),
    );
  const pages = [page(0, 2000), page(2000, 2001), page(2001, ENTRIES)];
  expect(pages.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(MERGE_AT_ONCE_BYTES);
  /** Lets the loop turn once; false when nobody waits for it. */
  let passes = 0;
  const pass = async (): Promise<boolean> => {
    expect(++passes, "turns without end").toBeLessThan(500);
    const due = waiting.splice(0);
    for (const resolve of due) resolve();
    await new Promise((resolve) => setImmediate(resolve));
    return due.length > 0;
  };
  const present = (): number => {
    const { engine } = fixture;
    return Array.from({ length: ENTRIES }, (_, i) => engine.find(key(name(i)), LATEST)).filter(
      (ref) => ref !== NONE,
    ).length;
  };
  return { ...fixture, hlc, name, pages, pass, present };
}
