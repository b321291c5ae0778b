import { describe, expect, test } from "vitest";
import type { FileSystem } from "../../src/base/runtime/interface.js";
import { dump, load, type OpenOptions, open, restore, type Store } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

const SEGMENT = "/data/log/000000000001.log";
const VALUE = "1".padEnd(10_000, "x");

function machine(): SimulatedStorage {
  return simulatedStorage({ cryptography: nodeCryptography });
}

function openOn(storage: SimulatedStorage, options: OpenOptions<string> = {}): Promise<Store<string>> {
  const { runtime } = storage;
  return open<string>("/data", { runtime, codec: "text", segmentBytes: 65_536, ...options });
}

/** Gives a name to a file that holds these bytes, in the place of what had it. */
async function replaceFile(storage: SimulatedStorage, path: string, bytes: Uint8Array): Promise<void> {
  const { fileSystem } = storage.runtime;
  const file = await fileSystem.open("/other", "create");
  await file.write(bytes, 0);
  await file.close();
  await fileSystem.rename("/other", path);
}

function bytesOf(storage: SimulatedStorage, path: string): Uint8Array {
  return storage.disk.image().get(path) ?? new Uint8Array(0);
}

/** Eight commits, the last of them in a second segment, which is made beside the others. */
async function fillTwo(storage: SimulatedStorage, db: Store<string>): Promise<void> {
  for (let i = 0; i < 8; i++) {
    await db.set(["fill", i], "x".repeat(10_000));
    while (i > 4 && !storage.disk.image().has("/data/log/000000000002.log")) {
      await storage.runtime.timers.turn();
    }
  }
  expect(db.status().log?.segments).toBe(2);
}

type Mishap = (storage: SimulatedStorage) => Promise<void> | void;

const remove =
  (path: string): Mishap =>
  (storage) =>
    storage.runtime.fileSystem.remove(path);

const mishaps: readonly (readonly [string, Mishap])[] = [
  ["the directory is moved", (storage) => storage.runtime.fileSystem.rename("/data", "/gone")],
  ["its log is moved", (storage) => storage.runtime.fileSystem.rename("/data/log", "/gone")],
  ["the live segment is removed", remove(SEGMENT)],
  ["the manifest is removed", remove("/data/MANIFEST")],
  [
    "the live segment is replaced by an empty file",
    (storage) => replaceFile(storage, SEGMENT, new Uint8Array(0)),
  ],
  [
    "the live segment is replaced by a copy that misses what was written since",
    (storage) => replaceFile(storage, SEGMENT, bytesOf(storage, SEGMENT).slice(0, 5000)),
  ],
  [
    "the manifest is replaced by another one",
    (storage) => replaceFile(storage, "/data/MANIFEST", new Uint8Array(8192)),
  ],
  [
    "a file stands where the log was",
    async (storage) => {
      await storage.runtime.fileSystem.rename("/data/log", "/gone");
      await replaceFile(storage, "/data/log", new Uint8Array(1));
    },
  ],
  ["its lock is removed", (storage) => storage.disk.unlock("/data")],
];

describe.each(mishaps)("when %s", (_, mishap) => {
  test("no write a second later is acknowledged; reads go on, and closing says so", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", VALUE);
    await mishap(storage);
    await storage.advance(1000);
    await expect(db.set("b", "2")).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    expect([db.status().state, db.get("a"), db.get("b")]).toEqual(["failed", VALUE, "2"]);
    const later = db.set("c", "3", { durability: "memory" });
    await expect(later).rejects.toMatchObject({ code: "STORE_FAILED", cause: { code: "DIRECTORY_LOST" } });
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
  });

  test("nobody has to write for closing to say so", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", VALUE);
    await mishap(storage);
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
  });

  test("a checkpoint says so, and fails the store", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", VALUE);
    await mishap(storage);
    const before = storage.disk.image();
    await expect(db.checkpoint()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    expect(db.status().state).toBe("failed");
    expect([...storage.disk.image().keys()]).toEqual([...before.keys()]);
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
  });

  test("a backup and a dump save all that memory shows", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", VALUE);
    await mishap(storage);
    await db.backup("/first.backup");
    expect(db.status().state).toBe("failed");
    await db.backup("/second.backup");
    const copy = await open<string>(undefined, { codec: "text" });
    await load(copy, dump(db));
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    await restore("/second.backup", "/restored", { runtime: storage.runtime });
    const restored = await open<string>("/restored", { runtime: storage.runtime, codec: "text" });
    expect([copy.get("a"), restored.get("a")]).toEqual([VALUE, VALUE]);
    await Promise.all([copy.close(), restored.close()]);
  });
});

/** Looks at the files that a machine makes from now on. */
function looks(storage: SimulatedStorage): { count: number } {
  const seen = { count: 0 };
  storage.disk.onOperation = ({ kind, path }, phase) => {
    if (kind === "status" && path === SEGMENT && phase === "before") seen.count++;
  };
  return seen;
}

describe("when the files are looked at", () => {
  test.each(["background", "inline"] as const)(
    "with the first sync of each second (%s syncs)",
    async (sync) => {
      const storage = machine();
      const db = await openOn(storage, { sync });
      const seen = looks(storage);
      const counts: number[] = [];
      for (let second = 0; second < 3; second++) {
        for (let i = 0; i < 10; i++) await db.set("k", String(i));
        counts.push(seen.count);
        await storage.advance(1000);
      }
      // The open file and its name.
      expect(counts).toEqual([0, 2, 4]);
      await db.close();
    },
  );

  test("no write is looked after that nobody waits for, until it is synced", async () => {
    const storage = machine();
    const db = await openOn(storage, { durability: "relaxed", flushInterval: 10_000 });
    await db.set("a", "1");
    await storage.runtime.fileSystem.remove(SEGMENT);
    await storage.advance(4000);
    await db.set("b", "1");
    expect(db.status().state).toBe("open");
    await storage.advance(2000);
    expect(db.status().state).toBe("failed");
    await expect(db.set("c", "1")).rejects.toMatchObject({ code: "STORE_FAILED" });
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
  });

  test("at once in a new segment", async () => {
    const storage = machine();
    const db = await openOn(storage);
    for (let i = 0; i < 4; i++) await db.set(["fill", i], "x".repeat(10_000));
    await storage.runtime.timers.turn();
    await storage.runtime.fileSystem.rename("/data/log", "/gone");
    const codes: string[] = [];
    for (let i = 0; i < 4; i++) {
      const done = db.set(["more", i], "x".repeat(10_000));
      codes.push(
        await done.then(
          () => "done",
          (error: { code: string }) => error.code,
        ),
      );
    }
    expect(codes).toEqual(["done", "done", "DIRECTORY_LOST", "STORE_FAILED"]);
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
  });

  test.each([
    ["an older segment", "/data/log/000000000001.log"],
    ["the checkpoint", "/data/checkpoint/000000000001"],
  ])("%s is missed, too", async (_, path) => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    await db.checkpoint();
    await fillTwo(storage, db);
    await storage.runtime.fileSystem.remove(path);
    await storage.advance(1000);
    const done = db.set("b", "1");
    await expect(done).rejects.toMatchObject({ code: "DIRECTORY_LOST", details: { path } });
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
  });
});

describe("what has the names now", () => {
  test("is left alone by closing", async () => {
    const storage = machine();
    const db = await openOn(storage);
    for (let i = 0; i < 4; i++) await db.set(["fill", i], "x".repeat(10_000));
    const prepared = "/data/log/000000000002.log";
    while (!storage.disk.image().has(prepared)) await storage.runtime.timers.turn();
    await storage.runtime.fileSystem.remove(SEGMENT);
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    expect(storage.disk.image().has(prepared)).toBe(true);
  });

  test("keeps its log when a checkpoint was noted in another manifest", async () => {
    const storage = machine();
    const db = await openOn(storage, { historyBytes: 0 });
    await fillTwo(storage, db);
    let replacing: Promise<void> | undefined;
    storage.disk.onOperation = ({ kind, path }) => {
      if (kind !== "sync" || !path.startsWith("/data/checkpoint/")) return;
      replacing ??= replaceFile(storage, "/data/MANIFEST", bytesOf(storage, "/data/MANIFEST"));
    };
    await expect(db.checkpoint()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    await replacing;
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    storage.restart();
    await using again = await openOn(storage);
    expect(again.count()).toBe(8);
  });
});

describe("an earlier copy that took the place of the directory", () => {
  /** A store whose first segments are live in the copy, and spare or kept for watches here. */
  async function replaced(
    options: OpenOptions<string>,
  ): Promise<{ storage: SimulatedStorage; db: Store<string> }> {
    const storage = machine();
    const { fileSystem } = storage.runtime;
    const db = await openOn(storage, { checkpoint: { everyBytes: Number.MAX_SAFE_INTEGER }, ...options });
    for (let i = 0; i < 40; i++) await db.set(["copied", i], VALUE);
    for (const name of ["/copy", "/copy/log", "/copy/checkpoint"]) await fileSystem.makeDirectory(name);
    for (const [path, bytes] of storage.disk.image()) {
      if (path.startsWith("/data/")) await replaceFile(storage, path.replace("/data", "/copy"), bytes);
    }
    await db.checkpoint();
    await fileSystem.rename("/data", "/gone");
    await fileSystem.rename("/copy", "/data");
    return { storage, db };
  }

  async function expectWhole(storage: SimulatedStorage, db: Store<string>): Promise<void> {
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    storage.restart();
    await using again = await openOn(storage);
    expect(again.count()).toBe(40);
  }

  test("keeps its segments when the log goes on in another one", async () => {
    const { storage, db } = await replaced({ historyBytes: 0 });
    for (let code = "done"; code === "done"; ) {
      code = await db.set("fill", VALUE).then(
        () => "done",
        (error: { code: string }) => error.code,
      );
    }
    await expectWhole(storage, db);
  });

  test("keeps its segments when the disk is full", async () => {
    const { storage, db } = await replaced({});
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    await expect(db.set("more", VALUE)).rejects.toMatchObject({ code: "DISK_FULL" });
    for (let i = 0; i < 50; i++) await storage.runtime.timers.turn();
    await expectWhole(storage, db);
  });
});

describe("the manifest of whoever has the lock now", () => {
  test("is not written to by closing", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    storage.disk.unlock("/data");
    await using other = await openOn(storage);
    await other.set("a", "2");
    const manifest = bytesOf(storage, "/data/MANIFEST");
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    expect(bytesOf(storage, "/data/MANIFEST")).toEqual(manifest);
  });

  test("is not written to by a checkpoint", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    const manifest = bytesOf(storage, "/data/MANIFEST");
    storage.disk.onOperation = ({ kind, path }) => {
      if (kind === "sync" && path.startsWith("/data/checkpoint/")) storage.disk.unlock("/data");
    };
    await expect(db.checkpoint()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    expect(bytesOf(storage, "/data/MANIFEST")).toEqual(manifest);
  });
});

describe("the next open", () => {
  test("refuses a log without its end, and does not take what is left for all there was", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await fillTwo(storage, db);
    await storage.runtime.fileSystem.remove("/data/log/000000000002.log");
    await storage.advance(1000);
    await expect(db.set("a", "1")).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    storage.kill();
    storage.restart();
    await expect(openOn(storage)).rejects.toMatchObject({ code: "CORRUPT" });
  });

  test("of a directory whose lock was removed finds what another process has written meanwhile", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    storage.disk.unlock("/data");
    const other = await openOn(storage);
    await other.set("a", "2");
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    await other.set("b", "2");
    await other.close();
    await using again = await openOn(storage);
    expect([again.get("a"), again.get("b")]).toEqual(["2", "2"]);
  });
});

describe("no store is stopped", () => {
  /** Opens a store on a machine whose file system answers questions as `status` does. */
  async function writeSeconds(
    storage: SimulatedStorage,
    status: FileSystem["status"],
  ): Promise<string | undefined> {
    const { fileSystem } = storage.runtime;
    const overlaid = new Proxy(fileSystem, {
      get: (target, name) => {
        if (name === "status") return status;
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    const db = await openOn(storage, { runtime: { ...storage.runtime, fileSystem: overlaid } });
    for (let second = 0; second < 3; second++) {
      for (let i = 0; i < 8; i++) await db.set(["fill", i], String(second).padEnd(10_000, "x"));
      if (second === 1) await db.checkpoint();
      await storage.advance(1000);
    }
    const last = db.get(["fill", 7])?.slice(0, 1);
    await db.close();
    return last;
  }

  test("by a file system that gives a file a new number each time that it is asked", async () => {
    const storage = machine();
    let asked = 0;
    const status: FileSystem["status"] = async (path) => {
      const found = await storage.runtime.fileSystem.status(path);
      return found === undefined ? undefined : { ...found, identity: String(asked++) };
    };
    expect(await writeSeconds(storage, status)).toBe("2");
  });

  test.each(["EACCES", "EIO"] as const)("by files that cannot be looked at (%s)", async (code) => {
    const storage = machine();
    const db = await openOn(storage);
    const times = Number.POSITIVE_INFINITY;
    storage.disk.faults.add({ operations: ["status"], path: "MANIFEST", code, times });
    storage.disk.faults.add({ operations: ["status"], path: "/data/log/", code, times });
    await storage.runtime.fileSystem.remove(SEGMENT);
    for (let second = 0; second < 3; second++) {
      await db.set("a", String(second));
      await storage.advance(1000);
    }
    expect(db.status().state).toBe("open");
    storage.disk.faults.clear();
    await expect(db.set("a", "3")).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
  });

  test("by checkpoints that let go of files while they are looked at", async () => {
    const storage = machine();
    const db = await openOn(storage, { historyBytes: 0 });
    for (let round = 0; round < 5; round++) {
      const writes = Array.from({ length: 30 }, (_, i) => db.set(["fill", i], "x".repeat(5000)));
      await Promise.all([...writes, db.checkpoint(), storage.advance(1000)]);
    }
    expect(db.status().state).toBe("open");
    await db.close();
  });
});
