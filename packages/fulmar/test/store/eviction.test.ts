import { describe, expect, test } from "vitest";
import { type Eviction, type OpenOptions, open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { replicate } from "../../src/sync/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";
import { temporaryDirectory } from "./fixture.js";

const MIB = 1024 * 1024;
const EVICTING = ["lru", "lfu", "random", "arc", "sieve", "nearest-expiry"] as const;
const value = (i: number, length = 1000): string => `${i} `.padEnd(length, "x");

function machine(): SimulatedStorage {
  return simulatedStorage({ seed: 1, cryptography: nodeCryptography, sectorBytes: 512 });
}

/** A store of 1 MiB, with a directory if a machine is given. */
function small(
  eviction: Eviction,
  storage?: SimulatedStorage,
  options: OpenOptions<string> = {},
): Promise<Store<string>> {
  const wishes = { codec: "text", maxMemory: MIB, eviction, ...options } as const;
  if (storage === undefined) return open<string>(undefined, wishes);
  return open<string>("/data", { runtime: storage.runtime, segmentBytes: 65_536, ...wishes });
}

/** Sets keys one after the other; nearest-expiry evicts only what has a deadline. */
async function fill(db: Store<string>, from: number, to: number, length = 1000): Promise<void> {
  for (let i = from; i < to; i++) await db.set(`k${i}`, value(i, length), { ttl: 3_600_000 + i });
}

/** What memory says of itself is true, and within the limit once nothing is under way. */
function check(db: Store<string>): void {
  portOf(db).verify();
  const { usedBytes, limitBytes, leavingBytes } = db.status().memory;
  expect(usedBytes - leavingBytes).toBeLessThanOrEqual(limitBytes ?? 0);
}

const keysOf = (db: Store<string>): string[] => [...db.keys()].map(String);

describe("without eviction", () => {
  test("T-API-01: a write that does not fit is refused, and nothing at all has changed", async () => {
    const storage = machine();
    await using db = await small("none", storage);
    let i = 0;
    const untilFull = async (): Promise<void> => {
      for (; ; i++) await db.set(`k${i}`, value(i));
    };
    const refusal = await untilFull().catch((error: unknown) => error);
    const { usedBytes } = db.status().memory;
    const details = { limitBytes: MIB, usedBytes, needBytes: expect.any(Number) };
    expect(refusal).toMatchObject({ code: "MEMORY_FULL", details });
    const before = { status: db.status(), digest: db.digest() };
    const log = storage.disk.image();
    for (let again = 0; again < 3; again++) {
      await expect(db.set("more", value(0))).rejects.toMatchObject({ code: "MEMORY_FULL" });
      await expect(
        db.batch([
          { type: "set", key: "k1", value: "small" },
          { type: "set", key: "another", value: value(0) },
          { type: "set", key: "more", value: value(0) },
        ]),
      ).rejects.toMatchObject({ code: "MEMORY_FULL" });
    }
    expect({ status: db.status(), digest: db.digest() }).toEqual(before);
    expect(storage.disk.image()).toEqual(log);
    expect(i).toBeGreaterThan(700);
    check(db);
  });

  test("T-LIM-02: keys that are there and grow are held to the limit like new ones", async () => {
    await using db = await small("none", machine());
    const grow = async (round: number): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        await db.set(`k${i}`, value(i, 10 * 4 ** round));
        check(db);
      }
    };
    for (let round = 0; round < 5; round++) await grow(round);
    await expect(grow(6)).rejects.toMatchObject({ code: "MEMORY_FULL" });
    check(db);
    expect(db.count()).toBe(100);
    const operations = Array.from({ length: 100 }, (_, i) => {
      return { type: "set", key: `k${i}`, value: value(i, 20_000) } as const;
    });
    await expect(db.batch(operations)).rejects.toMatchObject({ code: "MEMORY_FULL" });
    await grow(0);
  });

  test("deleting and overwriting work when memory is full, and make room again", async () => {
    await using db = await small("none", machine());
    let i = 0;
    await expect(
      (async () => {
        for (; ; i++) await db.set(`k${i}`, value(i));
      })(),
    ).rejects.toMatchObject({ code: "MEMORY_FULL" });
    await db.set("k0", value(7));
    await db.set("k1", "short");
    for (let j = 10; j < 30; j++) await db.delete(`k${j}`);
    await db.set("more", value(1, 5000));
    expect(db.get("k0")).toBe(value(7));
    check(db);
  });

  test("a value that no eviction can make room for is refused, and evicts nothing", async () => {
    for (const eviction of EVICTING) {
      await using db = await small(eviction);
      await fill(db, 0, 500);
      await expect(db.set("huge", value(0, MIB))).rejects.toMatchObject({ code: "MEMORY_FULL" });
      expect([db.count(), db.status().memory.evicted.entries]).toEqual([500, 0]);
      check(db);
    }
  });

  test("a snapshot that keeps what was replaced is counted, and writes wait for its end", async () => {
    await using db = await small("none");
    for (let i = 0; i < 600; i++) await db.set(`k${i}`, value(i));
    const list = db.list()[Symbol.iterator]();
    list.next();
    await expect(
      (async () => {
        for (let i = 0; i < 600; i++) await db.set(`k${i}`, value(i + 1));
      })(),
    ).rejects.toMatchObject({ code: "MEMORY_FULL" });
    check(db);
    list.return?.();
    for (let i = 0; i < 600; i++) await db.set(`k${i}`, value(i + 2));
    check(db);
  });
});

describe.each(EVICTING)("%s", (eviction) => {
  test("T-EVICT-01: memory stays within its limit, and what was evicted stays gone after a restart", async () => {
    const storage = machine();
    const db = await small(eviction, storage);
    const evicted: string[] = [];
    db.watch({}, ({ changes }) => {
      for (const { key, reason } of changes) if (reason === "evicted") evicted.push(String(key));
    });
    for (let i = 0; i < 3000; i++) {
      await db.set(`k${i}`, value(i), { ttl: 3_600_000 + i });
      if (i % 500 === 0) check(db);
    }
    await db.flush();
    check(db);
    const left = keysOf(db);
    expect(left.length).toBeGreaterThan(600);
    expect(left).toContain("k2999");
    expect(new Set([...left, ...evicted]).size).toBe(3000);
    expect(evicted.length).toBe(db.status().memory.evicted.entries);
    const digest = db.digest();
    storage.kill();
    storage.restart();
    await using again = await open<string>("/data", { runtime: storage.runtime, codec: "text" });
    expect(keysOf(again)).toEqual(left);
    expect(again.digest()).toBe(digest);
    expect(again.status().tombstones).toBe(0);
    portOf(again).verify();
  });

  test("T-LIM-02: keys that are there and grow take others with them", async () => {
    await using db = await small(eviction);
    await fill(db, 0, 100, 10);
    for (let i = 0; i < 100; i++) {
      await db.set(`k${i}`, value(i, 40_000), { ttl: 3_600_000 + i });
      check(db);
      expect(db.has(`k${i}`)).toBe(true);
    }
    expect(db.status().memory.evicted.entries).toBeGreaterThan(50);
  });

  test("a checkpoint holds what is left", async () => {
    const storage = machine();
    const db = await small(eviction, storage);
    await fill(db, 0, 2000);
    await db.checkpoint();
    const left = keysOf(db);
    await db.close();
    storage.restart();
    await using again = await small(eviction, storage, { maxMemory: 2 * MIB });
    expect(keysOf(again)).toEqual(left);
    await fill(again, 5000, 8000);
    check(again);
  });

  test("a store with a smaller limit than it was written with evicts while it opens", async () => {
    const storage = machine();
    const db = await small(eviction, storage, { maxMemory: 4 * MIB });
    await fill(db, 0, 3000);
    await db.close();
    storage.restart();
    await using again = await small(eviction, storage);
    check(again);
    const left = again.count();
    expect(left).toBeLessThan(1100);
    expect(left).toBeGreaterThan(500);
    if (eviction !== "random") expect([again.has("k0"), again.has("k2999")]).toEqual([false, true]);
  });

  test("what the log refuses comes back, and the policy goes on", async () => {
    const storage = machine();
    await using db = await small(eviction, storage);
    await fill(db, 0, 300);
    const digest = db.digest();
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    await expect(db.evict({ entries: 100 })).rejects.toMatchObject({ code: "DISK_FULL" });
    expect([db.count(), db.digest()]).toEqual([300, digest]);
    check(db);
    expect(await db.evict({ entries: 100 })).toMatchObject({ entries: 100 });
    expect(db.count()).toBe(200);
    check(db);
    await fill(db, 1000, 3000);
    check(db);
  });

  test("deletions, expiry and values of all sizes leave nothing behind", async () => {
    const storage = machine();
    await using db = await small(eviction, storage);
    for (let i = 0; i < 4000; i++) {
      const key = `k${(i * 7919) % 997}`;
      if (i % 5 === 0) await db.delete(key);
      else await db.set(key, value(i, (i * 31) % 9000), { ttl: 1000 + (i % 100_000) });
      if (i % 1000 === 0) {
        await storage.advance(600);
        check(db);
      }
    }
    await storage.advance(200_000);
    expect(db.count()).toBe(0);
    check(db);
  });

  test("a batch that replaces everything is there whole", async () => {
    await using db = await small(eviction);
    await fill(db, 0, 800);
    const operations = Array.from(
      { length: 700 },
      (_, i) => ({ type: "set", key: `b${i}`, value: value(i), ttl: 9_999_999 }) as const,
    );
    await db.batch(operations);
    for (const { key, value: expected } of operations) expect(db.get(key)).toBe(expected);
    check(db);
  });

  test("a snapshot goes on showing what was evicted, and is not evicted from in vain", async () => {
    await using db = await small(eviction);
    await fill(db, 0, 700);
    const shown = db.list()[Symbol.iterator]();
    expect(shown.next().value?.key).toBe("k0");
    const refusal = await fill(db, 1000, 5000).catch((error: unknown) => error);
    if (refusal !== undefined) expect(refusal).toMatchObject({ code: "MEMORY_FULL" });
    const { entries } = db.status().memory.evicted;
    check(db);
    let count = 1;
    for (let next = shown.next(); next.done !== true; next = shown.next()) count++;
    expect(count).toBe(700);
    // Those that the snapshot saw are all still there: evicting them would have freed nothing.
    expect(keysOf(db).filter((key) => Number(key.slice(1)) < 1000).length).toBe(700);
    await fill(db, 6000, 8000);
    expect(db.status().memory.evicted.entries).toBeGreaterThan(entries);
    check(db);
  });
});

describe("order", () => {
  test("reads by key count as use, listings do not", async () => {
    await using db = await small("lru");
    await fill(db, 0, 500);
    db.get("k0");
    db.getMany(["k1"]);
    db.has("k2");
    db.entry("k3");
    await db.set("k4", "again");
    for (const _ of db.list());
    db.count();
    await db.evict({ entries: 495 });
    expect(keysOf(db)).toEqual(["k0", "k1", "k2", "k3", "k4"]);
  });

  test("after a restart the oldest go first, whatever their keys", async () => {
    const storage = machine();
    const db = await small("lru", storage);
    for (const key of ["c", "a", "d", "b"]) await db.set(key, "1");
    await db.checkpoint();
    await db.set("a", "2");
    db.get("c");
    await db.close();
    storage.restart();
    await using again = await small("lru", storage);
    await again.evict({ entries: 2 });
    expect(keysOf(again)).toEqual(["a", "b"]);
  });

  test("what came back because the log refused an eviction is the next to go", async () => {
    const storage = machine();
    await using db = await small("lru", storage);
    await fill(db, 0, 20);
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    await expect(db.evict({ entries: 3 })).rejects.toMatchObject({ code: "DISK_FULL" });
    await db.evict({ entries: 3 });
    expect(keysOf(db).length).toBe(17);
    for (const key of ["k0", "k1", "k2"]) expect(db.has(key)).toBe(false);
  });

  test("nearest-expiry leaves alone what does not expire", async () => {
    await using db = await small("nearest-expiry");
    for (let i = 0; i < 300; i++) await db.set(`stays${i}`, value(i));
    await fill(db, 0, 2000);
    expect(keysOf(db).filter((key) => key.startsWith("stays")).length).toBe(300);
    expect(db.has("k0")).toBe(false);
    await expect(
      (async () => {
        for (let i = 300; i < 2000; i++) await db.set(`stays${i}`, value(i));
      })(),
    ).rejects.toMatchObject({ code: "MEMORY_FULL" });
    expect(keysOf(db).some((key) => key.startsWith("k"))).toBe(false);
    check(db);
  });

  test("what has expired is called so, also when it is evicted", async () => {
    const storage = machine();
    await using db = await small("nearest-expiry", storage);
    const reasons: string[] = [];
    db.watch({}, ({ changes }) => reasons.push(...changes.map(({ reason }) => reason)));
    await db.set("a", "1", { ttl: 10 });
    await db.set("b", "1", { ttl: 100_000 });
    storage.clock.jump(20);
    await db.evict({ entries: 2 });
    expect(reasons).toEqual(["written", "written", "expired", "evicted"]);
  });
});

describe("replication", () => {
  test("and eviction exclude each other", async () => {
    const directory = await temporaryDirectory();
    {
      await using db = await open(directory, { maxMemory: MIB, eviction: "lru" });
      await expect(replicate(db, { listen: "127.0.0.1:0" })).rejects.toMatchObject({
        code: "EVICTION_WITH_PEERS",
      });
      await db.set("a", 1);
    }
    {
      await using db = await open(directory, { maxMemory: MIB });
      await (await replicate(db, { listen: "127.0.0.1:0" })).close();
    }
    await expect(open(directory, { maxMemory: MIB, eviction: "lru" })).rejects.toMatchObject({
      code: "EVICTION_WITH_PEERS",
    });
    await using db = await open(directory);
    expect(db.get("a")).toBe(1);
  });
});

describe("options", () => {
  test.each([
    [{ maxMemory: 1000 }, "INVALID_ARGUMENT"],
    [{ maxMemory: "1 GB" }, "INVALID_ARGUMENT"],
    [{ eviction: "lru" }, "INVALID_ARGUMENT"],
    [{ maxMemory: MIB, eviction: "fifo" }, "INVALID_ARGUMENT"],
  ])("%o are refused", async (options, code) => {
    await expect(open(undefined, options as OpenOptions)).rejects.toMatchObject({ code });
  });

  test("evicting by hand needs a policy, and sensible numbers", async () => {
    await using db = await open(undefined, { maxMemory: MIB });
    await expect(db.evict()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await using lru = await small("lru");
    await expect(lru.evict({ entries: -1 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(lru.evict({ keys: 1 } as object)).rejects.toMatchObject({ code: "UNKNOWN_OPTION" });
    await fill(lru, 0, 100);
    const { bytes, entries } = await lru.evict({ bytes: 10_000 });
    expect(bytes).toBeGreaterThanOrEqual(10_000);
    expect([entries, lru.count()]).toEqual([10, 90]);
    expect(await lru.evict()).toEqual({ entries: 0, bytes: 0 });
  });
});
