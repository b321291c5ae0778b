import { beforeEach, describe, expect, test } from "vitest";
import { readU32, writeU32, writeU56 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { repairCheckpoint } from "../../fuzz/repair.js";
import {
  begin,
  build,
  bytesOf,
  checkpoint,
  damage,
  endsOf,
  keysOf,
  put,
  restate,
  salvaged,
  segment,
  whole,
} from "./salvage-rig.js";

beforeEach(begin);

describe("segments before the first that is needed", () => {
  test("are history, and are not read", async () => {
    await build({ segments: [1, 1, 1] });
    await restate((manifest) => ({
      ...manifest,
      firstSegment: 2,
      checkpoint: { ...manifest.checkpoint, version: 1 },
    }));
    expect((await salvaged()).files).toEqual([whole(2, 1), whole(3, 1)]);
  });

  test("are read where the first begins behind what the checkpoint holds", async () => {
    await build({ segments: [1, 1, 1] });
    await restate((manifest) => ({ ...manifest, firstSegment: 3 }));
    const found = await salvaged();
    expect([found.files.length, keysOf(found)]).toEqual([3, "k1 k2 k3"]);
    await restate((manifest) => ({ ...manifest, firstSegment: 7 }));
    expect(keysOf(await salvaged())).toBe("k1 k2 k3");
  });
});

test("times that no store reaches are told of, with the file that says them", async () => {
  await build({ segments: [3], checkpoints: [2] });
  await damage(checkpoint(1), (bytes) => {
    const key = Buffer.from(bytes).indexOf("k1");
    // The time of an entry whose key stands right behind its header.
    writeU56(bytes, key - 28 + 14, 2 ** 53 - 1);
    repairCheckpoint(bytes);
  });
  const { files } = await salvaged();
  const what = "the times of 1 entries, which no store reaches: they count as the newest one before them";
  expect(files).toEqual([
    { file: checkpoint(1), kind: "checkpoint", saved: 2, lost: [{ offset: 0, bytes: 0, what }] },
    whole(1, 1),
  ]);
});

describe("a segment that stands in for lost blocks of the checkpoint, and goes on behind it", () => {
  beforeEach(async () => {
    await build({ segments: [4], checkpoints: [2] });
    await damage(checkpoint(1), (bytes) => {
      bytes[bytes.length - 60] ^= 1;
    });
  });

  test("is one file whose commits are counted together", async () => {
    expect((await salvaged()).files.slice(1)).toEqual([whole(1, 4)]);
  });

  test("tells of all its times that no store reaches", async () => {
    const [, one, two, three] = endsOf(segment(1));
    await damage(segment(1), (bytes) => {
      // One that the checkpoint held, and one that came after it.
      for (const [key, at, end] of [
        ["k2", one, two],
        ["k3", two, three],
      ] as const) {
        writeU56(bytes, Buffer.from(bytes).indexOf(key) - 28 + 14, 2 ** 53 - 1);
        writeU32(bytes, end - 4, crc32(bytes, at + 40, end - 4, readU32(bytes, at + 36)));
      }
    });
    const { files } = await salvaged();
    const what = "the times of 2 entries, which no store reaches: they count as the newest one before them";
    expect(files.slice(1)).toEqual([{ ...whole(1, 4), lost: [{ offset: 0, bytes: 0, what }] }]);
  });

  test("tells of all its commits that another one held before", async () => {
    await put(segment(9), bytesOf(segment(1)));
    const { files } = await salvaged();
    const what = "4 commits of versions that commits before them have as well";
    const { lost } = files.find(({ file }) => file === segment(9)) ?? {};
    expect(lost).toEqual([{ offset: 0, bytes: 0, what }]);
  });

  test("tells once of damage that both readings met", async () => {
    const [, , two, three] = endsOf(segment(1));
    await damage(segment(1), (bytes) => bytes.fill(0, two, three));
    const lost = [{ offset: two, bytes: three - two, what: "bytes that are no record" }];
    const { files } = await salvaged();
    expect(files.slice(1)).toMatchObject([{ ...whole(1, 3), lost }]);
    expect(files[1].lost).toHaveLength(1);
  });
});
