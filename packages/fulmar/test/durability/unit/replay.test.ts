import { beforeEach, describe, expect, test } from "vitest";
import { writeU32 } from "../../../src/base/bytes.js";
import {
  checkedItemLength,
  type FoundNumbers,
  OriginMapping,
  Replay,
  readDefinitions,
  readIds,
} from "../../../src/durability/replay.js";
import { DEFINITION_BYTES, recordBytes, type SegmentHeader } from "../../../src/durability/segment-format.js";
import type { BulkLoader } from "../../../src/memory/engine.js";
import {
  COMMIT_HEADER_BYTES,
  type CoverageChange,
  coverageBytes,
  writeCommitHead,
} from "../../../src/record/commit.js";
import { Coverage } from "../../../src/record/coverage.js";
import { entryBytes, originOf, writeEntry } from "../../../src/record/entry.js";
import { OriginTable } from "../../../src/record/origins.js";
import { joined, payloadOf } from "./checkpoint-bytes.js";

const [ADA, BOB, EVE] = ["aa", "bb", "ee"].map((digits) => digits.repeat(16));

interface Stamped {
  readonly origin: number;
  readonly seq: number;
  readonly hlc?: number;
}

function entryOf({ origin, seq, hlc = 10 }: Stamped): Uint8Array {
  const bytes = new Uint8Array(entryBytes(1, 1, 0));
  const [key, value] = [Uint8Array.of(seq), Uint8Array.of(7)];
  writeEntry(bytes, 0, { key, value, flags: 0, origin, hlc, seq, deadline: 0, valueChecksum: 0 });
  return bytes;
}

function definitionsOf(definitions: readonly (readonly [number: number, digits: number])[]): Uint8Array {
  const bytes = new Uint8Array(4 + definitions.length * DEFINITION_BYTES);
  writeU32(bytes, 0, definitions.length);
  for (const [i, [number, byte]] of definitions.entries()) {
    writeU32(bytes, 4 + i * DEFINITION_BYTES, number);
    bytes.fill(byte, 8 + i * DEFINITION_BYTES, 24 + i * DEFINITION_BYTES);
  }
  return bytes;
}

/** The payload of a record: definitions, and a commit. */
function recordOf(
  definitions: readonly (readonly [number: number, digits: number])[],
  entries: readonly Stamped[],
  changes: readonly CoverageChange[] = [],
): Uint8Array {
  const head = new Uint8Array(COMMIT_HEADER_BYTES + coverageBytes(changes));
  writeCommitHead(head, 0, entries.length, changes);
  return joined([definitionsOf(definitions), head, ...entries.map(entryOf)]);
}

const headerOf = (incarnation: string): SegmentHeader => ({
  number: 1,
  flags: 0,
  salt: new Uint8Array(8),
  storeId: "5".repeat(32),
  incarnation,
});

let origins: OriginTable;
let found: FoundNumbers;
let replay: Replay;

/** A replay into nothing, from behind version 5, of a store whose incarnation is the first origin. */
beforeEach(() => {
  origins = new OriginTable();
  origins.intern(ADA);
  found = { seq: 3, hlc: 4, coverage: new Coverage() };
  replay = new Replay(undefined, origins, found, ADA, 5);
});

const give = (version: number, bytes: Uint8Array): boolean => replay.commit(version, bytes, 0, bytes.length);

describe("a replay", () => {
  test("counts commits behind the checkpoint, their entries and bytes", () => {
    replay.segment(headerOf(ADA));
    const first = recordOf([[1, 0xaa]], [{ origin: 1, seq: 3 }]);
    const second = recordOf(
      [],
      [4, 5].map((seq) => ({ origin: 1, seq, hlc: 100 - seq })),
    );
    expect([give(5, first), give(6, second), give(9, second)]).toEqual([true, true, true]);
    replay.finish();
    expect([replay.commits, replay.entries, replay.bytes]).toEqual([2, 4, 2 * second.length]);
    expect([found.seq, found.hlc]).toEqual([5, 96]);
    expect(found.coverage.of(ADA).upTo).toBe(5);
  });

  test("knows numbers that are higher than those of the log already", () => {
    found = { seq: 30, hlc: 40, coverage: new Coverage() };
    replay = new Replay(undefined, origins, found, ADA, 5);
    replay.segment(headerOf(ADA));
    expect(give(6, recordOf([[1, 0xaa]], [{ origin: 1, seq: 4, hlc: 5 }]))).toBe(true);
    replay.finish();
    expect([found.seq, found.hlc]).toEqual([30, 40]);
  });

  test("takes sequence numbers of the segment's writer only, and its own ones of its incarnation only", () => {
    replay.segment(headerOf(BOB));
    const definitions = [
      [1, 0xbb],
      [2, 0xee],
    ] as const;
    expect(
      give(
        6,
        recordOf(
          definitions,
          [1, 2].map((origin) => ({ origin, seq: 10 * origin })),
        ),
      ),
    ).toBe(true);
    replay.segment(headerOf(ADA));
    expect(found.coverage.of(BOB).upTo).toBe(10);
    expect(found.coverage.of(EVE).upTo).toBe(0);
    expect(found.seq).toBe(3);
    expect(give(7, recordOf([[1, 0xaa]], [{ origin: 1, seq: 4 }]))).toBe(true);
    replay.finish();
    expect(found.seq).toBe(4);
    expect(found.coverage.of(ADA).upTo).toBe(4);
    expect([1, 2, 3].map((number) => origins.id(number))).toEqual([ADA, BOB, EVE]);
  });

  test("notes the highest sequence number, in whichever order they come", () => {
    replay.segment(headerOf(ADA));
    give(
      6,
      recordOf(
        [[1, 0xaa]],
        [6, 9, 8].map((seq) => ({ origin: 1, seq })),
      ),
    );
    replay.finish();
    replay.finish();
    expect(found.seq).toBe(9);
    expect(found.coverage.of(ADA).upTo).toBe(9);
  });

  test("sets what commits state to be covered, in the order of commits", () => {
    replay.segment(headerOf(ADA));
    const definitions = [
      [1, 0xaa],
      [2, 0xbb],
    ] as const;
    const covered = { upTo: 4, holes: [{ from: 2, to: 3 }] };
    give(6, recordOf(definitions, [{ origin: 1, seq: 8 }]));
    give(7, recordOf([], [{ origin: 2, seq: 4 }], [{ origin: 2, coverage: covered }]));
    expect(found.coverage.of(ADA).upTo).toBe(8);
    give(8, recordOf([], [{ origin: 1, seq: 9 }]));
    expect(found.coverage.of(ADA).upTo).toBe(8);
    replay.finish();
    expect(found.coverage.of(BOB)).toEqual(covered);
    expect(found.coverage.of(ADA).upTo).toBe(9);
  });

  test("defines origins anew in each segment", () => {
    replay.segment(headerOf(ADA));
    expect(give(6, recordOf([[1, 0xbb]], [{ origin: 1, seq: 1 }]))).toBe(true);
    replay.segment(headerOf(ADA));
    expect(give(7, recordOf([], [{ origin: 1, seq: 1 }]))).toBe(false);
    expect(give(7, recordOf([[1, 0xee]], [{ origin: 1, seq: 1 }]))).toBe(true);
    expect([origins.id(2), origins.id(3)]).toEqual([BOB, EVE]);
  });

  test("counts the bytes of payloads wherever they stand", () => {
    replay.segment(headerOf(ADA));
    const payload = recordOf([[1, 0xaa]], [{ origin: 1, seq: 4 }]);
    const bytes = joined([new Uint8Array(9), payload, new Uint8Array(4)]);
    expect(replay.commit(6, bytes, 9, 9 + payload.length)).toBe(true);
    expect(replay.bytes).toBe(payload.length);
    expect(replay.commit(7, bytes, 9, 8 + payload.length)).toBe(false);
  });

  test("takes as many entries as the commit has, whatever stands behind them", () => {
    replay.segment(headerOf(ADA));
    const payload = recordOf([[1, 0xaa]], [{ origin: 1, seq: 4 }]);
    const bytes = joined([payload, entryOf({ origin: 1, seq: 99, hlc: 99 })]);
    expect(replay.commit(6, bytes, 0, payload.length)).toBe(true);
    replay.finish();
    expect([replay.entries, found.seq, found.hlc]).toEqual([1, 4, 10]);
  });

  test("knows what was covered when nothing of its writer was read", () => {
    replay.segment(headerOf(BOB));
    replay.segment(headerOf(EVE));
    give(6, recordOf([[1, 0xaa]], [{ origin: 1, seq: 4 }]));
    replay.finish();
    expect([...found.coverage.origins()]).toEqual([]);
    expect(found.seq).toBe(3);
  });

  test("refuses what is malformed, before the checkpoint too, and counts nothing of it", () => {
    replay.segment(headerOf(ADA));
    const good = recordOf([[1, 0xaa]], [{ origin: 1, seq: 1 }]);
    for (const version of [4, 6]) {
      expect(give(version, good.subarray(0, 3))).toBe(false);
      expect(give(version, good.subarray(0, good.length - 1))).toBe(false);
      expect(give(version, recordOf([[3, 0xaa]], []))).toBe(false);
    }
    expect([replay.commits, replay.entries, replay.bytes]).toEqual([0, 0, 0]);
  });
});

describe("room for keys to come", () => {
  /** What a loader is told to expect, and after how many entries. */
  function expectations(
    { bytesTotal, afterVersion, entries }: { bytesTotal: number; afterVersion: number; entries: number },
    commits: number,
  ): { told: [keys: number, after: number][]; commitBytes: number } {
    const told: [number, number][] = [];
    let put = 0;
    const loader: BulkLoader = {
      announce: () => undefined,
      addAll: () => 0,
      put: () => void put++,
      expect: (keys) => void told.push([keys, put]),
      step: () => true,
      finish: () => undefined,
    };
    const sampled = new Replay(loader, origins, found, ADA, afterVersion);
    sampled.begin(bytesTotal);
    sampled.segment(headerOf(ADA));
    sampled.commit(afterVersion + 1, recordOf([[1, 0xaa]], []), 0, recordOf([[1, 0xaa]], []).length);
    const payload = recordOf([], Array(entries).fill({ origin: 1, seq: 4 }));
    for (let i = 1; i < commits; i++) sampled.commit(afterVersion + 1 + i, payload, 0, payload.length);
    return { told, commitBytes: recordBytes(payload.length) };
  }

  test("is asked for once, by the first 500 commits and the bytes of the log", () => {
    const { commitBytes } = expectations({ bytesTotal: 1, afterVersion: 0, entries: 3 }, 2);
    const bytesTotal = 10_000 * commitBytes;
    expect(expectations({ bytesTotal, afterVersion: 0, entries: 3 }, 499).told).toEqual([]);
    const { told } = expectations({ bytesTotal, afterVersion: 0, entries: 3 }, 1500);
    expect(told).toEqual([[expect.any(Number), 3 * 499]]);
    // The first commit has no entry, and a definition.
    expect(told[0][0]).toBeGreaterThan(29_900);
    expect(told[0][0]).toBeLessThan(30_100);
  });

  test("is never more than for four million, whatever the log may hold", () => {
    const { told } = expectations({ bytesTotal: 2 ** 50, afterVersion: 0, entries: 1 }, 500);
    expect(told).toEqual([[2 ** 22, 499]]);
  });

  test("is there already behind a checkpoint", () => {
    expect(expectations({ bytesTotal: 2 ** 40, afterVersion: 1, entries: 1 }, 600).told).toEqual([]);
  });

  test("is nobody's without a loader", () => {
    replay = new Replay(undefined, origins, found, ADA, 0);
    replay.begin(2 ** 30);
    replay.segment(headerOf(ADA));
    const payload = recordOf([], []);
    for (let i = 1; i <= 501; i++) expect(give(i, payload)).toBe(true);
    expect(replay.commits).toBe(501);
  });
});

describe("definitions of origins", () => {
  const read = (bytes: Uint8Array, end = bytes.length): number =>
    readDefinitions(bytes, 0, end, new OriginMapping(origins));

  test("end before the commit", () => {
    expect(read(definitionsOf([]))).toBe(4);
    expect(read(definitionsOf([[1, 1]]))).toBe(4 + DEFINITION_BYTES);
    const shifted = joined([new Uint8Array(5), definitionsOf([[1, 1]]), new Uint8Array(9)]);
    expect(readDefinitions(shifted, 5, shifted.length, new OriginMapping(origins))).toBe(
      9 + DEFINITION_BYTES,
    );
  });

  test("that are cut off, or more than there is room for, are malformed", () => {
    const bytes = definitionsOf([
      [1, 1],
      [2, 2],
    ]);
    for (let end = 0; end < bytes.length; end++) expect(read(bytes, end), `${end} bytes`).toBe(-1);
    expect(read(bytes)).toBe(bytes.length);
    writeU32(bytes, 0, 3);
    expect(read(bytes)).toBe(-1);
  });

  test("are cut off wherever they stand", () => {
    const one = definitionsOf([[1, 1]]);
    const bytes = joined([new Uint8Array(30), one, one]);
    for (let end = 30; end < 30 + one.length; end++) {
      expect(readDefinitions(bytes, 30, end, new OriginMapping(origins)), `${end - 30} bytes`).toBe(-1);
    }
  });

  test("come in order, and may be repeated", () => {
    expect(read(definitionsOf([[0, 1]]))).toBe(-1);
    expect(read(definitionsOf([[2, 1]]))).toBe(-1);
    const again = definitionsOf([
      [1, 1],
      [1, 1],
      [2, 2],
    ]);
    expect(read(again)).toBe(again.length);
    const gap = definitionsOf([
      [1, 1],
      [3, 2],
    ]);
    expect(read(gap)).toBe(-1);
  });
});

describe("numbers of origins", () => {
  test("are those of the store: an entry gets its own in its place", () => {
    const mapping = new OriginMapping(origins);
    expect(mapping.size).toBe(0);
    expect(mapping.define(1, EVE)).toBe(true);
    expect(mapping.define(2, ADA)).toBe(true);
    expect([mapping.size, mapping.numberOf(1), mapping.numberOf(2)]).toEqual([2, 2, 1]);
    const bytes = joined([entryOf({ origin: 1, seq: 1 }), entryOf({ origin: 2, seq: 1 })]);
    const second = bytes.length / 2;
    expect([mapping.translate(bytes, 0), mapping.translate(bytes, second)]).toEqual([2, 1]);
    expect([originOf(bytes, 0), originOf(bytes, second)]).toEqual([2, 1]);
  });

  test("that are the same already stay", () => {
    const mapping = new OriginMapping(origins);
    mapping.define(1, ADA);
    const bytes = entryOf({ origin: 1, seq: 1 });
    expect(mapping.translate(bytes, 0)).toBe(1);
    expect(originOf(bytes, 0)).toBe(1);
  });

  test("are forgotten with their segment", () => {
    const mapping = new OriginMapping(origins);
    mapping.define(1, BOB);
    mapping.clear();
    expect(mapping.size).toBe(0);
    expect(mapping.define(2, BOB)).toBe(false);
    expect(mapping.define(1, ADA)).toBe(true);
    const bytes = entryOf({ origin: 1, seq: 1 });
    expect(mapping.translate(bytes, 0)).toBe(1);
  });

  test("that differ once are looked up from then on", () => {
    const mapping = new OriginMapping(origins);
    mapping.define(1, BOB);
    mapping.define(2, BOB);
    const bytes = entryOf({ origin: 1, seq: 1 });
    expect(mapping.translate(bytes, 0)).toBe(2);
  });
});

describe("an item of a checkpoint", () => {
  const bytes = payloadOf([{ key: "a", value: "1", origin: 2 }]);

  test("is a version and an entry of a known origin", () => {
    expect(checkedItemLength(bytes, 0, bytes.length, 2)).toBe(bytes.length);
    expect(checkedItemLength(bytes, 0, bytes.length + 9, 9)).toBe(bytes.length);
    expect(checkedItemLength(bytes, 0, bytes.length, 1)).toBe(0);
    expect(checkedItemLength(payloadOf([{ key: "a", value: "1", origin: 0 }]), 0, bytes.length, 9)).toBe(0);
  });

  test("is malformed when it is cut off, or its version is not exact", () => {
    for (let end = 0; end < bytes.length; end++) expect(checkedItemLength(bytes, 0, end, 2)).toBe(0);
    const shifted = joined([new Uint8Array(20), bytes]);
    for (let end = 20; end < shifted.length; end++) expect(checkedItemLength(shifted, 20, end, 2)).toBe(0);
    expect(checkedItemLength(shifted, 20, shifted.length, 2)).toBe(bytes.length);
    const large = bytes.slice();
    large[6] = 32;
    expect(checkedItemLength(large, 0, large.length, 2)).toBe(0);
  });
});

test("ids stand back to back", () => {
  const bytes = new Uint8Array(1 + 32);
  bytes.fill(0xaa, 1, 17).fill(0xbb, 17, 33);
  expect(readIds(bytes, 1, 2)).toEqual([ADA, BOB]);
  expect(readIds(bytes, 17, 1)).toEqual([BOB]);
});
