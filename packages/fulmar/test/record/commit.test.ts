import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { writeU32 } from "../../src/base/bytes.js";
import {
  COMMIT_HEADER_BYTES,
  type CoverageChange,
  coverageBytes,
  readCommit,
  readCoverage,
  writeCommitHead,
} from "../../src/record/commit.js";
import { type EntryFields, entryBytes, entryLength, originOf, writeEntry } from "../../src/record/entry.js";
import { anyEntry, fenced, mutatedBytes } from "./arbitrary.js";

const ORIGINS = 5;
const origin = fc.integer({ min: 1, max: ORIGINS });

const change: fc.Arbitrary<CoverageChange> = fc
  .tuple(origin, fc.array(fc.tuple(fc.nat(9), fc.nat(9)), { maxLength: 4 }), fc.nat(2 ** 40))
  .map(([number, gaps, more]) => {
    let least = 1;
    const holes = gaps.map(([gap, length]) => {
      const hole = { from: least + gap, to: least + gap + length };
      least = hole.to + 2;
      return hole;
    });
    return { origin: number, coverage: { upTo: (holes.at(-1)?.to ?? 0) + more, holes } };
  });

interface Made {
  readonly changes: readonly CoverageChange[];
  readonly entries: readonly EntryFields[];
}

const commit: fc.Arbitrary<Made> = fc.record({
  changes: fc.array(change, { maxLength: 4 }),
  entries: fc.array(
    fc.tuple(anyEntry, origin).map(([fields, number]) => ({ ...fields, origin: number })),
    { maxLength: 5 },
  ),
});

function encode({ changes, entries }: Made, before = 0): Uint8Array {
  let length = before + COMMIT_HEADER_BYTES + coverageBytes(changes);
  for (const { key, value, flags } of entries) length += entryBytes(key.length, value.length, flags);
  const bytes = new Uint8Array(length);
  let at = writeCommitHead(bytes, before, entries.length, changes);
  for (const fields of entries) at = writeEntry(bytes, at, fields);
  expect(at).toBe(length);
  return bytes;
}

describe("a commit", () => {
  it("comes back with its coverage and the place of its entries", () => {
    fc.assert(
      fc.property(commit, fc.nat(5), (made, at) => {
        const bytes = encode(made, at);
        const view = readCommit(bytes, at, bytes.length, ORIGINS);
        expect(view?.changes).toEqual(made.changes);
        expect(view?.entryCount).toBe(made.entries.length);
        let next = view?.entriesAt ?? 0;
        for (const fields of made.entries) {
          expect(originOf(bytes, next)).toBe(fields.origin);
          next += entryLength(bytes, next);
        }
        expect(next).toBe(bytes.length);
      }),
      { numRuns: 500 },
    );
  });

  it("is refused with a byte too few or too many", () => {
    fc.assert(
      fc.property(commit, (made) => {
        const bytes = encode(made);
        const longer = new Uint8Array(bytes.length + 1);
        longer.set(bytes);
        expect(readCommit(longer, 0, longer.length, ORIGINS)).toBeUndefined();
        for (let end = 0; end < bytes.length; end++)
          expect(readCommit(bytes, 0, end, ORIGINS)).toBeUndefined();
      }),
      { numRuns: 50 },
    );
  });

  it.each([0, ORIGINS + 1])("is refused with an entry or coverage of origin %d", (number) => {
    const entry = {
      key: new Uint8Array(1),
      value: new Uint8Array(),
      flags: 0,
      hlc: 1,
      seq: 1,
      deadline: 0,
      valueChecksum: 0,
    };
    const one = encode({ changes: [], entries: [{ ...entry, origin: number }] });
    expect(readCommit(one, 0, one.length, ORIGINS)).toBeUndefined();
    const two = encode({ changes: [{ origin: number, coverage: { upTo: 3, holes: [] } }], entries: [] });
    expect(readCommit(two, 0, two.length, ORIGINS)).toBeUndefined();
  });

  it.each([
    ["zero", 9, [[0, 1]]],
    ["beyond the end", 9, [[9, 10]]],
    ["turned around", 9, [[5, 4]]],
    [
      "adjacent",
      9,
      [
        [2, 3],
        [4, 5],
      ],
    ],
    [
      "out of order",
      9,
      [
        [6, 7],
        [2, 3],
      ],
    ],
  ])("is refused with a hole that is %s", (_name, upTo, pairs) => {
    const holes = pairs.map(([from, to]) => ({ from, to }));
    const bytes = encode({ changes: [{ origin: 1, coverage: { upTo, holes } }], entries: [] });
    expect(readCommit(bytes, 0, bytes.length, ORIGINS)).toBeUndefined();
  });

  it.each([0, 4])("is refused at once when the count at %d is absurd", (at) => {
    const bytes = encode({
      changes: [{ origin: 1, coverage: { upTo: 3, holes: [{ from: 1, to: 2 }] } }],
      entries: [],
    });
    writeU32(bytes, at, 0xffffffff);
    expect(readCommit(bytes, 0, bytes.length, ORIGINS)).toBeUndefined();
    const holes = encode({ changes: [{ origin: 1, coverage: { upTo: 3, holes: [] } }], entries: [] });
    writeU32(holes, COMMIT_HEADER_BYTES + 4, 0xffffffff);
    expect(readCommit(holes, 0, holes.length, ORIGINS)).toBeUndefined();
  });

  it("never throws and never reads beyond the end, whatever the bytes", () => {
    fc.assert(
      fc.property(mutatedBytes(commit.map((made) => encode(made))), fc.nat(12), (bytes, at) => {
        const end = bytes.length;
        const from = Math.min(at < 8 ? 0 : at, end);
        const view = readCommit(fenced(bytes, end), from, end, ORIGINS);
        if (view !== undefined) expect(view.entriesAt).toBeLessThanOrEqual(end);
        readCoverage(fenced(bytes, end), from, end, at, ORIGINS);
      }),
      { numRuns: 3000 },
    );
  });
});
