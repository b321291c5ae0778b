import { beforeEach, describe, expect, test } from "vitest";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { readCheckpointHeader } from "../../../src/durability/checkpoint-format.js";
import { DataDirectory } from "../../../src/durability/data-directory.js";
import type { DirectoryOptions } from "../../../src/durability/directory-types.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import { newEngine } from "../../../src/durability/new-store.js";
import { OriginTable } from "../../../src/record/origins.js";
import { createKeyring } from "../../../src/store/encryption.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine, OPTIONS, ROOT } from "../harness.js";

let storage: SimulatedStorage;

beforeEach(() => {
  storage = machine();
});

/** Opens with the key of this name for new files, and every other one at hand; null: new files are plain. */
function openAs(current: string | null, options: Partial<DirectoryOptions> = {}): Promise<MiniStore> {
  const runtime = storage.restart();
  const getKey = (id: string): Uint8Array => new Uint8Array(32).fill(id.charCodeAt(0));
  return MiniStore.open(withKeyring(runtime, createKeyring(runtime, { current, getKey })), options);
}

async function write(store: MiniStore, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await store.save(`k${i}`, "x".repeat(1000));
    for (let turns = 0; turns < 6; turns++) await store.runtime.timers.turn();
  }
}

describe("the keys of a directory", () => {
  test("are those of its files, the present one first", async () => {
    const seen: (readonly (string | undefined)[])[] = [];
    for (const current of ["z", "b", null, "m"]) {
      const store = await openAs(current);
      await write(store, 1);
      seen.push(store.directory.keyIds());
      await store.close();
    }
    expect(seen).toEqual([["z"], ["b", "z"], [undefined, "b", "z"], ["m", "b", "z", undefined]]);
    const store = await openAs("m");
    await store.checkpoint();
    expect(store.directory.keyIds()).toEqual(["m"]);
    await store.close();
  });

  test("are none where no key was ever given, as all is plain", async () => {
    const store = await MiniStore.open(storage.runtime);
    await write(store, 1);
    await store.checkpoint();
    expect(store.directory.keyIds()).toEqual([undefined]);
    await store.close();
  });

  test("are those of what is kept for its history too", async () => {
    const historyBytes = 1_000_000;
    const first = await openAs("z", { historyBytes });
    await write(first, 12);
    await first.directory.startSegment();
    await first.checkpoint();
    expect(first.directory.history.bytes).toBeGreaterThan(0);
    expect(first.directory.keyIds()).toEqual(["z"]);
    await first.close();
    const second = await openAs("b", { historyBytes });
    await write(second, 3);
    expect(second.directory.keyIds()).toEqual(["b", "z"]);
    await second.close();
  });

  test("decide which segments are used again: never those of another one", async () => {
    const first = await openAs("z");
    await write(first, 12);
    const old = filesOf(storage, ".log").map(([path]) => path);
    expect(old.length).toBeGreaterThan(3);
    await first.close();
    const second = await openAs("b");
    await write(second, 3);
    const removed = await removedBy(() => second.checkpoint());
    expect(removed.filter((path) => path.endsWith(".log")).sort()).toEqual(
      old.filter((path) => removed.includes(path)),
    );
    expect(removed.length).toBeGreaterThan(3);
    await second.close();
  });

  test("that are the same let the next segments take the files", async () => {
    const store = await openAs("z");
    await write(store, 9);
    const live = filesOf(storage, ".log").length;
    expect(live).toBeGreaterThan(2);
    const renamed: string[] = [];
    const removed = await removedBy(async () => {
      await store.checkpoint();
      storage.disk.onOperation = ({ kind, path }, phase) => {
        if (phase === "before" && kind === "rename") renamed.push(path);
      };
    });
    expect(removed.filter((path) => path.endsWith(".log"))).toHaveLength(0);
    await write(store, 4);
    expect(renamed.filter((path) => path.endsWith(".log")).length).toBeGreaterThan(0);
    await store.close();
  });

  /** What is removed meanwhile. */
  async function removedBy(work: () => Promise<unknown>): Promise<string[]> {
    const removed: string[] = [];
    storage.disk.onOperation = ({ kind, path }, phase) => {
      if (phase === "before" && kind === "remove") removed.push(path);
    };
    await work();
    return removed;
  }
});

describe("a checkpoint", () => {
  test.each([undefined, false, true])("is packed only if it is asked for: %s", async (compressed) => {
    const store = await MiniStore.open(storage.runtime, compressed === undefined ? {} : { compressed });
    await store.save("a", "x".repeat(2000));
    await store.checkpoint();
    const [[, bytes]] = filesOf(storage, "/checkpoint/");
    expect(readCheckpointHeader(nodeChecksum, bytes)).toMatchObject({ compressed: compressed === true });
    await store.close();
  });
});

describe("a segment that is asked for", () => {
  test("is none before the log begins, nor when the directory closes", async () => {
    const origins = new OriginTable();
    const runtime = storage.restart();
    const engine = newEngine(runtime, origins);
    const directory = await DataDirectory.open(runtime, ROOT, engine, origins, OPTIONS);
    await directory.startSegment();
    expect(directory.status().segments).toBe(1);
    await directory.close({ version: 0, seq: 0, hlc: 0, clean: true });
    const store = await openAs(null);
    await write(store, 1);
    const closing = store.close();
    await store.directory.startSegment();
    await closing;
    await store.directory.startSegment();
    expect(filesOf(storage, ".log")).toHaveLength(1);
  });
});

test("a store that holds something is refused before anything is touched", async () => {
  const origins = new OriginTable();
  const store = await MiniStore.open(machine().runtime);
  await store.save("a", "1");
  await expect(
    DataDirectory.open(storage.runtime, ROOT, store.engine, origins, OPTIONS),
  ).rejects.toMatchObject({
    code: "INVARIANT",
  });
  expect(filesOf(storage, "")).toEqual([]);
  await store.close();
});
