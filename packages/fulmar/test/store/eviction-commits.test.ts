import { describe, expect, test } from "vitest";
import { type CommitEvent, type Eviction, type OpenOptions, open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

/** What is evicted for a write leaves with the write: as one commit, or not at all. */

const MIB = 1024 * 1024;
const EVICTING = ["lru", "lfu", "random", "arc", "sieve", "nearest-expiry"] as const;
const HOUR_MS = 3_600_000;

function machine(): SimulatedStorage {
  return simulatedStorage({ seed: 1, cryptography: nodeCryptography, sectorBytes: 512 });
}

function small(eviction: Eviction, options: OpenOptions<string> = {}): Promise<Store<string>> {
  return open<string>(undefined, { codec: "text", maxMemory: MIB, eviction, ...options });
}

async function fill(db: Store<string>, count: number, length: number): Promise<void> {
  const operations = Array.from({ length: count }, (_, i) => {
    return { type: "set", key: `k${i}`, value: "x".repeat(length), ttl: HOUR_MS + i } as const;
  });
  await db.batch(operations);
}

/** Every commit from now on. */
function watched(db: Store<string>): CommitEvent<string>[] {
  const events: CommitEvent<string>[] = [];
  db.watch({}, (event) => events.push(event));
  return events;
}

const evictedIn = ({ changes }: CommitEvent<string>): unknown[] =>
  changes.filter(({ reason }) => reason === "evicted").map(({ key }) => key);

describe.each(EVICTING)("%s", (eviction) => {
  test("no transaction is behind an eviction that it did not see, although it was made for it", async () => {
    await using db = await small(eviction);
    await fill(db, 700, 1000);
    const events = watched(db);
    let evictions = 0;
    for (let i = 0; i < 300; i++) {
      let seen: unknown[] = [];
      let since = 0;
      await db.transact((tx) => {
        since = tx.version;
        seen = [...tx.keys({ limit: 300 })];
        tx.set(`new${i}`, "y".repeat(3000), { ttl: 3 * HOUR_MS });
      });
      const { version = 0 } = db.entry(`new${i}`) ?? {};
      const between = events.filter((event) => event.version > since && event.version < version);
      expect(between.flatMap(evictedIn).filter((key) => seen.includes(key))).toEqual([]);
      const own = events.filter((event) => event.version === version).flatMap(evictedIn);
      if (own.some((key) => seen.includes(key))) evictions++;
    }
    expect(evictions).toBeGreaterThan(0);
    portOf(db).verify();
  });

  test("a condition that held does so in the state that the write is made in", async () => {
    await using db = await small(eviction);
    await fill(db, 700, 1000);
    const events = watched(db);
    for (let i = 0; i < 300; i++) {
      const [key] = db.keys({ limit: 1 });
      const operation = db.atomic().check({ key, exists: true });
      const outcome = await operation.set(`z${i}`, "y".repeat(4000), { ttl: 3 * HOUR_MS }).commit();
      expect(outcome.ok).toBe(true);
      const gone = events.find((event) => evictedIn(event).includes(key));
      if (gone !== undefined) expect(gone.changes.map((change) => change.key)).toContain(`z${i}`);
      events.length = 0;
    }
  });

  test("a write takes as many keys with it as it needs, in one commit", async () => {
    await using db = await small(eviction, { maxMemory: 8 * MIB });
    await fill(db, 18_000, 200);
    const events = watched(db);
    const before = db.count();
    await db.set("large", "y".repeat(5.5 * MIB), { ttl: 3 * HOUR_MS });
    const [event] = events;
    expect(evictedIn(event).length).toBeGreaterThan(10_000);
    expect(event.changes.map(({ key }) => key)).toContain("large");
    expect(before - evictedIn(event).length + 1).toBe(db.count() + events.slice(1).flatMap(evictedIn).length);
    portOf(db).verify();
  });
});

test("a key is not evicted for what is written to it", async () => {
  await using db = await small("nearest-expiry");
  await db.set("stays", "x".repeat(500_000));
  await fill(db, 400, 1000);
  const events = watched(db);
  for (let length = 2000; length < 300_000; length *= 2) {
    // It is the next to expire each time.
    await db.set("k0", "y".repeat(length), { ttl: HOUR_MS - 1 });
    expect(db.get("k0")).toBe("y".repeat(length));
  }
  expect(events.flatMap(evictedIn)).not.toContain("k0");
  expect(events.flatMap(evictedIn).length).toBeGreaterThan(100);
  portOf(db).verify();
});

test("keys that are next to go and written again do not keep others from being evicted", async () => {
  await using db = await small("lru", { maxMemory: 2 * MIB });
  await fill(db, 7000, 100);
  const operations = Array.from({ length: 2000 }, (_, i) => {
    return { type: "set", key: `k${i}`, value: "y".repeat(500) } as const;
  });
  await db.batch(operations);
  for (const { key, value } of operations) expect(db.get(key)).toBe(value);
  expect(db.status().memory.evicted.entries).toBeGreaterThan(0);
  portOf(db).verify();
});

test("what is refused in the end evicted nothing, however much it looked at", async () => {
  await using db = await small("nearest-expiry", { maxMemory: 8 * MIB });
  await db.set("stays", "x".repeat(3 * MIB));
  await fill(db, 30_000, 20);
  const before = { digest: db.digest(), version: db.version, evicted: db.status().memory.evicted };
  await expect(db.set("huge", "y".repeat(6 * MIB))).rejects.toMatchObject({ code: "MEMORY_FULL" });
  expect({ digest: db.digest(), version: db.version, evicted: db.status().memory.evicted }).toEqual(before);
});

test("a crash leaves a write with what it evicted, or neither", async () => {
  const storage = machine();
  const options = { codec: "text", segmentBytes: 65_536, maxMemory: MIB, eviction: "lru" } as const;
  const db = await open<string>("/data", { ...options, runtime: storage.runtime });
  await fill(db, 700, 1000);
  await db.flush();
  const { version } = db;
  const before = db.digest();
  const written = db.set("large", "y".repeat(300_000), { durability: "memory" });
  await written;
  expect(db.version).toBe(version + 1);
  const after = db.digest();
  storage.kill();
  storage.restart();
  storage.powerCut();
  storage.restart();
  await using again = await open<string>("/data", { ...options, runtime: storage.runtime });
  expect([before, after]).toContain(again.digest());
  expect(again.digest() === after).toBe(again.has("large"));
});

test("a full disk is asked once a second for room to evict, not all the time", async () => {
  const storage = machine();
  const options = { runtime: storage.runtime, codec: "text", segmentBytes: 65_536 } as const;
  await using db = await open<string>("/data", { ...options, maxMemory: 4 * MIB, eviction: "lru" });
  const operations = Array.from({ length: 26_000 }, (_, i) => ({ type: "set", key: i, value: "" }) as const);
  await db.batch(operations);
  // As full as it can be, so that there is work in the background.
  for (let i = 0; db.status().memory.evicted.entries === 0; i++) await db.set(`more ${i}`, "x".repeat(1000));
  let tries = 0;
  const mend = storage.disk.faults.add({
    operations: ["write"],
    path: ".log",
    code: "ENOSPC",
    times: Number.POSITIVE_INFINITY,
  });
  storage.disk.onOperation = ({ kind }, phase) => {
    if (kind === "write" && phase === "before") tries++;
  };
  await expect(db.set("more", "x".repeat(1000))).rejects.toMatchObject({ code: "DISK_FULL" });
  await storage.advance(10_000);
  expect(tries).toBeLessThan(40);
  mend();
  await storage.advance(5_000);
  await db.set("more", "y".repeat(400_000));
  portOf(db).verify();
});

test("evicting by hand ends with its store", async () => {
  const storage = machine();
  const db = await open<string>("/data", {
    runtime: storage.runtime,
    codec: "text",
    maxMemory: 4 * MIB,
    eviction: "lru",
  });
  await fill(db, 10_000, 20);
  // Closing takes a while.
  const checkpoint = db.checkpoint();
  const eviction = db.evict({ entries: 10_000 });
  const { version } = db;
  const closing = db.close();
  await expect(eviction).rejects.toMatchObject({ code: "CLOSED" });
  await Promise.allSettled([checkpoint, closing]);
  expect(db.version).toBe(version);
});
