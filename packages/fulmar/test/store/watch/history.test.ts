import { describe, expect, test } from "vitest";
import { type Store, verify } from "../../../src/index.js";
import { encodeKey } from "../../../src/keys/key.js";
import { Coverage } from "../../../src/record/coverage.js";
import { entryBytes, writeEntry } from "../../../src/record/entry.js";
import { hlcFromWall } from "../../../src/record/hybrid-clock.js";
import { portOf } from "../../../src/store/port.js";
import type { SimulatedDisk, SimulatedStorage } from "../../../src/testing/index.js";
import { brief, errorOf, machine, openOn, rest, take } from "./support.js";

const LONG = "x".repeat(3000);

function segmentsOf(storage: SimulatedStorage): string[] {
  return [...storage.disk.image()].map(([path]) => path).filter((path) => path.endsWith(".log"));
}

/** Some commits of every kind, and what a watch of all shows of them. */
async function written(db: Store<string>, count: number): Promise<unknown[][]> {
  const stream = db.watch({}, { limits: { commits: 1_000_000, bytes: 1 << 30 } });
  for (let n = 1; n <= count; n++) {
    // Segments are prepared in turns of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    if (n % 9 === 0) await db.delete(n % 7);
    else {
      await db.batch([
        { type: "set", key: n % 7, value: LONG + n },
        { type: "set", key: "twice", value: "early" },
        { type: "set", key: "twice", value: `${n}` },
      ]);
    }
  }
  await db.flush();
  return (await take(stream, count)).map(brief);
}

describe("a watch resumes", () => {
  test.each(["close", "kill", "power cut"] as const)(
    "T-WATCH-02: every commit behind its version once, in order, whole, after %s, and goes over to live ones",
    async (end) => {
      const storage = machine();
      const first = await openOn(storage);
      const expected = await written(first, 60);
      if (end === "close") await first.close();
      else if (end === "kill") storage.kill();
      else storage.powerCut();
      const again = await openOn(storage);
      const streams = [0, 1, 30, 59, 60].map((since) => again.watch({}, { since, limits: { commits: 7 } }));
      expect((await take(streams[0], 20)).map(brief)).toEqual(expected.slice(0, 20));
      expected.push(...(await written(again, 30)));
      for (const [i, since] of [20, 1, 30, 59, 60].entries()) {
        expect((await take(streams[i], expected.length - since)).map(brief)).toEqual(expected.slice(since));
      }
      await again.set("live", "1");
      for (const stream of streams)
        expect((await take(stream, 1)).map(brief)).toEqual([[again.version, "live", "1"]]);
      await again.close();
      for (const stream of streams) expect(await rest(stream)).toEqual([]);
    },
  );

  test("only what concerns its keys, and values are those of that commit", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("k", "1");
    await db.set("other", LONG);
    await db.set("k", "2");
    await db.delete("k");
    await db.set("k", "3", { ttl: 60_000 });
    await db.close();
    const again = await openOn(storage);
    await again.set("k", "4");
    const shown = await take(again.watch("k", { since: 0 }), 5);
    expect(shown.map(brief)).toEqual([
      [1, "k", "1"],
      [3, "k", "2"],
      [4, "k", "deleted"],
      [5, "k", "3"],
      [6, "k", "4"],
    ]);
    expect(shown[3].changes[0].expiresAt).toBeGreaterThan(0);
    expect(new Set(shown.map(({ changes }) => changes[0].stamp.origin)).size).toBe(1);
    await again.close();
  });

  test("merges as whole commits of somebody else, also when they are read back", async () => {
    const storage = machine();
    const db = await openOn(storage);
    const port = portOf(db);
    const origin = "ab".repeat(16);
    const page = ["m1", "m2"].map((name) => {
      const key = encodeKey(name, 100);
      const value = new TextEncoder().encode("theirs");
      const bytes = new Uint8Array(entryBytes(key.length, value.length, 0));
      const valueChecksum = port.runtime.checksum.crc32(value, 0, value.length, 0);
      const hlc = hlcFromWall(port.runtime.clock.wallMs());
      const number = port.origins.intern(origin);
      writeEntry(bytes, 0, { key, value, flags: 0, origin: number, hlc, seq: 1, deadline: 0, valueChecksum });
      return bytes;
    });
    const coverage = new Coverage();
    coverage.set(origin, { upTo: 1, holes: [] });
    const live = db.watch({});
    await db.set("own", "1");
    await port.merge(page, coverage);
    await db.set("own", "2");
    const seen = await take(live, 3);
    expect(seen.map(({ remote }) => remote)).toEqual([false, true, false]);
    expect(brief(seen[1]).slice(1)).toEqual(["m1", "theirs", "m2", "theirs"]);
    storage.kill();
    const again = await openOn(storage);
    const past = await take(again.watch({}, { since: 0 }), 3);
    expect(past).toEqual(seen);
    expect(past[1].changes[0].stamp.origin).toBe(origin);
    await again.close();
  });
});

describe("what the log keeps", () => {
  test("T-WATCH-03: checkpoints leave historyBytes of it, over restarts; what is older is COMPACTED", async () => {
    const storage = machine();
    const options = { historyBytes: 200_000 };
    let db = await openOn(storage, options);
    const expected = await written(db, 100);
    await db.checkpoint();
    expect(db.status()).toMatchObject({ log: { segments: 1 } });
    const { oldest, bytes } = db.status().history;
    expect([oldest > 0, oldest < 70, bytes > 100_000, bytes <= 200_000]).toEqual([true, true, true, true]);
    const behind = db.watch({}, { since: oldest });
    expect((await take(behind, 3)).map(brief)).toEqual(expected.slice(oldest, oldest + 3));
    const early = await errorOf(db.watch({}, { since: oldest - 1 }).next());
    expect(early).toMatchObject({ code: "COMPACTED", details: { since: oldest - 1, version: 100, oldest } });
    await db.close();
    expect(await verify("/data", { runtime: storage.runtime })).toMatchObject({ ok: true, findings: [] });

    db = await openOn(storage, options);
    expect(db.status().history.oldest).toBe(oldest);
    expect((await take(db.watch({}, { since: oldest }), 100 - oldest)).map(brief)).toEqual(
      expected.slice(oldest),
    );
    await db.close();

    // With less of it, the rest goes when the store is opened.
    db = await openOn(storage, { historyBytes: 70_000 });
    expect(db.status().history.oldest).toBeGreaterThan(oldest);
    await db.close();
    db = await openOn(storage, { historyBytes: 0 });
    expect(db.status().history.bytes).toBe(0);
    expect(segmentsOf(storage)).toHaveLength(1);
    const error = await errorOf(db.watch({}, { since: oldest }).next());
    expect(error).toMatchObject({ code: "COMPACTED", details: { version: 100 } });
    await db.close();
  });

  test("a segment that is about to be reused is no part of it, wherever the process stops", async () => {
    const storage = machine();
    let db = await openOn(storage, { historyBytes: 70_000 });
    let expected = await written(db, 60);
    for (let round = 0; round < 4; round++) {
      await db.checkpoint();
      const { oldest } = db.status().history;
      expect(oldest).toBeGreaterThan(0);
      const kept = expected.filter(([version]) => Number(version) > oldest);
      expect((await take(db.watch({}, { since: oldest }), kept.length)).map(brief)).toEqual(kept);
      expected = [...kept, ...(await written(db, 30))];
      storage.kill();
      db = await openOn(storage, { historyBytes: 70_000 });
    }
    await db.close();
  });

  test("a consumer that falls behind what is kept is told of a gap, and shown everything after it", async () => {
    const storage = machine();
    const db = await openOn(storage, { historyBytes: 0 });
    const stream = db.watch({}, { limits: { commits: 3 } });
    await written(db, 50);
    await db.checkpoint();
    await written(db, 2);
    expect((await take(stream, 4)).map(brief).slice(3)).toEqual([[52, "gap", 3, 52]]);
    const later = await written(db, 2);
    expect((await take(stream, 2)).map(brief)).toEqual(later);
    await db.close();
  });

  test("damage in it is CORRUPT for who reads it, and no obstacle to anything else", async () => {
    const storage = machine();
    let db = await openOn(storage);
    await written(db, 100);
    await db.checkpoint();
    await db.close();
    const [oldest] = segmentsOf(storage).sort();
    const { fileSystem } = storage.restart();
    const handle = await fileSystem.open(oldest, "update");
    await handle.write(Uint8Array.of(1, 2, 3), 20_000);
    await handle.syncData();
    await handle.close();
    db = await openOn(storage);
    expect(await errorOf(rest(db.watch({}, { since: 0 })))).toMatchObject({
      code: "CORRUPT",
      details: { file: oldest },
    });
    await db.set("k", "v");
    expect((await take(db.watch({}, { since: 100 }), 1)).length).toBe(1);
    await db.close();
  });
});

describe("nothing that is not certain is shown", () => {
  test("T-WATCH-04: at the moment a full commit is shown, no power cut can take it or any before it", async () => {
    const storage = machine();
    const db = await openOn(storage);
    const seen: unknown[][] = [];
    const moments: { readonly shown: number; readonly disks: readonly SimulatedDisk[] }[] = [];
    let unsynced = 0;
    db.watch({}, (commit) => {
      seen.push(brief(commit));
      if (db.status().version.applied > commit.version) unsynced++;
      moments.push({ shown: seen.length, disks: [...storage.disk.durableImages(6)] });
    });
    const streamed = take(db.watch({}), 20);
    const done: Promise<unknown>[] = [];
    for (let n = 1; n <= 20; n++) {
      done.push(n % 4 === 0 ? db.set(n, LONG, { durability: "relaxed" }) : db.set(n, LONG));
      // Some share a sync, others come while one is under way.
      if (n % 5 === 0) await Promise.race(done.slice(-3));
    }
    await Promise.all(done);
    expect((await streamed).map(brief)).toEqual(seen);
    expect(unsynced).toBeGreaterThan(3);
    for (const { shown, disks } of moments) {
      // A commit of less than `full` durability promises nothing about itself, only about what it comes behind.
      const certain = seen.slice(0, shown).findLastIndex(([version]) => Number(version) % 4 !== 0) + 1;
      for (const disk of disks) {
        const again = await openOn(machine(3, disk));
        const past = await take(again.watch({}, { since: 0 }), Math.min(certain, again.version));
        expect(past.map(brief)).toEqual(seen.slice(0, certain));
        await again.close();
      }
    }
    await db.close();
  }, 600_000);

  test("T-WATCH-04: a version that a power cut took back is not silently continued", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    const relaxed = db.watch({});
    await db.set("b", "2", { durability: "relaxed" });
    expect((await take(relaxed, 1)).map(brief)).toEqual([[2, "b", "2"]]);
    let checked = 0;
    for (const disk of storage.disk.durableImages(64)) {
      const again = await openOn(machine(2, disk));
      if (again.has("b")) continue;
      checked++;
      const before = again.watch({}, { since: 2 });
      expect(await errorOf(before.next())).toMatchObject({ code: "COMPACTED", details: { since: 2 } });
      await again.set("c", "3");
      const after = again.watch({}, { since: 2 });
      expect(await errorOf(after.next())).toMatchObject({ code: "COMPACTED", details: { since: 2 } });
      await again.close();
    }
    expect(checked).toBeGreaterThan(0);
  });

  test("what the log refused is never shown, and who waited for it goes on", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    const live = db.watch({});
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    const refused = errorOf(db.set("b", "2"));
    // Applied and not published yet: it has to wait for what becomes of it.
    const since = db.watch({}, { since: 1 });
    const pending = take(since, 1);
    expect(await refused).toMatchObject({ code: "DISK_FULL" });
    await db.set("c", "3");
    expect((await pending).map(brief)).toEqual([[3, "c", "3"]]);
    expect((await take(live, 1)).map(brief)).toEqual([[3, "c", "3"]]);
    // Version 2 never was.
    expect(await errorOf(db.watch({}, { since: 2 }).next())).toMatchObject({ code: "COMPACTED" });
    await db.close();
  });

  test("a store that failed ends its watches with STORE_FAILED, after everything that was published", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    const live = db.watch({});
    const past = db.watch({}, { since: 0 });
    await db.set("b", "2");
    storage.disk.faults.add({ operations: ["sync"], path: ".log", code: "EIO" });
    expect(await errorOf(db.set("c", "3"))).toMatchObject({ code: "DURABILITY_UNKNOWN" });
    expect((await take(live, 1)).map(brief)).toEqual([[2, "b", "2"]]);
    expect(await errorOf(live.next())).toMatchObject({ code: "STORE_FAILED" });
    expect((await take(past, 2)).map(brief)).toEqual([
      [1, "a", "1"],
      [2, "b", "2"],
    ]);
    expect(await errorOf(past.next())).toMatchObject({ code: "STORE_FAILED" });
    // It says so after it was closed, too.
    const late = [db.watch({}), db.watch({}, { since: 1 })];
    expect(await errorOf(db.close())).toMatchObject({ code: "DURABILITY_UNKNOWN" });
    for (const stream of late) expect(await errorOf(rest(stream))).toMatchObject({ code: "STORE_FAILED" });
  });
});
