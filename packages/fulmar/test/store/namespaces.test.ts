import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { dump, load, open, restore } from "../../src/index.js";
import { temporaryDirectory } from "./fixture.js";
import { machine, openOn, take } from "./watch/support.js";

afterEach(() => {
  vi.useRealTimers();
});

test("namespaces() names those that have something to read, in order", async () => {
  await using db = await open<number>();
  expect(db.namespaces()).toEqual([]);
  const names = ["b", "a\u0000", "a\u0001", "a", "ä", "ab", "\u0001", "x".repeat(255)];
  for (const name of names) {
    const part = db.namespace<number>(name);
    for (let i = 0; i < 50; i++) await part.set(i, i);
    // These are in nobody's list, and in nobody's way.
    await part.set(["t"], 1);
    await part.delete(["t"]);
  }
  await db.set("not in a namespace", 1);
  expect(db.namespaces()).toEqual([...names].sort());
  await db.namespace("a").clear();
  await db.namespace("x".repeat(255)).clear();
  expect(db.namespaces()).toEqual([...names].sort().filter((name) => name !== "a" && !name.startsWith("x")));
  await db.namespace<number>("a").set("back", 1);
  expect(db.namespaces()).toContain("a");
  const closed = await open();
  await closed.close();
  expect(() => closed.namespaces()).toThrow(expect.objectContaining({ code: "CLOSED" }));
});

test("a namespace in which everything has expired is none, swept or not", async () => {
  vi.useFakeTimers({ toFake: ["Date", "performance"] });
  await using db = await open<number>();
  await db.namespace<number>("short", { ttl: 1000 }).set("k", 1);
  await db.namespace<number>("tail", { ttl: 1000 }).batch([
    { type: "set", key: "a", value: 1 },
    { type: "set", key: "z", value: 1, ttl: 10_000 },
  ]);
  expect(db.namespaces()).toEqual(["short", "tail"]);
  vi.advanceTimersByTime(5000);
  expect(db.namespaces()).toEqual(["tail"]);
  db.sweep();
  expect(db.namespaces()).toEqual(["tail"]);
});

test("lifetimes of a namespace outlive the process; its default is that of whoever writes", async () => {
  const storage = machine();
  const first = await openOn(storage);
  const short = first.namespace<string>("n", { ttl: 60_000 });
  await short.set("log", "1");
  await first.checkpoint();
  await short.set("later", "2");
  const expected = ["later", "log"].map((key) => short.entry(key)?.expiresAt);
  storage.kill();
  const again = await openOn(storage);
  const plain = again.namespace<string>("n");
  expect(["later", "log"].map((key) => plain.entry(key)?.expiresAt)).toEqual(expected);
  await plain.set("log", "3");
  expect(plain.ttl("log")).toBe(Number.POSITIVE_INFINITY);
  const longer = again.namespace<string>("n", { ttl: 120_000 });
  await longer.set("log", "4");
  expect(longer.ttl("log")).toBeGreaterThan(60_000);
  // What a touch says counts more than any default.
  await longer.touch("later", 5);
  expect(plain.ttl("later")).toBeLessThanOrEqual(5);
  expect(again.namespaces()).toEqual(["n"]);
  await again.close();
});

test("dumps and backups hold every namespace, with deadlines, for stores that know nothing of them", async () => {
  const directory = await temporaryDirectory();
  const backup = join(await temporaryDirectory(), "backup");
  {
    await using db = await open<number>(directory);
    await db.namespace<number>("n", { ttl: 3_600_000 }).set("timed", 1);
    await db.namespace<string>("m", { codec: "text" }).set("k", "text");
    await db.namespace<Uint8Array>("raw", { codec: "bytes" }).set("k", Uint8Array.of(255, 0));
    await db.backup(backup);
    await using copy = await open<number>();
    await load(copy, dump(db));
    expect(copy.namespaces()).toEqual(["m", "n", "raw"]);
    expect(copy.namespace("n").entry("timed")?.expiresAt).toBe(db.namespace("n").entry("timed")?.expiresAt);
    expect(copy.namespace("raw", { codec: "bytes" }).get("k")).toEqual(Uint8Array.of(255, 0));
    expect(copy.namespace("m", { codec: "text" }).get("k")).toBe("text");
  }
  const other = await temporaryDirectory();
  await restore(backup, other);
  await using restored = await open<number>(other);
  expect(restored.namespaces()).toEqual(["m", "n", "raw"]);
  expect(restored.namespace("n").ttl("timed")).toBeLessThanOrEqual(3_600_000);
});

test("evicts keys of namespaces as any others, and tells their watches", async () => {
  await using db = await open<string>(undefined, { codec: "text", maxMemory: 1024 * 1024, eviction: "lru" });
  const [one, two] = [db.namespace<string>("one"), db.namespace<string>("two")];
  const evicted = one.watch({ prefix: "old" });
  for (let i = 0; i < 20; i++) await one.set(`old ${i}`, "x".repeat(20_000));
  await take(evicted, 20);
  for (let i = 0; i < 60; i++) await two.set(`new ${i}`, "y".repeat(20_000));
  const [first] = await take(evicted, 1);
  expect(first.changes[0]).toMatchObject({ key: "old 0", reason: "evicted" });
  expect(one.entry("old 0", { tombstones: true })?.tombstone ?? "gone").not.toBe("deleted");
  expect(two.has("new 59")).toBe(true);
  expect(db.namespaces()).toEqual(["two"]);
});
