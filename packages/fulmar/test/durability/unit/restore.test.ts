import { beforeEach, describe, expect, test } from "vitest";
import type { FulmarError } from "../../../src/base/errors.js";
import { NUMBERS_SKIPPED } from "../../../src/base/limits.js";
import type { CareProgress, RestoreSummary } from "../../../src/durability/care-types.js";
import { readCheckpointHeader } from "../../../src/durability/checkpoint-format.js";
import { type RestoreContext, restoreBackup } from "../../../src/durability/restore.js";
import { verifyDirectory } from "../../../src/durability/verify.js";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { LATEST, NONE } from "../../../src/memory/engine.js";
import { originOf as originNumberOf } from "../../../src/record/entry.js";
import type { SimulatedDisk, SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine } from "../harness.js";
import { BACKUP, backUp, FOREIGN, type Origin, originOf, STORE_ID, WRITER } from "./backups.js";

const TARGET = "/target";
const ITEMS = [{ key: "a", value: "1" }, { key: "b", value: "2" }, { key: "b" }, { key: "c", value: "3" }];
const CONTENTS = new Map([
  ["a", "1"],
  ["c", "3"],
]);
const FOREIGN_COVERAGE = { upTo: 9, holes: [{ from: 3, to: 4 }] };

let storage: SimulatedStorage;

beforeEach(() => {
  storage = machine();
});

async function backedUp(options: Parameters<typeof originOf>[2] = {}): Promise<Origin> {
  const origin = originOf(storage.runtime, ITEMS, options);
  await backUp(origin);
  return origin;
}

function restored(context: Partial<RestoreContext> = {}, target = TARGET): Promise<RestoreSummary> {
  const { runtime = storage.restart(), stopped = () => false, progress = () => undefined } = context;
  return restoreBackup({ runtime, stopped, progress }, BACKUP, target);
}

const opened = (): Promise<MiniStore> => MiniStore.open(storage.restart(), {}, TARGET);

async function create(path: string): Promise<void> {
  const { fileSystem } = storage.restart();
  await fileSystem.makeDirectory(fileSystem.parent(path));
  await (await fileSystem.open(path, "create")).close();
}

const names = (): string[] =>
  filesOf(storage, `${TARGET}/`)
    .map(([path]) => path.slice(TARGET.length + 1))
    .filter((name) => !name.startsWith("LOCK"));

describe("what is restored", () => {
  test("of a store that never had peers is the new store's own, with numbers that were never given out", async () => {
    await backedUp();
    const made = await restored();
    const { incarnation } = made;
    expect(made).toEqual({ directory: TARGET, storeId: STORE_ID, incarnation, version: 4, entries: 2 });
    expect(incarnation).not.toBe(WRITER);
    expect(names()).toEqual(["MANIFEST", "checkpoint/000000000001", "log/000000000001.log"]);
    expect(await verifyDirectory(storage.restart(), TARGET)).toMatchObject({ ok: true, findings: [] });
    const store = await opened();
    const { version, seq, hlc, hadPeers, clean, coverage, storeId } = store.directory.recovered;
    expect({ version, seq, hlc, hadPeers, clean, storeId }).toEqual({
      version: 4 + NUMBERS_SKIPPED,
      seq: 11,
      hlc: 99,
      hadPeers: false,
      clean: true,
      storeId: STORE_ID,
    });
    expect(store.directory.recovered.incarnation).toBe(incarnation);
    expect([...coverage.origins()]).toEqual([[incarnation, { upTo: 11, holes: [] }]]);
    expect([store.origins.size, store.origins.id(1)]).toEqual([1, incarnation]);
    expect(store.contents()).toEqual(CONTENTS);
    expect(store.engine.usage().tombstones).toBe(0);
    await store.close();
  });

  test.each([
    ["that had peers", true, [WRITER]],
    ["that had peers, with commits of others", true, [WRITER, FOREIGN]],
    ["that knows of another writer, though it had no peers", false, [WRITER, FOREIGN]],
  ])("of a store %s stays who wrote it's", async (_, hadPeers, ids) => {
    await backedUp({ hadPeers, ids });
    const { incarnation, entries } = await restored();
    expect(entries).toBe(hadPeers ? 3 : 2);
    const store = await opened();
    const { seq, hadPeers: has, coverage, version } = store.directory.recovered;
    expect({ seq, has, version }).toEqual({ seq: 0, has: true, version: 4 + NUMBERS_SKIPPED });
    const claimed = new Map(coverage.origins());
    const foreign: [string, unknown][] = ids.slice(1).map((id) => [id, FOREIGN_COVERAGE]);
    expect(claimed).toEqual(new Map<string, unknown>([[WRITER, { upTo: 11, holes: [] }], ...foreign]));
    expect(store.origins.id(1)).toBe(incarnation);
    expect([...Array(store.origins.size).keys()].map((i) => store.origins.id(i + 1)).sort()).toEqual(
      [incarnation, ...ids].sort(),
    );
    expect(store.contents()).toEqual(CONTENTS);
    expect(store.engine.usage().tombstones).toBe(hadPeers ? 1 : 0);
    await store.close();
  });

  test("keeps the writer of each entry, in whichever order their commits are told of", async () => {
    const third = "d4".repeat(16);
    const items = [
      { key: "a", value: "1", origin: 3 },
      { key: "b", value: "2", origin: 2 },
      { key: "c", value: "3", origin: 4 },
    ];
    const ids = [WRITER, FOREIGN, third, "e5".repeat(16)];
    await backUp(originOf(storage.runtime, items, { hadPeers: true, ids, covered: [third, FOREIGN] }));
    await restored();
    const { engine, origins, directory } = await opened();
    const writers: string[] = [];
    const cursor = engine.scan(ALL_KEYS, LATEST, false);
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      writers.push(origins.id(originNumberOf(engine.slab(ref), engine.offset(ref))));
    }
    expect(writers).toEqual([third, FOREIGN, ids[3]]);
    expect(directory.recovered.hadPeers).toBe(true);
    storage.kill();
  });

  test.each([true, false])("is compressed as the backup is: %s", async (compressed) => {
    await backedUp({ compressed });
    await restored();
    const [[, bytes]] = filesOf(storage, `${TARGET}/checkpoint/`);
    expect(readCheckpointHeader(storage.runtime.checksum, bytes)).toMatchObject({
      compressed,
      isBackup: false,
    });
  });

  test("is told of while it is read and then written", async () => {
    await backedUp();
    const told: CareProgress[] = [];
    await restored({ progress: (progress) => told.push(progress) });
    const phases = told.map(({ phase }) => phase);
    expect(phases).toEqual([...phases].sort());
    for (const phase of ["read", "write"]) {
      expect(told.findLast((each) => each.phase === phase)).toMatchObject({ entries: 2 });
    }
    for (const { bytes, bytesTotal } of told) {
      expect(bytes).toBeGreaterThan(0);
      expect(bytesTotal).toBeGreaterThanOrEqual(bytes);
    }
  });

  test("is written in an order that a crash may interrupt anywhere", async () => {
    await backedUp();
    await create(`${TARGET}/RESTORING`);
    for (const name of ["MANIFEST.tmp", "log/000000000001.log", "checkpoint/000000000009.tmp"]) {
      await create(`${TARGET}/${name}`);
    }
    const told = new Set(["create", "sync", "rename", "syncDirectory", "remove", "unlock"]);
    const calls: string[] = [];
    storage.disk.onOperation = ({ kind, path }, phase) => {
      if (phase !== "before" || !told.has(kind) || path.includes("LOCK")) return;
      calls.push(`${kind} ${path}`.replace(`${TARGET}/`, ""));
    };
    await restored();
    const [checkpoint, log] = ["checkpoint/000000000001", "log/000000000001.log"];
    const made = (path: string): string[] => [`create ${path}.tmp`, `sync ${path}.tmp`];
    const directories = ["syncDirectory log", "syncDirectory checkpoint", "syncDirectory /target"];
    expect(calls).toEqual([
      "syncDirectory /",
      // Marked before anything of it is changed, and never without a mark.
      ...made("RESTORING"),
      "rename RESTORING",
      "syncDirectory /target",
      "remove MANIFEST.tmp",
      `remove ${log}`,
      "remove checkpoint/000000000009.tmp",
      ...made(checkpoint),
      ...made(log),
      ...made("MANIFEST"),
      ...directories,
      `rename ${checkpoint}`,
      "syncDirectory checkpoint",
      `rename ${log}`,
      "syncDirectory log",
      "rename MANIFEST",
      "syncDirectory /target",
      "remove RESTORING",
      "syncDirectory /target",
      ...(calls.at(-1)?.startsWith("unlock") === true ? [calls.at(-1)] : []),
    ]);
  });
});

describe("a restore", () => {
  test("makes the directory that is missing, or takes an empty one", async () => {
    await backedUp();
    await storage.runtime.fileSystem.makeDirectory(TARGET);
    await create(`${TARGET}/LOCK`);
    for (const part of ["log", "checkpoint"]) {
      await storage.runtime.fileSystem.makeDirectory(`${TARGET}/${part}`);
    }
    await restored();
    const { directory } = await restored({}, "/deep/within");
    expect(directory).toBe("/deep/within");
  });

  test.each([
    "MANIFEST",
    "thesis.txt",
    "log/000000000001.log",
    "log/notes",
    "checkpoint/000000000001",
    "checkpoint/notes.tmp",
  ])("refuses a directory with %s in it, without reading the backup", async (name) => {
    await backedUp();
    await create(`${TARGET}/${name}`);
    const before = names();
    storage.disk.faults.add({ operations: ["open"], path: BACKUP, code: "EIO" });
    const refused = { code: "ALREADY_EXISTS", details: { path: TARGET } };
    await expect(restored()).rejects.toMatchObject(refused);
    expect(names()).toEqual(before);
  });

  test.each(["thesis.txt", "MANIFEST", "log/notes", "checkpoint/notes.tmp"])(
    "refuses a directory with %s in it beside the mark of an earlier restore",
    async (name) => {
      await backedUp();
      for (const each of ["RESTORING", name]) await create(`${TARGET}/${each}`);
      await expect(restored()).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
      expect(names()).toEqual(["RESTORING", name].sort());
    },
  );

  test("looks again when it has read the backup", async () => {
    await backedUp();
    const stranger = `${TARGET}/thesis.txt`;
    let made: Promise<void> | undefined;
    const runtime = storage.restart();
    const write = async (): Promise<void> => {
      await runtime.fileSystem.makeDirectory(TARGET);
      await (await runtime.fileSystem.open(stranger, "create")).close();
    };
    const progress = (): void => {
      made ??= write();
    };
    await expect(restored({ runtime, progress })).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    await made;
    expect(names()).toEqual(["thesis.txt"]);
    // And lets go of it.
    await (await runtime.fileSystem.lock(TARGET)).release();
  });

  test("needs a directory, or a place for one", async () => {
    await backedUp();
    await create("/file");
    const error = await restored({}, "/file").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "PATH_UNUSABLE" });
    expect((error as FulmarError).details).toEqual({ path: "/file" });
  });

  test("of a damaged backup leaves nothing", async () => {
    await backedUp();
    storage.disk.rot(BACKUP, { bits: [8 * (filesOf(storage, BACKUP)[0][1].length - 60)] });
    await expect(restored()).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await storage.runtime.fileSystem.status(TARGET)).toBeUndefined();
  });

  test("that is stopped is no store, and is begun again by the next", async () => {
    await backedUp();
    let refused = 0;
    for (let calls = 0; ; calls++) {
      let left = calls;
      const outcome = await restored({ stopped: () => --left < 0 }).catch(
        (error: { code: string }) => error.code,
      );
      if (typeof outcome !== "string") break;
      refused++;
      expect(outcome).toBe("CLOSED");
      // While it is read nothing is made at all.
      if (calls < 2) expect(await storage.runtime.fileSystem.status(TARGET)).toBeUndefined();
      expect(names()).toEqual([]);
    }
    expect(refused).toBeGreaterThanOrEqual(3);
    const store = await opened();
    expect(store.contents()).toEqual(CONTENTS);
    await store.close();
  });

  test("that found the disk full leaves a place for another one when the power fails then", async () => {
    await backedUp();
    await storage.runtime.fileSystem.syncDirectory("/");
    await storage.runtime.fileSystem.syncDirectory("/backups");
    await storage.runtime.fileSystem.makeDirectory(TARGET);
    storage.disk.faults.add({ operations: ["create"], path: "MANIFEST.tmp", code: "ENOSPC" });
    const images: SimulatedDisk[] = [];
    storage.disk.onOperation = ({ mutates, kind, path }, phase) => {
      if (phase !== "after" || !mutates) return;
      if (kind === "remove" && path.endsWith("RESTORING")) images.push(...storage.disk.durableImages());
    };
    await expect(restored()).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(images.length).toBeGreaterThan(1);
    for (const disk of images) {
      storage = machine({ disk });
      expect((await restored()).entries).toBe(2);
    }
  });

  test("that found the disk full leaves a place for another store", async () => {
    await backedUp();
    let refused = 0;
    for (let nth = 2; ; nth++) {
      const remove = storage.disk.faults.add({ operations: ["create", "write"], nth, code: "ENOSPC" });
      const outcome = await restored().catch((error: { code: string }) => error.code);
      remove();
      if (typeof outcome !== "string") break;
      expect(outcome).toBe("DISK_FULL");
      if (names().length > 0) continue;
      refused++;
      const disk = storage.disk.fork();
      const store = await MiniStore.open(machine({ disk }).runtime, {}, TARGET);
      expect(store.contents().size).toBe(0);
      await store.close();
    }
    expect(refused).toBeGreaterThanOrEqual(6);
  });

  test.each(["checkpoint", "log"])(
    "that could not remove what it had written to %s keeps its mark, by which the next one goes on",
    async (part) => {
      await backedUp();
      const faults = [
        { operations: ["create"], path: "MANIFEST.tmp", code: "ENOSPC" },
        { operations: ["remove"], path: `/${part}/`, code: "EIO" },
      ] as const;
      for (const fault of faults) storage.disk.faults.add({ ...fault, times: Number.POSITIVE_INFINITY });
      await expect(restored()).rejects.toMatchObject({ code: "DISK_FULL" });
      expect(names()).toEqual(["RESTORING", expect.stringMatching(`^${part}/.*tmp$`)]);
      storage.disk.faults.clear();
      await restored();
      const store = await opened();
      expect(store.contents()).toEqual(CONTENTS);
      await store.close();
    },
  );

  test("that failed anywhere is no store, or a whole one that is none to restore into", async () => {
    await backedUp();
    const clean = storage;
    const outcomes = new Set<string>();
    for (let nth = 1; ; nth += 2) {
      storage = machine({ disk: clean.disk.fork() });
      const operations = ["rename", "remove", "syncDirectory", "sync", "makeDirectory", "create"] as const;
      const remove = storage.disk.faults.add({ operations, nth, code: "EIO" });
      const outcome = await restored().catch((error: { code: string }) => error.code);
      remove();
      if (typeof outcome !== "string") break;
      const again = await restored().catch((error: { code: string }) => error.code);
      outcomes.add(typeof again === "string" ? again : "restored");
      const store = await opened();
      expect(store.contents(), `call ${nth}`).toEqual(CONTENTS);
      await store.close();
    }
    expect([...outcomes].sort()).toEqual(["ALREADY_EXISTS", "restored"]);
  });
});
