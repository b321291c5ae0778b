import { describe, expect, test } from "vitest";
import { filesOf, MiniStore, machine, machineOn, ROOT, refusal, replayed } from "./harness.js";

describe("T-SNAP-02: generations", () => {
  test.each(["bit", "zero-sector", "misdirected-sector"] as const)(
    "T-SNAP-02: a checkpoint that does not read back (%s) replaces nothing, and the log before it stays",
    async (spoil) => {
      const storage = machine();
      const store = await MiniStore.open(storage.runtime);
      for (let i = 0; i < 6; i++) await store.save(`old ${i}`, "o".repeat(600));
      await store.checkpoint();
      await store.save("between", "b".repeat(3000));
      // The next segment is made beside the writes, and gets its name in the end.
      for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
      const before = filesOf(storage, ROOT).map(([path]) => path);
      storage.disk.faults.add({ operations: ["read"], path: "/checkpoint/", spoil, times: 3 });
      await expect(store.checkpoint()).rejects.toMatchObject({ code: "CORRUPT" });
      expect(filesOf(storage, ROOT).map(([path]) => path)).toEqual(before);
      storage.disk.faults.clear();
      storage.powerCut();
      const again = await MiniStore.open(storage.restart());
      expect(again.contents()).toEqual(replayed(store.written));
      await again.close();
    },
  );

  test("T-SNAP-02: when the live one is damaged the store is refused, never opened from less", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    await store.checkpoint();
    const [[older, bytes]] = filesOf(storage, "/checkpoint/");
    await store.save("a", "2");
    await store.checkpoint();
    await store.close();
    // Even with the older generation back in its place.
    const { fileSystem } = storage.restart();
    const handle = await fileSystem.open(older, "create");
    await handle.write(bytes, 0);
    await handle.syncData();
    await handle.close();
    await fileSystem.syncDirectory(`${ROOT}/checkpoint`);
    const [newest, content] = filesOf(storage, "/checkpoint/").at(-1) ?? ["", bytes];
    expect(newest).not.toBe(older);
    storage.disk.rot(newest, { bits: [(content.length - 50) * 8] });
    expect(await refusal(storage)).toMatchObject({ code: "CORRUPT", details: { file: newest } });
  });
});

test("T-REC-07: what was deleted stays so: from the log, from a checkpoint, from one below the other", async () => {
  const storage = machine();
  const store = await MiniStore.open(storage.runtime);
  for (const key of ["log", "checkpoint", "both"]) await store.save(key, "1");
  await store.save("log", undefined);
  const killed = machineOn(storage.disk.fork());
  const fromLog = await MiniStore.open(killed.runtime);
  expect([...fromLog.contents().keys()]).toEqual(["both", "checkpoint"]);
  await store.save("checkpoint", undefined);
  await store.checkpoint();
  await store.save("both", undefined);
  for (let life = 0; life < 3; life++) {
    storage.powerCut();
    const again = await MiniStore.open(storage.restart());
    expect([...again.contents().keys()]).toEqual([]);
    again.engine.verify();
    if (life === 1) await again.checkpoint();
  }
});

test("T-REC-10: a commit that checkpoint and log both hold is applied once, with its own version", async () => {
  const storage = machine();
  const store = await MiniStore.open(storage.runtime);
  await store.save("k", "1");
  await store.save("gone", "1");
  await store.save("k", "2");
  await store.save("gone", undefined);
  await store.checkpoint();
  const checkpointed = store.version;
  // The segment that the checkpoint was taken in stays: all four commits are in it, too.
  expect(filesOf(storage, ".log")[0]?.[0]).toBe(`${ROOT}/log/000000000001.log`);
  await store.save("after", "1");
  storage.powerCut();
  const again = await MiniStore.open(storage.restart());
  expect([again.directory.recovered.commits, again.directory.recovered.entries]).toEqual([1, 2]);
  expect([checkpointed, again.engine.version]).toEqual([4, 5]);
  expect(again.contents()).toEqual(
    new Map([
      ["after", "1"],
      ["k", "2"],
    ]),
  );
  again.engine.verify();
  await again.close();
});
