import { describe, expect, it } from "vitest";
import { open, type Store } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";

const rejects = (code: string) => expect.objectContaining({ code });

describe("create", () => {
  it("sets a key once, and tells who was first", async () => {
    await using db = await open<string>();
    const outcomes = await Promise.all(["a", "b", "c"].map((value) => db.create("k", value)));
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, false]);
    expect(outcomes[1]).toMatchObject({ ok: false, current: { key: "k", value: "a", version: 1 } });
    expect([db.get("k"), db.version]).toEqual(["a", 1]);
    await db.delete("k");
    expect(await db.create("k", "d", { ttl: 3_600_000 })).toMatchObject({ ok: true, version: 3 });
    expect(db.ttl("k")).toBeGreaterThan(0);
  });
});

describe("compareAndSwap", () => {
  it("sets, deletes and creates only from the value that was expected", async () => {
    await using db = await open<{ n: number }>();
    expect((await db.compareAndSwap("k", { n: 1 }, { n: 2 })).ok).toBe(false);
    expect((await db.compareAndSwap("k", undefined, { n: 1 })).ok).toBe(true);
    expect((await db.compareAndSwap("k", undefined, { n: 9 })).ok).toBe(false);
    expect(await db.compareAndSwap("k", { n: 2 }, { n: 3 })).toMatchObject({
      ok: false,
      current: { value: { n: 1 } },
    });
    expect((await db.compareAndSwap("k", { n: 1 }, { n: 2 })).ok).toBe(true);
    expect(db.get("k")).toEqual({ n: 2 });
    expect((await db.compareAndSwap("k", { n: 2 }, undefined)).ok).toBe(true);
    expect(db.has("k")).toBe(false);
    const timed = db.compareAndSwap("k", undefined, undefined, { ttl: 5 });
    await expect(timed).rejects.toEqual(rejects("INVALID_ARGUMENT"));
  });

  it.each(["kill", "powerCut", "close"] as const)(
    "T-CAS-01: leaves no trace when it fails, also after a %s and another opening",
    async (end) => {
      const storage = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
      const openOn = () => open<number>("/data", { runtime: storage.runtime, durability: "full" });
      const db = await openOn();
      await db.set("k", 1);
      const before = db.status();
      expect((await db.compareAndSwap("k", 5, 6)).ok).toBe(false);
      expect((await db.create("k", 7)).ok).toBe(false);
      expect((await db.atomic().check({ key: "k", version: 9 }).set("k", 8).commit()).ok).toBe(false);
      expect(db.status().version).toEqual(before.version);
      expect(db.status().nextSeq).toBe(before.nextSeq);
      if (end === "close") await db.close();
      else storage[end]();
      storage.restart();
      await using again = await openOn();
      expect([[...again.keys()], again.get("k"), again.entry("k")?.version]).toEqual([
        ["k"],
        1,
        before.version.applied,
      ]);
    },
  );

  it("T-CAS-02: of several on one key each sees what the one before it did", async () => {
    await using db = await open<number>();
    await db.set("k", 0);
    const outcomes = await Promise.all([
      db.compareAndSwap("k", 0, 1),
      db.compareAndSwap("k", 0, 2),
      db.compareAndSwap("k", 1, 3),
    ]);
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(db.get("k")).toBe(3);
  });
});

describe("increment", () => {
  it("counts from zero and resolves to the sum, whoever else counts", async () => {
    await using db = await open<number>();
    expect((await db.increment("zero", -0)).value).toBe(0);
    const sums = await Promise.all(Array.from({ length: 5 }, (_, by) => db.increment("n", by)));
    expect(sums.map(({ value }) => value)).toEqual([0, 1, 3, 6, 10]);
    expect(await db.increment("n")).toMatchObject({ value: 11, version: 7 });
  });

  it("keeps the deadline unless it is given another", async () => {
    await using db = await open<number>();
    const expiresAt = Date.now() + 60_000;
    await db.set("n", 1, { expiresAt });
    await db.increment("n");
    expect(db.entry("n")?.expiresAt).toBe(expiresAt);
    await db.increment("n", 1, { expiresAt: expiresAt + 1 });
    expect(db.entry("n")?.expiresAt).toBe(expiresAt + 1);
  });

  it("refuses what it cannot add to, with nothing changed", async () => {
    await using db = await open<unknown>();
    await db.set("text", "a");
    await db.set("large", Number.MAX_SAFE_INTEGER);
    await expect(db.increment("text")).rejects.toEqual(rejects("NOT_AN_INTEGER"));
    await expect(db.increment("n", 0.5)).rejects.toEqual(rejects("NOT_AN_INTEGER"));
    await expect(db.increment("large", 1)).rejects.toEqual(rejects("INTEGER_OVERFLOW"));
    await expect(db.increment("large", 1n)).rejects.toEqual(rejects("NOT_AN_INTEGER"));
    expect([db.get("text"), db.has("n"), db.get("large"), db.version]).toEqual([
      "a",
      false,
      Number.MAX_SAFE_INTEGER,
      2,
    ]);
  });
});

describe("an atomic operation", () => {
  const filled = async (): Promise<Store<number>> => {
    const db = await open<number>();
    await db.set("a", 1);
    await db.set("b", 2);
    return db;
  };

  it("does everything as one commit when every check holds", async () => {
    await using db = await filled();
    const outcome = await db
      .atomic()
      .check({ key: "a", version: 1 }, { key: "b", exists: true })
      .check({ key: "c", version: 0 }, { key: "d", exists: false })
      .set("a", 5)
      .increment("a", 2)
      .delete("b")
      .increment("c", 4)
      .increment("c", 4)
      .set("d", 9, { ttl: 60_000 })
      .commit();
    expect(outcome).toMatchObject({ ok: true, version: 3 });
    expect([db.get("a"), db.has("b"), db.get("c"), db.get("d")]).toEqual([7, false, 8, 9]);
    expect(db.ttl("d")).toBeLessThanOrEqual(60_000);
  });

  it("does nothing when one does not, and names each of those with what was found", async () => {
    await using db = await filled();
    const outcome = await db
      .atomic()
      .check(
        { key: "a", version: 1 },
        { key: "a", version: 2 },
        { key: "b", exists: false },
        { key: "c", exists: true },
      )
      .set("a", 5)
      .commit();
    expect(outcome).toEqual({
      ok: false,
      failed: [
        { index: 1, key: "a", found: 1 },
        { index: 2, key: "b", found: 2 },
        { index: 3, key: "c", found: 0 },
      ],
    });
    expect([db.get("a"), db.version]).toEqual([1, 2]);
  });

  it("checks the state before its own writes", async () => {
    await using db = await filled();
    const outcome = await db.atomic().set("x", 1).check({ key: "x", exists: true }).commit();
    expect(outcome.ok).toBe(false);
  });

  it("is made of valid parts and committed once", async () => {
    await using db = await filled();
    const wrong = rejects("INVALID_ARGUMENT");
    expect(() => db.atomic().check({ key: "a" })).toThrow(wrong);
    expect(() => db.atomic().check({ key: "a", version: 1, exists: true })).toThrow(wrong);
    expect(() => db.atomic().check({ key: "a", exists: 1 as never })).toThrow(wrong);
    expect(() => db.atomic().check({ key: "a", version: -1 })).toThrow(wrong);
    const once = db.atomic().set("a", 3);
    await once.commit();
    await expect(once.commit()).rejects.toEqual(rejects("TRANSACTION_ENDED"));
    expect(() => once.set("a", 4)).toThrow(rejects("TRANSACTION_ENDED"));
    expect(db.version).toBe(3);
  });
});

describe("deadlines", () => {
  it("are told, moved and taken away, with the value as it is", async () => {
    await using db = await open<Uint8Array>(undefined, { codec: "bytes" });
    await db.set("k", Uint8Array.of(1, 2));
    expect([db.ttl("k"), db.ttl("none")]).toEqual([Number.POSITIVE_INFINITY, undefined]);
    expect((await db.touch("k", 60_000)).ok).toBe(true);
    expect(db.ttl("k")).toBeGreaterThan(0);
    expect(db.ttl("k")).toBeLessThanOrEqual(60_000);
    expect((await db.persist("k")).ok).toBe(true);
    expect([db.ttl("k"), db.get("k")]).toEqual([Number.POSITIVE_INFINITY, Uint8Array.of(1, 2)]);
    expect(await db.touch("none", 5)).toEqual({ ok: false, current: undefined });
    expect(await db.persist("none")).toEqual({ ok: false, current: undefined });
    await expect(db.touch("k", 0)).rejects.toEqual(rejects("INVALID_ARGUMENT"));
    await expect(db.touch("k", Number.NaN)).rejects.toEqual(rejects("INVALID_ARGUMENT"));
  });

  it("stay where somebody touches a key without saying for how long", async () => {
    await using db = await open<number>();
    const brief = db.namespace<number>("brief", { ttl: 1000 });
    for (const part of [db, brief]) {
      await part.set("k", 1, { ttl: 60_000 });
      await expect(part.touch("k", undefined as never)).rejects.toEqual(rejects("INVALID_ARGUMENT"));
      expect(part.ttl("k")).toBeGreaterThan(1000);
      expect(part.ttl("k")).toBeLessThanOrEqual(60_000);
    }
  });
});

describe("clear", () => {
  it("deletes what a range holds, as one commit, and says how many", async () => {
    await using db = await open<number>();
    for (const key of ["a", "b:1", "b:2", "c"]) await db.set(key, 1);
    expect(await db.clear({ prefix: "b:" })).toMatchObject({ deleted: 2, version: 5 });
    expect([...db.keys()]).toEqual(["a", "c"]);
    expect((await db.clear()).deleted).toBe(2);
    expect(db.count()).toBe(0);
    await expect(db.clear({ prefix: 5 })).rejects.toEqual(rejects("INVALID_ARGUMENT"));
  });

  it("is refused as a whole when it is too large for one commit", async () => {
    await using db = await open<number>(undefined, { limits: { commitEntriesMax: 2 } });
    for (const key of ["a", "b", "c"]) await db.set(key, 1);
    await expect(db.clear()).rejects.toEqual(rejects("COMMIT_TOO_LARGE"));
    expect(db.count()).toBe(3);
    expect((await db.clear({ lt: "c" })).deleted).toBe(2);
  });
});

describe("a snapshot", () => {
  it("shows one state by every way of reading", async () => {
    await using db = await open<number>();
    await db.batch([
      { type: "set", key: "a", value: 1 },
      { type: "set", key: "b", value: 2 },
    ]);
    using snapshot = db.snapshot();
    await db.batch([
      { type: "set", key: "a", value: 9 },
      { type: "delete", key: "b" },
      { type: "set", key: "c", value: 3 },
    ]);
    expect([snapshot.version, snapshot.get("a"), snapshot.get("b"), snapshot.get("c")]).toEqual([
      1,
      1,
      2,
      undefined,
    ]);
    expect(snapshot.getMany(["a", "c"])).toEqual([1, undefined]);
    expect([snapshot.has("b"), snapshot.has("c"), snapshot.count()]).toEqual([true, false, 2]);
    expect(snapshot.entry("a")).toMatchObject({ value: 1, version: 1 });
    expect([...snapshot.keys({ reverse: true })]).toEqual(["b", "a"]);
    expect([...snapshot.values({ limit: 1 })]).toEqual([1]);
    const listed: number[] = [];
    for await (const { value } of snapshot.list()) listed.push(value);
    expect(listed).toEqual([1, 2]);
  });

  it("keeps what it shows in memory, and lets go when it is closed and nobody iterates", async () => {
    await using db = await open<number>();
    await db.set("a", 1);
    await db.set("b", 1);
    const snapshot = db.snapshot();
    await db.set("a", 2);
    await db.set("b", 2);
    expect(db.status().memory.oldVersions).toBe(2);
    const iterator = snapshot.values()[Symbol.iterator]();
    expect(iterator.next().value).toBe(1);
    snapshot.close();
    snapshot.close();
    expect(() => snapshot.get("a")).toThrow(rejects("CLOSED"));
    expect(() => snapshot.list()).toThrow(rejects("CLOSED"));
    expect(iterator.next().value).toBe(1);
    expect(db.status().memory.oldVersions).toBe(2);
    expect(iterator.next().done).toBe(true);
    expect(db.status().memory.oldVersions).toBe(0);
  });

  it("ends with its store", async () => {
    const db = await open<number>();
    const snapshot = db.snapshot();
    await db.close();
    expect(() => snapshot.get("a")).toThrow(rejects("CLOSED"));
    snapshot.close();
  });
});
