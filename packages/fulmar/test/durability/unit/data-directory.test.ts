import { beforeEach, describe, expect, test } from "vitest";
import { nodeCryptography } from "../../../src/base/runtime/node/cryptography.js";
import { DataDirectory } from "../../../src/durability/data-directory.js";
import type { CheckpointSource } from "../../../src/durability/directory-types.js";
import { firstCommitAt } from "../../../src/durability/segment-format.js";
import { createEntryHash } from "../../../src/memory/entry-hash.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { Coverage } from "../../../src/record/coverage.js";
import { OriginTable } from "../../../src/record/origins.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine, OPTIONS, ROOT } from "../harness.js";

let storage: SimulatedStorage;
let store: MiniStore;

beforeEach(async () => {
  storage = machine();
  store = await MiniStore.open(storage.runtime);
});

const INVARIANT = expect.objectContaining({ code: "INVARIANT" });
const FINAL = { seq: 1, hlc: 1, version: 1, clean: true };

function sourceOf(version: number, synced = (): Promise<void> => Promise.resolve()): CheckpointSource {
  const numbers = { version, seq: 1, hlc: 1, coverage: new Coverage() };
  return { ...numbers, engine: store.engine, read: () => undefined, synced };
}

/** Writes so much that the log goes over into other segments. */
async function rotate(times = 12): Promise<void> {
  for (let i = 0; i < times; i++) {
    await store.save(`k${i}`, "x".repeat(1000));
    for (let turns = 0; turns < 6; turns++) await store.runtime.timers.turn();
  }
}

const names = (part: string): string[] =>
  filesOf(storage, part).map(([path]) => path.slice(path.lastIndexOf("/") + 1));

describe("a data directory", () => {
  test("is opened into an empty store", async () => {
    await store.save("a", "1");
    const { engine, origins } = store;
    await store.close();
    const empty = await MiniStore.open(machine().runtime);
    const pairs = [
      [engine, new OriginTable()],
      [empty.engine, origins],
    ] as const;
    for (const [into, table] of pairs) {
      const opening = DataDirectory.open(storage.restart(), ROOT, into, table, OPTIONS);
      await expect(opening).rejects.toEqual(INVARIANT);
    }
    await empty.close();
  });

  test("is free again when it cannot be opened", async () => {
    await store.close();
    storage.disk.faults.add({ operations: ["read"], path: "MANIFEST", code: "EIO" });
    await expect(MiniStore.open(storage.runtime)).rejects.toMatchObject({ code: "IO_ERROR" });
    await (await MiniStore.open(storage.runtime)).close();
  });

  test("of somebody else gets no lock file", async () => {
    const other = machine();
    await other.runtime.fileSystem.makeDirectory(ROOT);
    await (await other.runtime.fileSystem.open(`${ROOT}/thesis.txt`, "create")).close();
    let locks = 0;
    other.disk.onOperation = ({ kind }) => {
      if (kind === "lock") locks++;
    };
    await expect(MiniStore.open(other.runtime)).rejects.toMatchObject({ code: "NOT_A_STORE" });
    expect(locks).toBe(0);
  });

  test("has one log", async () => {
    expect(() => store.directory.startLog(store)).toThrow(INVARIANT);
    await store.close();
    expect(() => store.directory.startLog(store)).toThrow(INVARIANT);
  });

  test("tells how much log there is, and how much of it a recovery would read", async () => {
    const empty = store.directory.status();
    expect(empty).toMatchObject({ segments: 1, logBytes: 128, logBytesSinceCheckpoint: 0 });
    await store.save("a", "1");
    const { logBytes, logBytesSinceCheckpoint } = store.directory.status();
    expect(logBytesSinceCheckpoint).toBe(logBytes - 128);
    const result = await store.checkpoint();
    expect(store.directory.status()).toMatchObject({
      segments: 1,
      logBytes,
      logBytesSinceCheckpoint: 0,
      checkpoint: { version: 1, bytes: result.bytes, running: false },
    });
    await store.save("b", "2");
    const since = store.directory.status().logBytesSinceCheckpoint;
    expect(since).toBe(store.directory.status().logBytes - logBytes);
    await store.close();
    store = await MiniStore.open(storage.restart());
    const replayed = store.directory.status().logBytesSinceCheckpoint;
    expect(replayed).toBeGreaterThan(0);
    expect(replayed).toBeLessThanOrEqual(since);
    await store.save("c", "3");
    expect(store.directory.status().logBytesSinceCheckpoint).toBeGreaterThan(replayed);
    await store.checkpoint();
    expect(store.directory.status().logBytesSinceCheckpoint).toBe(0);
    await store.close();
  });
});

describe("a checkpoint", () => {
  test("is written by itself, and its log is let go of", async () => {
    await rotate();
    const { segments } = store.directory.status();
    expect(segments).toBeGreaterThan(2);
    const running = store.checkpoint();
    expect(() => store.directory.checkpoint(sourceOf(1))).toThrow(INVARIANT);
    expect(store.directory.status().checkpoint).toBeUndefined();
    const { number, version, entries } = await running;
    expect([number, version, entries]).toEqual([1, 12, 12]);
    expect(store.directory.status().segments).toBeLessThan(3);
    const second = store.checkpoint();
    expect(store.directory.status().checkpoint).toMatchObject({ version: 12, running: true });
    expect((await second).number).toBe(2);
    expect(names("/checkpoint/")).toEqual(["000000000002"]);
    await store.close();
  });

  test("behind which a segment was begun leaves nothing of its log to be read again", async () => {
    await rotate();
    await store.directory.startSegment();
    await store.checkpoint();
    expect(store.directory.status().segments).toBe(1);
    const again = await MiniStore.open(storage.restart());
    expect(again.directory.recovered).toMatchObject({ commits: 0, entries: 12 });
    const { segments, logBytes } = again.directory.status();
    expect([segments, logBytes]).toEqual([1, firstCommitAt(undefined)]);
    await again.close();
    await (await MiniStore.open(storage.restart())).close();
  });

  test("finds an orderly end in a segment without a commit", async () => {
    await rotate();
    await store.directory.startSegment();
    await store.checkpoint();
    await store.close();
    const again = await MiniStore.open(storage.restart());
    expect(again.directory.recovered).toMatchObject({ clean: true, commits: 0, entries: 12 });
    await again.directory.startSegment();
    expect(again.directory.status().segments).toBe(1);
    await again.close();
  });

  test("of commits that are not synced is refused", async () => {
    store.put("a", "1");
    await expect(store.directory.checkpoint(sourceOf(1))).rejects.toEqual(INVARIANT);
    await store.close();
  });

  test("waits until its commits are synced, and is none when they cannot be", async () => {
    await store.save("a", "1");
    const failure = new Error("no");
    const source = sourceOf(1, () => Promise.reject(failure));
    await expect(store.directory.checkpoint(source)).rejects.toBe(failure);
    expect(names("/checkpoint/")).toEqual([]);
    expect((await store.directory.checkpoint(sourceOf(1))).number).toBe(1);
    await store.close();
  });

  test("is refused and given up when the store closes", async () => {
    await store.save("a", "1");
    const running = expect(store.checkpoint()).rejects.toMatchObject({ code: "CLOSED" });
    const closing = store.close();
    await running;
    await closing;
    await expect(store.directory.checkpoint(sourceOf(1))).rejects.toMatchObject({ code: "CLOSED" });
    expect(names("/checkpoint/")).toEqual([]);
  });

  test("stands although what it replaces cannot be removed, which is told to whoever listens", async () => {
    await store.close();
    const told: { event: string; details: object }[] = [];
    const runtime = storage.restart();
    const diagnostics = {
      emit: (event: string, details: () => object) => told.push({ event, details: details() }),
    };
    store = await MiniStore.open({ ...runtime, diagnostics });
    await store.save("a", "1");
    await store.checkpoint();
    storage.disk.faults.add({ operations: ["remove"], path: "checkpoint", code: "EIO" });
    expect((await store.checkpoint()).number).toBe(2);
    expect(told).toMatchObject([
      { event: "remove-failed", details: { path: ROOT, error: { code: "IO_ERROR" } } },
    ]);
    expect(names("/checkpoint/")).toHaveLength(2);
    await store.close();
    store = await MiniStore.open(storage.restart());
    expect(names("/checkpoint/")).toEqual(["000000000002"]);
    await store.close();
  });

  test("remembers peers that were met since, though noting that failed", async () => {
    await store.save("a", "1");
    store.engine.keepTombstones = true;
    await store.checkpoint();
    storage.kill();
    store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.hadPeers).toBe(true);
    await store.checkpoint();
    await store.close();
    store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.hadPeers).toBe(true);
    await store.close();
  });
});

describe("what a store knows of peers", () => {
  test("is none, until it is told, and then for good", async () => {
    await store.save("a", "1");
    await store.checkpoint();
    storage.powerCut();
    store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.hadPeers).toBe(false);
    await store.directory.rememberPeers();
    storage.powerCut();
    store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.hadPeers).toBe(true);
    await store.close();
  });
});

describe("a directory whose log was not begun", () => {
  test("has a status, writes a checkpoint of what it loaded, and closes", async () => {
    await store.save("a", "1");
    await store.close();
    const origins = new OriginTable();
    const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
    const directory = await DataDirectory.open(storage.restart(), ROOT, engine, origins, OPTIONS);
    expect(directory.status().logBytesSinceCheckpoint).toBeGreaterThan(0);
    const source = { ...sourceOf(1), engine };
    expect((await directory.checkpoint(source)).entries).toBe(1);
    expect(directory.status().logBytesSinceCheckpoint).toBe(0);
    await directory.close(FINAL);
    expect(() => directory.startLog(store)).toThrow(INVARIANT);
    store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered).toMatchObject({ clean: true, version: 1 });
    await store.close();
  });
});

describe("segments that are let go", () => {
  test("are used again, or removed at the end", async () => {
    await rotate();
    const before = names(".log");
    await store.checkpoint();
    await rotate(20);
    expect(names(".log")).not.toContain(before[0]);
    await store.checkpoint();
    const { segments } = store.directory.status();
    await store.close();
    expect(names(".log")).toHaveLength(segments);
  });
});

describe("the history", () => {
  test("reaches back to the first segment that is kept", async () => {
    await rotate();
    await store.checkpoint();
    const without = store.directory.history;
    expect(without.oldest).toBeGreaterThan(0);
    expect(without.bytes).toBe(0);
    await store.close();
    store = await MiniStore.open(storage.restart(), { historyBytes: 8000 });
    await rotate();
    const { oldest } = store.directory.history;
    await store.checkpoint();
    const { history } = store.directory;
    expect(history.bytes).toBeGreaterThan(0);
    expect(history.bytes).toBeLessThanOrEqual(8000);
    expect(history.oldest).toBeGreaterThanOrEqual(oldest);
    const versions: number[] = [];
    const { version } = store;
    const shown = await history.cursor(history.oldest, false).read(version, (commit) => {
      versions.push(commit.version);
      return true;
    });
    expect(shown).toBe(version);
    expect(versions).toEqual(
      Array.from({ length: version - history.oldest }, (_, i) => history.oldest + 1 + i),
    );
    await store.close();
    store = await MiniStore.open(storage.restart(), { historyBytes: 8000 });
    expect(store.directory.history.oldest).toBe(history.oldest);
    await store.close();
  });
});

describe("closing", () => {
  test("gives unused space back and states where the log ends, once", async () => {
    await rotate(5);
    const { logBytes } = store.directory.status();
    const live = store.directory.status().segments;
    const closing = store.directory.close({ ...FINAL, seq: 5, hlc: 5, version: 5 });
    expect(store.directory.close(FINAL)).toBe(closing);
    await closing;
    const files = filesOf(storage, ".log");
    expect(files).toHaveLength(live);
    expect(files.at(-1)?.[1].length).toBeLessThan(logBytes);
    const kept = files.reduce((sum, [, bytes]) => sum + bytes.length, 0);
    expect(kept).toBeGreaterThanOrEqual(logBytes);
    store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered).toMatchObject({ clean: true, version: 5, seq: 5, hlc: 5 });
    await store.close();
  });

  test.each([true, false])("is in order only if the caller says so: %s", async (clean) => {
    await store.save("a", "1");
    await store.directory.close({ ...FINAL, clean });
    store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.clean).toBe(clean);
    await store.close();
  });

  test("is not in order after a failed sync", async () => {
    await store.save("a", "1");
    storage.disk.faults.add({ operations: ["sync"], path: ".log", code: "EIO" });
    await store.save("b", "2").catch(() => undefined);
    await store.directory.close(FINAL);
    store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.clean).toBe(false);
    await store.close();
  });

  test.each(["truncate", "sync", "write", "close"] as const)(
    "frees the directory whatever fails, and every file: %s",
    async (kind) => {
      await store.save("a", "1");
      let open = 0;
      storage.disk.onOperation = (operation, phase) => {
        if (phase === "before" && operation.kind === "close") open--;
      };
      storage.disk.faults.add({ operations: [kind], path: /log|MANIFEST/, code: "EIO" });
      await expect(store.directory.close(FINAL)).rejects.toMatchObject({ code: "IO_ERROR" });
      expect(open).toBe(-2);
      storage.disk.onOperation = undefined;
      store = await MiniStore.open(storage.runtime);
      expect(store.contents()).toEqual(new Map([["a", "1"]]));
      await store.close();
    },
  );
});
