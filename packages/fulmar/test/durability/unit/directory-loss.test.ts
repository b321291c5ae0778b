import { beforeEach, describe, expect, test } from "vitest";
import { DataDirectory } from "../../../src/durability/data-directory.js";
import { newEngine } from "../../../src/durability/new-store.js";
import { OriginTable } from "../../../src/record/origins.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine, OPTIONS, ROOT } from "../harness.js";

let storage: SimulatedStorage;

beforeEach(() => {
  storage = machine();
});

describe("what is kept for watches", () => {
  /** A store with several segments of history, and what it told of. */
  async function withHistory(): Promise<{ store: MiniStore; told: { event: string; details: object }[] }> {
    const told: { event: string; details: object }[] = [];
    const diagnostics = {
      emit: (event: string, details: () => object) => void told.push({ event, details: details() }),
    };
    const store = await MiniStore.open({ ...storage.runtime, diagnostics }, { historyBytes: 1_000_000 });
    for (let i = 0; i < 12; i++) {
      await store.save(`k${i}`, "x".repeat(1000));
      for (let turns = 0; turns < 6; turns++) await store.runtime.timers.turn();
    }
    await store.checkpoint();
    expect(store.directory.history.bytes).toBeGreaterThan(8000);
    return { store, told };
  }

  const logs = (): string[] => filesOf(storage, ".log").map(([path]) => path);

  test("is given up once", async () => {
    const { store, told } = await withHistory();
    const before = logs();
    expect(await store.directory.giveUpHistory()).toBe(true);
    expect(before.length - logs().length).toBeGreaterThan(1);
    expect(store.directory.history.bytes).toBe(0);
    expect(await store.directory.giveUpHistory()).toBe(false);
    expect(told).toEqual([]);
    await store.close();
  });

  test("made no room where none of its files could be removed, which is told of each", async () => {
    const { store, told } = await withHistory();
    const before = logs();
    const live = store.directory.status().segments;
    const times = Number.POSITIVE_INFINITY;
    storage.disk.faults.add({ operations: ["remove"], path: ".log", code: "EIO", times });
    expect(await store.directory.giveUpHistory()).toBe(false);
    expect(logs()).toEqual(before);
    storage.disk.faults.clear();
    expect(told.length).toBeGreaterThan(1);
    expect(told).toMatchObject(
      before
        .slice(0, told.length)
        .map((path) => ({ event: "remove-failed", details: { path, error: { code: "IO_ERROR" } } })),
    );
    expect(before.length - told.length).toBeGreaterThanOrEqual(live);
    await store.close();
  });
});

describe("files that are lost", () => {
  test("are missed although nobody writes to the log yet", async () => {
    const { runtime } = storage;
    const origins = new OriginTable();
    const directory = await DataDirectory.open(runtime, ROOT, newEngine(runtime, origins), origins, OPTIONS);
    expect(await directory.look()).toBeUndefined();
    await runtime.fileSystem.remove(`${ROOT}/MANIFEST`);
    expect(await directory.look()).toMatchObject({ code: "DIRECTORY_LOST" });
    const closing = directory.close({ version: 0, seq: 0, hlc: 0, clean: true });
    await expect(closing).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
  });

  test("are not missed by a directory that is closed: it has no lock, and others may do what they like", async () => {
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    await store.close();
    expect(await store.directory.look()).toBeUndefined();
    await store.directory.startSegment();
    expect(store.failure).toBeUndefined();
  });
});
