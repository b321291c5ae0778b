import { describe, expect, test } from "vitest";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { DataDirectory } from "../../../src/durability/data-directory.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import { decodeSlot, encodeSlot, SLOT_BYTES } from "../../../src/durability/manifest.js";
import { newEngine } from "../../../src/durability/new-store.js";
import { repairDirectory } from "../../../src/durability/repair.js";
import { verifyDirectory } from "../../../src/durability/verify.js";
import { OriginTable } from "../../../src/record/origins.js";
import { createKeyring } from "../../../src/store/encryption.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { contents, edit, filesOf, MiniStore, machine, OPTIONS, ROOT, refusal } from "../harness.js";

const CHECKPOINT = `${ROOT}/checkpoint/000000000001`;

describe("deletions in a checkpoint", () => {
  /** A checkpoint with a deletion, written for peers. */
  async function written(): Promise<SimulatedStorage> {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.directory.rememberPeers();
    store.engine.keepTombstones = true;
    await store.save("a", "1");
    await store.save("b", "2");
    await store.save("a", undefined);
    await store.checkpoint();
    await store.close();
    return storage;
  }

  /** Has the manifest say that there was never a peer. */
  function forgetPeers(storage: SimulatedStorage): Promise<void> {
    return edit(storage, `${ROOT}/MANIFEST`, (bytes) => {
      for (const at of [0, SLOT_BYTES]) {
        const slot = decodeSlot(nodeChecksum, bytes.subarray(at, at + SLOT_BYTES));
        if (typeof slot !== "object") throw new Error("the manifest is not valid");
        bytes.set(encodeSlot(nodeChecksum, { ...slot.manifest, hadPeers: false }, slot.generation), at);
      }
      return bytes;
    });
  }

  test("are for peers, and kept where there are some", async () => {
    const storage = await written();
    expect((await verifyDirectory(storage.restart(), ROOT)).ok).toBe(true);
    const store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered).toMatchObject({ entries: 2, hadPeers: true });
    expect(store.engine.usage().tombstones).toBe(1);
    await store.close();
  });

  test("are damage where there was none: to opening, to the check and to a repair", async () => {
    const storage = await written();
    await forgetPeers(storage);
    expect(await refusal(storage)).toMatchObject({ code: "CORRUPT", details: { file: CHECKPOINT } });
    const { ok, findings } = await verifyDirectory(storage.restart(), ROOT);
    expect([ok, findings]).toMatchObject([false, [{ severity: "problem", file: CHECKPOINT }]]);
    const silent = { dryRun: false, stopped: () => false, progress: () => undefined };
    const report = await repairDirectory({ runtime: storage.restart(), ...silent }, ROOT);
    expect(report.repaired).toBe(true);
    const store = await MiniStore.open(storage.restart());
    expect(store.contents()).toEqual(new Map([["b", "2"]]));
    await store.close();
  });
});

describe("what is loaded", () => {
  test.each([
    ["checkpoint and log", true],
    ["a log only", false],
  ])("is complete in the engine that stores use, at its version: %s", async (_, checkpoint) => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    for (let i = 0; i < 40; i++) await store.save(`k${i % 20}`, `${i}`);
    if (checkpoint) {
      await store.checkpoint();
      await store.save("k0", "last");
    }
    const expected = store.contents();
    const { version } = store;
    await store.close();
    const origins = new OriginTable();
    const runtime = storage.restart();
    const engine = newEngine(runtime, origins);
    const directory = await DataDirectory.open(runtime, ROOT, engine, origins, OPTIONS);
    expect([engine.version, engine.settled]).toEqual([version, version]);
    expect(contents(engine)).toEqual(expected);
    expect(engine.usage().entries).toBe(20);
    await directory.close({ version, seq: version, hlc: version, clean: true });
  });
});

describe("history before the live log", () => {
  test("is found again as far as it was asked for", async () => {
    const storage = machine();
    const historyBytes = 100_000;
    let store = await MiniStore.open(storage.runtime, { historyBytes });
    for (let i = 0; i < 20; i++) {
      await store.save(`k${i}`, "x".repeat(1000));
      for (let turns = 0; turns < 6; turns++) await store.runtime.timers.turn();
    }
    await store.directory.startSegment();
    await store.checkpoint();
    const { bytes, oldest } = store.directory.history;
    expect([bytes > 10_000, oldest]).toEqual([true, 0]);
    await store.close();
    const logs = (): string[] => filesOf(storage, ".log").map(([path]) => path);
    const all = logs();
    store = await MiniStore.open(storage.restart(), { historyBytes });
    expect([store.directory.history.bytes, store.directory.history.oldest]).toEqual([bytes, 0]);
    expect(logs()).toEqual(all);
    await store.close();
    // Of what is not asked for any more the files go too, the oldest first.
    store = await MiniStore.open(storage.restart(), { historyBytes: bytes / 2 });
    expect(store.directory.history.bytes).toBeGreaterThan(bytes / 4);
    expect(store.directory.history.bytes).toBeLessThanOrEqual(bytes / 2);
    const left = logs();
    expect([left.length > 2, left]).toEqual([true, all.slice(-left.length)]);
    expect(left.length).toBeLessThan(all.length);
    await store.close();
    store = await MiniStore.open(storage.restart());
    expect(store.directory.history.bytes).toBe(0);
    await store.close();
    expect(filesOf(storage, ".log")).toHaveLength(1);
  });
});

describe("a directory that goes on as it is found", () => {
  const [ONE, TWO] = [1, 2].map((byte) => new Uint8Array(32).fill(byte));

  test.each([
    ["plain", null],
    ["of another key", ONE],
  ])("stays %s", async (_, key) => {
    const storage = machine();
    const open = (runtime: SimulatedStorage["runtime"], keys: Parameters<typeof createKeyring>[1]) =>
      MiniStore.open(withKeyring(runtime, createKeyring(runtime, keys)));
    const first = await open(storage.runtime, { key });
    await first.save("a", "1");
    const [keyId] = first.directory.keyIds();
    await first.close();
    const found = { key: TWO, previousKeys: [ONE], asFound: true };
    const store = await open(storage.restart(), found);
    expect(store.directory.keyIds()).toEqual([keyId]);
    await store.checkpoint();
    expect(store.directory.keyIds()).toEqual([keyId]);
    // Its log goes on in the same file.
    expect(store.directory.status().segments).toBe(1);
    await store.close();
  });
});
