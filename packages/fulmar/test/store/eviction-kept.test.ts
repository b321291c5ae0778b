import { describe, expect, test } from "vitest";
import type { FileSystem, Runtime } from "../../src/base/runtime/interface.js";
import { type OpenOptions, open, openReader, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";

const MIB = 1024 * 1024;
const EVICTING = ["lru", "lfu", "random", "arc", "sieve", "nearest-expiry"] as const;
const VALUE = "x".repeat(1000);
const HOUR_MS = 3_600_000;
const TOGETHER = 50;
/** Keys that fill a MiB, and some more. */
const KEYS = 1000;

/** A full store that calls `beside` whenever a checkpoint or a backup has its state pinned, and waits for it. */
async function openFull(
  eviction: NonNullable<OpenOptions["eviction"]>,
  beside: (db: Store<string>) => Promise<void>,
  more: OpenOptions<string> = {},
): Promise<Store<string>> {
  const { runtime } = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
  const look = { db: undefined as Store<string> | undefined };
  const fileSystem = new Proxy(runtime.fileSystem, {
    get(target, name) {
      if (name === "open") {
        return async (...[path, mode]: Parameters<FileSystem["open"]>) => {
          const isPinned = mode === "create" && (path.includes("checkpoint") || path.includes("copy"));
          if (look.db !== undefined && isPinned) await beside(look.db);
          return target.open(path, mode);
        };
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  const bounds = { maxMemory: MIB, eviction, durability: "relaxed" } as const;
  const own: Runtime = { ...runtime, fileSystem };
  const db = await open<string>("/data", { runtime: own, codec: "text", ...bounds, ...more });
  for (let i = 0; i < KEYS; i += TOGETHER) expect(await setTogether(db, from(i))).toBe(0);
  look.db = db;
  return db;
}

/** Sets many keys at a time; returns how many were refused. */
async function setTogether(db: Store<string>, keys: readonly number[], value = VALUE): Promise<number> {
  const done = await Promise.allSettled(keys.map((key) => db.set(key, value, { ttl: HOUR_MS + key })));
  return done.filter(({ status }) => status === "rejected").length;
}

const from = (first: number): number[] => Array.from({ length: TOGETHER }, (_, i) => first + i);

/** Memory of whoever only shows what was is allowed, to a bound; nothing else is. */
function checkBounds(db: Store<string>, listBytes = 0): number {
  const { usedBytes, leavingBytes, keptBytes, limitBytes = 0 } = db.status().memory;
  expect(usedBytes - leavingBytes - keptBytes).toBeLessThanOrEqual(limitBytes + listBytes);
  return keptBytes;
}

/** All is settled, and nobody keeps anything. */
async function checkSettled(db: Store<string>): Promise<void> {
  await db.flush();
  for (;;) {
    const { keptBytes, oldVersions } = db.status().memory;
    if (keptBytes === 0 && oldVersions === 0) break;
    await new Promise(setImmediate);
  }
  portOf(db).verify();
  const { usedBytes, leavingBytes, keptBytes } = db.status().memory;
  expect([leavingBytes, keptBytes]).toEqual([0, 0]);
  expect(usedBytes).toBeLessThanOrEqual(MIB);
}

/** Writes new keys and keys that are there, half of what there is, and checks that no write is refused. */
async function turnOver(db: Store<string>, first: number): Promise<void> {
  for (let i = 0; i < KEYS / 2; i += TOGETHER) {
    expect(await setTogether(db, from(first + i))).toBe(0);
    const old = [...db.keys({ limit: 10 })].map(Number);
    expect(await setTogether(db, old)).toBe(0);
    checkBounds(db);
  }
}

describe.each(EVICTING)("%s", (eviction) => {
  test("refuses no write beside a checkpoint or a backup, which keep less than as much again", async () => {
    const kept: number[] = [];
    let first = KEYS;
    await using db = await openFull(eviction, async (store) => {
      await turnOver(store, first);
      first += KEYS;
      kept.push(checkBounds(store));
      portOf(store).verify();
    });
    await db.checkpoint();
    await checkSettled(db);
    await db.backup("/data/copy");
    await checkSettled(db);
    expect(kept.length).toBeGreaterThanOrEqual(2);
    expect(Math.min(...kept)).toBeGreaterThan(MIB / 4);
    expect(Math.max(...kept)).toBeLessThanOrEqual(1.25 * MIB);
  });

  test("refuses no write beside automatic checkpoints", async () => {
    let checkpoints = 0;
    let first = 10 * KEYS;
    const beside = async (store: Store<string>): Promise<void> => {
      checkpoints++;
      await turnOver(store, first);
      first += KEYS;
    };
    await using db = await openFull(eviction, beside, { checkpoint: { everyBytes: MIB } });
    for (let i = KEYS; checkpoints < 2; i += TOGETHER) expect(await setTogether(db, from(i))).toBe(0);
    await checkSettled(db);
  });

  test("counts what is kept beyond as much again, and goes on beside that", async () => {
    await using db = await openFull(eviction, async () => undefined);
    const { engine } = portOf(db);
    await db.flush();
    // Several states, as readers on other threads may stay at: one checkpoint cannot keep so much.
    const pins = Array.from({ length: 6 }, () => engine.pin(engine.settled, "store"));
    for (let round = 1; round <= 4; round++) {
      for (let i = 0; i < KEYS; i += TOGETHER) await setTogether(db, from(round * KEYS + i));
      await db.flush();
      const { usedBytes, leavingBytes } = db.status().memory;
      expect(usedBytes - leavingBytes).toBeLessThanOrEqual(2 * MIB);
      pins.push(engine.pin(engine.settled, "store"));
    }
    expect(db.status().memory.keptBytes).toBeGreaterThan(0.75 * MIB);
    portOf(db).verify();
    for (const pin of pins) pin.release();
    expect(await setTogether(db, from(100 * KEYS))).toBe(0);
    await checkSettled(db);
  });
});

test.each(EVICTING)("%s refuses no write beside a reader that stands still", async (eviction) => {
  await using db = await open<string>(undefined, { codec: "text", maxMemory: MIB, eviction, shared: true });
  for (let i = 0; i < KEYS; i += TOGETHER) expect(await setTogether(db, from(i))).toBe(0);
  const reader = await openReader<string>(db.readerHandle(), { codec: "text" });
  const shown = reader.count();
  await turnOver(db, KEYS);
  expect(db.status().memory.keptBytes).toBeGreaterThan(MIB / 4);
  expect(reader.count()).toBe(shown);
  portOf(db).verify();
  await reader.close();
  await db.set(0, VALUE, { ttl: HOUR_MS });
  while (db.status().memory.keptBytes > 0) await new Promise(setImmediate);
  portOf(db).verify();
});

test.each(["none", "lru"] as const)(
  "what readers at different states keep is no more than as much again, also beside commits under way (%s)",
  async (eviction) => {
    const { runtime } = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
    const options = { runtime, codec: "text", maxMemory: MIB, eviction, shared: true } as const;
    await using db = await open<string>("/data", options);
    const keys = Array.from({ length: 0.8 * KEYS }, (_, key) => key);
    expect(await setTogether(db, keys)).toBe(0);
    await db.flush();
    const readers = [1, 2, 3].map(() => openReader<string>(db.readerHandle(), { codec: "text", runtime }));
    let refused = 0;
    for (const reader of await Promise.all(readers)) {
      // The state that the next commits replace, of which none is settled before all of them are written.
      reader.refresh();
      const shown = reader.count();
      refused += await setTogether(db, keys);
      await db.flush();
      expect(reader.count()).toBe(shown);
      const { usedBytes, leavingBytes } = db.status().memory;
      // Deletions of what was evicted are among it.
      expect(usedBytes - leavingBytes).toBeLessThanOrEqual((2 + 1 / 16) * MIB);
      portOf(db).verify();
    }
    expect(refused).toBeGreaterThan(keys.length / 2);
    for (const reader of await Promise.all(readers)) await reader.close();
    await checkSettled(db);
    expect(await setTogether(db, keys)).toBe(0);
  },
);

test("without eviction, what is there can be overwritten beside a checkpoint, and nothing new fits", async () => {
  const beside = async (store: Store<string>): Promise<void> => {
    let refused = 0;
    for (const key of [...store.keys()]) refused += await setTogether(store, [Number(key)]);
    expect(refused).toBe(0);
    expect(await setTogether(store, [2 * KEYS])).toBe(1);
    // Overwriting is always allowed, and what is kept is listed.
    expect(checkBounds(store, MIB / 64)).toBeGreaterThan(0.75 * MIB);
    portOf(store).verify();
  };
  const { runtime } = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
  await using db = await open<string>("/data", { runtime, codec: "text", maxMemory: MIB });
  for (let i = 0; (await setTogether(db, [i])) === 0; i++);
  const { engine } = portOf(db);
  await db.flush();
  const pin = engine.pin(engine.settled, "store");
  await beside(db);
  pin.release();
  await checkSettled(db);
  // What a user shows counts: it may be shown for ever.
  const listing = db.list()[Symbol.iterator]();
  listing.next();
  expect(await setTogether(db, [...db.keys()].map(Number))).toBeGreaterThan(0);
  listing.return?.();
});

test("what several states keep counts from as much again on, where nothing is full but for that", async () => {
  await using db = await open<string>(undefined, { codec: "text", maxMemory: MIB });
  const keys = Array.from({ length: KEYS / 2 }, (_, key) => key);
  expect(await setTogether(db, keys)).toBe(0);
  const { engine } = portOf(db);
  const pins: { release(): void }[] = [];
  let refused = 0;
  for (let round = 0; round < 6; round++) {
    pins.push(engine.pin(engine.settled, "store"));
    refused += await setTogether(db, keys);
    expect(db.status().memory.usedBytes).toBeLessThanOrEqual((2 + 1 / 64) * MIB);
  }
  expect(refused).toBeGreaterThan(keys.length);
  portOf(db).verify();
  for (const pin of pins) pin.release();
  expect(await setTogether(db, keys)).toBe(0);
});

test("what is kept is not on its way to the disk", async () => {
  await using db = await open<string>(undefined, { codec: "text", maxMemory: 32 * MIB });
  const keys = Array.from({ length: 450 }, (_, key) => key);
  const value = "x".repeat(MIB / 16);
  expect(await setTogether(db, keys, value)).toBe(0);
  const { engine } = portOf(db);
  const pin = engine.pin(engine.settled, "store");
  expect(await setTogether(db, keys, value)).toBe(0);
  // More than commits under way may hold beyond the limit.
  expect(db.status().memory.usedBytes).toBeGreaterThan(56 * MIB);
  pin.release();
});
