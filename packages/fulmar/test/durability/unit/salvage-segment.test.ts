import { describe, expect, test } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { salvageSegment } from "../../../src/durability/salvage-segment.js";
import { COMMIT_HEADER_BYTES, writeCommitHead } from "../../../src/record/commit.js";
import { edit, filesOf, MiniStore, machine } from "../harness.js";
import { damage, flip, forge, HEADER_LOST, KEY, LARGE, PATH, salvaged, segmentOf } from "./segment-rig.js";
import { steady } from "./steady.js";

describe.each([
  ["plain", undefined],
  ["sealed", KEY],
])("a segment that is %s", (_, keys) => {
  test("is saved as a whole if it is whole", async () => {
    const log = await segmentOf(["a", "b", "c"], keys);
    expect(await salvaged(log)).toEqual({
      saved: 3,
      lost: [],
      end: log.ends[3],
      entries: ["1 k1", "2 k2", "3 k3"],
    });
  });

  test("is read up to where the next one goes on from, but not behind its own end", async () => {
    const log = await segmentOf(["a", "b", "c"], keys);
    const [[, bytes]] = filesOf(log.storage, PATH);
    const [, , two, three] = log.ends;
    const crc = readU32(bytes, two - 4);
    const limit = { position: two, crc, version: 2 };
    expect(await salvaged(log, { limit })).toMatchObject({ saved: 2, lost: [], end: two });
    const last = { position: bytes.length + 1, crc: readU32(bytes, three - 4), version: 3 };
    expect(await salvaged(log, { limit: last })).toMatchObject({ saved: 3, lost: [] });
    // Where the position is wrong, the record that is named tells the end; where that is, those that go on do.
    for (const position of [0, log.ends[1], two - 1]) {
      const wrong = { ...limit, position };
      expect(await salvaged(log, { limit: wrong })).toMatchObject({ saved: 2, lost: [], end: two });
    }
    expect(await salvaged(log, { limit: { position: two, crc: crc ^ 1, version: 3 } })).toMatchObject({
      saved: 3,
    });
    await damage(log, flip(two - 1));
    expect(await salvaged(log, { limit })).toMatchObject({ saved: 1, end: log.ends[1] });
  });

  test("is passed over where nothing is wanted", async () => {
    const log = await segmentOf(["a", "b", "c"], keys);
    const { entries, ...read } = await salvaged(log, { from: 3 });
    expect([entries, read]).toEqual([["3 k3"], { saved: 1, lost: [], end: log.ends[3] }]);
  });

  test("loses the commit that is damaged, and no other", async () => {
    for (const at of [0, 8, 20, 36, 45, -1]) {
      const log = await segmentOf(["a", "b", "c", "d"], keys);
      const [, one, two] = log.ends;
      await damage(log, flip(at < 0 ? two + at : one + at));
      const what = "bytes that are no record";
      expect(await salvaged(log), `byte ${at}`).toEqual({
        saved: 3,
        lost: [{ offset: one, bytes: two - one, what, versions: { from: 2, to: 2 } }],
        end: log.ends[4],
        entries: ["1 k1", "3 k3", "4 k4"],
      });
    }
  });

  test("says which versions are missing where it can", async () => {
    const log = await segmentOf(["a", "b", "c", "d"], keys);
    const [, one, two, three] = log.ends;
    await damage(log, (bytes) => bytes.fill(0, one, three));
    expect((await salvaged(log)).lost).toMatchObject([
      { offset: one, bytes: three - one, versions: { from: 2, to: 3 } },
    ]);
    await damage(log, (bytes) => bytes.fill(0, 0, two));
    expect(await salvaged(log)).toMatchObject({ saved: 0 });
    const other = await segmentOf(["a", "b"], keys);
    await damage(other, flip(other.ends[0] + 10));
    // Before the first commit that can be read there may have been none.
    const { lost } = await salvaged(other);
    expect(lost).toEqual([
      { offset: other.ends[0], bytes: other.ends[1] - other.ends[0], what: lost[0].what },
    ]);
  });

  test("ends with its last record that is whole", async () => {
    const log = await segmentOf(["a", "b", "c"], keys);
    await damage(log, flip(log.ends[3] - 1));
    expect(await salvaged(log)).toMatchObject({ saved: 2, lost: [], end: log.ends[2] });
    await damage(log, (bytes) => bytes.fill(0, log.ends[0]));
    expect(await salvaged(log)).toMatchObject({ saved: 0, lost: [], end: log.ends[0] });
  });

  test("ends with its last record that is whole where the file does, in the middle of one", async () => {
    const log = await segmentOf(["a", "b", "c"], keys);
    const [, , two, three] = log.ends;
    for (const length of [three - 1, two + 41, two + 39, two + 9, two + 8, two]) {
      await edit(log.storage, PATH, (bytes) => bytes.slice(0, length));
      expect(await salvaged(log), `${length} bytes`).toMatchObject({ saved: 2, lost: [], end: two });
    }
  });

  test("that begins with a record of nobody knows what tells of it", async () => {
    const log = await segmentOf(["a", "b"], keys);
    const opening = log.ends[0] - (keys === undefined ? 60 : 88);
    await forge(log, opening, log.ends[0], (bytes) => writeU32(bytes, opening + 4, 7));
    const { saved, lost } = await salvaged(log);
    const part = { offset: opening, bytes: log.ends[0] - opening, what: "a commit that is malformed" };
    expect([saved, lost.at(-1)]).toEqual([2, part]);
  });

  test("keeps its commits behind a damaged header or opening", async () => {
    for (const at of [3, 9, 13, 17, 27, 40, 50, 65]) {
      const log = await segmentOf(["a", "b"], keys);
      await damage(log, flip(at));
      const { lost, saved } = await salvaged(log);
      expect([saved, lost], `byte ${at}`).toEqual([2, [HEADER_LOST]]);
    }
    const log = await segmentOf(["a", "b"], keys);
    const opening = log.ends[0] - (keys === undefined ? 60 : 88);
    await damage(log, flip(opening + 50));
    expect(await salvaged(log)).toMatchObject({
      saved: 2,
      lost: [{ offset: opening, bytes: log.ends[0] - opening }],
    });
  });

  test("loses a commit that is malformed although its checksums are right", async () => {
    const log = await segmentOf(["a", "b", "c"], keys);
    const [, one, two] = log.ends;
    // How many origins it defines, or a byte of the nonce.
    await damage(log, (bytes) => {
      writeU32(bytes, one + 40, 1000);
      writeU32(bytes, two - 4, crc32(bytes, one + 40, two - 4, readU32(bytes, one + 36)));
    });
    const { saved, lost, end, entries } = await salvaged(log);
    expect([saved, end, entries]).toEqual([2, log.ends[3], ["1 k1", "3 k3"]]);
    const part = { offset: one, bytes: two - one, what: "a commit that is malformed" };
    expect(lost).toEqual([{ ...part, versions: { from: 2, to: 2 } }]);
  });

  test("of a later format is not touched", async () => {
    const log = await segmentOf(["a"], keys);
    await damage(log, (bytes) => {
      writeU32(bytes, 8, 2);
      writeU32(bytes, 64, crc32(bytes, 0, 64, 0));
    });
    await expect(salvaged(log)).rejects.toMatchObject({ code: "FORMAT_NEWER" });
  });

  test("that was never used, or has no room for a header, holds nothing and has lost nothing", async () => {
    const nothing = { saved: 0, lost: [], end: 0, entries: [] };
    const log = await segmentOf(["a"], keys);
    await damage(log, (bytes) => bytes.fill(0));
    expect(await salvaged(log)).toEqual(nothing);
    for (const length of [0, 1, 67]) {
      await edit(log.storage, PATH, () => new Uint8Array(length).fill(7));
      expect(await salvaged(log)).toEqual(nothing);
    }
    await edit(log.storage, PATH, () => new Uint8Array(68).fill(7));
    expect(await salvaged(log)).toEqual({ ...nothing, lost: [HEADER_LOST] });
  });
});

describe("records behind many bytes that are none", () => {
  test("are found wherever they begin", async () => {
    const WINDOW = 64 * 1024;
    const [, first, second] = (await segmentOf(["a", "x"])).ends;
    // It is searched from the place behind the damaged head on where a salt may stand.
    const exact = WINDOW + 1 - (second - first - 1);
    for (let shift = -50; shift <= 50; shift += shift >= -3 && shift < 3 ? 1 : 7) {
      const log = await segmentOf(["a", "x".repeat(exact + shift), "c"]);
      const [, one, two] = log.ends;
      expect(two - one - 1, `shifted by ${shift}`).toBe(WINDOW + shift);
      await damage(log, flip(one + 5));
      const { saved, lost, end } = await salvaged(log);
      expect([saved, end], `shifted by ${shift}`).toEqual([2, log.ends[3]]);
      expect(lost).toMatchObject([{ offset: one, bytes: two - one }]);
    }
  });

  test("are found behind several windows, with turns for other work", async () => {
    const log = await segmentOf(["a", "x".repeat(2_500_000), "c"]);
    await damage(log, flip(log.ends[1] + 5));
    const rig = steady(log.storage.restart());
    const nothing = { wants: () => true, entry: () => true };
    const read = await salvageSegment(rig.runtime, PATH, undefined, nothing);
    expect([read.saved, read.end]).toEqual([2, log.ends[3]]);
    expect(rig.turns).toBeGreaterThanOrEqual(2);
    expect(rig.turns).toBeLessThan(6);
  });

  test("of the last head in the file at the latest", async () => {
    const log = await segmentOf(["a", "b"]);
    const [, one, two] = log.ends;
    await edit(log.storage, PATH, (bytes) => bytes.slice(0, two));
    await damage(log, (bytes) => bytes.fill(0, 128, one));
    expect(await salvaged(log)).toMatchObject({ saved: 1, end: two });
  });

  test("may hold the first byte of the salt, and whole heads, anywhere", async () => {
    const log = await segmentOf(["a", "b".repeat(300), "c"]);
    const [, one, two] = log.ends;
    await damage(log, (bytes) => {
      bytes.fill(bytes[24], one, two);
      // A head of a record that does not end there.
      bytes.copyWithin(one + 50, one - 60, one - 20);
    });
    expect(await salvaged(log)).toMatchObject({ saved: 2, end: log.ends[3], lost: [{ offset: one }] });
  });
});

test("many records that are whole are read with turns for other work", async () => {
  const log = await segmentOf(Array(5).fill("x".repeat(600_000)));
  const rig = steady(log.storage.restart());
  const read = await salvageSegment(rig.runtime, PATH, undefined, {
    wants: () => true,
    entry: () => true,
  });
  expect([read.saved, rig.turns]).toEqual([5, 6]);
});

describe("a key section", () => {
  test("that is damaged takes everything with it", async () => {
    const log = await segmentOf(["a", "b"], KEY);
    await damage(log, flip(80));
    expect(await salvaged(log)).toEqual({
      saved: 0,
      lost: [{ offset: 68, bytes: 104, what: "the key section, without which nothing can be read" }],
      end: 0,
      entries: [],
    });
  });

  test("needs its key", async () => {
    const log = await segmentOf(["a"], KEY);
    await expect(salvaged({ ...log, keys: undefined })).rejects.toMatchObject({
      code: "ENCRYPTION_KEY_MISSING",
    });
    const other = { key: new Uint8Array(32).fill(2) };
    await expect(salvaged({ ...log, keys: other })).rejects.toMatchObject({ code: "ENCRYPTION_KEY_WRONG" });
  });

  test("is asked for behind a damaged header where plain files are refused", async () => {
    const log = await segmentOf(["a"]);
    await damage(log, flip(17));
    expect(await salvaged({ ...log, keys: KEY })).toMatchObject({ saved: 1, lost: [HEADER_LOST] });
    const { saved, lost } = await salvaged({ ...log, keys: { ...KEY, refusePlain: true } });
    expect([saved, lost.map(({ offset }) => offset)]).toEqual([0, [0, 68]]);
  });

  test("that is missing lets no plain records in, whichever salt somebody gave them", async () => {
    const log = await segmentOf(["a", "b"]);
    await damage(log, flip(17));
    for (const [i, end] of log.ends.entries()) {
      const at = i === 0 ? 68 : log.ends[i - 1];
      await forge(log, at, end, (bytes) => bytes.fill(0, at + 8, at + 16));
    }
    const refused = { ...log, keys: { ...KEY, refusePlain: true } };
    expect(await salvaged(refused)).toMatchObject({ saved: 0, entries: [] });
  });
});

test("a commit is saved if something of it is taken, or if there is nothing in it", async () => {
  const storage = machine();
  const store = await MiniStore.open(storage.runtime, LARGE);
  for (const key of ["k1", "k2", "k3"]) await store.save(key, "1");
  const space = store.log.begin(4, COMMIT_HEADER_BYTES);
  writeCommitHead(space.bytes, space.at, 0, []);
  store.log.end();
  store.log.want("synced");
  await store.until(() => store.syncedVersion === 4);
  storage.kill();
  const runtime = storage.restart();
  const saved = async (taken: (version: number) => boolean): Promise<number> =>
    (await salvageSegment(runtime, PATH, undefined, { wants: () => true, entry: taken })).saved;
  expect(await saved(() => true)).toBe(4);
  expect(await saved((version) => version !== 2)).toBe(3);
  expect(await saved(() => false)).toBe(1);
});
