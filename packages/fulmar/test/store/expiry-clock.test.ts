import { describe, expect, test } from "vitest";
import { open, restore, type Store } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

/*
 * The clock steps forward, somebody is told that a key is gone, the process ends, and the clock stands earlier when it
 * begins again: the key must not come back.
 */

const openOn = (storage: SimulatedStorage): Promise<Store<string>> =>
  open<string>("/data", { runtime: storage.restart(), codec: "text", segmentBytes: 65_536 });

/** A store whose `lease` expired by a step of the clock, 20 ms before it would have. */
async function expired(): Promise<{ storage: SimulatedStorage; db: Store<string> }> {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const db = await openOn(storage);
  await db.set("kept", "1");
  await db.set("lease", "1", { ttl: 60_000 });
  await db.flush();
  await storage.advance(59_980);
  storage.clock.jump(30);
  return { storage, db };
}

/** So many keys that live for a second. */
function leases(count: number) {
  return Array.from({ length: count }, (_, key) => ({ type: "set", key, value: "1", ttl: 1000 }) as const);
}

function end(storage: SimulatedStorage, how: "kill" | "power cut"): void {
  if (how === "kill") storage.kill();
  else storage.powerCut();
}

/** What is there after the clock was set back by a minute. */
async function keysAfter(storage: SimulatedStorage): Promise<unknown[]> {
  storage.clock.jump(-60_000);
  const db = await openOn(storage);
  const keys = [...db.keys()];
  await db.close();
  return keys;
}

const reads: readonly [string, (db: Store<string>) => unknown][] = [
  ["get", (db) => db.get("lease")],
  ["has", (db) => db.has("lease")],
  ["getMany", (db) => db.getMany(["lease"])],
  ["entry", (db) => db.entry("lease")],
  ["ttl", (db) => db.ttl("lease")],
  ["keys", (db) => [...db.keys()]],
  ["count", (db) => db.count()],
  ["snapshot", (db) => db.snapshot().get("lease")],
  ["transact", (db) => db.transact((tx) => tx.get("lease"))],
  ["a listing in transact", (db) => db.transact((tx) => tx.count())],
];

describe("after a step of the clock", () => {
  test.each(reads)("who is told by %s that a key is gone has it swept at once", async (_, read) => {
    const { storage, db } = await expired();
    await read(db);
    await storage.advance(1);
    expect(db.status().entries).toBe(1);
    storage.kill();
    expect(await keysAfter(storage)).toEqual(["kept"]);
  });

  test("what nobody asks for is swept within a second", async () => {
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    const db = await openOn(storage);
    await db.set("lease", "1", { ttl: 3_600_000 });
    storage.clock.jump(3_600_000);
    await storage.advance(1000);
    expect(db.status().entries).toBe(0);
    await db.close();
  });

  test("reads of what is gone already bring no more steps than one in 50 ms", async () => {
    const { storage, db } = await expired();
    const old = db.snapshot();
    for (let i = 0; i < 40; i++) {
      await db.set("lease", "1", { expiresAt: 1 });
      old.get("lease");
      db.get("lease");
      await storage.advance(5);
    }
    // 41 that were written, and the sweeps.
    expect(db.version - 42).toBeLessThanOrEqual(5);
    await db.close();
  });
});

describe("a key that expired does not come back, though the clock was set back, after", () => {
  test("a close", async () => {
    const { storage, db } = await expired();
    expect(db.has("lease")).toBe(false);
    await db.close();
    expect(await keysAfter(storage)).toEqual(["kept"]);
  });

  test("a close in the middle of a large sweep", async () => {
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    const db = await openOn(storage);
    await db.batch(leases(1200));
    storage.clock.jump(1000);
    expect([db.count(), db.status().entries]).toEqual([0, 1200]);
    await db.close();
    expect(await keysAfter(storage)).toEqual([]);
  });

  test.each(
    (["kill", "power cut"] as const).flatMap((how) =>
      (["flush", "checkpoint"] as const).map((what) => [what, how] as const),
    ),
  )("a %s and a %s", async (what, how) => {
    const { storage, db } = await expired();
    expect(db.has("lease")).toBe(false);
    await db[what]();
    end(storage, how);
    expect(await keysAfter(storage)).toEqual(["kept"]);
  });

  test("a backup, in the store that is restored from it", async () => {
    const { storage, db } = await expired();
    expect(db.has("lease")).toBe(false);
    await db.backup("/b.backup");
    await db.close();
    storage.clock.jump(-60_000);
    await restore("/b.backup", "/restored", { runtime: storage.runtime });
    const restored = await open("/restored", { runtime: storage.runtime, codec: "text" });
    expect([...restored.keys()]).toEqual(["kept"]);
    await restored.close();
  });
});

describe("where the disk is full", () => {
  const full = {
    operations: ["write"],
    path: ".log",
    code: "ENOSPC",
    times: Number.POSITIVE_INFINITY,
  } as const;

  test.each(["flush", "close"] as const)("%s of what was written resolves all the same", async (what) => {
    const { storage, db } = await expired();
    await db.batch(leases(1200));
    storage.clock.jump(1000);
    expect([...db.keys()]).toEqual(["kept"]);
    const mend = storage.disk.faults.add({ ...full, operations: [...full.operations] });
    await db[what]();
    mend();
    expect(await keysAfter(storage)).toContain("kept");
  });
});

test("a store that has failed sweeps nothing more, and nobody waits for it", async () => {
  const { storage, db } = await expired();
  storage.disk.faults.add({ operations: ["sync"], path: ".log", code: "EIO", times: 1 });
  await expect(db.set("k", "2", { durability: "full" })).rejects.toMatchObject({
    code: "DURABILITY_UNKNOWN",
  });
  expect(db.has("lease")).toBe(false);
  await expect(db.flush()).rejects.toThrow();
  await expect(db.checkpoint()).rejects.toThrow();
  await expect(db.close()).rejects.toThrow();
});

test("a flush that a codec asks for sweeps nothing within the write of that codec", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  let hook: (() => void) | undefined;
  const codec = {
    name: "hooked",
    encode(value: string): Uint8Array {
      hook?.();
      return new TextEncoder().encode(value);
    },
    decode: (bytes: Uint8Array): string => new TextDecoder().decode(bytes),
  };
  const db = await open<string>("/data", { runtime: storage.runtime, codec });
  await db.set("lease", "1", { ttl: 1000 });
  storage.clock.jump(1000);
  const seen: unknown[] = [];
  hook = () => {
    seen.push(db.version, db.flush(), db.version);
  };
  await db.set("k", "2");
  hook = undefined;
  expect([seen[0], seen[2]]).toEqual([1, 1]);
  await seen[1];
  expect(db.status().entries).toBe(1);
  await db.close();
});
