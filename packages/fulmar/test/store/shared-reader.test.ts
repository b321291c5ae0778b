import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { SharedReader } from "../../src/index.js";
import { bytesCodec, type Key, type OpenOptions, open, openReader, type Store } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { temporaryDirectory } from "./fixture.js";

const coded = (code: string): unknown => expect.objectContaining({ code });

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
});

async function openShared<V = unknown>(options: OpenOptions<V> = {}, directory?: string): Promise<Store<V>> {
  const db = await open<V>(directory, { shared: true, ...options });
  opened.push(db);
  return db;
}

async function readerOf<V>(db: Store<V>, options = {}): Promise<SharedReader<V>> {
  const reader = await openReader<V>(db.readerHandle(), options);
  opened.push(reader);
  return reader;
}

const KEYS: readonly Key[] = ["", "a", "b", "é", 0, 7, -1n, true, ["a"], ["a", 1], ["a", 2], ["b", ["c"]]];

describe("a reader of a shared store", () => {
  test("has a handle of its own: what was used before opens no other, open or closed", async () => {
    const db = await openShared<number>();
    await db.set("a", 1);
    const handle = db.readerHandle();
    const opening = openReader<number>(handle);
    await expect(openReader(handle)).rejects.toEqual(coded("CLOSED"));
    const reader = await opening;
    await expect(openReader(handle)).rejects.toEqual(coded("CLOSED"));
    await db.set("a", 2);
    expect([reader.get("a"), reader.refresh(), reader.get("a")]).toEqual([1, db.version, 2]);
    await reader.close();
    await expect(openReader(handle)).rejects.toEqual(coded("CLOSED"));
  });

  test("shows what the store shows", async () => {
    const db = await openShared();
    for (const [i, key] of KEYS.entries()) await db.set(key, { i }, i % 4 === 0 ? { ttl: 1e9 } : {});
    await db.set("gone", 1);
    await db.delete("gone");
    const reader = await readerOf(db);
    expect(reader.version).toBe(db.version);
    for (const key of [...KEYS, "gone", "never"]) {
      expect(reader.get(key)).toEqual(db.get(key));
      expect(reader.has(key)).toBe(db.has(key));
      expect(reader.entry(key)).toEqual(db.entry(key));
    }
    const ranges = [{}, { prefix: ["a"] }, { gt: "a" }, { gte: "a", lt: 7 }, { lte: "é" }, { gt: 7, lt: 0 }];
    for (const range of ranges) {
      expect(reader.count(range)).toBe(db.count(range));
      for (const reverse of [false, true]) {
        for (const limit of [0, 1, 3, 100]) {
          const options = { ...range, reverse, limit };
          expect([...reader.list(options)]).toEqual([...db.list(options)]);
          expect([...reader.keys(options)]).toEqual([...db.keys(options)]);
          expect([...reader.values(options)]).toEqual([...db.values(options)]);
        }
      }
    }
  });

  test("stays at its state until it is refreshed", async () => {
    const db = await openShared<number>();
    await db.batch(Array.from({ length: 3000 }, (_, i) => ({ type: "set", key: i, value: 1 }) as const));
    const reader = await readerOf(db);
    const { version } = reader;
    const walk = reader.list()[Symbol.iterator]();
    expect(walk.next().value).toMatchObject({ key: 0, value: 1 });
    await db.batch(Array.from({ length: 3000 }, (_, i) => ({ type: "delete", key: i }) as const));
    await db.set(5, 2);
    expect([reader.version, reader.get(5), reader.count()]).toEqual([version, 1, 3000]);
    let sum = 1;
    for (let step = walk.next(); step.done !== true; step = walk.next()) sum += step.value.value;
    expect(sum).toBe(3000);
    expect(reader.refresh()).toBe(db.version);
    expect([reader.version, reader.get(5), reader.count()]).toEqual([db.version, 2, 1]);
  });

  test("ends an iteration that a refresh has overtaken", async () => {
    const db = await openShared<number>();
    for (let i = 0; i < 5; i++) await db.set(i, i);
    const reader = await readerOf(db);
    const walk = reader.values()[Symbol.iterator]();
    expect(walk.next().value).toBe(0);
    reader.refresh();
    expect(() => walk.next()).toThrow(coded("REVOKED"));
  });

  test("gives values that are the caller's own, of any size", async () => {
    const db = await openShared<Uint8Array>({ codec: "bytes" });
    const sizes = [0, 1, 100, 5000, 100_000, 20 << 20];
    for (const size of sizes) await db.set(size, new Uint8Array(size).fill(size));
    const reader = await readerOf(db, { codec: "bytes" });
    for (const size of sizes) {
      const value = reader.get(size);
      expect(value?.buffer).toBeInstanceOf(ArrayBuffer);
      expect(Buffer.compare(value ?? new Uint8Array(), new Uint8Array(size).fill(size))).toBe(0);
    }
    // New slabs come to be after the reader was let in.
    for (const size of sizes) await db.set([size], new Uint8Array(size).fill(1));
    reader.refresh();
    for (const value of reader.values()) value.fill(9);
    expect(reader.get([20 << 20])?.[1]).toBe(1);
    expect(db.get([20 << 20])?.[1]).toBe(1);
  }, 600_000);

  test("judges deadlines by the clock, like the store", async () => {
    const machine = simulatedStorage({ cryptography: nodeCryptography });
    const { runtime } = machine;
    const db = await openShared<number>({ runtime });
    await db.set("short", 1, { ttl: 1000 });
    await db.set("long", 2, { ttl: 60_000 });
    const reader = await readerOf(db, { runtime });
    expect([...reader.keys()]).toEqual(["long", "short"]);
    await machine.advance(1000);
    expect([reader.get("short"), reader.has("short"), reader.entry("short")]).toEqual([
      undefined,
      false,
      undefined,
    ]);
    expect([...reader.keys()]).toEqual(["long"]);
    expect(reader.count()).toBe(1);
    // Neither the store's clock goes back when the machine's does, nor the reader's.
    machine.clock.jump(-1_000_000);
    expect(reader.has("short")).toBe(false);
    expect([...reader.keys()]).toEqual(["long"]);
    await db.set("other", 3);
    reader.refresh();
    expect(reader.has("short")).toBe(db.has("short"));
    expect(reader.has("short")).toBe(false);
  });

  test("shows what was recovered, with the origins of every writer", async () => {
    const directory = join(await temporaryDirectory(), "data");
    for (let i = 0; i < 3; i++) {
      const db = await open(directory);
      await db.set(i, `run ${i}`);
      if (i === 1) await db.checkpoint();
      await db.close();
    }
    const db = await openShared({}, directory);
    const reader = await readerOf(db);
    expect([...reader.list()]).toEqual([...db.list()]);
    await db.set(1, "again");
    reader.refresh();
    expect(reader.entry(1)).toEqual(db.entry(1));
  });

  test("shows commits that are durable at their level only", async () => {
    const db = await openShared<number>({}, join(await temporaryDirectory(), "data"));
    await db.set("a", 1);
    const reader = await readerOf(db);
    const done = db.set("a", 2, { durability: "full" });
    reader.refresh();
    expect([db.get("a"), reader.get("a")]).toEqual([2, 1]);
    await done;
    reader.refresh();
    expect(reader.get("a")).toBe(2);
  });

  test("is let in with the store's codec, and once with each handle", async () => {
    const custom = { ...bytesCodec, name: "own" };
    const db = await openShared<Uint8Array>({ codec: custom });
    await db.set(1, Uint8Array.of(7));
    await expect(openReader(db.readerHandle())).rejects.toThrow(coded("INVALID_ARGUMENT"));
    const handle = db.readerHandle();
    const reader = await openReader<Uint8Array>(handle, { codec: custom });
    expect(reader.get(1)).toEqual(Uint8Array.of(7));
    await reader.close();
    await expect(openReader(handle, { codec: custom })).rejects.toThrow(coded("CLOSED"));
    await expect(openReader({} as never)).rejects.toThrow(coded("INVALID_ARGUMENT"));
    await expect(openReader(undefined as never)).rejects.toThrow(coded("INVALID_ARGUMENT"));
    await expect(openReader(db.readerHandle(), { other: 1 } as never)).rejects.toThrow(
      coded("UNKNOWN_OPTION"),
    );
  });

  test("checks its arguments as the store does", async () => {
    const reader = await readerOf(await openShared({ limits: { keyBytesMax: 10 } }));
    expect(() => reader.get(Number.NaN)).toThrow(coded("INVALID_KEY"));
    expect(() => reader.get("x".repeat(11))).toThrow(coded("KEY_TOO_LARGE"));
    expect(() => reader.list({ limit: -1 })).toThrow(coded("INVALID_ARGUMENT"));
    expect(() => reader.list({ revers: true } as never)).toThrow(coded("UNKNOWN_OPTION"));
    expect(() => reader.count({ reverse: true } as never)).toThrow(coded("UNKNOWN_OPTION"));
  });

  test("ends with the store, and the store goes on without it", async () => {
    const db = await openShared<number>();
    await db.set(1, 1);
    const [first, second] = [await readerOf(db), await readerOf(db)];
    await first.close();
    await first.close();
    expect(() => first.get(1)).toThrow(coded("CLOSED"));
    expect(() => first.refresh()).toThrow(coded("CLOSED"));
    await db.set(1, 2);
    second.refresh();
    expect(second.get(1)).toBe(2);
    const walk = second.keys()[Symbol.iterator]();
    await db.close();
    expect(() => second.get(1)).toThrow(coded("CLOSED"));
    expect(() => walk.next()).toThrow(coded("CLOSED"));
    expect(() => db.readerHandle()).toThrow(coded("CLOSED"));
  });

  test("loses its state when it does not read for long, until it is refreshed", async () => {
    const machine = simulatedStorage({ cryptography: nodeCryptography });
    const { runtime } = machine;
    const db = await openShared<number>({ runtime, shared: { idleMs: 1000 } });
    await db.set(1, 1);
    const reader = await readerOf(db, { runtime });
    await machine.advance(5000);
    expect(reader.get(1)).toBe(1);
    for (let i = 0; i < 10; i++) await db.set(1, i);
    expect(db.status().memory.oldVersions).toBeGreaterThan(0);
    await machine.advance(3000);
    expect(db.status().memory.oldVersions).toBe(0);
    expect(() => reader.get(1)).toThrow(coded("REVOKED"));
    expect(() => [...reader.list()]).toThrow(coded("REVOKED"));
    reader.refresh();
    expect(reader.get(1)).toBe(9);
  });

  test("is for stores that were opened for it", async () => {
    const db = await openShared({ shared: false });
    expect(() => db.readerHandle()).toThrow(coded("INVALID_ARGUMENT"));
    await expect(open(undefined, { shared: { idle: 1 } as never })).rejects.toThrow(coded("UNKNOWN_OPTION"));
    await expect(open(undefined, { shared: { idleMs: 0 } })).rejects.toThrow(coded("INVALID_ARGUMENT"));
    await expect(open(undefined, { shared: 1 as never })).rejects.toThrow(coded("INVALID_ARGUMENT"));
  });

  test("is one of a bounded number", async () => {
    const db = await openShared();
    for (let i = 0; i < 256; i++) db.readerHandle();
    expect(() => db.readerHandle()).toThrow(coded("INVALID_ARGUMENT"));
  });
});
