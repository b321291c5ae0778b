import { describe, expect, test } from "vitest";
import { NUMBERS_SKIPPED } from "../../src/base/limits.js";
import { MiniStore, machine, replayed } from "./harness.js";

describe("reopening", () => {
  test("an empty directory becomes a store, and closes cleanly", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    expect(first.directory.recovered).toMatchObject({ created: true, clean: true, version: 0, seq: 0 });
    const { incarnation, storeId } = first.directory.recovered;
    await first.close();
    const second = await MiniStore.open(storage.restart());
    expect(second.directory.recovered).toMatchObject({
      created: false,
      clean: true,
      version: 0,
      incarnation,
      storeId,
    });
    await second.close();
  });

  test("T-REC-01: everything is back after each of many cycles, numbers continue exactly", async () => {
    const storage = machine();
    const all = new Map<string, string>();
    let version = 0;
    for (let cycle = 0; cycle < 12; cycle++) {
      const store = await MiniStore.open(storage.restart());
      expect(store.contents()).toEqual(all);
      expect(store.directory.recovered).toMatchObject({ version, seq: version, clean: true });
      for (let i = 0; i < 7; i++) {
        store.put(`key ${cycle} ${i}`, "v".repeat(50 * i));
        all.set(`key ${cycle} ${i}`, "v".repeat(50 * i));
      }
      version += 7;
      if (cycle % 5 === 3) {
        store.log.want("synced");
        await store.until(() => store.syncedVersion === version);
        await store.checkpoint();
      }
      await store.close();
    }
  });

  test("I6: after a kill numbers jump, and again after a second one without commits", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    await first.save("a", "1");
    storage.kill();
    const second = await MiniStore.open(storage.restart());
    expect(second.directory.recovered).toMatchObject({
      clean: false,
      version: 1 + NUMBERS_SKIPPED,
      seq: 1 + NUMBERS_SKIPPED,
    });
    storage.kill();
    const third = await MiniStore.open(storage.restart());
    expect(third.directory.recovered.version).toBe(1 + 2 * NUMBERS_SKIPPED);
    expect(third.contents()).toEqual(replayed(first.written));
    await third.save("b", "2");
    await third.close();
    const fourth = await MiniStore.open(storage.restart());
    expect(fourth.directory.recovered).toMatchObject({ clean: true, version: 2 + 2 * NUMBERS_SKIPPED });
    expect([...fourth.contents().keys()]).toEqual(["a", "b"]);
    await fourth.close();
  });

  test("T-WAL-11: empty keys and values come back, from log and checkpoint", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    await first.save("", "");
    await first.save("k", "");
    storage.kill();
    const second = await MiniStore.open(storage.restart());
    expect(second.contents()).toEqual(
      new Map([
        ["", ""],
        ["k", ""],
      ]),
    );
    await second.checkpoint();
    storage.kill();
    const third = await MiniStore.open(storage.restart());
    expect(third.contents()).toEqual(
      new Map([
        ["", ""],
        ["k", ""],
      ]),
    );
    await third.close();
  });

  test("T-WAL-10: records longer than a segment, between rotations", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    for (let i = 0; i < 60; i++) {
      await store.save(`k${i}`, "x".repeat(i % 10 === 0 ? 20_000 : 900));
      // The next segment is prepared in turns of the event loop.
      for (let turns = 0; turns < 4; turns++) await store.runtime.timers.turn();
    }
    expect(store.directory.status().segments).toBeGreaterThan(5);
    storage.kill();
    const again = await MiniStore.open(storage.restart());
    expect(again.contents()).toEqual(replayed(store.written));
    await again.checkpoint();
    expect(again.directory.status().segments).toBeLessThan(3);
    await again.close();
  });

  test("foreign origins and coverage come back under their own names", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    const foreign = "ab".repeat(16);
    const number = first.origins.intern(foreign);
    first.put(
      "theirs",
      "1",
      [{ origin: number, coverage: { upTo: 9, holes: [{ from: 3, to: 4 }] } }],
      number,
    );
    await first.save("mine", "2");
    storage.kill();
    for (const withCheckpoint of [false, true]) {
      const again = await MiniStore.open(storage.restart());
      const { coverage, incarnation } = again.directory.recovered;
      expect(coverage.of(foreign)).toEqual({ upTo: 9, holes: [{ from: 3, to: 4 }] });
      expect(coverage.of(incarnation).upTo).toBeGreaterThanOrEqual(1);
      expect(again.origins.id(1)).toBe(incarnation);
      if (!withCheckpoint) await again.checkpoint();
      storage.kill();
    }
  });

  test("hadPeers is remembered", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    await first.directory.rememberPeers();
    storage.powerCut();
    const second = await MiniStore.open(storage.restart());
    expect(second.directory.recovered.hadPeers).toBe(true);
    expect(second.engine.keepTombstones).toBe(true);
    await second.close();
  });
});
