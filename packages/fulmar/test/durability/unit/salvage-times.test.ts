import { beforeEach, describe, expect, test } from "vitest";
import { writeU56 } from "../../../src/base/bytes.js";
import { repairCheckpoint } from "../../fuzz/repair.js";
import { begin, build, checkpoint, damage, keysOf, restate, salvaged, whole } from "./salvage-rig.js";

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
