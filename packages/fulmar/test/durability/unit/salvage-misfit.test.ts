import { describe, expect, test } from "vitest";
import { readU32, writeU32, writeU64 } from "../../../src/base/bytes.js";
import type { LostPart } from "../../../src/durability/care-types.js";
import { salvageSegment } from "../../../src/durability/salvage-segment.js";
import { keyOf } from "../../../src/record/entry.js";
import { filesOf, machine } from "../harness.js";
import { PastLog } from "./past-log.js";
import { damage, flip, forge, HEADER_LOST, KEY, PATH, salvaged, segmentOf } from "./segment-rig.js";

describe("a version that does not fit", () => {
  const misfit = (offset: number, stated: number, version: number): LostPart => ({
    offset: offset + 16,
    bytes: 8,
    what: `the version of a commit: it says ${stated}, and counts as ${version}`,
  });

  test("is put right where the commit follows the one before", async () => {
    const log = await segmentOf(["a", "b", "c", "d"]);
    const [, one, two, , four] = log.ends;
    await forge(log, one, two, (bytes) => writeU64(bytes, one + 16, 77));
    expect(await salvaged(log)).toEqual({
      saved: 4,
      lost: [misfit(one, 77, 2)],
      end: four,
      entries: ["1 k1", "2 k2", "3 k3", "4 k4"],
    });
    // What is not wanted is not told of.
    expect(await salvaged(log, { from: 3 })).toMatchObject({ saved: 2, lost: [] });
  });

  test("is put right by what comes behind the segment", async () => {
    const log = await segmentOf(["a", "b", "c"]);
    const [, , two, three] = log.ends;
    await forge(log, two, three, (bytes) => writeU64(bytes, two + 16, 77));
    expect((await salvaged(log)).entries).toEqual(["1 k1", "2 k2", "77 k3"]);
    const [[, bytes]] = filesOf(log.storage, PATH);
    const limit = { position: three, crc: readU32(bytes, three - 4), version: 3 };
    const { entries, lost } = await salvaged(log, { limit });
    expect([entries, lost]).toEqual([["1 k1", "2 k2", "3 k3"], [misfit(two, 77, 3)]]);
  });

  test("costs the commit that does not follow one, and no number is claimed for it", async () => {
    const log = await segmentOf(["a", "b", "c", "d", "e"]);
    const [, one, two, three, four, five] = log.ends;
    await damage(log, flip(one + 5));
    await forge(log, two, three, (bytes) => writeU64(bytes, two + 16, 77));
    await damage(log, flip(three + 5));
    const what = "bytes that are no record";
    expect(await salvaged(log)).toEqual({
      saved: 2,
      lost: [
        { offset: one, bytes: two - one, what },
        {
          offset: two,
          bytes: three - two,
          what: "a commit of version 77, which does not fit those around it",
        },
        { offset: three, bytes: four - three, what, versions: { from: 2, to: 4 } },
      ],
      end: five,
      entries: ["1 k1", "5 k5"],
    });
    expect((await salvaged(log, { from: 78 })).lost.map(({ offset }) => offset)).toEqual([one, three]);
  });

  test("follows one only where it stands right behind it and names it", async () => {
    const bytesBetween = 10;
    const moved = await segmentOf(["a", "b", "c"]);
    const [, one, two, three] = moved.ends;
    await forge(moved, one, two, (bytes) => writeU64(bytes, one + 16, 77));
    await damage(moved, (bytes) =>
      bytes.copyWithin(one + bytesBetween, one, three).fill(0, one, one + bytesBetween),
    );
    expect((await salvaged(moved)).entries).toEqual(["1 k1", "3 k3"]);
    const other = await segmentOf(["a", "b", "c"]);
    await forge(other, one, two, (bytes) => {
      writeU64(bytes, one + 16, 77);
      bytes[one + 32] ^= 1;
    });
    expect((await salvaged(other)).entries).toEqual(["1 k1", "3 k3"]);
    // Bytes between records that follow each other have cost no version.
    const apart = await segmentOf(["a", "b"]);
    await damage(apart, (bytes) =>
      bytes.copyWithin(one + bytesBetween, one, two).fill(0, one, one + bytesBetween),
    );
    expect((await salvaged(apart)).lost).toEqual([
      { offset: one, bytes: bytesBetween, what: "bytes that are no record" },
    ]);
  });
});

describe("records that are whole", () => {
  test("behind damage are taken up to the limit", async () => {
    const log = await segmentOf(["a", "b", "c"]);
    const [, one, , three] = log.ends;
    const [[, bytes]] = filesOf(log.storage, PATH);
    const limit = { position: three, crc: readU32(bytes, three - 4), version: 3 };
    await damage(log, flip(one + 5));
    expect(await salvaged(log, { limit })).toMatchObject({ saved: 2, end: three });
  });

  test("and hold no commit are told of, the last one as well", async () => {
    const what = "a commit that is malformed";
    for (const kind of [2, 7]) {
      const log = await segmentOf(["a", "b"]);
      const [, one, two] = log.ends;
      await forge(log, one, two, (bytes) => writeU32(bytes, one + 4, kind));
      expect(await salvaged(log)).toEqual({
        saved: 1,
        lost: [{ offset: one, bytes: two - one, what }],
        end: one,
        entries: ["1 k1"],
      });
    }
  });

  test("hold as many entries as they say", async () => {
    const { runtime } = machine();
    await runtime.fileSystem.makeDirectory("/store/log");
    const past = new PastLog(runtime, 4);
    const ends = await past.segment(1, [
      { version: 5, entries: [{ key: "a" }, { key: "bb", valueBytes: 9 }, { key: "ccc" }] },
    ]);
    const entries: string[] = [];
    const { saved, end } = await salvageSegment(runtime, past.segments[0].path, undefined, {
      wants: () => true,
      entry: (_, bytes, at) => entries.push(new TextDecoder().decode(keyOf(bytes, at))) > 0,
    });
    expect([saved, end, entries]).toEqual([1, ends[0], ["a", "bb", "ccc"]]);
  });
});

test("a header of zeros is missed where records tell that there was one", async () => {
  const log = await segmentOf(["a", "b"]);
  await damage(log, (bytes) => bytes.fill(0, 0, 68));
  const { saved, lost } = await salvaged(log);
  expect([saved, lost]).toEqual([2, [HEADER_LOST]]);
});

test("a header and an opening that were not sealed together cost no commit, and are told of", async () => {
  const log = await segmentOf(["a", "b"], KEY);
  const opening = 68 + 104;
  await forge(log, opening, log.ends[0], (bytes) => {
    bytes[opening + 41] ^= 1;
  });
  const what = "the header or the opening, which were not written together";
  const { saved, lost } = await salvaged(log);
  expect([saved, lost]).toEqual([2, [{ offset: 0, bytes: log.ends[0], what }]]);
});
