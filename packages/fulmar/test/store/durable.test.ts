import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Durability, open, type Store, verify } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { temporaryDirectory } from "./fixture.js";

async function dataDirectory(): Promise<string> {
  return join(await temporaryDirectory(), "data");
}

describe("restart", () => {
  test.each(["memory", "relaxed", "full"] satisfies Durability[])(
    "after an orderly close everything is back, at level %s",
    async (durability) => {
      const directory = await dataDirectory();
      const first = await open<number>(directory, { durability });
      await first.batch([
        { type: "set", key: ["a", 1n], value: 1 },
        { type: "set", key: "b", value: 2 },
      ]);
      await first.delete("b");
      const { version } = await first.set("c", 3);
      const entries = [...first.list()];
      // Once synced, nothing needs the tombstone of "b" any more.
      await first.flush();
      const digest = first.digest();
      await first.close();
      await using second = await open<number>(directory);
      expect([...second.list()]).toEqual(entries);
      expect(second.digest()).toBe(digest);
      expect(second.version).toBe(version);
      const next = await second.set("d", 4);
      expect([next.version, next.stamp.seq]).toEqual([version + 1, 4]);
    },
  );

  test("T-REC-01: many reopen cycles lose nothing, through rotation and checkpoints", async () => {
    const directory = await dataDirectory();
    for (let cycle = 0; cycle < 12; cycle++) {
      await using db = await open<string>(directory, { segmentBytes: 65_536 });
      for (let before = 0; before < cycle; before++) expect(db.get(before)).toBe("x".repeat(9000 + before));
      await db.set(cycle, "x".repeat(9000 + cycle));
      if (cycle % 5 === 4) await db.checkpoint();
    }
  });

  test("identity stays, versions and stamps go on rising", async () => {
    const directory = await dataDirectory();
    const stamps: number[] = [];
    const identities = new Set<string>();
    for (let i = 0; i < 3; i++) {
      await using db = await open<number>(directory);
      identities.add(db.status().incarnation);
      stamps.push((await db.set("k", i)).stamp.hlc);
    }
    expect(identities.size).toBe(1);
    expect(stamps).toEqual([...stamps].sort((a, b) => a - b));
  });

  test("a copied directory is another writer with the same data", async () => {
    const directory = await dataDirectory();
    const first = await open<number>(directory);
    await first.set("k", 1);
    const { incarnation } = first.status();
    await first.close();
    await cp(directory, `${directory}-copy`, { recursive: true });
    await using copy = await open<number>(`${directory}-copy`);
    expect(copy.get("k")).toBe(1);
    expect(copy.entry("k")?.stamp.origin).toBe(incarnation);
    expect(copy.status().incarnation).not.toBe(incarnation);
    expect((await copy.set("k", 2)).stamp.origin).toBe(copy.status().incarnation);
    // The original still has what the copy deletes.
    await copy.delete("k");
    expect(copy.entry("k", { tombstones: true })).toMatchObject({ tombstone: "deleted" });
  });

  test("a watch of the original cannot be resumed on a copy in its place, as if nothing had happened", async () => {
    const directory = await dataDirectory();
    const first = await open<number>(directory);
    const { version: before } = await first.set("k", 1);
    await first.close();
    await cp(directory, `${directory}-copy`, { recursive: true });
    const original = await open<number>(directory);
    const { version: since } = await original.set("lost", 1);
    await original.close();
    await using copy = await open<number>(`${directory}-copy`);
    for (let i = 0; i < 10; i++) await copy.set(i, i);
    expect(copy.version).toBeGreaterThan(since + 1_000_000);
    await using late = copy.watch({}, { since });
    await expect(late.next()).rejects.toMatchObject({
      code: "COMPACTED",
      details: { version: copy.version },
    });
    // What both had is where one can go on.
    await using early = copy.watch({}, { since: before });
    expect((await early.next()).value?.changes).toMatchObject([{ key: 0 }]);
  });

  test("a number whose entry was deleted since is not given out again", async () => {
    const directory = await dataDirectory();
    const db = await open<number>(directory);
    await portOf(db).beginReplication();
    const { stamp } = await db.set("k", 1);
    await db.close();
    const again = await open<number>(directory);
    await again.delete("k");
    await again.checkpoint();
    await again.close();
    await using third = await open<number>(directory);
    expect((await third.set("k", 2)).stamp.seq).toBe(stamp.seq + 2);
  });

  test("T-ID-02: a wiped directory is a new incarnation", async () => {
    const directory = await dataDirectory();
    const first = await open(directory);
    const { incarnation, storeId } = first.status();
    await first.close();
    await rm(directory, { recursive: true });
    await using second = await open(directory);
    expect(second.status().incarnation).not.toBe(incarnation);
    expect(second.status().storeId).not.toBe(storeId);
  });

  test("a store that met a peer keeps tombstones, one that did not keeps none", async () => {
    const directory = await dataDirectory();
    const alone = await open<number>(directory);
    await alone.set("k", 1);
    await alone.delete("k");
    expect(alone.status().tombstones).toBe(0);
    await portOf(alone).beginReplication();
    await alone.set("k", 1);
    await alone.delete("k");
    await alone.close();
    await using again = await open<number>(directory);
    expect(again.status().tombstones).toBe(1);
    expect(again.entry("k", { tombstones: true })).toMatchObject({ tombstone: "deleted" });
    await again.set("m", 1);
    await again.delete("m");
    expect(again.status().tombstones).toBe(2);
  });
});

describe("expiry", () => {
  test("a deadline survives the end of its process, in the log and in a checkpoint", async () => {
    const directory = await dataDirectory();
    const expiresAt = Date.now() + 3_600_000;
    const first = await open<number>(directory);
    await first.set("logged", 1, { expiresAt });
    await first.set("both", 1, { expiresAt });
    await first.checkpoint();
    await first.set("logged", 2, { expiresAt: expiresAt + 1 });
    await first.close();
    await using second = await open<number>(directory);
    expect(second.entry("both")?.expiresAt).toBe(expiresAt);
    expect(second.entry("logged")?.expiresAt).toBe(expiresAt + 1);
  });

  test("T-TTL-04: a write without ttl clears an earlier one", async () => {
    await using db = await open<number>();
    await db.set("k", 1, { ttl: 1 });
    await db.set("k", 2);
    expect(db.entry("k")).not.toHaveProperty("expiresAt");
    db.sweep();
    expect(db.get("k")).toBe(2);
  });

  test("an entry is gone at its deadline for readers, listings and counts, whatever the sweeper does", async () => {
    await using db = await open<number>();
    await db.set("past", 1, { expiresAt: Date.now() - 1 });
    await db.set("future", 2, { ttl: 3_600_000 });
    expect([db.get("past"), db.has("past"), db.get("future")]).toEqual([undefined, false, 2]);
    expect([...db.keys()]).toEqual(["future"]);
    expect(db.count()).toBe(1);
    expect(db.entry("past", { tombstones: true })).toMatchObject({ tombstone: "expired" });
  });

  test("watchers hear of an expiry, with its reason, and the tombstone goes with the last who needs it", async () => {
    await using db = await open<number>();
    const heard = new Promise((resolve) => {
      db.watch({}, ({ changes }) => {
        if (changes[0].type === "delete") resolve(changes[0]);
      });
    });
    await db.set("k", 1, { ttl: 1 });
    expect(await heard).toMatchObject({ type: "delete", key: "k", reason: "expired" });
    expect(db.status()).toMatchObject({ entries: 0, tombstones: 0 });
  });
});

describe("checkpoints", () => {
  test("by hand: the log before it is let go, and it is what the next open reads", async () => {
    const directory = await dataDirectory();
    const first = await open<string>(directory, { segmentBytes: 65_536 });
    for (let i = 0; i < 50; i++) await first.set(i, "x".repeat(5000));
    expect(first.status().dirty).toBe(true);
    const { version, entries } = await first.checkpoint();
    expect([version, entries]).toEqual([50, 50]);
    expect(first.status()).toMatchObject({ dirty: false, checkpoint: { version: 50, running: false } });
    await first.set("after", "y");
    await first.close();
    const phases = new Set<string>();
    await using second = await open<string>(directory, { onProgress: ({ phase }) => phases.add(phase) });
    expect(phases).toContain("checkpoint");
    expect([second.count(), second.get(49)?.length, second.get("after")]).toEqual([51, 5000, "y"]);
  });

  test("by policy: after so many commits, without anyone asking", async () => {
    const directory = await dataDirectory();
    await using db = await open<number>(directory, { checkpoint: { everyCommits: 20 } });
    for (let i = 0; i < 200 && db.status().checkpoint === undefined; i++) await db.set(i, i);
    const done = await db.checkpoint();
    expect(db.status().checkpoint?.version).toBe(done.version);
    expect((await readdir(join(directory, "checkpoint"))).length).toBeLessThanOrEqual(2);
  });

  test("T-SNAP-03: writes beside a checkpoint are in it or in the log, never lost", async () => {
    const directory = await dataDirectory();
    const db = await open<number>(directory);
    await db.batch(Array.from({ length: 5000 }, (_, i) => ({ type: "set", key: i, value: 0 }) as const));
    const running = db.checkpoint();
    const writes = Array.from({ length: 200 }, (_, i) => db.set(i * 25, i + 1));
    writes.push(db.delete(4999) as never);
    await Promise.all([running, ...writes]);
    const digest = db.digest();
    const entries = [...db.list()];
    await db.close();
    await using again = await open<number>(directory);
    expect([...again.list()]).toEqual(entries);
    expect(again.digest()).toBe(digest);
  });
});

test("what listens inside and throws breaks neither commits nor the close", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const reported: unknown[] = [];
  const diagnostics = { emit: (event: string) => reported.push(event) };
  const db = await open<number>("/data", { runtime: { ...storage.runtime, diagnostics } });
  const mistake = (): never => {
    throw new Error("a mistake");
  };
  portOf(db).onSynced(mistake);
  portOf(db).onEnd(mistake);
  await db.set("k", 1);
  await db.set("k", 2);
  await db.close();
  expect(reported).toEqual(["listener-error", "listener-error", "listener-error"]);
});

describe("a directory that cannot be used", () => {
  test("held already: LOCKED names the process, and the holder is not disturbed", async () => {
    const directory = await dataDirectory();
    await using db = await open<number>(directory);
    await expect(open(directory)).rejects.toMatchObject({ code: "LOCKED", details: { pid: process.pid } });
    await db.set("k", 1);
    expect(db.get("k")).toBe(1);
  });

  test("after a close it is free again", async () => {
    const directory = await dataDirectory();
    await (await open(directory)).close();
    await (await open(directory)).close();
  });

  test("a directory of something else is refused and not touched", async () => {
    const directory = await dataDirectory();
    await mkdir(directory);
    await writeFile(join(directory, "letter.txt"), "Dear Ada");
    await expect(open(directory)).rejects.toMatchObject({ code: "NOT_A_STORE" });
    expect(await readdir(directory)).toEqual(["letter.txt"]);
  });

  test.each(["log", "checkpoint"])(
    "a store that lost its directory %s is refused as damaged",
    async (name) => {
      const directory = await dataDirectory();
      const db = await open(directory);
      await db.set("k", 1);
      await db.close();
      await rm(join(directory, name), { recursive: true });
      await expect(open(directory)).rejects.toMatchObject({ code: "CORRUPT" });
      await expect(verify(directory)).resolves.toMatchObject({ ok: false });
    },
  );

  test("a file in its place is refused", async () => {
    const directory = await dataDirectory();
    await writeFile(directory, "");
    await expect(open(directory)).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
  });

  test("rights that are missing are named, whoever runs the test", async () => {
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    storage.disk.faults.add({ operations: ["makeDirectory"], code: "EACCES" });
    await expect(open("/data", { runtime: storage.runtime })).rejects.toMatchObject({
      code: "ACCESS_DENIED",
      details: { system: "EACCES" },
    });
  });

  test("rights that are missing are named", async ({ skip }) => {
    skip(process.getuid?.() === 0, "root may write everywhere");
    const parent = await temporaryDirectory();
    await mkdir(join(parent, "closed"), { mode: 0o500 });
    await expect(open(join(parent, "closed", "data"))).rejects.toMatchObject({ code: "ACCESS_DENIED" });
  });
});

test("files are for their owner only", async () => {
  const directory = await dataDirectory();
  const db: Store = await open(directory);
  await db.set("k", 1);
  await db.checkpoint();
  await db.close();
  const { stat } = await import("node:fs/promises");
  for (const path of [directory, join(directory, "log"), join(directory, "MANIFEST")]) {
    expect((await stat(path)).mode & 0o077).toBe(0);
  }
  for (const name of await readdir(join(directory, "log"))) {
    expect((await stat(join(directory, "log", name))).mode & 0o077).toBe(0);
  }
});
