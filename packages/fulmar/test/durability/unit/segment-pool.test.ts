import { beforeEach, describe, expect, test } from "vitest";
import type { FileHandle, Runtime } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { readKeySection } from "../../../src/durability/key-section.js";
import { Keyring, withKeyring } from "../../../src/durability/keyring.js";
import { type Layout, layoutOf } from "../../../src/durability/layout.js";
import {
  RECYCLED,
  readSegmentHeader,
  SEALED,
  SEGMENT_HEADER_BYTES,
} from "../../../src/durability/segment-format.js";
import { newSalt, type PreparedSegment, SegmentPool } from "../../../src/durability/segment-pool.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { machine } from "../harness.js";

const IDENTITY = { storeId: "ab".repeat(16), incarnation: "cd".repeat(16) };
const LOG = "/store/log";

let storage: SimulatedStorage;
let runtime: Runtime;
let layout: Layout;
let operations: string[];

beforeEach(async () => {
  storage = machine();
  runtime = storage.runtime;
  layout = layoutOf(runtime.fileSystem, "/store");
  await runtime.fileSystem.makeDirectory(LOG);
  operations = [];
  storage.disk.onOperation = ({ kind, path }, phase) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (phase === "before" && !["status", "close", "size"].includes(kind)) operations.push(`${kind} ${name}`);
  };
});

const newPool = (segmentBytes = 4096): SegmentPool =>
  new SegmentPool(runtime, layout, IDENTITY, segmentBytes, 7);

/** Prepares the next segment and takes it. */
async function prepared(pool: SegmentPool): Promise<PreparedSegment> {
  pool.prepare();
  const taken = await ready(pool);
  if (taken === undefined) throw new Error("no segment became ready");
  return taken;
}

async function ready(pool: SegmentPool): Promise<PreparedSegment | undefined> {
  for (let turns = 0; turns < 60 && !pool.ready; turns++) await runtime.timers.turn();
  return pool.take();
}

const names = async (): Promise<string[]> => runtime.fileSystem.list(LOG);

async function contents(handle: FileHandle): Promise<Uint8Array> {
  const bytes = new Uint8Array(await handle.size());
  await handle.read(bytes, 0);
  return bytes;
}

async function writeFile(name: string, bytes: Uint8Array): Promise<string> {
  const handle = await runtime.fileSystem.open(`${LOG}/${name}`, "create");
  await handle.write(bytes, 0);
  await handle.close();
  return `${LOG}/${name}`;
}

/** A pool that has one old segment, of twice the size, to use again. */
async function withSpare(): Promise<SegmentPool> {
  const pool = newPool();
  const path = await writeFile("000000000003.log", new Uint8Array(8192).fill(9));
  await pool.retire(path);
  operations.length = 0;
  return pool;
}

describe("a segment that is prepared", () => {
  test("has its header, and zeros up to its size, durably", async () => {
    const pool = newPool();
    expect([pool.ready, pool.take()]).toEqual([false, undefined]);
    const segment = await prepared(pool);
    expect(segment).toMatchObject({ number: 7, path: `${LOG}/000000000007.log`, capacity: 4096 });
    const bytes = await contents(segment.handle);
    expect(bytes.length).toBe(4096);
    expect(readSegmentHeader(nodeChecksum, bytes)).toMatchObject({
      ...IDENTITY,
      number: 7,
      flags: 0,
      salt: segment.salt,
    });
    expect(bytes.subarray(SEGMENT_HEADER_BYTES).every((byte) => byte === 0)).toBe(true);
    expect(operations.slice(0, 5)).toEqual([
      "create 000000000007.log.tmp",
      "write 000000000007.log.tmp",
      "sync 000000000007.log.tmp",
      "rename 000000000007.log",
      "syncDirectory log",
    ]);
    await segment.handle.close();
    expect([pool.ready, pool.take()]).toEqual([false, undefined]);
  });

  test("is made once, however often it is asked for, and the next one when it was taken", async () => {
    const pool = newPool();
    pool.prepare();
    pool.prepare();
    for (let turns = 0; turns < 60; turns++) await runtime.timers.turn();
    expect(pool.ready).toBe(true);
    pool.prepare();
    for (let turns = 0; turns < 60; turns++) await runtime.timers.turn();
    expect(await names()).toEqual(["000000000007.log"]);
    expect(pool.take()?.number).toBe(7);
    expect((await prepared(pool)).number).toBe(8);
  });

  test("can be waited for, also when it cannot be made", async () => {
    const pool = newPool();
    await pool.prepared();
    expect(pool.take()?.number).toBe(7);
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    await pool.prepared();
    expect([pool.ready, await names()]).toEqual([false, ["000000000007.log"]]);
  });

  test("begins with 64 KiB of zeros, or as many as it may have", async () => {
    const segment = await prepared(newPool(5 * 1024 * 1024));
    expect([segment.capacity, await segment.handle.size()]).toEqual([65_536, 65_536]);
    await segment.handle.close();
  });

  test("that is not taken is closed and removed in the end, without a word", async () => {
    const told: string[] = [];
    runtime = { ...runtime, diagnostics: { emit: (event) => void told.push(event) } };
    const pool = newPool();
    await pool.prepared();
    await pool.close();
    expect([await names(), told]).toEqual([[], []]);
    pool.prepare();
    for (let turns = 0; turns < 10; turns++) await runtime.timers.turn();
    expect(await names()).toEqual([]);
  });

  test("is tried again a second after it could not be made, and nothing is left of the first attempt", async () => {
    const pool = newPool();
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    pool.prepare();
    expect(await ready(pool)).toBeUndefined();
    expect(await names()).toEqual([]);
    operations.length = 0;
    await storage.advance(990);
    pool.prepare();
    expect(await ready(pool)).toBeUndefined();
    expect(operations.filter((operation) => operation.startsWith("create"))).toEqual([]);
    await storage.advance(1000);
    const segment = await prepared(pool);
    expect(segment.number).toBe(8);
    await segment.handle.close();
  });

  test("is tried again at once where there is room now", async () => {
    const pool = newPool();
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    await pool.prepared();
    expect(pool.ready).toBe(false);
    await pool.resume();
    expect(pool.take()?.number).toBe(8);
  });

  test("is left where it is in the end, as old ones are, where its name may lead to another file", async () => {
    const pool = await withSpare();
    const remove = storage.disk.faults.add({ operations: ["open"], path: "/log", code: "EACCES" });
    await pool.prepared();
    remove();
    const before = ["000000000003.log", "000000000007.log"];
    expect([pool.ready, await names()]).toEqual([true, before]);
    await pool.close(false);
    expect([pool.ready, await names()]).toEqual([false, before]);
  });
});

test("what can be neither closed nor removed in the end is told of, file by file, and rejects nothing", async () => {
  const told: unknown[] = [];
  runtime = {
    ...runtime,
    diagnostics: { emit: (event, details) => void told.push({ event, ...details() }) },
  };
  const pool = await withSpare();
  const remove = storage.disk.faults.add({ operations: ["open"], path: "/log", code: "EACCES" });
  await pool.prepared();
  remove();
  const times = Number.POSITIVE_INFINITY;
  storage.disk.faults.add({ operations: ["close", "remove"], path: ".log", code: "EIO", times });
  await pool.close();
  const [old, fresh] = await names();
  const error = expect.objectContaining({ code: "IO_ERROR" });
  expect(told).toEqual([
    {
      event: "close-failed",
      path: `${LOG}/${fresh}`,
      error: expect.objectContaining({ code: expect.any(String) }),
    },
    { event: "remove-failed", path: `${LOG}/${old}`, error },
    { event: "remove-failed", path: `${LOG}/${fresh}`, error },
  ]);
});

describe("an old segment", () => {
  test("becomes the next one: its new header is durable before its new name", async () => {
    const pool = await withSpare();
    const segment = await prepared(pool);
    expect(operations).toEqual([
      "open 000000000003.log",
      "write 000000000003.log",
      "sync 000000000003.log",
      "rename 000000000007.log",
      "syncDirectory log",
    ]);
    expect(segment).toMatchObject({ number: 7, path: `${LOG}/000000000007.log`, capacity: 8192 });
    const bytes = await contents(segment.handle);
    expect(readSegmentHeader(nodeChecksum, bytes)).toMatchObject({
      ...IDENTITY,
      number: 7,
      flags: RECYCLED,
      salt: segment.salt,
    });
    expect(bytes[SEGMENT_HEADER_BYTES]).toBe(9);
    expect(await names()).toEqual(["000000000007.log"]);
    await segment.handle.close();
    expect((await prepared(pool)).capacity).toBe(4096);
  });

  test.each(["write", "sync", "rename", "syncDirectory", "size"] as const)(
    "is removed when its %s fails, under both of its names",
    async (kind) => {
      const pool = await withSpare();
      storage.disk.faults.add({ operations: [kind], path: "/log", code: "EIO" });
      pool.prepare();
      expect(await ready(pool)).toBeUndefined();
      expect(await names()).toEqual([]);
    },
  );

  test("that cannot be opened is left alone, and used another time", async () => {
    const pool = await withSpare();
    const remove = storage.disk.faults.add({ operations: ["open"], path: "/log", code: "EACCES" });
    expect(await prepared(pool)).toMatchObject({ number: 7, capacity: 4096 });
    expect(await names()).toEqual(["000000000003.log", "000000000007.log"]);
    remove();
    expect(await prepared(pool)).toMatchObject({ number: 8, capacity: 8192 });
    expect(await names()).toEqual(["000000000007.log", "000000000008.log"]);
  });

  test("is not forgotten while too many files are open", async () => {
    const pool = await withSpare();
    storage.disk.faults.add({ operations: ["open", "create"], path: "/log", code: "EMFILE", times: 2 });
    pool.prepare();
    expect(await ready(pool)).toBeUndefined();
    await pool.close();
    expect(await names()).toEqual([]);
  });

  test("is not touched, and nothing made, when what looks first objects", async () => {
    const pool = await withSpare();
    pool.checkFirst(() => Promise.reject(new Error("not ours")));
    operations.length = 0;
    pool.prepare();
    expect(await ready(pool)).toBeUndefined();
    expect(operations).toEqual([]);
    expect(await names()).toEqual(["000000000003.log"]);
  });

  test("is used before one that came later", async () => {
    const pool = await withSpare();
    await pool.retire(await writeFile("000000000004.log", new Uint8Array(4096)));
    await prepared(pool);
    expect(operations.filter((operation) => operation.startsWith("open"))).toEqual(["open 000000000003.log"]);
  });

  test("is kept when it is large enough, up to 64 of them, and removed otherwise or in the end", async () => {
    const pool = newPool();
    await pool.retire(await writeFile("small.log", new Uint8Array(2047)));
    expect(await names()).toEqual([]);
    for (let i = 0; i < 65; i++) await pool.retire(await writeFile(`${100 + i}.log`, new Uint8Array(2048)));
    expect(await names()).toEqual(Array.from({ length: 64 }, (_, i) => `${100 + i}.log`));
    // One that is not there any more is none.
    await pool.retire(`${LOG}/missing.log`);
    await pool.close();
    expect(await names()).toEqual([]);
    await pool.retire(await writeFile("late.log", new Uint8Array(4096)));
    expect(await names()).toEqual([]);
  });

  test("that somebody removed is no spare", async () => {
    const pool = newPool();
    await pool.retire(`${LOG}/missing.log`);
    expect((await prepared(pool)).number).toBe(7);
  });
});

test("segments of an encrypted store have their key section behind their header, new and old ones", async () => {
  const keyring = new Keyring(runtime, {
    current: "one",
    refusesPlain: true,
    asFound: false,
    key: () => new Uint8Array(32).fill(1),
    erase: () => undefined,
  });
  const pool = new SegmentPool(withKeyring(runtime, keyring), layout, IDENTITY, 4096, 7);
  await pool.retire(await writeFile("000000000003.log", new Uint8Array(8192).fill(9)));
  for (const flags of [RECYCLED | SEALED, SEALED]) {
    const segment = await prepared(pool);
    const bytes = await contents(segment.handle);
    expect(readSegmentHeader(nodeChecksum, bytes)).toMatchObject({ flags, salt: segment.salt });
    const section = readKeySection(nodeChecksum, bytes.subarray(SEGMENT_HEADER_BYTES));
    expect([section?.keyId, segment.seal?.keyId]).toEqual(["one", "one"]);
    expect(segment.seal?.header).toEqual(bytes.subarray(0, SEGMENT_HEADER_BYTES));
    await segment.handle.close();
  }
});

describe("a segment for a log that must go on at once", () => {
  test("holds its header and its opening only, durably", async () => {
    const pool = newPool();
    const opening = { base: 5, syncedThrough: 4, predecessorCrc: 3, previousSegment: 2, previousEnd: 100 };
    const segment = await pool.createOpened(opening);
    const bytes = await contents(segment.handle);
    expect(segment).toMatchObject({ number: 7, path: `${LOG}/000000000007.log`, capacity: 128, end: 128 });
    expect(bytes.length).toBe(128);
    expect(readSegmentHeader(nodeChecksum, bytes)).toMatchObject({ ...IDENTITY, number: 7, flags: 0 });
    expect(operations.slice(0, 5)).toEqual([
      "create 000000000007.log.tmp",
      "write 000000000007.log.tmp",
      "sync 000000000007.log.tmp",
      "rename 000000000007.log",
      "syncDirectory log",
    ]);
    expect((await prepared(pool)).number).toBe(8);
  });
});

test("a salt never begins with a zero, and is what chance gives otherwise", () => {
  const filled = (first: number): Runtime =>
    ({
      random: {
        fill: (bytes: Uint8Array) => bytes.set([first, 2, 3, 4, 5, 6, 7, 8]),
        below: (bound: number) => bound - 1,
      },
    }) as unknown as Runtime;
  expect([...newSalt(filled(9))]).toEqual([9, 2, 3, 4, 5, 6, 7, 8]);
  expect([...newSalt(filled(0))]).toEqual([255, 2, 3, 4, 5, 6, 7, 8]);
  const least = { random: { fill: () => undefined, below: () => 0 } } as unknown as Runtime;
  expect(newSalt(least)[0]).toBe(1);
});
