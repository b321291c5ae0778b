import { beforeEach, describe, expect, test } from "vitest";
import {
  findHistory,
  type PastSegment,
  pastSegment,
  SegmentHistory,
} from "../../../src/durability/history.js";
import { SEGMENT_HEADER_BYTES } from "../../../src/durability/segment-format.js";
import { inspectSegment, type Opening } from "../../../src/durability/segment-reader.js";
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

describe("segments that are kept for readers", () => {
  const past = (number: number, sizeBytes: number): PastSegment => ({
    number,
    path: `/log/${number}`,
    base: 0,
    end: 0,
    sizeBytes,
    keyId: undefined,
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

  const openingOf = async ({ path, number }: PastSegment): Promise<Opening | undefined> =>
    (await inspectSegment(storage.runtime, path, number, STORE_ID)).opening;

  async function found(bytesMax = 1e9): Promise<PastSegment[]> {
    const first = await openingOf(log.segments[3]);
    return findHistory(storage.runtime, log.layout, STORE_ID, first, bytesMax);
  }

  test("continue each other, oldest first", async () => {
    expect(await found()).toEqual(log.segments.slice(0, 3));
    expect(await findHistory(storage.runtime, log.layout, STORE_ID, undefined, 1e9)).toEqual([]);
    const first = await openingOf(log.segments[0]);
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
    const first = await openingOf(log.segments[3]);
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
    const first = await openingOf(log.segments[3]);
    if (first === undefined) throw new Error("no opening");
    const { number, base } = log.segments[2];
    const list = (before: number): Promise<PastSegment[]> =>
      findHistory(storage.runtime, log.layout, STORE_ID, { ...first, base: before }, 1e9);
    expect((await list(base)).at(-1)?.number).toBe(number);
    expect(await list(base - 1)).toEqual([]);
  });
});
