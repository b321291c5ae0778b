import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { repairDirectory } from "../../src/durability/repair.js";
import { restoreBackup } from "../../src/durability/restore.js";
import type { SimulatedStorage, StorageOptions } from "../../src/testing/simulated/index.js";
import { SystemError } from "../../src/testing/simulated/system-error.js";
import { CONTENTS, olderFormats, writeOld } from "./format-zero.js";
import { edit, filesOf, MiniStore, machine, ROOT } from "./harness.js";
import { BACKUP, backUp, originOf } from "./unit/backups.js";

/** None of its three names is there before. */
const PATH = "/srv/app/data";
const SAVED = new Map([["a", "1"]]);
const PROFILES = ["posix-strict", "ext4-like"] as const;

/** Fails the nth sync in a way that the system forgets what it did not write; false once there are no more. */
async function failing(
  storage: SimulatedStorage,
  nth: number,
  work: () => Promise<unknown>,
): Promise<boolean> {
  let syncs = 0;
  storage.disk.onOperation = ({ kind }, phase) => {
    if (phase === "before" && (kind === "sync" || kind === "syncDirectory")) syncs++;
  };
  const remove = storage.disk.faults.add({ operations: ["sync", "syncDirectory"], nth, code: "EIO" });
  const outcome = await work().then(
    () => "done",
    (error: { code: string }) => error.code,
  );
  remove();
  storage.disk.onOperation = undefined;
  if (syncs < nth) expect(outcome).toBe("done");
  return syncs >= nth;
}

/** Runs a work once for each of its syncs, which fails, on a machine of its own; returns how many there were. */
async function eachSync(
  profile: StorageOptions["profile"],
  run: (storage: SimulatedStorage, nth: number) => Promise<boolean>,
): Promise<number> {
  let nth = 1;
  while (await run(machine({ profile, seed: nth }), nth)) nth++;
  return nth - 1;
}

async function contentsAfterPowerCut(storage: SimulatedStorage, path: string): Promise<Map<string, string>> {
  storage.powerCut();
  const store = await MiniStore.open(storage.restart(), {}, path);
  const contents = store.contents();
  await store.close();
  return contents;
}

/** A store with one damaged commit, and the bytes of its log. */
async function damaged(storage: SimulatedStorage): Promise<Uint8Array> {
  const store = await MiniStore.open(storage.runtime);
  await store.save("a", "1");
  await store.save("b", "damaged");
  await store.close();
  const [log] = filesOf(storage, ".log")[0];
  await edit(storage, log, (bytes) => {
    bytes[Buffer.from(bytes).indexOf("damaged")] ^= 1;
    return bytes;
  });
  return filesOf(storage, log)[0][1];
}

function repair(storage: SimulatedStorage): ReturnType<typeof repairDirectory> {
  const context = { runtime: storage.restart(), stopped: () => false, progress: () => undefined };
  return repairDirectory({ ...context, dryRun: false }, ROOT);
}

describe.each(PROFILES)("a sync that failed once and is forgotten (%s)", (profile) => {
  test("of a first open takes nothing of what the next one acknowledges", async () => {
    const failed = await eachSync(profile, async (storage, nth) => {
      const open = (): Promise<MiniStore> => MiniStore.open(storage.restart(), {}, PATH);
      const isOne = await failing(storage, nth, async () => (await open()).close());
      const store = await open();
      await store.save("a", "1");
      expect(await contentsAfterPowerCut(storage, PATH), `sync ${nth}`).toEqual(SAVED);
      return isOne;
    });
    expect(failed).toBeGreaterThanOrEqual(9);
  });

  test("of a restore takes nothing of what the next one restores", async () => {
    const failed = await eachSync(profile, async (storage, nth) => {
      await backUp(originOf(storage.runtime, [{ key: "a", value: "1" }]));
      const restore = (): Promise<unknown> => {
        const context = { runtime: storage.restart(), stopped: () => false, progress: () => undefined };
        return restoreBackup(context, BACKUP, PATH);
      };
      const isOne = await failing(storage, nth, restore);
      await restore().catch((error: { code: string }) => expect(error.code).toBe("ALREADY_EXISTS"));
      // As an open finds it, which is what acknowledges.
      const store = await MiniStore.open(storage.restart(), {}, PATH);
      await store.save("b", "2");
      const both = new Map([...SAVED, ["b", "2"]]);
      expect(await contentsAfterPowerCut(storage, PATH), `sync ${nth}`).toEqual(both);
      return isOne;
    });
    expect(failed).toBeGreaterThanOrEqual(12);
  });

  test("of an upgrade takes nothing of what the next open acknowledges", async () => {
    const failed = await eachSync(profile, async (storage, nth) => {
      await writeOld(storage);
      const open = (): Promise<MiniStore> => MiniStore.open(storage.restart(), { olderFormats });
      const isOne = await failing(storage, nth, async () => (await open()).close());
      const store = await open();
      await store.save("new", "2");
      const both = new Map([...CONTENTS, ["new", "2"]]);
      expect(await contentsAfterPowerCut(storage, ROOT), `sync ${nth}`).toEqual(both);
      return isOne;
    });
    expect(failed).toBeGreaterThanOrEqual(10);
  });

  test("of a repair takes nothing of what the next one repairs and keeps", async () => {
    const failed = await eachSync(profile, async (storage, nth) => {
      const old = await damaged(storage);
      const isOne = await failing(storage, nth, () => repair(storage));
      await repair(storage);
      expect(await contentsAfterPowerCut(storage, ROOT), `sync ${nth}`).toEqual(SAVED);
      const kept = filesOf(storage, `${ROOT}/damaged-1/log/`).map(([, bytes]) => Buffer.compare(bytes, old));
      expect(kept, `sync ${nth}`).toEqual([0]);
      return isOne;
    });
    expect(failed).toBeGreaterThanOrEqual(15);
  });
});

describe("an attempt that failed leaves no directory that it made", () => {
  test("when a store is opened first, or restored", async () => {
    const attempts = [
      (storage: SimulatedStorage) => MiniStore.open(storage.restart(), {}, PATH),
      (storage: SimulatedStorage) => {
        const context = { runtime: storage.restart(), stopped: () => false, progress: () => undefined };
        return restoreBackup(context, BACKUP, PATH);
      },
    ];
    for (const attempt of attempts) {
      const failed = await eachSync("posix-strict", async (storage, nth) => {
        await backUp(originOf(storage.runtime, [{ key: "a", value: "1" }]));
        const isOne = await failing(storage, nth, () => attempt(storage));
        const left = await storage.restart().fileSystem.isNamed("/srv");
        // Once the new store has its manifest there is something to keep.
        const [manifest] = filesOf(storage, `${PATH}/MANIFEST`);
        expect(left, `sync ${nth}`).toBe(manifest !== undefined);
        return isOne;
      });
      expect(failed).toBeGreaterThanOrEqual(9);
    }
  });

  test("on a real disk, where the lock leaves a file", async () => {
    const parent = await mkdtemp(join(tmpdir(), "fulmar-failed-"));
    try {
      const runtime = nodeRuntime();
      const { fileSystem } = runtime;
      const failing = {
        ...fileSystem,
        syncDirectory: () => Promise.reject(new SystemError("EIO", "fsync", "")),
      };
      const opened = MiniStore.open({ ...runtime, fileSystem: failing }, {}, join(parent, "app/data"));
      await expect(opened).rejects.toMatchObject({ code: "IO_ERROR" });
      expect(await readdir(parent)).toEqual([]);
      const store = await MiniStore.open(runtime, {}, join(parent, "app/data"));
      await store.close();
    } finally {
      await rm(parent, { recursive: true });
    }
  });

  test("nor takes one that was there", async () => {
    const storage = machine();
    await storage.runtime.fileSystem.makeDirectory("/srv/app");
    storage.disk.faults.add({ operations: ["syncDirectory"], nth: 5, code: "EIO" });
    await expect(MiniStore.open(storage.restart(), {}, PATH)).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(await storage.restart().fileSystem.list("/srv/app")).toEqual([]);
    await storage.runtime.fileSystem.makeDirectory(`${PATH}/log`);
    storage.disk.faults.add({ operations: ["syncDirectory"], nth: 5, code: "EIO" });
    await expect(MiniStore.open(storage.restart(), {}, PATH)).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(await storage.restart().fileSystem.list(PATH)).toEqual(["log"]);
  });

  test("nor the log of a manifest that it cannot take back", async () => {
    const storage = machine();
    storage.disk.onOperation = ({ kind }, phase) => {
      if (kind !== "rename" || phase !== "after") return;
      storage.disk.faults.add({ operations: ["syncDirectory"], path: /data$/, nth: 2, code: "EIO" });
    };
    storage.disk.faults.add({ operations: ["remove"], path: "MANIFEST", code: "EIO", times: 9 });
    await expect(MiniStore.open(storage.restart(), {}, PATH)).rejects.toMatchObject({ code: "IO_ERROR" });
    storage.disk.faults.clear();
    storage.disk.onOperation = undefined;
    expect(filesOf(storage, `${PATH}/MANIFEST`)).toHaveLength(1);
    const store = await MiniStore.open(storage.restart(), {}, PATH);
    await store.save("a", "1");
    expect(await contentsAfterPowerCut(storage, PATH)).toEqual(SAVED);
  });

  test("nor what the mark of a repair leads to, which it cannot take back", async () => {
    const storage = machine();
    await damaged(storage);
    storage.disk.onOperation = ({ kind, path }, phase) => {
      if (kind !== "rename" || phase !== "after" || !path.endsWith("REPAIRING")) return;
      storage.disk.faults.add({ operations: ["syncDirectory"], code: "EIO" });
    };
    storage.disk.faults.add({ operations: ["remove"], path: "REPAIRING", code: "EIO", times: 9 });
    await expect(repair(storage)).rejects.toMatchObject({ code: "IO_ERROR" });
    storage.disk.faults.clear();
    storage.disk.onOperation = undefined;
    expect(filesOf(storage, `${ROOT}/REPAIRING`)).toHaveLength(1);
    expect((await repair(storage)).repaired).toBe(true);
    expect(await contentsAfterPowerCut(storage, ROOT)).toEqual(SAVED);
  });
});
