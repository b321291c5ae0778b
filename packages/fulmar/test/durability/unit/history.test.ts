import { beforeEach, describe, expect, test } from "vitest";
import type { FileSeal } from "../../../src/durability/file-seal.js";
import {
  findHistory,
  type PastSegment,
  pastCommit,
  pastSegment,
  SegmentHistory,
} from "../../../src/durability/history.js";
import { type DiskRuntime, Keyring, type KeySource, withKeyring } from "../../../src/durability/keyring.js";
import { segmentName } from "../../../src/durability/layout.js";
import { SEGMENT_HEADER_BYTES } from "../../../src/durability/segment-format.js";
import { openedSegment } from "../../../src/durability/segment-pool.js";
import { inspectSegment, type Opening, type SegmentFile } from "../../../src/durability/segment-reader.js";
import { entryBytes, writeEntry } from "../../../src/record/entry.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { machine } from "../harness.js";
import { segment } from "./log-rig.js";
import { PastLog, STORE_ID } from "./past-log.js";

describe("a live segment", () => {
  test("can be read once it holds a record, up to where it was written", () => {
    expect(pastSegment(segment(3, undefined, { position: SEGMENT_HEADER_BYTES }))).toBeUndefined();
    const { path } = segment(3, undefined);
    const written = segment(3, undefined, { base: 7, position: SEGMENT_HEADER_BYTES + 1, capacity: 50 });
    const end = SEGMENT_HEADER_BYTES + 1;
    expect(pastSegment(written)).toEqual({ number: 3, path, base: 7, end, sizeBytes: end, keyId: undefined });
    expect(pastSegment({ ...written, capacity: 4096 })?.sizeBytes).toBe(4096);
  });
});

test("a commit is of this store whatever stands behind it", () => {
  const bytes = new Uint8Array(2 * entryBytes(1, 1, 0));
  const fields = { key: Uint8Array.of(97), value: Uint8Array.of(1), flags: 0, deadline: 0 };
  const numbers = { hlc: 1, seq: 1, valueChecksum: 0 };
  const next = writeEntry(bytes, 0, { ...fields, ...numbers, origin: 1 });
  writeEntry(bytes, next, { ...fields, ...numbers, origin: 2 });
  const remote = (entryCount: number): boolean =>
    pastCommit(11, { changes: [], entryCount, entriesAt: 0 }, bytes, 1).remote;
  expect([remote(1), remote(2)]).toEqual([false, true]);
});

describe("segments that are kept for readers", () => {
  const past = (number: number, sizeBytes: number, keyId?: string): PastSegment => ({
    number,
    path: `/log/${number}`,
    base: 0,
    end: 0,
    sizeBytes,
    keyId,
  });
  const numbers = (list: readonly PastSegment[]): number[] => list.map(({ number }) => number);

  test("are as many of the newest as there is room for", () => {
    const history = new SegmentHistory(300, [past(1, 100), past(2, 100)]);
    expect([history.bytes, numbers(history.list)]).toEqual([200, [1, 2]]);
    expect(history.add([segment(3, undefined, { capacity: 100, position: 90 })], undefined)).toEqual([]);
    expect(history.bytes).toBe(300);
    const dropped = history.add(
      [
        segment(4, undefined, { capacity: 100, position: 90 }),
        segment(5, undefined, { position: SEGMENT_HEADER_BYTES }),
        segment(6, undefined, { capacity: 70, position: 90 }),
      ],
      undefined,
    );
    expect(numbers(dropped)).toEqual([1, 2]);
    expect([history.bytes, numbers(history.list)]).toEqual([290, [3, 4, 6]]);
  });

  test("are not kept under a key that is used no more, nor what stands before those", () => {
    const list = [past(1, 100, "old"), past(2, 100, "new"), past(3, 100, "old"), past(4, 100, "new")];
    const history = new SegmentHistory(1000, list);
    expect(numbers(history.add([], "new"))).toEqual([1, 2, 3]);
    expect([history.bytes, numbers(history.list)]).toEqual([100, [4]]);
    // What comes to it is judged, too.
    const live = segment(5, undefined, { position: 900, seal: { keyId: "old" } as FileSeal });
    expect(numbers(history.add([live], "new"))).toEqual([4, 5]);
    // The first alone, and then a plain one.
    const mixed = new SegmentHistory(1000, [past(1, 100, "old"), past(2, 100), past(3, 100)]);
    expect(numbers(mixed.add([], undefined))).toEqual([1]);
    expect(numbers(mixed.add([], "new"))).toEqual([2, 3]);
    expect(mixed.add([], "new")).toEqual([]);
  });

  test("are none without room", () => {
    const history = new SegmentHistory(0, []);
    const live = segment(3, undefined);
    expect(numbers(history.add([live], undefined))).toEqual([3]);
    expect([history.bytes, history.list]).toEqual([0, []]);
  });
});

describe("segments before the live ones", () => {
  let storage: SimulatedStorage;
  let log: PastLog;
  let sizes: number[];

  beforeEach(async () => {
    storage = machine();
    log = new PastLog(storage.runtime, 10);
    await storage.runtime.fileSystem.makeDirectory(log.layout.log);
    for (const number of [3, 4, 6, 7]) await log.segment(number, [{ version: 10 + number, entries: [] }]);
    sizes = log.segments.map(({ sizeBytes }) => sizeBytes);
  });

  const fileOf = ({ path, number }: PastSegment): Promise<SegmentFile> =>
    inspectSegment(storage.runtime, path, number, STORE_ID);

  async function found(bytesMax = 1e9): Promise<PastSegment[]> {
    const first = await fileOf(log.segments[3]);
    return findHistory(storage.runtime, log.layout, STORE_ID, first, bytesMax);
  }

  test("continue each other, oldest first", async () => {
    expect(await found()).toEqual(log.segments.slice(0, 3));
    expect(await findHistory(storage.runtime, log.layout, STORE_ID, undefined, 1e9)).toEqual([]);
    const first = await fileOf(log.segments[0]);
    expect(await findHistory(storage.runtime, log.layout, STORE_ID, first, 1e9)).toEqual([]);
  });

  test("are as many of the newest as there is room for", async () => {
    expect(await found(sizes[2] + sizes[1])).toEqual(log.segments.slice(1, 3));
    expect(await found(sizes[2] + sizes[1] - 1)).toEqual(log.segments.slice(2, 3));
    expect(await found(0)).toEqual([]);
  });

  test("end where one is missing, damaged, of another store, or shorter than it was", async () => {
    const [, second, third] = log.segments;
    const { fileSystem } = storage.runtime;
    const first = await fileOf(log.segments[3]);
    const other = "4".repeat(32);
    expect(await findHistory(storage.runtime, log.layout, other, first, 1e9)).toEqual([]);
    await log.flip(second, SEGMENT_HEADER_BYTES + 20);
    expect(await found()).toEqual([third]);
    await log.flip(second, SEGMENT_HEADER_BYTES + 20);
    await log.flip(second, 9);
    expect(await found()).toEqual([third]);
    await log.flip(second, 9);
    const handle = await fileSystem.open(second.path, "update");
    await handle.truncate(second.end);
    expect((await found()).map(({ number }) => number)).toEqual([3, 4, 6]);
    await handle.truncate(second.end - 1);
    expect(await found()).toEqual([third]);
    await handle.close();
    await fileSystem.remove(second.path);
    expect(await found()).toEqual([third]);
  });

  test("are not given up for an error of the disk", async () => {
    storage.disk.faults.add({ operations: ["read"], path: "000000000004", code: "EIO" });
    await expect(found()).rejects.toMatchObject({ code: "IO_ERROR" });
  });

  test("never begin behind those that follow them", async () => {
    const first = await fileOf(log.segments[3]);
    const { number, base } = log.segments[2];
    const list = (before: number): Promise<PastSegment[]> => {
      const opening = { ...(first.opening as Opening), base: before };
      return findHistory(storage.runtime, log.layout, STORE_ID, { ...first, opening }, 1e9);
    };
    expect((await list(base)).at(-1)?.number).toBe(number);
    expect(await list(base - 1)).toEqual([]);
  });

  test("come to an end where one says that it continues itself, or one behind it", async () => {
    const first = await fileOf(log.segments[3]);
    for (const previousSegment of [7, 8]) {
      const opening = { ...(first.opening as Opening), previousSegment };
      const file = { number: 7, opening };
      expect(await findHistory(storage.runtime, log.layout, STORE_ID, file, 1e9)).toEqual([]);
    }
    // The one before it continues it in turn.
    const before = { number: 5, opening: { ...(first.opening as Opening), previousSegment: 6 } };
    expect(await findHistory(storage.runtime, log.layout, STORE_ID, before, 1e9)).toEqual([]);
  });
});

describe("segments that are encrypted", () => {
  const BEFORE = { base: 10, syncedThrough: 9, predecessorCrc: 1, previousSegment: 0, previousEnd: 0 };
  const KEY = new Uint8Array(32).fill(1);
  let storage: SimulatedStorage;
  let sizeBytes: number;

  const reading = (key: KeySource["key"], refusesPlain = false): DiskRuntime => {
    const source = { current: "one", refusesPlain, asFound: false, key, erase: () => undefined };
    return withKeyring(storage.runtime, new Keyring(storage.runtime, source));
  };

  beforeEach(async () => {
    storage = machine();
    const { layout } = new PastLog(storage.runtime, 10);
    const { fileSystem } = storage.runtime;
    await fileSystem.makeDirectory(layout.log);
    const identity = { storeId: STORE_ID, incarnation: STORE_ID };
    const { bytes } = await openedSegment(
      reading(() => KEY),
      identity,
      8,
      BEFORE,
    );
    const handle = await fileSystem.open(fileSystem.join(layout.log, segmentName(8)), "create");
    await handle.write(bytes, 0);
    await handle.close();
    sizeBytes = bytes.length;
  });

  const found = (runtime: DiskRuntime): Promise<PastSegment[]> => {
    const { layout } = new PastLog(storage.runtime, 10);
    const opening = { ...BEFORE, previousSegment: 8, previousEnd: sizeBytes, crc: 0 };
    const first = { number: 9, opening };
    return findHistory(runtime, layout, STORE_ID, first, 1e9);
  };

  test("are read with their key, whose id they tell", async () => {
    expect(await found(reading(() => KEY))).toMatchObject([{ number: 8, base: 10, keyId: "one" }]);
  });

  test("end where the key is another one, or is not given any more", async () => {
    expect(await found(reading(() => undefined))).toEqual([]);
    expect(await found(reading(() => new Uint8Array(32).fill(2)))).toEqual([]);
    expect(await found(storage.runtime)).toEqual([]);
  });

  test("are not given up when the provider of keys fails: it may give them next time", async () => {
    const cause = new Error("the network is down");
    const failing = reading(() => Promise.reject(cause));
    await expect(found(failing)).rejects.toMatchObject({ code: "ENCRYPTION_KEY_MISSING", cause });
    expect(await found(reading(() => KEY))).toHaveLength(1);
  });
});
