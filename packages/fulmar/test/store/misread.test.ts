import { describe, expect, test } from "vitest";
import { codeOf } from "../../src/base/errors.js";
import type { FileHandle, OpenMode, Runtime } from "../../src/base/runtime/interface.js";
import { type OpenOptions, open, type Store } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

const SPOILS = ["bit", "zero-sector", "misdirected-sector"] as const;
/** More reads than an opening of these directories does. */
const READS = 6;
const SEEDS = 8;
const KEY = new Uint8Array(32).fill(7);

interface Written {
  readonly storage: SimulatedStorage;
  readonly entries: number;
}

function openOn(storage: SimulatedStorage, options: OpenOptions<string>): Promise<Store<string>> {
  const { runtime } = storage;
  return open<string>("/data", { runtime, codec: "text", segmentBytes: 65_536, ...options });
}

/** A store that was written to and killed. */
async function killed(
  seed: number,
  options: OpenOptions<string>,
  write: (db: Store<string>) => Promise<unknown>,
): Promise<Written> {
  const storage = simulatedStorage({ seed, cryptography: nodeCryptography, sectorBytes: 512 });
  const db = await openOn(storage, options);
  await write(db);
  const entries = db.count();
  storage.kill();
  return { storage, entries };
}

/** Opens with one read gone wrong, then without: neither may ever show less. How the first one ended. */
async function misreadOnce(
  { storage, entries }: Written,
  options: OpenOptions<string>,
  spoil: (typeof SPOILS)[number],
  nth: number,
): Promise<string> {
  storage.restart();
  storage.disk.faults.add({ operations: ["read"], path: ".log", spoil, nth });
  let outcome = "whole";
  try {
    const db = await openOn(storage, options);
    expect(db.count(), `opened with ${spoil} at read ${nth}`).toBe(entries);
    await db.close();
  } catch (error) {
    outcome = codeOf(error) ?? "";
    if (outcome !== "CORRUPT") throw error;
    storage.kill();
  }
  storage.disk.faults.clear();
  storage.restart();
  const again = await openOn(storage, options);
  expect(again.count(), `after ${spoil} at read ${nth}`).toBe(entries);
  await again.close();
  return outcome;
}

async function everyMisread(
  options: OpenOptions<string>,
  write: (db: Store<string>) => Promise<unknown>,
): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {};
  for (const spoil of SPOILS) {
    for (let nth = 1; nth <= READS; nth++) {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const outcome = await misreadOnce(await killed(seed, options, write), options, spoil, nth);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      }
    }
  }
  return outcomes;
}

/** Nearly all misreadings are found to be such, and cost nothing. */
function expectMostlyWhole(outcomes: Record<string, number>): void {
  expect(Object.keys(outcomes).filter((outcome) => outcome !== "whole" && outcome !== "CORRUPT")).toEqual([]);
  expect(outcomes.whole).toBeGreaterThan(0.8 * SPOILS.length * READS * SEEDS);
}

describe("one read of the log that comes back wrong takes nothing from a store that was killed", () => {
  test("with a few large commits, the last of which nothing proves to be synced", async () => {
    const write = async (db: Store<string>): Promise<void> => {
      for (let i = 0; i < 4; i++) await db.set(`k${i}`, "x".repeat(14_000), { durability: "full" });
    };
    expectMostlyWhole(await everyMisread({}, write));
  });

  test("with many small ones, which only the system had, and which are written again", async () => {
    const write = async (db: Store<string>): Promise<void> => {
      for (let i = 0; i < 60; i++) await db.set(`k${i}`, "x".repeat(i), { durability: "relaxed" });
    };
    expectMostlyWhole(await everyMisread({ flushInterval: 60_000 }, write));
  });

  test("in a segment that was just begun", async () => {
    const write = async (db: Store<string>): Promise<void> => {
      for (let i = 0; i < 7; i++) await db.set(`k${i}`, "x".repeat(10_000), { durability: "full" });
    };
    expectMostlyWhole(await everyMisread({}, write));
  });

  test("where it is encrypted", async () => {
    const write = async (db: Store<string>): Promise<void> => {
      for (let i = 0; i < 5; i++) await db.set(`k${i}`, "x".repeat(2000), { durability: "full" });
      for (let i = 0; i < 5; i++) await db.set(`l${i}`, "x".repeat(2000), { durability: "relaxed" });
    };
    expectMostlyWhole(await everyMisread({ encryption: { key: KEY } }, write));
  });

  test("at whatever byte of an encrypted segment's head", async () => {
    const encryption = { key: KEY };
    const write = (db: Store<string>): Promise<unknown> => db.set("k", "v", { durability: "full" });
    // The header, its key section, and the opening behind that.
    const { storage } = await killed(1, { encryption }, write);
    for (const [at, nth] of placesIn(240)) {
      const copy = simulatedStorage({ disk: storage.disk.fork(), cryptography: nodeCryptography });
      const runtime = misreadingAt(copy.runtime, at, nth, ".log");
      const db = await open<string>("/data", { runtime, codec: "text", encryption });
      expect(db.get("k"), `byte ${at} came wrong once`).toBe("v");
      await db.close();
    }
  });
});

describe("one read of a checkpoint that comes back wrong", () => {
  test.each<[string, OpenOptions<string>]>([
    ["plain", {}],
    ["packed", { compression: "deflate" }],
    ["encrypted", { encryption: { key: KEY } }],
  ])("refuses no store whose disk has it right, at whatever byte: %s", async (_, options) => {
    const write = async (db: Store<string>): Promise<void> => {
      for (let i = 0; i < 20; i++) await db.set(i, `${i}`.repeat(10), { durability: "memory" });
      await db.checkpoint();
    };
    const { storage, entries } = await killed(1, options, write);
    const [size] = [...storage.disk.image()]
      .filter(([path]) => path.includes("checkpoint"))
      .map(([, bytes]) => bytes.length);
    for (const [at, nth] of placesIn(size)) {
      const copy = simulatedStorage({ disk: storage.disk.fork(), cryptography: nodeCryptography });
      const runtime = misreadingAt(copy.runtime, at, nth, "/checkpoint/");
      const db = await open<string>("/data", { runtime, codec: "text", segmentBytes: 65_536, ...options });
      expect(db.count(), `byte ${at} came wrong once`).toBe(entries);
      await db.close();
    }
    expect(size).toBeGreaterThan(400);
  });
});

/** Each byte when it is read first, and the last ones when they are read again: a footer is, by itself. */
function placesIn(size: number): [at: number, nth: number][] {
  return [
    ...Array.from({ length: size }, (_, at): [number, number] => [at, 1]),
    ...Array.from({ length: 100 }, (_, i): [number, number] => [size - 1 - i, 2]),
  ];
}

/** The runtime, for which a byte of such a file comes wrong when it is read for the nth time. */
function misreadingAt(runtime: Runtime, at: number, nth: number, part: string): Runtime {
  const { fileSystem } = runtime;
  let reads = 0;
  const open = fileSystem.open.bind(fileSystem);
  fileSystem.open = async (path: string, mode: OpenMode): Promise<FileHandle> => {
    const handle = await open(path, mode);
    if (!path.includes(part)) return handle;
    const read = handle.read.bind(handle);
    handle.read = async (target, position) => {
      const count = await read(target, position);
      const isRead = at >= position && at < position + count;
      if (isRead && ++reads === nth) target[at - position] ^= 1;
      return count;
    };
    return handle;
  };
  return runtime;
}
