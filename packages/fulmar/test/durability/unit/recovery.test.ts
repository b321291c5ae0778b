import { describe, expect, test } from "vitest";
import { NUMBERS_SKIPPED } from "../../../src/base/limits.js";
import type { DirectoryOptions, DirectoryProgress } from "../../../src/durability/directory-types.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine, ROOT, replayed } from "../harness.js";

const LARGE = { segmentBytes: 64 * 1024 * 1024 };
const FIRST_AT = 128;

interface Opening {
  readonly store: MiniStore;
  /** What it did to the disk, but for looking and reading. */
  readonly calls: string[];
}

const LOOKING = new Set(["open", "read", "size", "status", "list", "close", "realPath", "lock", "unlock"]);

/** Opens the store that a process left, and listens to what that does. */
async function opened(storage: SimulatedStorage, options: Partial<DirectoryOptions> = {}): Promise<Opening> {
  const calls: string[] = [];
  const { runtime } = { runtime: storage.restart() };
  const { fileSystem } = runtime;
  const name = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
  const open: typeof fileSystem.open = async (path, mode) => {
    const handle = await fileSystem.open(path, mode);
    return new Proxy(handle, {
      get: (target, key) => {
        if (key === "write") {
          return (bytes: Uint8Array, position: number) => {
            calls.push(`write ${name(path)} ${position}+${bytes.length}`);
            return target.write(bytes, position);
          };
        }
        if (key === "truncate") {
          return (size: number) => {
            calls.push(`truncate ${name(path)} ${size}`);
            return target.truncate(size);
          };
        }
        const value = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };
  storage.disk.onOperation = ({ kind, path }, phase) => {
    if (phase === "before" && !LOOKING.has(kind) && kind !== "write" && kind !== "truncate")
      calls.push(`${kind} ${name(path)}`);
  };
  const watched = new Proxy(fileSystem, {
    get: (target, key) => {
      if (key === "open") return open;
      const value = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const store = await MiniStore.open({ ...runtime, fileSystem: watched }, options);
  storage.disk.onOperation = undefined;
  return { store, calls };
}

/** What every opening does in the end: names are durable before the manifest says that the store is in use. */
const NAMES_DURABLE = ["syncDirectory log", "syncDirectory data"];
const MANIFEST_CHANGE = [
  "create MANIFEST.tmp",
  expect.stringMatching(/^write MANIFEST.tmp 0\+8192$/),
  "sync MANIFEST.tmp",
  "rename MANIFEST",
  "syncDirectory data",
];

/** A directory whose process was killed after these values were saved, each by itself. */
async function killed(
  values: readonly string[],
  options: Partial<DirectoryOptions> = LARGE,
  turns = 0,
): Promise<{ storage: SimulatedStorage; written: MiniStore["written"]; ends: number[] }> {
  const storage = machine();
  const store = await MiniStore.open(storage.runtime, options);
  const ends = [FIRST_AT];
  for (const [i, value] of values.entries()) {
    await store.save(`k${i}`, value);
    ends.push(store.directory.status().logBytes);
    // The next segment is prepared in turns of the event loop.
    for (let turn = 0; turn < turns; turn++) await store.runtime.timers.turn();
  }
  storage.kill();
  return { storage, written: store.written, ends };
}

const logNames = (storage: SimulatedStorage): string[] =>
  filesOf(storage, ".log").map(([path]) => path.slice(path.lastIndexOf("/") + 1));

describe("after an orderly end", () => {
  test("nothing of the log is written, only the manifest", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    await first.save("a", "1");
    await first.close();
    const { store, calls } = await opened(storage);
    expect(calls).toEqual([...NAMES_DURABLE, ...MANIFEST_CHANGE]);
    expect(store.directory.recovered).toMatchObject({
      clean: true,
      created: false,
      version: 1,
      seq: 1,
      hlc: 1,
    });
    expect(store.directory.recovered).toMatchObject({ entries: 1, commits: 1, cutBytes: 0, hadPeers: false });
    await store.save("b", "2");
    expect(logNames(storage)).toEqual(["000000000001.log"]);
    await store.close();
  });

  test("of a checkpoint its entries count, and what the log holds of them does not", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    await first.save("a", "1");
    await first.save("b", "2");
    await first.checkpoint();
    await first.save("c", "3");
    await first.close();
    const progress: DirectoryProgress[] = [];
    const { store } = await opened(storage, { onProgress: (told) => progress.push(told) });
    expect(store.directory.recovered).toMatchObject({ version: 3, seq: 3, hlc: 3, entries: 3, commits: 1 });
    expect(store.directory.recovered.coverage.of(store.directory.recovered.incarnation).upTo).toBe(3);
    const phases = progress.map(({ phase, entries }) => `${phase} ${entries}`);
    expect(phases[0]).toBe("checkpoint 2");
    expect(phases.slice(-2)).toEqual(["log 3", "log 3"]);
    expect(progress.at(-1)).toEqual({ phase: "log", entries: 3, bytes: 1, bytesTotal: 1 });
    const status = store.directory.status();
    expect(status.checkpoint?.version).toBe(2);
    expect(status.logBytesSinceCheckpoint).toBeGreaterThan(0);
    expect(status.logBytesSinceCheckpoint).toBeLessThan(200);
    await store.close();
  });
});

describe("after a kill", () => {
  test("what no later commit calls synced is written again, synced, and its length stated anew", async () => {
    const { storage, ends } = await killed(["1", "2"]);
    const size = filesOf(storage, ".log")[0][1].length;
    const { store, calls } = await opened(storage, LARGE);
    expect(calls).toEqual([
      ...NAMES_DURABLE,
      `write 000000000001.log 0+${ends[2]}`,
      `truncate 000000000001.log ${size + 1}`,
      `truncate 000000000001.log ${size}`,
      "sync 000000000001.log",
      ...MANIFEST_CHANGE,
    ]);
    expect(store.directory.recovered).toMatchObject({
      clean: false,
      version: 2 + NUMBERS_SKIPPED,
      seq: 2 + NUMBERS_SKIPPED,
      hlc: 2,
    });
    await store.close();
  });

  test("numbers go on from those of the checkpoint, though the log holds none behind it", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    await first.save("a", "1");
    await first.save("b", "2");
    await first.checkpoint();
    storage.kill();
    const { store } = await opened(storage);
    expect(store.directory.recovered).toMatchObject({
      seq: 2 + NUMBERS_SKIPPED,
      version: 2 + NUMBERS_SKIPPED,
    });
    await store.close();
  });

  test("it is written again from the last mark that is proven, in slices", async () => {
    const value = "v".repeat(300_000);
    const { storage, ends } = await killed([value, value, value, value, value, value, value, value]);
    const { store, calls } = await opened(storage, LARGE);
    const writes = calls.filter((call) => call.startsWith("write 0"));
    // The last commit says that the one before it is synced.
    expect(writes).toEqual([`write 000000000001.log ${ends[7]}+${ends[8] - ends[7]}`]);
    await store.close();
  });

  test("much is written again in whole records, a MiB of them at a time", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime, LARGE);
    for (let i = 0; i < 9; i++) first.put(`k${i}`, "v".repeat(300_000));
    first.log.want("synced");
    await first.until(() => first.syncedVersion === 9);
    const end = first.directory.status().logBytes;
    storage.kill();
    const { store, calls } = await opened(storage, LARGE);
    const writes = calls
      .map((call) => /^write 0\S+ (\d+)\+(\d+)$/.exec(call))
      .filter((found) => found !== null);
    const pieces = writes.map(([, at, length]) => [Number(at), Number(length)]);
    // One behind the other, each of as many whole records as fit.
    expect(pieces.map(([at, length]) => at + length)).toEqual([...pieces.slice(1).map(([at]) => at), end]);
    expect(pieces.map(([, length]) => Math.floor(length / 300_000))).toEqual([3, 3, 3]);
    expect(pieces[0][0]).toBe(0);
    storage.powerCut();
    const again = await MiniStore.open(storage.restart(), LARGE);
    expect(again.contents()).toEqual(replayed(first.written));
    await store.close().catch(() => undefined);
    await again.close();
  });

  test("segments that are proven are left alone", async () => {
    const { storage, written } = await killed(Array(24).fill("x".repeat(1000)), {}, 6);
    const live = logNames(storage);
    const { store, calls } = await opened(storage);
    const rewritten = new Set(calls.flatMap((call) => call.match(/^write (0\d+\.log)/)?.[1] ?? []));
    expect(live.length).toBeGreaterThan(2);
    expect(rewritten.size).toBe(1);
    expect(store.contents()).toEqual(replayed(written));
    await store.close();
  });

  test("an empty segment is proven by nothing but a manifest that says where it ends", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    await first.save("a", "x".repeat(1000));
    await first.directory.startSegment();
    storage.kill();
    const { calls } = await opened(storage);
    expect(calls).toContain(`write 000000000002.log 0+${FIRST_AT}`);
    storage.kill();
    const { calls: again, store } = await opened(storage);
    expect(again.filter((call) => call.startsWith("write 0"))).toEqual([]);
    await store.close();
  });

  test("a torn record is cut off durably, and the log goes on in another segment", async () => {
    const { storage, ends } = await killed(["1", "2", "3"]);
    const [path] = filesOf(storage, ".log")[0];
    const handle = await storage.restart().fileSystem.open(path, "update");
    await handle.truncate(ends[3] - 1);
    await handle.close();
    const { store, calls } = await opened(storage, LARGE);
    expect(calls).toEqual([
      ...NAMES_DURABLE,
      `write 000000000001.log 0+${ends[2]}`,
      `truncate 000000000001.log ${ends[3]}`,
      `truncate 000000000001.log ${ends[3] - 1}`,
      "sync 000000000001.log",
      `truncate 000000000001.log ${ends[2]}`,
      "sync 000000000001.log",
      "create 000000000002.log.tmp",
      `write 000000000002.log.tmp 0+${FIRST_AT}`,
      "sync 000000000002.log.tmp",
      "rename 000000000002.log",
      "syncDirectory log",
      ...MANIFEST_CHANGE,
    ]);
    expect(store.directory.recovered).toMatchObject({ commits: 2, cutBytes: ends[3] - 1 - ends[2] });
    expect(store.directory.recovered.version).toBe(2 + NUMBERS_SKIPPED);
    await store.save("k2", "4");
    storage.kill();
    const again = await MiniStore.open(storage.restart(), LARGE);
    expect([...again.contents().values()]).toEqual(["1", "2", "4"]);
    expect(again.directory.status().segments).toBe(2);
    await again.close();
  });

  test("prepared segments are removed, the newest first", async () => {
    const { storage } = await killed(Array(5).fill("x".repeat(1000)), {}, 6);
    const before = logNames(storage);
    const handle = await storage.restart().fileSystem.open(`${ROOT}/log/000000000009.log`, "create");
    await handle.write(new Uint8Array(4096), 0);
    await handle.close();
    const { store, calls } = await opened(storage);
    const at = calls.indexOf("remove 000000000009.log");
    expect(calls[at + 1]).toBe("syncDirectory log");
    const removed = calls.filter((call) => call.startsWith("remove 0"));
    expect(removed).toEqual([...removed].sort().reverse());
    const kept = store.directory.status().segments;
    expect(logNames(storage)).toEqual(before.slice(0, kept));
    // Numbers of segments that were there are not given again.
    for (let i = 0; i < 12; i++) {
      await store.save(`n${i}`, "y".repeat(1500));
      for (let turns = 0; turns < 6; turns++) await store.runtime.timers.turn();
    }
    expect(logNames(storage)).toContain("000000000010.log");
    await store.close();
  });
});

/** Gives the directory a manifest that is another file. */
async function copyManifest(storage: SimulatedStorage): Promise<void> {
  const [, bytes] = filesOf(storage, "MANIFEST")[0];
  const { fileSystem } = storage.restart();
  await fileSystem.remove(`${ROOT}/MANIFEST`);
  const copy = await fileSystem.open(`${ROOT}/MANIFEST`, "create");
  await copy.write(bytes, 0);
  await copy.syncData();
  await copy.close();
  await fileSystem.syncDirectory(ROOT);
}

describe("a copy", () => {
  test.each([
    [undefined, true],
    [false, true],
    [true, false],
  ])("is another writer, in a segment of its own (evicts: %s)", async (evicts, hadPeers) => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    await first.save("a", "1");
    await first.save("b", "2");
    await first.checkpoint();
    await first.close();
    const { incarnation: former } = first.directory.recovered;
    await copyManifest(storage);
    const { store } = await opened(storage, evicts === undefined ? {} : { evicts });
    const { recovered } = store.directory;
    expect(recovered).toMatchObject({ seq: 0, version: 2 + NUMBERS_SKIPPED, clean: true, hadPeers });
    expect(recovered.incarnation).not.toBe(former);
    expect(recovered.coverage.of(former).upTo).toBe(2);
    expect(recovered.coverage.of(recovered.incarnation).upTo).toBe(0);
    expect(store.directory.status().segments).toBe(2);
    await store.save("c", "3");
    storage.kill();
    const { store: again } = await opened(storage);
    expect(again.directory.recovered).toMatchObject({
      incarnation: recovered.incarnation,
      seq: 1 + NUMBERS_SKIPPED,
      hadPeers,
    });
    await again.close();
  });
});

describe("a store with peers", () => {
  test("is not opened to evict, and one without is", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime, { evicts: true });
    await first.close();
    const { store } = await opened(storage, { evicts: true });
    await store.directory.rememberPeers();
    await store.close();
    await expect(opened(storage, { evicts: true })).rejects.toMatchObject({
      code: "EVICTION_WITH_PEERS",
      details: { path: ROOT },
    });
    const { store: again } = await opened(storage, { evicts: false });
    expect(again.directory.recovered.hadPeers).toBe(true);
    await again.close();
  });
});

describe("an opening that fails", () => {
  test.each(["truncate", "sync", "syncDirectory", "write", "read"] as const)(
    "at any %s leaves no file open and the directory free, and the next one succeeds",
    async (kind) => {
      const { storage, written } = await killed(["1", "2"]);
      for (let nth = 1; ; nth++) {
        const runtime = storage.restart();
        let open = 0;
        storage.disk.onOperation = (operation, phase) => {
          if (phase !== "after") return;
          if (operation.kind === "open" || operation.kind === "create") open++;
          if (operation.kind === "close") open--;
        };
        const remove = storage.disk.faults.add({ operations: [kind], nth, code: "EIO" });
        const outcome = await MiniStore.open(runtime, LARGE).catch((error: { code: string }) => error);
        remove();
        if (outcome instanceof MiniStore) {
          storage.disk.onOperation = undefined;
          expect(nth).toBeGreaterThan(1);
          expect(outcome.contents()).toEqual(replayed(written));
          await outcome.close();
          return;
        }
        expect(outcome).toMatchObject({ code: "IO_ERROR" });
        expect(open, `${kind} ${nth}`).toBe(0);
      }
    },
  );

  test("behind several segments, of which only the last is open, tells what failed", async () => {
    const { storage } = await killed(
      Array.from({ length: 9 }, () => "x".repeat(1000)),
      {},
      6,
    );
    storage.restart();
    storage.disk.faults.add({ operations: ["write"], path: "MANIFEST.tmp", code: "EIO" });
    await expect(MiniStore.open(storage.runtime)).rejects.toMatchObject({ code: "IO_ERROR" });
    const store = await MiniStore.open(storage.runtime);
    expect(store.directory.status().segments).toBeGreaterThan(2);
    await store.close();
  });
});
