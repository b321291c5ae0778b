import { describe, expect, test } from "vitest";
import { repairDirectory } from "../../src/durability/repair.js";
import { restoreBackup } from "../../src/durability/restore.js";
import type { SimulatedDisk, SimulatedStorage, StorageOptions } from "../../src/testing/simulated/index.js";
import { CONTENTS, olderFormats, writeOld } from "../durability/format-zero.js";
import { edit, filesOf, MiniStore, machine, machineOn, ROOT } from "../durability/harness.js";
import { BACKUP, backUp, originOf } from "../durability/unit/backups.js";

/** None of its three names is there before. */
const PATH = "/srv/app/data";
const PROFILES = ["posix-strict", "ext4-like"] as const;
const SAVED = new Map([["a", "1"]]);
/** In how many ways power is lost at each moment, by turns with a fixed seed and one that nobody has seen before. */
const CUTS = { sample: 1, full: 12, all: 100 }[process.env.FULMAR_CRASH ?? "sample"] ?? 1;
const FRESH = Number(process.env.FULMAR_SEED ?? Date.now());

/** What is begun, killed, and begun again. */
interface Work {
  /** {@link PATH} unless given. */
  readonly path?: string;
  readonly prepare: (storage: SimulatedStorage) => Promise<void>;
  readonly run: (storage: SimulatedStorage) => Promise<unknown>;
  /** What a store holds once the work is done. */
  readonly result: ReadonlyMap<string, string>;
  /** What the next attempt may say of one that came to its end. */
  readonly ended?: string;
}

const care = (storage: SimulatedStorage) => ({
  runtime: storage.restart(),
  stopped: () => false,
  progress: () => undefined,
});

const WORKS: Readonly<Record<string, Work>> = {
  "a first open": {
    prepare: async () => undefined,
    run: async (storage) => (await MiniStore.open(storage.restart(), {}, PATH)).close(),
    result: new Map(),
  },
  "a restore": {
    prepare: async (storage) => {
      await backUp(originOf(storage.runtime, [{ key: "a", value: "1" }]));
      await storage.runtime.fileSystem.syncDirectory("/");
    },
    run: (storage) => restoreBackup(care(storage), BACKUP, PATH),
    result: SAVED,
    ended: "ALREADY_EXISTS",
  },
  "a repair": {
    prepare: async (storage) => {
      const store = await MiniStore.open(storage.runtime, {}, PATH);
      await store.save("a", "1");
      await store.save("b", "damaged");
      await store.close();
      await edit(storage, filesOf(storage, ".log")[0][0], (bytes) => {
        bytes[Buffer.from(bytes).indexOf("damaged")] ^= 1;
        return bytes;
      });
    },
    run: (storage) => repairDirectory({ ...care(storage), dryRun: false }, PATH),
    result: SAVED,
  },
  "an upgrade": {
    path: ROOT,
    prepare: async (storage) => {
      await writeOld(storage);
    },
    run: async (storage) => (await MiniStore.open(storage.restart(), { olderFormats })).close(),
    result: CONTENTS,
  },
  "a recovery": {
    prepare: async (storage) => {
      const store = await MiniStore.open(storage.runtime, { segmentBytes: 1024 }, PATH);
      await store.save("a", "0".repeat(700));
      await store.checkpoint();
      await store.save("b", "0".repeat(700));
      await store.save("b", undefined);
      await store.save("a", "1");
      storage.kill();
    },
    run: async (storage) => (await MiniStore.open(storage.restart(), {}, PATH)).close(),
    result: SAVED,
  },
  "a checkpoint": {
    prepare: async (storage) => {
      const store = await MiniStore.open(storage.runtime, {}, PATH);
      await store.save("a", "1");
      await store.checkpoint();
      await store.save("b", "2");
      await store.save("b", undefined);
      await store.close();
    },
    run: async (storage) => {
      const store = await MiniStore.open(storage.restart(), {}, PATH);
      await store.checkpoint();
      await store.close();
    },
    result: SAVED,
  },
};

/** The disk before each change that `work` makes, with what is not synced yet, and at its end. */
async function moments(storage: SimulatedStorage, work: () => Promise<unknown>): Promise<SimulatedDisk[]> {
  const disks: SimulatedDisk[] = [];
  storage.disk.onOperation = ({ mutates }, phase) => {
    if (mutates && phase === "before") disks.push(storage.disk.fork());
  };
  await work();
  storage.disk.onOperation = undefined;
  return [...disks, storage.disk.fork()];
}

async function again(storage: SimulatedStorage, { run, ended }: Work): Promise<void> {
  await run(storage).catch((error: { code: string }) => {
    if (error.code !== ended) throw error;
  });
}

/** Ends the work, opens the store and writes to it. */
async function used(storage: SimulatedStorage, work: Work): Promise<void> {
  await again(storage, work);
  const store = await MiniStore.open(storage.restart(), {}, work.path ?? PATH);
  expect(store.contents()).toEqual(work.result);
  await store.save("new", "2");
}

/** Kills the work at each of its changes, goes on, and cuts the power at each change after that. */
async function cutEverywhere(profile: StorageOptions["profile"], work: Work): Promise<number> {
  const { path = PATH, result } = work;
  const storage = machine({ profile });
  await work.prepare(storage);
  let images = 0;
  for (const killed of await moments(storage, () => work.run(storage))) {
    const next = machineOn(killed);
    const cuts = await moments(next, () => used(next, work));
    for (const [i, cut] of cuts.entries()) {
      for (let n = 0; n < CUTS; n++) {
        const seed = ++images % 2 === 0 ? images : FRESH + images;
        const last = machineOn(cut, seed);
        last.powerCut();
        await again(last, work);
        const store = await MiniStore.open(last.restart(), {}, path);
        const contents = store.contents();
        const isNew = i === cuts.length - 1 || contents.has("new");
        const expected = new Map([...result, ...(isNew ? [["new", "2"] as const] : [])]);
        expect(contents, `FULMAR_SEED=${FRESH}, image ${images}`).toEqual(expected);
        await store.close();
      }
    }
  }
  return images;
}

describe.each(PROFILES)("disk %s", (profile) => {
  test.each(Object.entries(WORKS))(
    `%s that is killed, ended, and then loses power, loses nothing (seed ${FRESH})`,
    async (_, work) => {
      expect(await cutEverywhere(profile, work)).toBeGreaterThan(400 * CUTS);
    },
    3_600_000,
  );
});
