import { describe, expect, test } from "vitest";
import { open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";

const MIB = 1024 * 1024;
const EVICTING = ["lru", "lfu", "random", "arc", "sieve", "nearest-expiry"] as const;
const VALUE = "x".repeat(1000);
const HOUR_MS = 3_600_000;
/** Some thousands of small keys, and no more than a hash table holds that it grew to. */
const SMALL_LIMIT = 1_100_000;

/** Sets keys one after the other, the later the longer they live; returns how many were refused. */
async function fill(db: Store<string>, from: number, to: number): Promise<number> {
  let refused = 0;
  for (let i = from; i < to; i++) {
    await db.set(i, VALUE, { ttl: HOUR_MS + i }).catch((error: { code: string }) => {
      expect(error.code).toBe("MEMORY_FULL");
      refused++;
    });
  }
  return refused;
}

function beginListing(db: Store<string>): { end(): void } {
  const listing = db.list()[Symbol.iterator]();
  for (let i = 0; i < 100; i++) listing.next();
  return { end: () => listing.return?.() };
}

describe.each(EVICTING)("%s beside a listing that was left half-way", (eviction) => {
  test("evicts what was written since, however many keys the listing shows", async () => {
    await using db = await open<string>(undefined, { codec: "text", maxMemory: 4 * MIB, eviction });
    await fill(db, 0, 5000);
    // Room for the first of the writes to come, before there is any that could go for the next.
    await db.evict({ entries: 20 });
    const listing = beginListing(db);
    const shown = db.count();
    // More than a search used to pass in one write.
    expect(shown).toBeGreaterThan(3000);
    expect(await fill(db, 5000, 8000)).toBe(0);
    portOf(db).verify();
    expect([db.status().memory.oldVersions, db.get(7999)]).toEqual([0, VALUE]);
    expect(db.status().memory.usedBytes).toBeLessThanOrEqual(4 * MIB);
    // Afterwards the policy alone decides again, and what the listing held can go.
    listing.end();
    expect(await fill(db, 8000, 14_000)).toBe(0);
    portOf(db).verify();
    expect([...db.keys({ lt: 5000 })].length).toBeLessThan(shown);
  });

  test("refuses what cannot fit since the listing holds everything, and says so", async () => {
    await using db = await open<string>(undefined, { codec: "text", maxMemory: MIB, eviction });
    await fill(db, 0, 1500);
    const listing = beginListing(db);
    const keys = [...db.keys()];
    const overwrite = async (): Promise<void> => {
      for (const key of keys) await db.set(key, VALUE, { ttl: HOUR_MS });
    };
    await expect(overwrite()).rejects.toMatchObject({
      code: "MEMORY_FULL",
      message: expect.stringContaining("listings, snapshots or transactions under way"),
    });
    portOf(db).verify();
    listing.end();
    await overwrite();
    portOf(db).verify();
  });
});

/** Sets small keys, many at a time; returns how many were refused. */
async function fillSmall(db: Store<Uint8Array>, from: number, to: number): Promise<number> {
  let refused = 0;
  const value = new Uint8Array(100);
  for (let first = from; first < to; first += 200) {
    const keys = Array.from({ length: 200 }, (_, i) => first + i);
    const written = await Promise.allSettled(keys.map((key) => db.set(key, value, { ttl: HOUR_MS + key })));
    refused += written.filter(({ status }) => status === "rejected").length;
  }
  return refused;
}

describe.each(EVICTING)("%s beside a snapshot", (eviction) => {
  test.each([0, 1])("small keys come and go, however often they were used before: %i", async (uses) => {
    await using db = await open(undefined, { codec: "bytes", maxMemory: SMALL_LIMIT, eviction });
    await fillSmall(db, 0, 12_000);
    for (let i = 0; i < 12_000 * uses; i++) db.get(i);
    // Room for the first of the writes to come. What these can free is less than a table grows by.
    await db.evict();
    using snapshot = db.snapshot();
    const shown = snapshot.count();
    expect(await fillSmall(db, 12_000, 30_000)).toBe(0);
    expect([snapshot.count(), db.has(29_999)]).toEqual([shown, true]);
    expect(db.status().memory.usedBytes).toBeLessThanOrEqual(SMALL_LIMIT);
    portOf(db).verify();
  });

  test("reading what was deleted or written anew is no use of the keys that are there", async () => {
    await using db = await open<string>(undefined, { codec: "text", maxMemory: MIB, eviction });
    await fill(db, 0, 300);
    using snapshot = db.snapshot();
    for (let i = 0; i < 100; i++) await db.delete(i);
    await fill(db, 50, 70);
    await fill(db, 100, 150);
    for (let i = 0; i < 300; i++) {
      expect(snapshot.entry(i)?.value).toBe(VALUE);
      expect([snapshot.get(i), snapshot.has(i)]).toEqual([VALUE, true]);
    }
    portOf(db).verify();
    snapshot.close();
    expect((await db.evict({ entries: 1000 })).entries).toBe(220);
    expect(db.count()).toBe(0);
    portOf(db).verify();
  });
});
