import { describe, expect, test } from "vitest";
import { GROUP_BYTES_MAX } from "../../src/base/limits.js";
import type { SimulatedDisk } from "../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine, ROOT, replayed } from "./harness.js";

describe("a write that fails", () => {
  test.each(Array.from({ length: 30 }, (_, i) => i * 13))(
    "T-WAL-06: after %i bytes of a group: what was not wholly written is refused and never returns",
    async (bytes) => {
      const storage = machine();
      const store = await MiniStore.open(storage.runtime);
      await store.save("before", "1");
      storage.disk.faults.add({ operations: ["write"], path: ".log", bytes, code: "ENOSPC" });
      for (const key of ["a", "b", "c"]) store.put(key, "x".repeat(60));
      store.log.want("synced");
      await store.until(() => store.refusalsDurable === 1);
      expect(store.refusals).toMatchObject([{ error: { code: "DISK_FULL" } }]);
      const { version } = store.refusals[0];
      expect(store.engine.version).toBe(version);
      await store.save("after", "2");
      const expected = replayed(store.written);
      storage.powerCut();
      const again = await MiniStore.open(storage.restart());
      expect(again.contents()).toEqual(expected);
      expect(again.directory.recovered.cutBytes).toBe(0);
      await again.close();
    },
  );

  test.each([1, 144, 145, 146, 289, 290, 291, 434])(
    "T-WAL-06: a write that is short after %i bytes and then fails keeps the records that it completed",
    async (bytes) => {
      const storage = machine();
      const store = await MiniStore.open(storage.runtime);
      await store.save("before", "1");
      storage.disk.faults.add({ operations: ["write"], path: ".log", bytes });
      storage.disk.faults.add({ operations: ["write"], path: ".log", bytes: 3, code: "ENOSPC" });
      for (const key of ["a", "b", "c"]) store.put(key, "x".repeat(60));
      store.log.want("synced");
      await store.until(() => store.refusalsDurable === 1);
      // Each of the three records has 145 bytes.
      expect(store.refusals[0].version).toBe(1 + Math.floor(bytes / 145));
      await store.until(() => store.syncedVersion === store.engine.version);
      storage.powerCut();
      const again = await MiniStore.open(storage.restart());
      expect(again.contents()).toEqual(replayed(store.written));
      await again.close();
    },
  );

  test("T-WAL-06: refused commits stay away although the same bytes are written again behind them", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.save("before", "1");
    // The system reports an error although everything reached the file.
    storage.disk.faults.add({ operations: ["write"], path: ".log", bytes: 1e6, code: "EIO" });
    for (const key of ["a", "b", "c"]) store.put(key, "same length");
    store.log.want("synced");
    await store.until(() => store.refusalsDurable === 1);
    expect(store.contents()).toEqual(new Map([["before", "1"]]));
    storage.powerCut();
    const again = await MiniStore.open(storage.restart());
    expect(again.contents()).toEqual(new Map([["before", "1"]]));
    await again.close();
  });

  test("short writes are continued", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    storage.disk.faults.add({ operations: ["write"], path: ".log", bytes: 7, times: 5 });
    await store.save("a", "x".repeat(300));
    expect(store.refusals).toEqual([]);
    storage.powerCut();
    const again = await MiniStore.open(storage.restart());
    expect(again.contents()).toEqual(replayed(store.written));
    await again.close();
  });

  test("T-WAL-06: a full disk refuses write after write, and takes them when there is space", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    const used = [...storage.disk.image().values()].reduce((sum, bytes) => sum + bytes.length, 0);
    storage.disk.quotaBytes = used + 500;
    for (let i = 0; i < 4; i++) {
      // More than the zeros that the log has ahead, which the first refusal gives back.
      store.put("big", "x".repeat(5000));
      store.log.want("synced");
      await store.until(() => store.refusalsDurable === i + 1);
    }
    await store.save("small", "fits");
    storage.disk.quotaBytes = Number.POSITIVE_INFINITY;
    await store.save("big", "y".repeat(1000));
    storage.powerCut();
    const again = await MiniStore.open(storage.restart());
    expect([...again.contents().keys()]).toEqual(["a", "big", "small"]);
    expect(again.contents()).toEqual(replayed(store.written));
    await again.close();
  });

  test("a refused opening of a new segment is written again", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    const fill = async (key: string): Promise<void> => {
      await store.save(key, "x".repeat(700));
      for (let turns = 0; turns < 4; turns++) await store.runtime.timers.turn();
    };
    const prepared = (): boolean => filesOf(storage, ".log").length > store.directory.status().segments;
    for (let i = 0; i < 20 && !(i > 3 && prepared()); i++) await fill(`k${i}`);
    expect(prepared()).toBe(true);
    const segments = store.directory.status().segments;
    // The next segment is prepared already, so that the first write to it is the opening.
    storage.disk.faults.add({
      operations: ["write"],
      path: `${segments + 1}.log`,
      bytes: 20,
      code: "ENOSPC",
    });
    for (let i = 30; store.refusals.length === 0 && i < 50; i++) {
      store.put(`k${i}`, "x".repeat(700));
      store.log.want("synced");
      await store.until(() => store.syncedVersion === store.version || store.refusals.length > 0);
      for (let turns = 0; turns < 4; turns++) await store.runtime.timers.turn();
    }
    expect(store.refusals).toHaveLength(1);
    expect(store.directory.status().segments).toBe(segments + 1);
    for (let i = 60; i < 66; i++) await fill(`k${i}`);
    storage.powerCut();
    const again = await MiniStore.open(storage.restart());
    expect(again.contents()).toEqual(replayed(store.written));
    await again.close();
  });

  test("what was logged before a refusal is synced after it, though nobody waits", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    store.put("a", "1");
    store.log.want("logged");
    await store.until(() => store.loggedVersion === 1);
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    store.put("b", "2");
    store.log.want("logged");
    await store.until(() => store.refusalsDurable === 1 && store.syncedVersion === 1);
    await store.close();
  });

  test("a refusal that cannot be made certain ends writing", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    storage.disk.faults.add({ operations: ["write"], path: ".log", bytes: 20, code: "EIO" });
    storage.disk.faults.add({ operations: ["truncate"], path: ".log", code: "EIO" });
    await expect(store.save("b", "2").catch((error) => Promise.reject(error))).rejects.toMatchObject({
      code: "DURABILITY_UNKNOWN",
    });
    expect(() => store.put("c", "3")).toThrow(expect.objectContaining({ code: "STORE_FAILED" }));
    await store.close();
    const again = await MiniStore.open(storage.restart());
    expect(again.directory.recovered.clean).toBe(false);
    expect(again.contents()).toEqual(new Map([["a", "1"]]));
    await again.close();
  });
});

describe.each(["clean", "revert"] as const)("T-WAL-07: a failed sync (%s)", (afterSync) => {
  test("fails everything unacknowledged, is never retried, and takes nothing more", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    storage.disk.faults.add({ operations: ["sync"], path: ".log", code: "EIO", afterSync });
    let syncs = 0;
    storage.disk.onOperation = (operation, phase) => {
      if (phase === "before" && operation.kind === "sync" && operation.path.endsWith(".log")) syncs++;
    };
    await expect(store.save("b", "2")).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
    store.log.want("synced");
    await store.runtime.timers.turn();
    expect(() => store.put("c", "3")).toThrow(expect.objectContaining({ code: "STORE_FAILED" }));
    await store.close();
    expect(syncs).toBe(1);
    storage.disk.onOperation = undefined;
    expect(store.contents().get("a")).toBe("1");
  });

  test("what the next process finds and acknowledges survives a power cut", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    storage.disk.faults.add({ operations: ["sync"], path: ".log", code: "EIO", afterSync });
    await store.save("b", "2").catch(() => undefined);
    // The machine stays up: the next process reads what the system still holds in memory.
    storage.kill();
    const second = await MiniStore.open(storage.restart());
    const found = second.contents();
    expect(found.get("b")).toBe(afterSync === "clean" ? "2" : undefined);
    await second.save("c", "3");
    storage.powerCut();
    const third = await MiniStore.open(storage.restart());
    expect(third.contents()).toEqual(replayed(second.written, found));
    await third.close();
  });
});

describe("a checkpoint that fails", () => {
  test.each(["create", "write", "sync", "rename", "syncDirectory", "read"] as const)(
    "T-SNAP-04, T-REC-03: at every %s it leaves the store whole and no file behind",
    async (kind) => {
      for (let nth = 1; nth <= 4; nth++) {
        const storage = machine();
        const store = await MiniStore.open(storage.runtime);
        await store.save("a", "1");
        await store.checkpoint();
        await store.save("b", "2");
        const remove = storage.disk.faults.add({
          operations: [kind],
          path: "checkpoint",
          nth,
          code: "ENOSPC",
        });
        const failed = await store.checkpoint().then(
          () => false,
          (error: { code: string }) => error.code === "DISK_FULL",
        );
        remove();
        expect(filesOf(storage, "/checkpoint/")).toHaveLength(1);
        await store.save("c", "3");
        if (failed) expect(filesOf(storage, "/checkpoint/")[0][0]).toBe(`${ROOT}/checkpoint/000000000001`);
        else expect(nth).toBeGreaterThan(1);
        const again = await store.checkpoint();
        expect(again.entries).toBe(3);
        storage.powerCut();
        const reopened = await MiniStore.open(storage.restart());
        expect([...reopened.contents().keys()]).toEqual(["a", "b", "c"]);
        await reopened.close();
      }
    },
  );

  test.each([1, 2, 3, 4])(
    "a manifest that cannot be changed at step %i keeps both generations",
    async (nth) => {
      const storage = machine();
      const store = await MiniStore.open(storage.runtime);
      await store.save("a", "1");
      await store.checkpoint();
      await store.save("b", "2");
      storage.disk.faults.add({ operations: ["write", "sync"], path: "MANIFEST", nth, code: "EIO" });
      await expect(store.checkpoint()).rejects.toMatchObject({ code: "IO_ERROR" });
      await store.save("c", "3");
      for (const image of storage.disk.durableImages(8)) {
        const other = machine({ disk: image });
        const found = await MiniStore.open(other.runtime);
        expect(found.contents()).toEqual(replayed(store.written));
        await found.close();
      }
      await store.checkpoint();
      expect(filesOf(storage, "/checkpoint/")).toHaveLength(1);
      await store.close();
      const again = await MiniStore.open(storage.restart());
      expect(again.contents()).toEqual(replayed(store.written));
      await again.close();
    },
  );

  test("a generation that only one slot may name is not overwritten by the next attempt", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    await store.checkpoint();
    await store.save("b", "2");
    storage.disk.faults.add({ operations: ["write"], path: "MANIFEST", nth: 2, code: "EIO" });
    await expect(store.checkpoint()).rejects.toMatchObject({ code: "IO_ERROR" });
    await store.save("c", "3");
    const images: SimulatedDisk[] = [];
    storage.disk.onOperation = (operation, phase) => {
      if (phase === "before" && operation.mutates) images.push(storage.disk.fork());
    };
    await store.checkpoint();
    storage.disk.onOperation = undefined;
    await store.close();
    expect(images.length).toBeGreaterThan(8);
    for (const moment of images) {
      for (const image of moment.durableImages(8)) {
        const found = await MiniStore.open(machine({ disk: image }).runtime);
        expect(found.contents()).toEqual(replayed(store.written));
      }
    }
  });

  test("T-SNAP-07: an unfinished file of an earlier attempt is not reused", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    storage.disk.onOperation = (operation, phase) => {
      if (phase === "before" && operation.kind === "rename") storage.process.kill();
    };
    await expect(store.checkpoint()).rejects.toMatchObject({ cause: { code: "SIMULATED_KILL" } });
    storage.disk.onOperation = undefined;
    expect(filesOf(storage, ".tmp")).toHaveLength(1);
    const again = await MiniStore.open(storage.restart());
    expect(filesOf(storage, ".tmp")).toHaveLength(0);
    expect(again.contents()).toEqual(new Map([["a", "1"]]));
    await again.close();
  });
});

describe("the flush policy", () => {
  test("the interval, the count and the bytes each sync without anybody waiting", async () => {
    const flush = { intervalMs: 200, commits: 5, bytes: 2000 };
    const storage = machine();
    const store = await MiniStore.open(storage.runtime, { flush });
    store.put("a", "1");
    store.log.want("logged");
    await store.until(() => store.loggedVersion === 1);
    expect(store.syncedVersion).toBe(0);
    await storage.advance(250);
    expect(store.syncedVersion).toBe(1);
    for (let i = 0; i < 5; i++) store.put("b", `${i}`);
    await store.until(() => store.syncedVersion === 6);
    store.put("c", "x".repeat(3000));
    await store.until(() => store.syncedVersion === 7);
    await store.close();
  });

  test("a program that awaits one logged commit after the other cannot hold the syncs off", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime, {
      flush: { intervalMs: 1000, commits: 50, bytes: 1 << 24 },
    });
    let turned = false;
    void store.runtime.timers.turn().then(() => {
      turned = true;
    });
    for (let i = 0; i < 600; i++) {
      store.put("k", `${i}`);
      store.log.want("logged");
      await store.until(() => store.loggedVersion === store.version);
    }
    expect(turned).toBe(true);
    expect(store.syncedVersion).toBeGreaterThan(200);
    await store.close();
  });

  test("inline: a lone commit is synced before the event loop turns", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime, { inlineSync: true });
    const kinds: string[] = [];
    storage.disk.onOperation = (operation, phase) => {
      if (phase === "before") kinds.push(operation.kind);
    };
    await store.save("a", "1");
    // The second one is the zeros for those that follow.
    expect(kinds.splice(0)).toEqual(["write", "write", "sync"]);
    await store.save("a", "2");
    expect(kinds).toEqual(["write", "sync"]);
    storage.powerCut();
    const again = await MiniStore.open(storage.restart());
    expect(again.contents()).toEqual(new Map([["a", "2"]]));
    await again.close();
  });

  test("a huge group is written at once, and its buffer let go", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime, { segmentBytes: 1 << 20 });
    store.put("a", "x".repeat(GROUP_BYTES_MAX));
    expect(store.loggedVersion).toBe(1);
    store.put("b", "y");
    store.log.want("synced");
    await store.until(() => store.syncedVersion === 2);
    await store.close();
  });
});
