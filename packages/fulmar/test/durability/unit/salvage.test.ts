import { beforeEach, describe, expect, test } from "vitest";
import { readU32, writeU32, writeU64 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { NUMBERS_MAX } from "../../../src/base/limits.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import type { CareProgress, RepairedFile } from "../../../src/durability/care-types.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import { layoutOf } from "../../../src/durability/layout.js";
import { encodeSlot, type Manifest, SLOT_BYTES } from "../../../src/durability/manifest.js";
import { type Salvaged, salvage } from "../../../src/durability/salvage.js";
import { SALVAGED_NUMBERS_MAX } from "../../../src/durability/salvage-versions.js";
import { createKeyring, type Encryption } from "../../../src/store/encryption.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { repairCheckpoint } from "../../fuzz/repair.js";
import { contents, edit, filesOf, MiniStore, machine, ROOT } from "../harness.js";
import { manifestIn } from "./manifests.js";

const LARGE = { segmentBytes: 4 * 1024 * 1024 };
/** A segment with less than a sixteenth of it used goes on at a checkpoint. */
const SMALL = { segmentBytes: 8192 };
const MISSING = "the file is missing";
const segment = (number: number): string => `log/${String(number).padStart(12, "0")}.log`;
const checkpoint = (number: number): string => `checkpoint/${String(number).padStart(12, "0")}`;
const whole = (number: number, saved: number): RepairedFile => ({
  file: segment(number),
  kind: "segment",
  saved,
  lost: [],
});

let storage: SimulatedStorage;

beforeEach(() => {
  storage = machine();
});

interface Plan {
  /** How many commits each segment holds. */
  readonly segments?: readonly number[];
  /** Behind which commits there is a checkpoint. */
  readonly checkpoints?: readonly number[];
  readonly killed?: boolean;
  readonly keys?: Encryption;
}

/** A store whose n-th commit sets the key kn, closed unless it is killed. */
async function build({
  segments = [3, 2, 1],
  checkpoints = [],
  killed = false,
  keys,
}: Plan = {}): Promise<MiniStore> {
  const { runtime } = storage;
  const store = await MiniStore.open(withKeyring(runtime, createKeyring(runtime, keys)), SMALL);
  for (const [i, count] of segments.entries()) {
    if (i > 0) await store.directory.startSegment();
    for (let left = count; left > 0; left--) {
      const isLast = left === 1 && i < segments.length - 1;
      await store.save(`k${store.version + 1}`, "x".repeat(isLast ? 600 : 1));
      if (checkpoints.includes(store.version)) await store.checkpoint();
    }
  }
  if (killed) storage.kill();
  else await store.close();
  return store;
}

async function salvaged(
  keys?: Encryption,
  progress: (told: CareProgress) => void = () => undefined,
): Promise<Salvaged> {
  const runtime = storage.restart();
  const before = storage.disk.fingerprint();
  const found = await salvage({
    runtime: withKeyring(runtime, createKeyring(runtime, keys)),
    layout: layoutOf(runtime.fileSystem, ROOT),
    progress,
    check: () => undefined,
  });
  expect(storage.disk.fingerprint()).toBe(before);
  return found;
}

const keysOf = ({ sink }: Salvaged): string => [...contents(sink.engine).keys()].sort().join(" ");
const bytesOf = (name: string): Uint8Array => {
  const found = filesOf(storage, `${ROOT}/${name}`)[0];
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found[1];
};
const damage = (name: string, change: (bytes: Uint8Array) => void): Promise<void> =>
  edit(storage, `${ROOT}/${name}`, (bytes) => {
    change(bytes);
    return bytes;
  });

async function put(name: string, bytes: Uint8Array): Promise<void> {
  const { fileSystem } = storage.restart();
  const path = `${ROOT}/${name}`;
  if ((await fileSystem.status(path)) !== undefined) await fileSystem.remove(path);
  const handle = await fileSystem.open(path, "create");
  await handle.write(bytes, 0);
  await handle.syncData();
  await handle.close();
  await fileSystem.syncDirectory(fileSystem.parent(path));
}

const remove = async (...names: string[]): Promise<void> => {
  for (const name of names) await storage.restart().fileSystem.remove(`${ROOT}/${name}`);
};

/** Makes the manifest say something else, with right checksums. */
async function restate(change: (manifest: Manifest) => Manifest): Promise<void> {
  const { manifest, generation } = manifestIn(bytesOf("MANIFEST"));
  const slot = encodeSlot(nodeChecksum, change(manifest), generation + 1);
  await damage("MANIFEST", (bytes) => {
    bytes.set(slot);
    bytes.set(slot, SLOT_BYTES);
  });
}

/** Changes the header of a segment, with a right checksum. */
const restateHeader = (name: string, change: (bytes: Uint8Array) => void): Promise<void> =>
  damage(name, (bytes) => {
    change(bytes);
    writeU32(bytes, 64, crc32(bytes, 0, 64, 0));
  });

/** Where each record of a segment ends. */
function endsOf(name: string): number[] {
  const bytes = bytesOf(name);
  const ends: number[] = [];
  for (let at = 68; at + 44 <= bytes.length && readU32(bytes, at + 4) !== 0; ends.push(at)) {
    at += 44 + readU32(bytes, at);
  }
  return ends;
}

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
    storage = machine();
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
    await restate((manifest) => ({ ...manifest, version: SALVAGED_NUMBERS_MAX }));
    expect((await salvaged()).usedVersion).toBe(SALVAGED_NUMBERS_MAX);
    await restate((manifest) => ({ ...manifest, version: SALVAGED_NUMBERS_MAX + 1 }));
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

describe("the checkpoint", () => {
  test("that is missing is told of, with what it held at most", async () => {
    await build({ checkpoints: [2, 4] });
    await remove(checkpoint(2));
    const { bytes } = manifestIn(bytesOf("MANIFEST")).manifest.checkpoint;
    const { files } = await salvaged();
    expect(files[0]).toEqual({
      file: checkpoint(2),
      kind: "checkpoint",
      saved: 0,
      lost: [
        {
          offset: 0,
          bytes,
          what: "the file is missing: what was written up to its version and not later",
          versions: { from: 1, to: 4 },
        },
      ],
    });
  });

  test("is replaced by the newest other one if it is missing", async () => {
    await build({ segments: [3, 2, 1], checkpoints: [2] });
    const older = bytesOf(checkpoint(1));
    await put(checkpoint(3), older);
    await put(checkpoint(2), older.slice(0, 50));
    const found = await salvaged();
    expect(found.files.map(({ file }) => file)).toContain(checkpoint(1));
    await remove(checkpoint(1));
    const { files } = await salvaged();
    expect(files.filter(({ kind }) => kind === "checkpoint").map(({ file, saved }) => [file, saved])).toEqual(
      [
        [checkpoint(1), 0],
        [checkpoint(3), 2],
      ],
    );
  });

  test("is none where the manifest names none and the log has its beginning", async () => {
    await build({ checkpoints: [2] });
    await restate((manifest) => ({
      ...manifest,
      checkpoint: { number: 0, version: 0, bytes: 0, crc: 0 },
    }));
    const files = async (): Promise<string[]> => (await salvaged()).files.map(({ file }) => file);
    expect(await files()).not.toContain(checkpoint(1));
    expect(keysOf(await salvaged())).toBe("k1 k2 k3 k4 k5 k6");
    // Without its beginning there must have been one.
    await remove(segment(1));
    expect(await files()).toContain(checkpoint(1));
  });

  test("of which blocks are lost is completed from the log as far as that goes", async () => {
    await build({ checkpoints: [2] });
    await damage(checkpoint(1), (bytes) => {
      bytes[bytes.length - 60] ^= 1;
    });
    const found = await salvaged();
    expect(found.files[0]).toMatchObject({
      file: checkpoint(1),
      saved: 0,
      lost: [{ what: "block 0 of 2 entries" }],
    });
    expect(found.files.slice(1)).toEqual([whole(1, 1), whole(2, 2), whole(3, 1)]);
    expect([keysOf(found), found.sink.version]).toEqual(["k1 k2 k3 k4 k5 k6", 6]);
  });

  test("tells which version it is of, the manifest another, the lower of those that can be", async () => {
    await build({ checkpoints: [3], segments: [5] });
    const header = (version: number): Promise<void> =>
      damage(checkpoint(1), (bytes) => {
        writeU64(bytes, 64, version);
        repairCheckpoint(bytes);
      });
    const stated = (version: number): Promise<void> =>
      restate((manifest) => ({ ...manifest, checkpoint: { ...manifest.checkpoint, version } }));
    const told = async (): Promise<unknown> => {
      const { files, sink } = await salvaged();
      const lost = files[0].lost.map(({ offset, bytes, what }) => [
        offset,
        bytes,
        what.match(/\d+/g)?.join(" "),
      ]);
      return [files[0].saved, lost, files[1].saved, sink.version];
    };
    expect(await told()).toEqual([3, [], 2, 5]);
    await stated(4);
    expect(await told()).toEqual([3, [], 2, 5]);
    // Lower than an entry in it: that cannot be.
    await stated(2);
    expect(await told()).toEqual([3, [], 2, 5]);
    await stated(NUMBERS_MAX);
    expect(await told()).toEqual([3, [], 2, 5]);
    await stated(4);
    await header(1000);
    expect(await told()).toEqual([3, [[64, 8, "1000 4"]], 1, 5]);
    await stated(2);
    expect(await told()).toEqual([3, [], 0, 1000]);
    await header(2);
    // Where they agree they are believed.
    expect(await told()).toEqual([3, [], 3, 5]);
    await stated(1);
    expect(await told()).toEqual([3, [[64, 8, "2 3"]], 2, 5]);
    await header(NUMBERS_MAX);
    await stated(NUMBERS_MAX);
    expect(await told()).toEqual([3, [[64, 8, `${NUMBERS_MAX} 3`]], 2, 5]);
  });
});

describe("sealed files", () => {
  const keyed = (name: string): Encryption => ({
    current: name,
    getKey: (id: string) => new Uint8Array(32).fill(id.charCodeAt(0)),
  });

  test("tell which key the newest file has that tells", async () => {
    await build({ keys: keyed("z"), checkpoints: [2], segments: [2, 1] });
    expect((await salvaged(keyed("b"))).keyId).toBe("z");
    const runtime = storage.restart();
    const keyring = createKeyring(runtime, keyed("b"));
    const store = await MiniStore.open(withKeyring(runtime, keyring), SMALL);
    await store.directory.startSegment();
    await store.save("later", "x");
    await store.close();
    expect((await salvaged(keyed("q"))).keyId).toBe("b");
    for (const [path] of filesOf(storage, ".log")) await remove(path.slice(ROOT.length + 1));
    expect((await salvaged(keyed("q"))).keyId).toBe("z");
  });
});
