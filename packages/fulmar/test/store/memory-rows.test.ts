import { describe, expect, test } from "vitest";
import { dump, load, type OpenOptions, open, restore, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";
import { interleaved } from "./interleaved.js";

/** Known faults of stores with versions, conflicts and deadlines: a test for each, under its number. */

const machine = (): SimulatedStorage => simulatedStorage({ seed: 1, cryptography: nodeCryptography });

function on(storage: SimulatedStorage, options: OpenOptions<string> = {}): Promise<Store<string>> {
  return open<string>("/data", { runtime: storage.runtime, codec: "text", ...options });
}

/** The next write of the log finds no room. */
function fillDisk(storage: SimulatedStorage): void {
  storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
}

/** Lets everything that was put off be done. */
async function vacuumed(db: Store<string>): Promise<void> {
  await db.flush();
  while (portOf(db).engine.vacuum(1000));
  portOf(db).verify();
}

describe("versions", () => {
  test("T-MVCC-01: a deletion after an update brings no older version back", async () => {
    const storage = machine();
    let db = await on(storage);
    using before = db.snapshot();
    await db.set("k", "1");
    using first = db.snapshot();
    await db.set("k", "2");
    using second = db.snapshot();
    await db.delete("k");
    for (const look of ["at once", "vacuumed"]) {
      const seen = [before.get("k"), first.get("k"), second.get("k"), db.get("k"), db.count()];
      expect([look, ...seen]).toEqual([look, undefined, "1", "2", undefined, 0]);
      await vacuumed(db);
    }
    first.close();
    await vacuumed(db);
    expect([second.get("k"), db.get("k")]).toEqual(["2", undefined]);
    await db.close();
    db = await on(storage);
    expect([db.get("k"), db.count()]).toEqual([undefined, 0]);
    await db.close();
  });

  test("T-MVCC-02: a write that was refused is not visible after a vacuum either", async () => {
    const storage = machine();
    const db = await on(storage);
    await db.set("old", "1");
    fillDisk(storage);
    const refused = [db.set("new", "dirty"), db.set("old", "dirty")];
    expect((await Promise.allSettled(refused)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    for (const look of ["at once", "vacuumed", "written on"]) {
      expect([look, db.get("new"), db.get("old"), db.count()]).toEqual([look, undefined, "1", 1]);
      if (look === "at once") await vacuumed(db);
      else await db.set("old", "1");
    }
    await db.close();
    const again = await on(storage);
    expect([...again.keys()]).toEqual(["old"]);
    await again.close();
  });

  test("T-MVCC-03: a deletion that was refused neither takes effect later nor stops the next one", async () => {
    const storage = machine();
    const db = await on(storage);
    await db.set("k", "1");
    fillDisk(storage);
    await expect(db.delete("k")).rejects.toMatchObject({ code: "DISK_FULL" });
    await db.set("other", "1");
    await vacuumed(db);
    expect(db.get("k")).toBe("1");
    await db.delete("k");
    expect(db.get("k")).toBeUndefined();
    await vacuumed(db);
    await db.close();
    const again = await on(storage);
    expect([...again.keys()]).toEqual(["other"]);
    await again.close();
  });

  test("T-MVCC-04: what the oldest snapshot sees stays, whatever was begun and ended since", async () => {
    await using db = await open<string>(undefined, { codec: "text" });
    await db.set("k", "1");
    using oldest = db.snapshot();
    await db.set("other", "1");
    const newer = db.snapshot();
    await db.delete("k");
    const newest = db.snapshot();
    for (const ended of [newest, newer]) {
      ended.close();
      await vacuumed(db);
      expect([oldest.get("k"), [...oldest.keys()], db.get("k")]).toEqual(["1", ["k"], undefined]);
    }
    oldest.close();
    await vacuumed(db);
    const { oldVersions } = db.status().memory;
    expect([oldVersions, db.status().tombstones]).toEqual([0, 0]);
  });

  test("T-MVCC-05: a million updates of one key take no more memory than a few, with a snapshot too", async () => {
    await using db = await open<string>(undefined, { codec: "text" });
    const update = async (times: number): Promise<number> => {
      for (let i = 0; i < times; i += 100) {
        const writes = Array.from({ length: 99 }, (_, j) =>
          db.set("k", `${i + j}`, { durability: "memory" }),
        );
        await Promise.all([...writes, db.set("k", `${i + 99}`)]);
      }
      await vacuumed(db);
      return db.status().memory.usedBytes;
    };
    const usedBytes = await update(1000);
    using snapshot = db.snapshot();
    const seen = snapshot.get("k");
    expect(await update(999_000)).toBeLessThan(usedBytes + 8192);
    expect([snapshot.get("k"), db.status().memory.oldVersions]).toEqual([seen, 1]);
  });
});

describe("commits and reads", () => {
  test("what was evicted for a commit that the log refused is back, and can be evicted again", async () => {
    const storage = machine();
    const db = await on(storage, { maxMemory: 1024 * 1024, eviction: "lru" });
    const filler = "x".repeat(1000);
    for (let i = 0; i < 3000; i++) await db.set(`k${i}`, filler);
    await db.flush();
    for (let round = 0; round < 5; round++) {
      const { usedBytes: used, limitBytes = 0 } = db.status().memory;
      const keys = [...db.keys()];
      const digest = db.digest();
      fillDisk(storage);
      const large = "y".repeat(limitBytes - used + 100_000);
      const refused = db.transact((tx) => tx.set("large", large), { retries: 0 });
      expect(db.count()).toBeLessThan(keys.length);
      await expect(refused).rejects.toMatchObject({ code: "DISK_FULL" });
      expect([[...db.keys()], db.digest(), db.has("large")]).toEqual([keys, digest, false]);
      portOf(db).verify();
    }
    await db.set("large", "y".repeat(200_000));
    expect(db.has("large")).toBe(true);
    portOf(db).verify();
    await db.close();
  });

  test("T-API-02: a read outside of transactions never fails, whoever commits or conflicts", async () => {
    await using db = await open<number>();
    await db.set("n", 0);
    let conflicts = 0;
    for (let round = 0; round < 50; round++) {
      const one = await interleaved(
        db,
        (tx) => tx.set("n", (tx.get("n") ?? 0) + 1),
        async () => {
          const other = db.set("n", 10 * round);
          expect([db.get("n"), db.has("n"), db.count(), [...db.values()]]).toEqual([
            10 * round,
            true,
            1,
            [10 * round],
          ]);
          await other;
        },
        { retries: 0 },
      );
      await one.result.catch((error: unknown) => {
        expect(error).toMatchObject({ code: "CONFLICT" });
        conflicts++;
        expect(db.get("n")).toBe(10 * round);
      });
    }
    expect(conflicts).toBe(50);
  });
});

describe("deadlines", () => {
  test("T-TTL-03: a whole state taken over from elsewhere has its deadlines, and nothing else besides", async () => {
    const storage = machine();
    const { runtime } = storage;
    const db = await on(storage);
    await db.set("timed", "1", { ttl: 60_000 });
    await db.set("kept", "2");
    const shown = (of: Store<string>): unknown[] =>
      [...of.list()].map(({ key, value, expiresAt }) => [key, value, expiresAt]);
    const before = shown(db);
    expect(before).toEqual([
      ["kept", "2", undefined],
      ["timed", "1", expect.any(Number)],
    ]);
    await db.backup("/state.backup");
    await restore("/state.backup", "/restored", { runtime });
    await using restored = await open<string>("/restored", { runtime, codec: "text" });
    await using loaded = await open<string>(undefined, { runtime, codec: "text" });
    await load(loaded, dump(db));
    expect([shown(restored), shown(loaded)]).toEqual([before, before]);
    storage.clock.jump(60_001);
    for (const store of [db, restored, loaded]) expect([...store.keys()]).toEqual(["kept"]);
    await db.close();
  });

  test("what was written between a deadline and its sweep stays", async () => {
    const storage = machine();
    const db = await on(storage);
    for (const [i, key] of ["again", "gone", "timed"].entries()) await db.set(key, `${i}`, { ttl: 1000 });
    storage.clock.jump(1500);
    await db.set("again", "new");
    await db.set("timed", "new", { ttl: 60_000 });
    const writes = db.version;
    await storage.advance(5000);
    // One commit of the sweeper: it is logged like any other.
    expect([[...db.keys()], db.version]).toEqual([["again", "timed"], writes + 1]);
    await db.flush();
    storage.kill();
    storage.clock.jump(-30_000);
    const reopened = await open<string>("/data", { runtime: storage.restart(), codec: "text" });
    expect([...reopened.keys()]).toEqual(["again", "timed"]);
    await reopened.close();
  });
});
