import { beforeEach, describe, expect, test } from "vitest";
import { readU32, writeU32, writeU64 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { ADOPTED_NUMBERS_MAX } from "../../../src/base/limits.js";
import { repairCheckpoint } from "../../fuzz/repair.js";
import { contents, MiniStore } from "../harness.js";

import {
  begin,
  build,
  bytesOf,
  checkpoint,
  damage,
  endsOf,
  keysOf,
  LARGE,
  MISSING,
  put,
  remove,
  restate,
  restateHeader,
  salvaged,
  segment,
  storage,
  whole,
} from "./salvage-rig.js";

const KEY = { key: new Uint8Array(32).fill(1) };
const HEADER_BYTES = 68;
const ALL = "k1 k2 k3";

beforeEach(begin);

const flip =
  (at: number) =>
  (bytes: Uint8Array): void => {
    bytes[at] ^= 1;
  };

const noManifest = (): Promise<void> => damage("MANIFEST", (bytes) => bytes.fill(0));

describe.each([1, 2, 3])("where of three segments the %i. is one", (number) => {
  test("with a damaged header, or opening, whose store it is the others tell", async () => {
    for (const at of [HEADER_BYTES - 1, HEADER_BYTES + 50]) {
      begin();
      const { directory } = await build({ segments: [1, 1, 1] });
      await damage(segment(number), flip(at));
      expect(keysOf(await salvaged()), `byte ${at}`).toBe(ALL);
      await noManifest();
      const found = await salvaged();
      expect([keysOf(found), found.storeId], `byte ${at}`).toEqual([ALL, directory.recovered.storeId]);
    }
  });

  test("that is sealed and lost its key section, the others are saved, under their key", async () => {
    const { directory } = await build({ segments: [1, 1, 1], keys: KEY });
    const { keyId } = await salvaged(KEY);
    expect(keyId).toMatch(/^key-/);
    await damage(segment(number), flip(HEADER_BYTES + 10));
    const left = ["k1", "k2", "k3"].filter((key) => key !== `k${number}`).join(" ");
    for (const lose of [() => Promise.resolve(), noManifest]) {
      await lose();
      const found = await salvaged(KEY);
      expect([keysOf(found), found.storeId, found.keyId]).toEqual([left, directory.recovered.storeId, keyId]);
    }
  });
});

describe("the number of a segment", () => {
  const orderOf = async (keys?: typeof KEY): Promise<string[]> =>
    (await salvaged(keys)).files.map(({ file }) => file);

  async function swapped(): Promise<void> {
    const [one, two] = [bytesOf(segment(1)), bytesOf(segment(2))];
    await put(segment(2), one);
    await put(segment(1), two);
  }

  test("is what its header says, though its opening is damaged, where it is plain", async () => {
    await build({ segments: [1, 1, 2] });
    const ends = endsOf(segment(3));
    await put(segment(7), bytesOf(segment(3)).slice(0, ends[1]));
    await remove(segment(3));
    await damage(segment(7), flip(HEADER_BYTES + 50));
    const { files } = await salvaged();
    // The manifest knows by its number what was synced in it.
    expect(files.map(({ file }) => file)).toEqual([segment(1), segment(2), segment(7)]);
    const synced = { offset: ends[1], bytes: ends[2] - ends[1], what: "bytes that were synced" };
    expect(files[2].lost.at(-1)).toMatchObject(synced);
  });

  test("is what its header says where it is sealed, if its opening proves that", async () => {
    await build({ segments: [1, 1, 1], keys: KEY });
    await swapped();
    expect(await orderOf(KEY)).toEqual([segment(2), segment(1), segment(3)]);
    expect(keysOf(await salvaged(KEY))).toBe(ALL);
  });

  test("is the one in its name where it is sealed, and nothing proves its header", async () => {
    await build({ segments: [1, 1, 1], keys: KEY });
    await restateHeader(segment(1), (bytes) => writeU64(bytes, 16, 3));
    await damage(segment(1), flip(HEADER_BYTES + 104 + 50));
    expect(await orderOf(KEY)).toEqual([segment(1), segment(2), segment(3)]);
    expect(keysOf(await salvaged(KEY))).toBe(ALL);
  });

  test("is the one that the manifest knows, so that it tells what was synced", async () => {
    await build({ segments: [1, 1, 2] });
    await restateHeader(segment(3), (bytes) => writeU64(bytes, 16, 9));
    const ends = endsOf(segment(3));
    await put(segment(3), bytesOf(segment(3)).slice(0, ends[1]));
    const { files } = await salvaged();
    const what = "bytes that were synced";
    const versions = { from: 4, to: 4 };
    expect(files[2].lost).toEqual([{ offset: ends[1], bytes: ends[2] - ends[1], what, versions }]);
  });
});

describe("what is not of this store", () => {
  test("are files with other names, whatever they hold", async () => {
    await build({ segments: [2, 1], checkpoints: [1] });
    const before = (await salvaged()).files;
    for (const name of ["log/copy.log", "log/000000000009.log.tmp"]) await put(name, bytesOf(segment(1)));
    for (const name of ["checkpoint/copy", "checkpoint/000000000009.tmp"])
      await put(name, bytesOf(checkpoint(1)));
    expect((await salvaged()).files).toEqual(before);
    await noManifest();
    const found = await salvaged();
    expect(found.files.map(({ file }) => file)).toEqual(["MANIFEST", checkpoint(1), segment(1), segment(2)]);
    expect(keysOf(found)).toBe(ALL);
  });

  test("is told of where it stands in the place of the first segment", async () => {
    await build({ segments: [1, 1] });
    await restateHeader(segment(1), (bytes) => bytes.fill(0x77, 32, 48));
    const lost = [{ offset: 0, bytes: 0, what: "it belongs to another store" }];
    const { files } = await salvaged();
    expect(files).toContainEqual({ file: segment(1), kind: "segment", saved: 0, lost });
  });
});

test("whose store it is the manifest tells where nothing else is left", async () => {
  const { directory } = await build({ segments: [1] });
  await remove(segment(1));
  expect((await salvaged()).storeId).toBe(directory.recovered.storeId);
});

test("a segment that is missing is told of without a manifest too, and once though the log is read twice", async () => {
  await build({ segments: [1, 1, 1], checkpoints: [1] });
  await remove(segment(2));
  await damage(checkpoint(1), (bytes) => {
    bytes[bytes.length - 60] ^= 1;
  });
  const gap = { file: segment(2), kind: "segment", saved: 0, lost: [{ offset: 0, bytes: 0, what: MISSING }] };
  for (const lose of [() => Promise.resolve(), noManifest]) {
    await lose();
    const { files } = await salvaged();
    expect(files.filter(({ file }) => file === segment(2))).toEqual([gap]);
  }
});

describe("a checkpoint", () => {
  test("whose header is damaged is of the version that the manifest says", async () => {
    await build({ segments: [3, 1], checkpoints: [2] });
    await damage(checkpoint(1), flip(20));
    const found = await salvaged();
    expect([keysOf(found), found.sink.version]).toEqual(["k1 k2 k3 k4", 4]);
    // Nor does it say where its blocks end: the log would have had what was behind them.
    expect(found.files.map(({ saved, foundInLog }) => [saved, foundInLog])).toEqual([
      [2, 0],
      [1, undefined],
      [1, undefined],
    ]);
  });

  test("that the manifest does not name is not told of as missing", async () => {
    await build({ checkpoints: [2] });
    const none = { number: 0, version: 0, bytes: 0, crc: 0 };
    await restate((manifest) => ({ ...manifest, checkpoint: none }));
    await remove(segment(1));
    const { files } = await salvaged();
    expect(files.filter(({ kind }) => kind === "checkpoint").map(({ file }) => file)).toEqual([
      checkpoint(1),
    ]);
  });

  test("with an entry of a version that no store reaches does not hide the log behind it", async () => {
    await build({ segments: [4], checkpoints: [2] });
    await noManifest();
    await damage(checkpoint(1), (bytes) => {
      writeU64(bytes, Buffer.from(bytes).indexOf("k1") - 28 - 8, ADOPTED_NUMBERS_MAX + 1);
      repairCheckpoint(bytes);
    });
    const found = await salvaged();
    expect([keysOf(found), found.sink.version]).toEqual(["k1 k2 k3 k4", 4]);
  });

  test("whose header says more than it counts as has used the numbers up to that", async () => {
    await build({ segments: [5], checkpoints: [3] });
    await damage(checkpoint(1), (bytes) => {
      writeU64(bytes, 64, 1000);
      repairCheckpoint(bytes);
    });
    expect((await salvaged()).usedVersion).toBe(1000);
  });

  test("of the highest version that is adopted, as its header or an entry says, counts as that", async () => {
    const says: ((bytes: Uint8Array) => void)[] = [
      (bytes) => writeU64(bytes, 64, ADOPTED_NUMBERS_MAX),
      (bytes) => writeU64(bytes, Buffer.from(bytes).indexOf("k1") - 28 - 8, ADOPTED_NUMBERS_MAX),
    ];
    for (const say of says) {
      begin();
      await build({ segments: [2], checkpoints: [2] });
      await noManifest();
      await damage(checkpoint(1), (bytes) => {
        say(bytes);
        repairCheckpoint(bytes);
      });
      expect((await salvaged()).sink.version).toBe(ADOPTED_NUMBERS_MAX);
    }
  });

  test("without entries holds the deletions up to its version", async () => {
    const store = await MiniStore.open(storage.runtime, LARGE);
    await store.save("k", "x");
    await store.save("k", undefined);
    await store.checkpoint();
    await store.save("other", "x");
    await store.close();
    await put("MANIFEST", new Uint8Array(0));
    const found = await salvaged();
    expect(found.files.slice(1)).toEqual([
      { file: checkpoint(1), kind: "checkpoint", saved: 0, lost: [] },
      whole(1, 1),
    ]);
  });

  test("whose blocks are lost has each commit of the log stand in for it once", async () => {
    await build({ segments: [2, 1], checkpoints: [2] });
    await put(segment(9), bytesOf(segment(1)));
    await damage(checkpoint(1), flip(bytesOf(checkpoint(1)).length - 60));
    const { files } = await salvaged();
    const what = "2 commits of versions that commits before them have as well";
    expect(files.slice(1)).toEqual([
      whole(1, 2),
      { ...whole(9, 0), lost: [{ offset: 0, bytes: 0, what }] },
      whole(2, 1),
    ]);
  });

  test("does not come over what was written after it, where the log stands in for a part of it", async () => {
    const store = await MiniStore.open(storage.runtime, LARGE);
    await store.save("k", "old");
    await store.save("other", "old");
    await store.checkpoint();
    await store.save("k", "new");
    await store.close();
    await damage(checkpoint(1), flip(110));
    const { sink, files } = await salvaged();
    expect(files[0].lost).toMatchObject([{ what: "the dictionary of writers" }]);
    expect(contents(sink.engine)).toEqual(
      new Map([
        ["k", "new"],
        ["other", "old"],
      ]),
    );
  });
});

test("what only the reading that stands in for lost blocks can tell of is told", async () => {
  await build({ segments: [4], checkpoints: [2] });
  await damage(checkpoint(1), (bytes) => {
    bytes[bytes.length - 60] ^= 1;
  });
  const [, one, two] = endsOf(segment(1));
  await damage(segment(1), (bytes) => {
    writeU64(bytes, one + 16, 77);
    writeU32(bytes, one + 36, crc32(bytes, one, one + 36, 0));
    writeU32(bytes, two - 4, crc32(bytes, one + 40, two - 4, readU32(bytes, one + 36)));
  });
  const what = "the version of a commit: it says 77, and counts as 2";
  const { files } = await salvaged();
  expect(files[1]).toEqual({ ...whole(1, 4), lost: [{ offset: one + 16, bytes: 8, what }] });
});
