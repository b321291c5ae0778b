import { describe, expect, test } from "vitest";
import { type OpenOptions, open, type Store } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

const DISK_BYTES = 2 * 1024 * 1024;

/** No checkpoints but those by hand. */
const NEVER = { everyBytes: Number.MAX_SAFE_INTEGER };

function machineOf(quotaBytes: number): SimulatedStorage {
  return simulatedStorage({ cryptography: nodeCryptography, quotaBytes });
}

function openOn(storage: SimulatedStorage, options: OpenOptions<string> = {}): Promise<Store<string>> {
  const runtime = options.runtime ?? storage.restart();
  return open<string>("/data", { codec: "text", segmentBytes: 65_536, ...options, runtime });
}

/** The code of what a write or checkpoint is refused with. */
function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "done",
    (error: { code: string }) => error.code,
  );
}

/** Returns once nothing more is done to the disk. */
async function idle(storage: SimulatedStorage): Promise<void> {
  for (let before = -1; before !== storage.disk.operations; ) {
    before = storage.disk.operations;
    for (let i = 0; i < 5; i++) await storage.runtime.timers.turn();
  }
}

/** Overwrites ten keys `writes` times; after each refusal the next write, once the disk is idle, has to be taken. */
async function overwrite(db: Store<string>, storage: SimulatedStorage, writes: number): Promise<number> {
  let refusals = 0;
  for (let i = 0; i < writes; i++) {
    const write = (): Promise<string> => codeOf(db.set(`key ${i % 10}`, String(i).padEnd(10_000, "x")));
    const code = await write();
    if (code === "done") continue;
    refusals++;
    expect(code).toBe("DISK_FULL");
    await idle(storage);
    expect([i, await write()]).toEqual([i, "done"]);
  }
  return refusals;
}

describe("a disk that is full", () => {
  test("of history is written to again, and watches that would resume from it are told", async () => {
    const storage = machineOf(DISK_BYTES);
    const db = await openOn(storage, { checkpoint: NEVER });
    let { oldest } = db.status().history;
    let i = 0;
    for (let code = "done"; code === "done"; i++) {
      ({ oldest } = db.status().history);
      code = await codeOf(db.set(`key ${i % 10}`, String(i).padEnd(10_000, "x")));
      if (i % 60 === 59) await db.checkpoint();
      expect(i, "the disk becomes full").toBeLessThan(600);
    }
    expect(oldest).toBeGreaterThan(0);
    await idle(storage);
    expect(db.status().history).toMatchObject({ bytes: 0 });
    await expect(db.watch({}, { since: oldest }).next()).rejects.toMatchObject({ code: "COMPACTED" });
    expect(await overwrite(db, storage, 20)).toBe(0);
    await db.close();
  });

  test("of history and log is written to again and again, and nothing is lost", async () => {
    const storage = machineOf(DISK_BYTES);
    // The log alone never becomes so long that there is a checkpoint: there is no room for it beside the history.
    const db = await openOn(storage, { checkpoint: { everyBytes: 1_200_000 } });
    const refusals = await overwrite(db, storage, 800);
    expect(refusals).toBeGreaterThan(1);
    expect(refusals).toBeLessThan(20);
    storage.kill();
    const again = await openOn(storage);
    const values = [...again.list()].map(({ value }) => value.slice(0, 3));
    expect(values).toEqual(["790", "791", "792", "793", "794", "795", "796", "797", "798", "799"]);
    await again.close();
  });

  test("of a log whose state is small is written to again, after a checkpoint", async () => {
    const storage = machineOf(DISK_BYTES);
    const db = await openOn(storage, { historyBytes: 0 });
    let refusals = 0;
    for (let i = 0; i < 400; i++) {
      const code = await codeOf(db.set("job", "x".repeat(20_000)));
      if (code !== "done") {
        refusals++;
        await idle(storage);
        expect([i, await codeOf(db.set("job", "x".repeat(20_000)))]).toEqual([i, "done"]);
      }
      await db.delete("job");
    }
    expect(refusals).toBeGreaterThan(1);
    await db.close();
  });
});

test("closing waits until no room is sought any more", async () => {
  const storage = machineOf(Number.POSITIVE_INFINITY);
  const db = await openOn(storage);
  await overwrite(db, storage, 300);
  await db.checkpoint();
  storage.disk.quotaBytes = 0;
  const calls: string[] = [];
  storage.disk.onOperation = ({ kind }) => calls.push(kind);
  expect(await codeOf(db.set("k", "x".repeat(300_000)))).toBe("DISK_FULL");
  await db.close();
  await idle(storage);
  // Letting the lock go comes last.
  expect([calls.includes("remove"), calls.at(-1)]).toEqual([true, "unlock"]);
});

describe("no checkpoint is tried", () => {
  /** A store whose log is five times its state, on a full disk; `attempt` counts the checkpoints tried so far. */
  async function refused(
    options: OpenOptions<string>,
  ): Promise<{ storage: SimulatedStorage; db: Store<string>; attempt: () => Promise<number> }> {
    const storage = machineOf(Number.POSITIVE_INFINITY);
    const db = await openOn(storage, { historyBytes: 0, ...options });
    await overwrite(db, storage, 60);
    await idle(storage);
    storage.disk.quotaBytes = 0;
    let tried = 0;
    storage.disk.onOperation = ({ kind, path }, phase) => {
      if (kind === "create" && phase === "before" && path.startsWith("/data/checkpoint/")) tried++;
    };
    const attempt = async (): Promise<number> => {
      for (let i = 0; i < 10; i++) {
        expect(await codeOf(db.set("k", "x".repeat(300_000)))).toBe("DISK_FULL");
        await idle(storage);
      }
      return tried;
    };
    return { storage, db, attempt };
  }

  test("more often than after 5 seconds, and then after twice as many each time, while none succeeds", async () => {
    const { storage, db, attempt } = await refused({});
    const counts: number[] = [];
    for (const seconds of [0, 4, 1, 9, 1, 19, 1]) {
      await storage.advance(seconds * 1000);
      counts.push(await attempt());
    }
    expect(counts).toEqual([1, 1, 2, 2, 3, 3, 4]);
    expect(db.status().checkpointError?.error).toMatch(/^DISK_FULL: /);
    storage.disk.quotaBytes = Number.POSITIVE_INFINITY;
    expect(await codeOf(db.set("k", "x"))).toBe("done");
    await db.close();
  });

  test("where the policy is that there are none", async () => {
    const { db, attempt } = await refused({ checkpoint: NEVER });
    expect(await attempt()).toBe(0);
    await db.close();
  });

  test("when the log was refused for another reason", async () => {
    const { db, storage } = await refused({});
    storage.disk.quotaBytes = Number.POSITIVE_INFINITY;
    storage.disk.faults.add({ operations: ["write"], path: "/data/log/", code: "EIO", times: 1 });
    expect(await codeOf(db.set("k", "x"))).toBe("IO_ERROR");
    await idle(storage);
    expect(db.status().checkpoint).toBeUndefined();
    await db.close();
  });

  test("where the log lies in the present segment alone, which a checkpoint may not get rid of", async () => {
    const storage = machineOf(Number.POSITIVE_INFINITY);
    const db = await openOn(storage);
    for (let i = 0; i < 4; i++) await db.set("k", String(i).padEnd(10_000, "x"));
    storage.disk.quotaBytes = 0;
    expect(await codeOf(db.set("k", "x".repeat(300_000)))).toBe("DISK_FULL");
    storage.disk.quotaBytes = Number.POSITIVE_INFINITY;
    await idle(storage);
    expect(db.status().checkpoint).toBeUndefined();
    await db.close();
  });

  test("where it would take more than the log that it replaces", async () => {
    const { db, storage } = await refused({});
    storage.disk.quotaBytes = Number.POSITIVE_INFINITY;
    await db.checkpoint();
    for (let i = 0; i < 10; i++) await db.set(["more", i], "x".repeat(10_000));
    await idle(storage);
    storage.disk.quotaBytes = 0;
    const before = storage.disk.operations;
    expect(await codeOf(db.set("k", "x".repeat(300_000)))).toBe("DISK_FULL");
    await idle(storage);
    // The write, the cut of what it left, and nothing else.
    expect(storage.disk.operations - before).toBeLessThan(8);
    await db.close();
  });
});

test("a file of the history that cannot be removed does not keep the others", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const db = await openOn(storage);
  for (let i = 0; i < 30; i++) await db.set("k", String(i).padEnd(10_000, "x"));
  await db.checkpoint();
  const files = (): Promise<string[]> => storage.runtime.fileSystem.list("/data/log");
  const kept = await files();
  expect(kept.length).toBeGreaterThan(3);
  storage.disk.faults.add({ operations: ["write"], path: "/checkpoint/", code: "ENOSPC", times: 1 });
  storage.disk.faults.add({ operations: ["remove"], path: ".log", code: "EIO", times: 1 });
  expect(await codeOf(db.checkpoint())).toBe("done");
  expect(await files()).toEqual([kept[0], kept.at(-1)]);
  await db.close();
});

test("a checkpoint for which there is no room at all leaves the store as it was, but for its history", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const db = await openOn(storage);
  for (let i = 0; i < 30; i++) await db.set("k", String(i).padEnd(10_000, "x"));
  await db.checkpoint();
  expect(db.status().history.bytes).toBeGreaterThan(0);
  storage.disk.faults.add({ operations: ["write"], path: "/checkpoint/", code: "ENOSPC", times: 2 });
  expect(await codeOf(db.checkpoint())).toBe("DISK_FULL");
  const { history, state } = db.status();
  expect([state, history.oldest > 20, db.get("k")?.slice(0, 3)]).toEqual(["open", true, "29x"]);
  expect([await codeOf(db.checkpoint()), await codeOf(db.set("k", "30"))]).toEqual(["done", "done"]);
  await db.close();
});

test("T-API-01: applied writes are no errors because a checkpoint finds no room, now or after a crash", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const failed: string[] = [];
  const diagnostics = { emit: (event: string) => void failed.push(event) };
  const runtime = { ...storage.restart(), diagnostics };
  let db = await openOn(storage, { runtime, checkpoint: { everyBytes: 65_536 } });
  const forever = { operations: ["write"], path: "/checkpoint/", code: "ENOSPC" } as const;
  storage.disk.faults.add({ ...forever, times: 1_000_000 });
  const versions: number[] = [];
  // Checkpoints begin by themselves between these writes, and fail.
  for (let i = 0; i < 60; i++) {
    versions.push((await db.set(`k${i % 5}`, String(i).padEnd(10_000, "x"))).version);
    await storage.advance(1000);
  }
  expect(versions).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  expect([failed.length > 1, new Set(failed)]).toEqual([true, new Set(["checkpoint-error"])]);
  const before = { digest: db.digest(), version: db.version, list: [...db.list()] };
  for (let again = 0; again < 2; again++) {
    expect(await codeOf(db.checkpoint())).toBe("DISK_FULL");
    expect({ digest: db.digest(), version: db.version, list: [...db.list()] }).toEqual(before);
    expect(db.status()).toMatchObject({ state: "open", dirty: true });
  }
  storage.powerCut();
  db = await openOn(storage);
  expect([db.digest(), [...db.list()]]).toEqual([before.digest, before.list]);
  await db.close();
});

test.each(["000000000001.tmp", "000000000001"])(
  "a disk that an interrupted checkpoint has filled (%s) keeps no store from being opened",
  async (name) => {
    const storage = machineOf(Number.POSITIVE_INFINITY);
    const db = await openOn(storage, { checkpoint: NEVER });
    for (let i = 0; i < 4; i++) await db.set(`key ${i}`, "x".repeat(10_000));
    storage.kill();
    const { fileSystem } = storage.restart();
    // A power cut has torn the last commit, so that the log has to go on in another segment.
    const log = await fileSystem.open("/data/log/000000000001.log", "update");
    const bytes = storage.disk.image().get(log.path) ?? new Uint8Array(0);
    await log.truncate(bytes.findLastIndex((byte) => byte !== 0) - 100);
    await log.close();
    const unfinished = await fileSystem.open(`/data/checkpoint/${name}`, "create");
    await unfinished.write(new Uint8Array(100_000), 0);
    await unfinished.close();
    storage.disk.quotaBytes = 2 ** 40;
    storage.disk.quotaBytes -= storage.disk.freeBytes();
    await using again = await openOn(storage);
    expect(again.count()).toBe(3);
    await again.set("key 3", "again");
  },
);
