import { beforeEach, describe, expect, test } from "vitest";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeCryptography } from "../../../src/base/runtime/node/cryptography.js";
import { readCheckpointHeader } from "../../../src/durability/checkpoint-format.js";
import { holdsStore } from "../../../src/durability/first-open.js";
import { type Layout, layoutOf } from "../../../src/durability/layout.js";
import {
  commitNewStore,
  newEngine,
  prepareNewStore,
  type WholeState,
} from "../../../src/durability/new-store.js";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { LATEST } from "../../../src/memory/engine.js";
import { createEntryHash } from "../../../src/memory/entry-hash.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { Coverage } from "../../../src/record/coverage.js";
import { OriginTable } from "../../../src/record/origins.js";
import type { SimulatedDisk, SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { contents, filesOf, MiniStore, machine, machineOn, ROOT } from "../harness.js";
import { entryOf, IDS } from "./checkpoint-bytes.js";

const [WRITER, FOREIGN] = IDS;
const FOREIGN_COVERAGE = { upTo: 9, holes: [{ from: 3, to: 4 }] };

let storage: SimulatedStorage;
let runtime: Runtime;
let layout: Layout;
let calls: string[];
let progress: (readonly [number, number])[];

beforeEach(async () => {
  storage = machine();
  ({ runtime } = storage);
  layout = layoutOf(runtime.fileSystem, ROOT);
  await runtime.fileSystem.makeDirectory(ROOT);
  [calls, progress] = [[], []];
  const told = new Set(["sync", "rename", "syncDirectory", "remove"]);
  storage.disk.onOperation = ({ kind, path }, phase) => {
    if (phase === "before" && told.has(kind)) calls.push(`${kind} ${path.slice(path.lastIndexOf("/") + 1)}`);
  };
});

function stateOf(hadPeers: boolean): WholeState {
  const origins = new OriginTable();
  for (const id of IDS) origins.intern(id);
  const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
  engine.keepTombstones = true;
  for (const [i, item] of [{ key: "a", value: "1" }, { key: "b" }, { key: "c", value: "3" }].entries()) {
    const entry = entryOf(item);
    engine.put(i + 1, entry, 0, entry.length);
  }
  engine.settle(3);
  const coverage = new Coverage();
  coverage.set(FOREIGN, FOREIGN_COVERAGE);
  const identity = { storeId: "5a".repeat(16), incarnation: WRITER };
  return { ...identity, engine, origins, coverage, hadPeers, version: 3, usedVersion: 20, seq: 11, hlc: 99 };
}

const prepare = (hadPeers = false, stopped = (): boolean => false) =>
  prepareNewStore(
    { runtime, layout, number: 7, stopped, progress: (...all) => progress.push(all) },
    stateOf(hadPeers),
  );

const names = (): string[] =>
  filesOf(storage, ROOT)
    .map(([path]) => path.slice(ROOT.length + 1))
    .filter((name) => name !== "LOCK");

describe("a store that is written in one go", () => {
  test("is durable under temporary names, and no store yet", async () => {
    const { written, number } = await prepare();
    expect([number, written.entries]).toEqual([7, 2]);
    expect(names()).toEqual(["MANIFEST.tmp", "checkpoint/000000000007.tmp", "log/000000000007.log.tmp"]);
    expect(calls).toEqual([
      "sync 000000000007.tmp",
      "sync 000000000007.log.tmp",
      "sync MANIFEST.tmp",
      "syncDirectory log",
      "syncDirectory checkpoint",
      "syncDirectory data",
    ]);
    expect(progress.at(-1)?.[0]).toBe(2);
    expect(await holdsStore(runtime, layout)).toBe(false);
    const [[, checkpoint]] = filesOf(storage, "checkpoint");
    const header = readCheckpointHeader(runtime.checksum, checkpoint);
    expect(header).toMatchObject({ number: 7, isBackup: false, compressed: false });
  });

  test("has a packed checkpoint if it is asked for one", async () => {
    const context = { runtime, layout, number: 7, stopped: () => false, progress: () => undefined };
    await prepareNewStore(context, { ...stateOf(false), compressed: true });
    const [[, checkpoint]] = filesOf(storage, "checkpoint");
    expect(readCheckpointHeader(runtime.checksum, checkpoint)).toMatchObject({ compressed: true });
  });

  test("gets its names durably, the manifest last, and is what it was made from", async () => {
    await prepare();
    calls.length = 0;
    await commitNewStore(runtime, layout, 7);
    expect(calls).toEqual([
      "rename 000000000007",
      "syncDirectory checkpoint",
      "rename 000000000007.log",
      "syncDirectory log",
      "rename MANIFEST",
      "syncDirectory data",
    ]);
    expect(names()).toEqual(["MANIFEST", "checkpoint/000000000007", "log/000000000007.log"]);
    const store = await MiniStore.open(storage.restart());
    const { recovered } = store.directory;
    expect(recovered).toMatchObject({
      clean: true,
      hadPeers: false,
      storeId: "5a".repeat(16),
      incarnation: WRITER,
      version: 20,
      seq: 11,
      hlc: 99,
      entries: 2,
      commits: 0,
    });
    expect(recovered.coverage.of(FOREIGN)).toEqual(FOREIGN_COVERAGE);
    expect([...contents(store.engine)]).toEqual([
      ["a", "1"],
      ["c", "3"],
    ]);
    await store.save("d", "4");
    await store.close();
  });

  test("keeps deletions when it had peers", async () => {
    expect((await prepare(true)).written.entries).toBe(3);
    await commitNewStore(runtime, layout, 7);
    const store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.hadPeers).toBe(true);
    expect(store.engine.usage().tombstones).toBe(1);
    await store.close();
  });

  test("gets the rest of its names after an interruption, whenever that was", async () => {
    for (let nth = 1; nth <= 6; nth++) {
      storage = machine();
      ({ runtime } = storage);
      layout = layoutOf(runtime.fileSystem, ROOT);
      await prepare();
      const remove = storage.disk.faults.add({ operations: ["rename", "syncDirectory"], nth, code: "EIO" });
      await expect(commitNewStore(runtime, layout, 7)).rejects.toMatchObject({ code: "IO_ERROR" });
      remove();
      await commitNewStore(runtime, layout, 7);
      expect(names()).toHaveLength(3);
      const store = await MiniStore.open(storage.restart());
      expect(store.contents().size).toBe(2);
      await store.close();
    }
  });

  test("has all its names for good once it was committed again after a kill, whenever that was", async () => {
    await runtime.fileSystem.syncDirectory("/");
    await prepare();
    const killed: SimulatedDisk[] = [];
    storage.disk.onOperation = (_, phase) => {
      if (phase === "before") killed.push(storage.disk.fork());
    };
    await commitNewStore(runtime, layout, 7);
    for (const disk of killed) {
      await commitNewStore(machineOn(disk).runtime, layout, 7);
      expect([...disk.image("durable").keys()].map((path) => path.slice(ROOT.length + 1)).sort()).toEqual([
        "MANIFEST",
        "checkpoint/000000000007",
        "log/000000000007.log",
      ]);
    }
    expect(killed.length).toBeGreaterThanOrEqual(12);
  });

  test("takes the place of what an earlier attempt left", async () => {
    await prepare();
    calls.length = 0;
    await prepare();
    expect(calls.filter((call) => call.startsWith("remove"))).toHaveLength(3);
    expect(names()).toHaveLength(3);
  });

  test("is given up when it is told to, and leaves nothing", async () => {
    await expect(prepare(false, () => true)).rejects.toMatchObject({ code: "CLOSED" });
    expect(names()).toEqual([]);
  });

  test("leaves nothing wherever the disk is full", async () => {
    let refused = 0;
    for (let nth = 1; ; nth++) {
      const remove = storage.disk.faults.add({ operations: ["create", "write"], nth, code: "ENOSPC" });
      const outcome = await prepare().catch((error: { code: string }) => error.code);
      remove();
      if (typeof outcome !== "string") break;
      expect([outcome, names()], `call ${nth}`).toEqual(["DISK_FULL", []]);
      refused++;
    }
    expect(refused).toBeGreaterThanOrEqual(6);
  });
});

test("an engine to put a state together in is empty, and takes entries", () => {
  const origins = new OriginTable();
  origins.intern(WRITER);
  const engine = newEngine(runtime, origins);
  expect(engine.usage().entries).toBe(0);
  const entry = entryOf({ key: "a", value: "1" });
  engine.put(1, entry, 0, entry.length);
  expect(contents(engine)).toEqual(new Map([["a", "1"]]));
  const plain = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
  plain.put(1, entry, 0, entry.length);
  expect(engine.digest(ALL_KEYS, LATEST)).toEqual(plain.digest(ALL_KEYS, LATEST));
});
