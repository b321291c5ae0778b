import { describe, expect, test } from "vitest";
import { UNSYNCED_COMMITS_MAX } from "../../src/base/limits.js";
import { type OpenOptions, open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

function machine(seed = 1): SimulatedStorage {
  return simulatedStorage({ seed, cryptography: nodeCryptography, sectorBytes: 512 });
}

function openOn(storage: SimulatedStorage, options: OpenOptions<string> = {}): Promise<Store<string>> {
  return open<string>("/data", { runtime: storage.runtime, segmentBytes: 65_536, ...options });
}

/** Writes until the log goes on in another segment, which is prepared and not yet written to. */
async function untilRotationIsNext(db: Store<string>, storage: SimulatedStorage): Promise<void> {
  for (let i = 0; i < 6; i++) await db.set(["fill", i], "x".repeat(10_000));
  // It is prepared once nothing more is done to the disk.
  let operations = 0;
  storage.disk.onOperation = () => operations++;
  for (let before = -1; before !== operations; ) {
    before = operations;
    for (let i = 0; i < 5; i++) await storage.runtime.timers.turn();
  }
  storage.disk.onOperation = undefined;
  expect(storage.disk.image().has("/data/log/000000000002.log")).toBe(true);
}

test("what was prepared of the log and cannot be removed disturbs no close, and goes at the next open", async () => {
  const storage = machine();
  const db = await openOn(storage);
  await untilRotationIsNext(db, storage);
  storage.disk.faults.add({ operations: ["remove"], path: "000000000002.log", code: "EACCES" });
  const { applied } = db.status().version;
  await db.close();
  expect(storage.disk.image().has("/data/log/000000000002.log")).toBe(true);
  storage.restart();
  const again = await openOn(storage);
  // No numbers are skipped.
  expect(again.status().version.applied).toBe(applied);
  expect(storage.disk.image().has("/data/log/000000000002.log")).toBe(false);
  await again.set("k", "v");
  await again.close();
});

test("a store that failed says so when it is closed, whatever cannot be removed then", async () => {
  const storage = machine();
  const db = await openOn(storage);
  await untilRotationIsNext(db, storage);
  storage.disk.faults.add({ operations: ["sync"], path: "/data/log", code: "EROFS" });
  await expect(db.set("k", "v")).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
  storage.disk.faults.add({ operations: ["remove"], path: "/data/log", code: "EROFS" });
  await expect(db.close()).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
});

describe("refusals", () => {
  test.each([71, 72, 100, 120, 3000])(
    "T-WAL-06: the first group of a new segment is refused after %i bytes, and the next open finds an orderly end",
    async (bytes) => {
      const storage = machine();
      const db = await openOn(storage);
      await untilRotationIsNext(db, storage);
      const fault = { operations: ["write"], path: "000000000002.log" } as const;
      storage.disk.faults.add({ ...fault, bytes });
      storage.disk.faults.add({ ...fault, code: "ENOSPC" });
      await expect(db.set("k", "y".repeat(12_000))).rejects.toMatchObject({ code: "DISK_FULL" });
      const digest = db.digest();
      await db.close();
      storage.restart();
      await using again = await openOn(storage);
      expect(again.digest()).toBe(digest);
    },
  );

  test("the numbers of refused commits are not given out again after an orderly close", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    const refused = await db.set("a", "2", { durability: "memory" });
    await db.flush();
    expect(db.get("a")).toBe("1");
    await db.close();
    storage.restart();
    await using again = await openOn(storage);
    const next = await again.set("b", "1");
    expect(next.version).toBeGreaterThan(refused.version);
    expect(next.stamp.seq).toBeGreaterThan(refused.stamp.seq);
    expect(next.stamp.hlc).toBeGreaterThan(refused.stamp.hlc);
  });

  test("what the sweeper removed and a refusal brought back is swept again", async () => {
    const storage = machine();
    await using db = await openOn(storage);
    await db.set("k", "1", { ttl: 1000 });
    await storage.advance(900);
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC", times: 3 });
    await storage.advance(1000);
    expect([db.get("k"), db.status().entries]).toEqual([undefined, 1]);
    await storage.advance(60_000);
    expect(db.status().entries).toBe(0);
  });

  test("many expired entries are swept in one go, although writes with later deadlines arrive", async () => {
    const storage = machine();
    await using db = await openOn(storage);
    const expiring = Array.from(
      { length: 3000 },
      (_, i) => ({ type: "set", key: i, value: "", ttl: 100 }) as const,
    );
    await db.batch(expiring);
    db.watch({ gte: 0, lt: 3000 }, () => void db.set("session", "x", { ttl: 3_600_000 }));
    await storage.advance(1000);
    expect(db.status().entries).toBe(1);
  });

  test("a full disk does not make the sweeper run hot", async () => {
    const storage = machine();
    await using db = await openOn(storage);
    const expiring = Array.from(
      { length: 1200 },
      (_, i) => ({ type: "set", key: i, value: "", ttl: 100 }) as const,
    );
    await db.batch(expiring);
    const mend = storage.disk.faults.add({
      operations: ["write"],
      path: ".log",
      code: "ENOSPC",
      times: Number.POSITIVE_INFINITY,
    });
    const before = storage.disk.operations;
    await storage.advance(10_000);
    expect(storage.disk.operations - before).toBeLessThan(200);
    mend();
    await storage.advance(10_000);
    expect(db.status().entries).toBe(0);
  });
});

describe("closing", () => {
  test.each([
    ["close", "MANIFEST"],
    ["sync", "MANIFEST"],
    ["write", "MANIFEST"],
    ["close", "log"],
    ["sync", "log"],
    ["truncate", "log"],
    ["remove", "log"],
  ] as const)("a failing %s of %s gives the directory free all the same", async (operation, path) => {
    const storage = machine();
    const db = await openOn(storage);
    await untilRotationIsNext(db, storage);
    storage.disk.faults.add({ operations: [operation], path, code: "EIO" });
    await db.close().catch(() => undefined);
    storage.disk.faults.clear();
    await using again = await openOn(storage);
    expect(again.count()).toBe(6);
  });
});

/** Kills a process after the `nth` change to the disk that opening makes; false when it makes fewer. */
async function killedWhileOpening(storage: SimulatedStorage, nth: number): Promise<boolean> {
  let calls = 0;
  storage.disk.onOperation = (operation, phase) => {
    if (phase === "after" && operation.mutates && ++calls === nth) storage.kill();
  };
  const isOpen = await openOn(storage).then(
    () => true,
    () => false,
  );
  storage.disk.onOperation = undefined;
  storage.restart();
  expect(isOpen || calls >= nth).toBe(true);
  return calls >= nth;
}

/** Writes a key on a store that is opened now, cuts the power, and reads this and others from the next one. */
async function readAfterCut(storage: SimulatedStorage, keys: readonly string[]): Promise<unknown[]> {
  const db = await openOn(storage);
  await db.set("k", "1");
  storage.powerCut();
  storage.restart();
  await using again = await openOn(storage);
  return again.getMany(keys);
}

describe("a process killed while it opens, and a power cut after the next one", () => {
  test("nothing that the next one acknowledged is lost, wherever the first was killed", async () => {
    for (let nth = 1; ; nth++) {
      const storage = machine(nth);
      if (!(await killedWhileOpening(storage, nth))) break;
      expect([nth, ...(await readAfterCut(storage, ["k"]))]).toEqual([nth, "1"]);
    }
  });

  test("nor after the cut of a torn tail", async () => {
    for (let nth = 1; ; nth++) {
      const storage = machine(nth);
      const first = await openOn(storage);
      await first.set("a", "1");
      await first.set("b", "2", { durability: "relaxed" });
      storage.kill();
      const segment = "/data/log/000000000001.log";
      const size = storage.disk.image().get(segment)?.length ?? 0;
      storage.disk.rot(segment, { bits: [size * 8 - 1] });
      storage.restart();
      if (!(await killedWhileOpening(storage, nth))) break;
      expect([nth, ...(await readAfterCut(storage, ["a", "k"]))]).toEqual([nth, "1", "1"]);
    }
  });
});

test.each(["clean", "revert"] as const)(
  "T-WAL-07: what is read after a failed sync that left pages %s is durable, growth of the file included",
  async (afterSync) => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    storage.disk.faults.add({ operations: ["sync"], path: "/data/log", code: "EIO", afterSync });
    await expect(db.set("b", "y".repeat(20_000))).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
    storage.kill();
    storage.restart();
    const second = await openOn(storage);
    const digest = second.digest();
    storage.powerCut();
    storage.restart();
    await using third = await openOn(storage);
    expect([third.get("a"), third.digest()]).toEqual(["1", digest]);
  },
);

test("T-WAL-07: the same of a segment whose very first sync failed, and of its opening", async () => {
  const storage = machine();
  const db = await openOn(storage);
  await untilRotationIsNext(db, storage);
  storage.disk.faults.add({
    operations: ["sync"],
    path: "000000000002.log",
    code: "EIO",
    afterSync: "clean",
  });
  await expect(db.set("b", "y".repeat(12_000))).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
  storage.kill();
  storage.restart();
  const second = await openOn(storage);
  await second.set("c", "z");
  const digest = second.digest();
  storage.powerCut();
  storage.restart();
  await using third = await openOn(storage);
  expect([third.get("c"), third.digest()]).toEqual(["z", digest]);
});

test("an open that fails at the end leaves no file open", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography, openFilesMax: 6 });
  await (await openOn(storage)).close();
  for (let i = 0; i < 10; i++) {
    storage.disk.faults.add({ operations: ["sync"], path: "MANIFEST", code: "EIO" });
    await expect(openOn(storage)).rejects.toMatchObject({ code: "IO_ERROR" });
  }
  await (await openOn(storage)).close();
});

describe("tombstones", () => {
  test("a checkpoint after replication could not begin is readable", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("k", "1");
    storage.disk.faults.add({ operations: ["sync"], path: "MANIFEST", code: "EIO" });
    await expect(portOf(db).beginReplication()).rejects.toMatchObject({ code: "IO_ERROR" });
    await db.delete("k");
    await db.checkpoint();
    const digest = db.digest();
    await db.close();
    storage.restart();
    await using again = await openOn(storage);
    expect(again.digest()).toBe(digest);
  });
});

test("T-WAL-07: a sync in line says nothing while one under way may hold the error that only it was told", async () => {
  const storage = machine();
  const db = await openOn(storage);
  storage.disk.faults.add({ operations: ["sync"], path: ".log", code: "EIO", afterSync: "clean" });
  // A loop that never lets the event loop turn: the log has to sync in line before the numbers run out.
  const outcomes = { resolved: 0, codes: new Set<unknown>() };
  const writes: Promise<void>[] = [];
  for (let i = 0; i < UNSYNCED_COMMITS_MAX + 10_000; i++) {
    const done = db.set("k", "xxxxxxxxxxxxxxxx").then(
      () => void outcomes.resolved++,
      (error: { code: unknown }) => void outcomes.codes.add(error.code),
    );
    writes.push(done);
  }
  await Promise.all(writes);
  expect(outcomes).toEqual({ resolved: 0, codes: new Set(["DURABILITY_UNKNOWN"]) });
  await expect(db.close()).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
});

describe("close", () => {
  test("says so when the last sync failed, and lets go of the directory", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    await db.set("a", "2", { durability: "relaxed" });
    storage.disk.faults.add({ operations: ["sync"], path: ".log", code: "EIO", afterSync: "revert" });
    await expect(db.close()).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
    await expect(db.close()).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
    await using again = await openOn(storage);
    expect(["1", "2"]).toContain(again.get("a"));
  });
});
