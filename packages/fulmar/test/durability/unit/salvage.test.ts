import { beforeEach, describe, expect, test } from "vitest";
import { readU32, writeU32, writeU64 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { ADOPTED_NUMBERS_MAX } from "../../../src/base/limits.js";
import type { CareProgress, RepairedFile } from "../../../src/durability/care-types.js";
import { layoutOf } from "../../../src/durability/layout.js";
import { SLOT_BYTES } from "../../../src/durability/manifest.js";
import { salvage } from "../../../src/durability/salvage.js";
import { MiniStore, ROOT } from "../harness.js";

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

beforeEach(begin);

describe("a directory that is whole", () => {
  test("is saved as a whole", async () => {
    const { directory } = await build();
    const told: CareProgress[] = [];
    const found = await salvaged(undefined, (progress) => told.push(progress));
    const { storeId } = directory.recovered;
    const { sink, ...rest } = found;
    expect(rest).toEqual({
      files: [whole(1, 3), whole(2, 2), whole(3, 1)],
      storeId,
      compressed: false,
      keyId: undefined,
      hadPeers: false,
      usedVersion: 6,
    });
    expect(keysOf(found)).toBe("k1 k2 k3 k4 k5 k6");
    expect([sink.version, sink.seq, sink.hlc, sink.origins.size]).toEqual([6, 6, 6, 1]);
    const sizes = [1, 2, 3].map((number) => bytesOf(segment(number)).length);
    const bytesTotal = sizes[0] + sizes[1] + sizes[2];
    expect(told).toEqual([
      { phase: "read", entries: 3, bytes: sizes[0], bytesTotal },
      { phase: "read", entries: 5, bytes: sizes[0] + sizes[1], bytesTotal },
      { phase: "read", entries: 6, bytes: bytesTotal, bytesTotal },
    ]);
  });

  test("is saved from its checkpoint and what is behind that", async () => {
    await build({ checkpoints: [2] });
    const found = await salvaged();
    const [first, ...others] = found.files;
    expect(first).toEqual({ file: checkpoint(1), kind: "checkpoint", saved: 2, lost: [] });
    expect(others).toEqual([whole(1, 1), whole(2, 2), whole(3, 1)]);
    expect([keysOf(found), found.sink.version]).toEqual(["k1 k2 k3 k4 k5 k6", 6]);
  });

  test("is asked before each segment, and each thousand entries, whether to go on", async () => {
    await build({ checkpoints: [2] });
    const asked = async (after: number): Promise<number> => {
      const runtime = storage.restart();
      let count = 0;
      const check = (): void => {
        if (++count > after) throw new Error("stopped");
      };
      const context = {
        runtime,
        layout: layoutOf(runtime.fileSystem, ROOT),
        progress: () => undefined,
        check,
      };
      await salvage(context).catch((error: Error) => expect(error.message).toBe("stopped"));
      return count;
    };
    expect([await asked(10), await asked(0), await asked(2)]).toEqual([3, 1, 3]);
    begin();
    const store = await MiniStore.open(storage.runtime, LARGE);
    for (let i = 0; i < 2050; i++) store.put(`k${i}`, "x");
    await store.save("last", "x");
    await store.checkpoint();
    await store.close();
    // Two times for each of two readings of the checkpoint, and once for the segment.
    expect(await asked(10)).toBe(5);
  });

  test("is read from the version of its checkpoint on", async () => {
    await build({ segments: [3, 2], checkpoints: [3] });
    const found = await salvaged();
    expect(found.files.map(({ saved }) => saved)).toEqual([3, 0, 2]);
    expect(found.usedVersion).toBe(5);
  });
});

describe("the manifest", () => {
  test("is missed, and what it says taken from elsewhere", async () => {
    const { directory } = await build({ checkpoints: [2] });
    const { storeId } = directory.recovered;
    await remove("MANIFEST");
    const lost = [{ offset: 0, bytes: 0, what: MISSING }];
    const found = await salvaged();
    expect(found.files[0]).toEqual({ file: "MANIFEST", kind: "manifest", saved: 0, lost });
    expect(found).toMatchObject({ storeId, hadPeers: false, usedVersion: 6 });
    expect(keysOf(found)).toBe("k1 k2 k3 k4 k5 k6");
    await remove(checkpoint(1));
    const second = await salvaged();
    // Whether there were peers nobody knows: the deletions that such a store keeps do no harm.
    expect(second).toMatchObject({ storeId, hadPeers: true, usedVersion: 6 });
    await remove(segment(1), segment(2), segment(3));
    const third = await salvaged();
    expect(third.storeId).toMatch(/^[0-9a-f]{32}$/);
    expect(third.storeId).not.toBe(storeId);
    expect([third.usedVersion, third.files.length, third.compressed]).toEqual([0, 1, false]);
  });

  test("is lost with both its slots, whatever its length", async () => {
    await build();
    await damage("MANIFEST", (bytes) => {
      bytes[100] ^= 1;
      bytes[4196] ^= 1;
    });
    const lost = [{ offset: 0, bytes: 8192, what: "both slots" }];
    const { files } = await salvaged();
    expect(files[0]).toEqual({ file: "MANIFEST", kind: "manifest", saved: 0, lost });
    await put("MANIFEST", new Uint8Array(5));
    expect((await salvaged()).files[0].lost[0].bytes).toBe(5);
  });

  test("of another format, or one that cannot be read, is the end of it", async () => {
    await build();
    storage.disk.faults.add({ operations: ["read"], path: "MANIFEST", code: "EIO", nth: 1 });
    await expect(salvaged()).rejects.toMatchObject({ code: "IO_ERROR" });
    await damage("MANIFEST", (bytes) => {
      for (const at of [0, SLOT_BYTES]) {
        writeU32(bytes, at + 8, 2);
        writeU32(bytes, at + SLOT_BYTES - 4, crc32(bytes, at, at + SLOT_BYTES - 4, 0));
      }
    });
    await expect(salvaged()).rejects.toMatchObject({ code: "FORMAT_NEWER" });
  });

  test("tells of numbers that were given out, unless no store reaches them", async () => {
    await build({ checkpoints: [2] });
    await restate((manifest) => ({ ...manifest, version: 1000, hadPeers: true }));
    expect(await salvaged()).toMatchObject({ usedVersion: 1000, hadPeers: true });
    await restate((manifest) => ({ ...manifest, version: ADOPTED_NUMBERS_MAX }));
    expect((await salvaged()).usedVersion).toBe(ADOPTED_NUMBERS_MAX);
    await restate((manifest) => ({ ...manifest, version: ADOPTED_NUMBERS_MAX + 1 }));
    expect((await salvaged()).usedVersion).toBe(6);
  });
});

describe("segments", () => {
  test("that are missing are told of, those before the first are not", async () => {
    await build({ segments: [1, 1, 1, 1] });
    await remove(segment(2));
    const lost = [{ offset: 0, bytes: 0, what: MISSING }];
    const gap = (number: number): RepairedFile => ({
      file: segment(number),
      kind: "segment",
      saved: 0,
      lost,
    });
    expect((await salvaged()).files).toEqual([gap(2), whole(1, 1), whole(3, 1), whole(4, 1)]);
    await remove(segment(1));
    // Nothing but the manifest knows of it.
    expect((await salvaged()).files).toEqual([gap(1), gap(2), whole(3, 1), whole(4, 1)]);
    await damage("MANIFEST", (bytes) => bytes.fill(0));
    expect((await salvaged()).files.slice(1)).toEqual([whole(3, 1), whole(4, 1)]);
    await remove(segment(3));
    expect((await salvaged()).files.slice(1)).toEqual([whole(4, 1)]);
  });

  test("that ended too early miss what was synced, and the versions if the manifest knows them", async () => {
    await build({ segments: [2, 2] });
    const [, one, two] = endsOf(segment(1));
    const [, end, last] = endsOf(segment(2));
    const cut = (name: string, length: number): Promise<void> => put(name, bytesOf(name).slice(0, length));
    await cut(segment(2), last - 1);
    const record = last - end;
    const synced = "bytes that were synced";
    expect((await salvaged()).files[1].lost).toEqual([
      { offset: end, bytes: record, what: synced, versions: { from: 4, to: 4 } },
    ]);
    await restate((manifest) => ({ ...manifest, clean: false }));
    expect((await salvaged()).files[1].lost).toEqual([
      { offset: end, bytes: record, what: synced, versions: { from: 4, to: 4 } },
    ]);
    await restate((manifest) => ({ ...manifest, synced: { ...manifest.synced, version: 3 } }));
    expect((await salvaged()).files[1].lost).toEqual([{ offset: end, bytes: record, what: synced }]);
    await restate((manifest) => ({ ...manifest, synced: { ...manifest.synced, position: end } }));
    expect((await salvaged()).files[1].lost).toEqual([]);
    await cut(segment(1), two - 1);
    expect((await salvaged()).files[0].lost).toMatchObject([{ bytes: two - one, what: synced }]);
    expect((await salvaged()).files[0].lost[0].versions).toBeUndefined();
    await damage("MANIFEST", (bytes) => bytes.fill(0));
    // Then only the next segment tells where one ended.
    const { files } = await salvaged();
    expect(files.map(({ lost }) => lost.map(({ bytes }) => bytes))).toEqual([[8192], [two - one], []]);
  });

  test("are read up to where the next one, or an orderly close, says", async () => {
    await build({ segments: [2, 2] });
    const [one, two] = [1, 2].map((number) => endsOf(segment(number)));
    // Records as they would stand there, had the writer gone on: those of the other segment.
    const behind = bytesOf(segment(2)).slice(one[0], two[2]);
    await damage(segment(1), (bytes) => bytes.set(behind, one[2]));
    expect((await salvaged()).files).toEqual([whole(1, 2), whole(2, 2)]);
    const crc = readU32(bytesOf(segment(2)), two[1] - 4);
    const synced = { segment: 2, position: two[1], crc, version: 3 };
    await restate((manifest) => ({ ...manifest, synced }));
    expect((await salvaged()).files).toEqual([whole(1, 2), whole(2, 1)]);
    // What was synced is the end after an orderly close only, and of that segment only.
    await restate((manifest) => ({ ...manifest, clean: false }));
    expect((await salvaged()).files).toEqual([whole(1, 2), whole(2, 2)]);
    await restate((manifest) => ({ ...manifest, clean: true, synced: { ...synced, segment: 7 } }));
    expect((await salvaged()).files).toEqual([whole(1, 2), whole(2, 2)]);
  });

  test("of another store are told of, old ones and those of nobody knows which are not", async () => {
    await build({ segments: [1, 1, 1] });
    await restateHeader(segment(2), (bytes) => bytes.fill(0x77, 32, 48));
    const lost = [{ offset: 0, bytes: 0, what: "it belongs to another store" }];
    const found = await salvaged();
    expect(found.files).toContainEqual({ file: segment(2), kind: "segment", saved: 0, lost });
    expect(keysOf(found)).toBe("k1 k3");
    await restateHeader(segment(1), (bytes) => bytes.fill(0x77, 32, 48));
    await restate((manifest) => ({ ...manifest, firstSegment: 3 }));
    expect((await salvaged()).files).toEqual([whole(3, 1)]);
    await damage("MANIFEST", (bytes) => bytes.fill(0));
    expect(keysOf(await salvaged())).toBe("k1 k2 k3");
  });

  test("that were renamed are put in order by what they say of themselves", async () => {
    await build({ segments: [1, 1, 1] });
    const [one, two] = [bytesOf(segment(1)), bytesOf(segment(2))];
    await put(segment(2), one);
    await put(segment(1), two);
    const found = await salvaged();
    expect(found.files).toEqual([
      { ...whole(1, 1), file: segment(2) },
      { ...whole(2, 1), file: segment(1) },
      whole(3, 1),
    ]);
    expect(keysOf(found)).toBe("k1 k2 k3");
  });

  test("with a header that is wrong count by their names, where others know those", async () => {
    await build({ segments: [1, 1, 1] });
    for (const number of [1, 3]) {
      const bytes = bytesOf(segment(number));
      await restateHeader(segment(number), (header) => writeU64(header, 16, 9));
      const { files } = await salvaged();
      expect(files, `segment ${number}`).toEqual([whole(1, 1), whole(2, 1), whole(3, 1)]);
      await put(segment(number), bytes);
    }
    await damage(segment(2), (bytes) => {
      bytes[20] ^= 1;
    });
    const found = await salvaged();
    expect(found.files.map(({ file, saved }) => [file, saved])).toEqual([
      [segment(1), 1],
      [segment(2), 1],
      [segment(3), 1],
    ]);
    expect(keysOf(found)).toBe("k1 k2 k3");
  });

  test("that cannot be read, or of a later format, are the end of it", async () => {
    await build();
    for (const nth of [1, 2]) {
      const path = segment(2);
      const restored = storage.disk.faults.add({ operations: ["read"], path, code: "EIO", nth });
      await expect(salvaged()).rejects.toMatchObject({ code: "IO_ERROR" });
      restored();
    }
    await restateHeader(segment(2), (bytes) => writeU32(bytes, 8, 2));
    await expect(salvaged()).rejects.toMatchObject({ code: "FORMAT_NEWER" });
  });

  test("that stand there twice count once, and the report says so", async () => {
    await build({ segments: [1, 2, 1] });
    await put(segment(9), bytesOf(segment(2)));
    const found = await salvaged();
    const copies = found.files.filter(({ lost }) => lost.length > 0);
    const what = "2 commits of versions that commits before them have as well";
    expect(copies).toEqual([
      { file: segment(9), kind: "segment", saved: expect.any(Number), lost: [{ offset: 0, bytes: 0, what }] },
    ]);
    expect([keysOf(found), found.sink.version]).toEqual(["k1 k2 k3 k4", 4]);
  });

  test("beside files that are none", async () => {
    await build({ segments: [1] });
    for (const name of [
      "log/notes",
      "log/000000000009.log.tmp",
      "checkpoint/notes",
      "checkpoint/000000000009.tmp",
    ]) {
      await put(name, Uint8Array.of(1));
    }
    expect((await salvaged()).files).toEqual([whole(1, 1)]);
  });

  test("are none where their directory is a file", async () => {
    await build({ segments: [1] });
    await remove(segment(1));
    const { fileSystem } = storage.restart();
    await fileSystem.rename(`${ROOT}/log`, "/elsewhere");
    expect((await salvaged()).files).toMatchObject([{ file: segment(1), lost: [{ what: MISSING }] }]);
    await put("log", Uint8Array.of(1));
    expect((await salvaged()).files).toMatchObject([{ file: segment(1), lost: [{ what: MISSING }] }]);
  });
});
