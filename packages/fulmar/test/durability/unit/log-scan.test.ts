import { describe, expect, test } from "vitest";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { GroupBuffer } from "../../../src/durability/group-buffer.js";
import { layoutOf, segmentName } from "../../../src/durability/layout.js";
import { FIRST_RECORD_AT, type LogScan, scanLog } from "../../../src/durability/log-scan.js";
import { type Manifest, NO_CHECKPOINT } from "../../../src/durability/manifest.js";
import {
  RECYCLED,
  SEGMENT_HEADER_BYTES,
  writeSegmentHeader,
} from "../../../src/durability/segment-format.js";
import { OriginTable } from "../../../src/record/origins.js";
import { machine } from "../harness.js";

const STORE_ID = "5".repeat(32);
const ID_BYTES = new Uint8Array(16).fill(0x55);
const FILE_BYTES = 2048;

interface Shape {
  readonly number: number;
  readonly base: number;
  readonly predecessorCrc: number;
  readonly previousSegment: number;
  readonly previousEnd: number;
  /** The version of each commit, and what it calls synced. */
  readonly commits: readonly (readonly [version: number, syncedThrough: number])[];
  readonly openingSynced?: number;
  readonly recycled?: boolean;
}

interface Segment {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly end: number;
  readonly crc: number;
}

/** A segment with zeros behind its records. */
function segment(shape: Shape): Segment {
  const { number, base, commits, openingSynced = 0, recycled = false } = shape;
  const salt = new Uint8Array(8).fill(100 + number);
  const header = { number, flags: recycled ? RECYCLED : 0, salt };
  const bytes = new Uint8Array(FILE_BYTES);
  bytes.set(writeSegmentHeader(nodeChecksum, header, ID_BYTES, ID_BYTES));
  const group = new GroupBuffer(nodeChecksum, new OriginTable(), shape.predecessorCrc, base);
  group.open(salt, openingSynced, shape.previousSegment, shape.previousEnd);
  for (const [version, synced] of commits) {
    const place = group.begin(salt, version, synced, 6);
    place.bytes.fill(version, place.at, place.at + 6);
    group.end();
  }
  bytes.set(group.content, SEGMENT_HEADER_BYTES);
  return { number, bytes, end: SEGMENT_HEADER_BYTES + group.filled, crc: group.crc };
}

const first = (commits: Shape["commits"], more: Partial<Shape> = {}): Segment =>
  segment({ number: 3, base: 10, predecessorCrc: 1, previousSegment: 2, previousEnd: 500, commits, ...more });

/** The segment that continues another one. */
const after = (
  previous: Segment,
  base: number,
  commits: Shape["commits"],
  more: Partial<Shape> = {},
): Segment =>
  segment({
    number: previous.number + 1,
    base,
    predecessorCrc: previous.crc,
    previousSegment: previous.number,
    previousEnd: previous.end,
    commits,
    ...more,
  });

const MANIFEST: Manifest = {
  clean: false,
  hadPeers: false,
  storeId: STORE_ID,
  incarnation: STORE_ID,
  identity: "",
  firstSegment: 3,
  checkpoint: { ...NO_CHECKPOINT, version: 10 },
  synced: { segment: 3, position: 0, crc: 0, version: 0 },
  version: 0,
  seq: 0,
  hlc: 0,
};

interface Heard {
  readonly events: string[];
  readonly progress: [number, number][];
  bytesTotal?: number;
}

async function scan(
  segments: readonly Segment[],
  manifest: Partial<Manifest> = {},
  heard: Heard = { events: [], progress: [] },
): Promise<LogScan> {
  const { runtime } = machine();
  const layout = layoutOf(runtime.fileSystem, "/log");
  await runtime.fileSystem.makeDirectory("/log");
  await runtime.fileSystem.makeDirectory(layout.log);
  for (const { number, bytes } of segments)
    await write(runtime, `${layout.log}/${segmentName(number)}`, bytes);
  await write(runtime, `${layout.log}/letter.txt`, Uint8Array.of(1));
  const visitor = {
    begin: (bytesTotal: number) => {
      heard.bytesTotal = bytesTotal;
    },
    segment: ({ number }: { number: number }) => heard.events.push(`segment ${number}`),
    commit: (version: number, bytes: Uint8Array, at: number, end: number) => {
      expect([...bytes.subarray(at + 4, end)]).toEqual(Array.from({ length: 6 }, () => version));
      heard.events.push(`commit ${version}`);
      return true;
    },
  };
  // A directory is listed in any order.
  const list = async (path: string): Promise<string[]> =>
    (await runtime.fileSystem.list(path)).sort().reverse();
  const fileSystem = new Proxy(runtime.fileSystem, {
    get: (target, name) => {
      if (name === "list") return list;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return scanLog(
    { ...runtime, fileSystem },
    layout,
    { ...MANIFEST, ...manifest },
    visitor,
    (bytes, bytesTotal) => heard.progress.push([bytes, bytesTotal]),
  );
}

async function write(runtime: Runtime, path: string, bytes: Uint8Array): Promise<void> {
  const handle = await runtime.fileSystem.open(path, "create");
  await handle.write(bytes, 0);
  await handle.close();
}

/** With bytes changed, without mending a checksum. */
function damaged({ bytes, ...rest }: Segment, at: number, values: readonly number[] | Uint8Array): Segment {
  const changed = bytes.slice();
  changed.set(values, at);
  return { ...rest, bytes: changed };
}

const corrupt = (number: number, offset: number) => ({
  code: "CORRUPT",
  details: { file: `/log/log/${segmentName(number)}`, offset },
});

describe("a log that is whole", () => {
  test("is read in order, to its end", async () => {
    const one = first([
      [11, 0],
      [12, 11],
    ]);
    const two = after(one, 12, [[13, 12]]);
    const heard: Heard = { events: [], progress: [] };
    const found = await scan([two, one], {}, heard);
    expect(heard.events).toEqual(["segment 3", "commit 11", "commit 12", "segment 4", "commit 13"]);
    expect(found.live).toMatchObject([
      { file: { number: 3 }, header: { number: 3 }, base: 10, end: one.end, lastVersion: 12 },
      { file: { number: 4 }, header: { number: 4 }, base: 12, end: two.end, lastVersion: 13 },
    ]);
    expect(found.live[0].marks).toEqual([{ position: FIRST_RECORD_AT, version: 10 }]);
    expect(found).toMatchObject({ dead: [], proven: 12, torn: false, cutBytes: 0, lastNumber: 4 });
    expect(found.end).toEqual({ segment: 4, position: two.end, crc: two.crc, version: 13 });
    const read = [one.end - FIRST_RECORD_AT, one.end + two.end - 2 * FIRST_RECORD_AT];
    expect(heard.bytesTotal).toBe(2 * FILE_BYTES);
    expect(heard.progress).toEqual(read.map((bytes) => [bytes, 2 * FILE_BYTES]));
  });

  test("does not begin before its first segment", async () => {
    const old = segment({
      number: 2,
      base: 0,
      predecessorCrc: 0,
      previousSegment: 1,
      previousEnd: 0,
      commits: [],
    });
    const found = await scan([old, first([[11, 0]])]);
    expect(found.live.map(({ file }) => file.number)).toEqual([3]);
    expect(found.dead).toEqual([]);
  });

  test("has segments behind it that were prepared and never begun", async () => {
    const one = first([[11, 0]]);
    const { bytes } = after(one, 11, []);
    const header = { number: 4, end: 0, crc: 0, bytes: bytes.fill(0, SEGMENT_HEADER_BYTES) };
    const empty = { number: 5, end: 0, crc: 0, bytes: new Uint8Array(FILE_BYTES) };
    const found = await scan([one, header, empty]);
    expect(found.dead.map(({ number }) => number)).toEqual([4, 5]);
    expect(found).toMatchObject({ lastNumber: 5, cutBytes: 0, torn: false });
  });
});

describe("the first segment", () => {
  test("must be there", async () => {
    await expect(scan([])).rejects.toMatchObject(corrupt(3, 0));
    await expect(scan([after(first([]), 10, [])])).rejects.toMatchObject(corrupt(3, 0));
  });

  test("must have a valid opening", async () => {
    const one = damaged(first([]), SEGMENT_HEADER_BYTES + 1, [9]);
    await expect(scan([one])).rejects.toMatchObject(corrupt(3, SEGMENT_HEADER_BYTES));
  });

  test("must begin where the checkpoint ends, or before", async () => {
    const checkpoint = { ...NO_CHECKPOINT, version: 9 };
    await expect(scan([first([])], { checkpoint })).rejects.toMatchObject(corrupt(3, SEGMENT_HEADER_BYTES));
    const later = { ...NO_CHECKPOINT, version: 11 };
    expect(await scan([first([[11, 0]])], { checkpoint: later })).toMatchObject({ proven: 11 });
  });
});

describe("a segment continues the one before only", () => {
  const one = first([[11, 0]]);
  const wrong: [string, Partial<Shape>][] = [
    ["segment", { previousSegment: 2 }],
    ["end", { previousEnd: one.end + 1 }],
    ["checksum", { predecessorCrc: one.crc + 1 }],
    ["version", { base: 12 }],
  ];
  test.each(wrong)("with the right %s", async (_, more) => {
    const two = after(one, 11, [[13, 0]], more);
    const found = await scan([one, two]);
    expect(found.live.map(({ file }) => file.number)).toEqual([3]);
    expect(found.dead.map(({ number }) => number)).toEqual([4]);
    expect(found.end).toEqual({ segment: 3, position: one.end, crc: one.crc, version: 11 });
    expect(found).toMatchObject({ cutBytes: two.end - SEGMENT_HEADER_BYTES, torn: false, lastNumber: 4 });
  });

  test("and nothing continues what does not", async () => {
    const two = after(one, 12, []);
    const found = await scan([one, two, after(two, 12, [[13, 0]])]);
    expect(found.dead.map(({ number }) => number)).toEqual([4, 5]);
  });
});

describe("what stands behind the end", () => {
  const one = first([[11, 0]]);

  test("is a torn tail, up to its last byte that is not zero", async () => {
    expect(await scan([damaged(one, one.end, [7])])).toMatchObject({ torn: true, cutBytes: 1 });
    const far = damaged(one, one.end + 99, [7]);
    expect(await scan([far])).toMatchObject({ torn: true, cutBytes: 100, end: { position: one.end } });
  });

  test("of a recycled segment is cut up to the last head of its own", async () => {
    const recycled = first([[11, 0]], { recycled: true });
    const stale = damaged(recycled, recycled.end, new Uint8Array(300).fill(7));
    expect(await scan([stale])).toMatchObject({ torn: true, cutBytes: 0 });
    const longer = first(
      [
        [11, 0],
        [12, 0],
      ],
      { recycled: true },
    );
    const torn = damaged(longer, longer.end - 1, [1, 7, 7]);
    expect(await scan([torn])).toMatchObject({ torn: true, cutBytes: 40, end: { version: 11 } });
  });

  test("proves what was synced", async () => {
    const longer = (synced: number): Segment => {
      const whole = first([
        [11, 0],
        [12, 0],
        [13, synced],
      ]);
      return damaged(whole, one.end + 45, [9]);
    };
    expect(await scan([longer(11)])).toMatchObject({ end: { version: 11 }, proven: 11, torn: true });
    await expect(scan([longer(12)])).rejects.toMatchObject(corrupt(3, one.end));
  });

  test("proves it in segments that do not continue the log, too", async () => {
    const dead = (synced: number): Segment => after(one, 12, [[13, synced]]);
    expect(await scan([one, dead(11)])).toMatchObject({ proven: 11 });
    await expect(scan([one, dead(12)])).rejects.toMatchObject(corrupt(3, one.end));
  });
});

describe("the log reaches at least", () => {
  const one = first([[11, 0]]);

  test("what its records, its openings, the checkpoint and the manifest call synced", async () => {
    await expect(scan([first([[11, 12]])])).rejects.toMatchObject(corrupt(3, one.end));
    expect(await scan([first([[11, 11]])])).toMatchObject({ proven: 11 });
    await expect(scan([first([[11, 0]], { openingSynced: 12 })])).rejects.toMatchObject(corrupt(3, one.end));
    expect(await scan([first([[11, 0]], { openingSynced: 11 })])).toMatchObject({ proven: 11 });
    const checkpoint = { ...NO_CHECKPOINT, version: 12 };
    await expect(scan([one], { checkpoint })).rejects.toMatchObject(corrupt(3, one.end));
    const synced = { segment: 3, position: 0, crc: 0, version: 12 };
    await expect(scan([one], { synced })).rejects.toMatchObject(corrupt(3, one.end));
    expect(await scan([one], { synced: { ...synced, version: 11 } })).toMatchObject({ proven: 11 });
    expect(await scan([one])).toMatchObject({ proven: 10 });
  });

  test("an earlier segment's proof, when a later opening proves less", async () => {
    const two = after(first([[11, 11]]), 11, [], { openingSynced: 1 });
    expect(await scan([first([[11, 11]]), two])).toMatchObject({ proven: 11, live: [{}, {}] });
  });

  test("the position that the manifest calls synced", async () => {
    const synced = { segment: 3, position: one.end, crc: 0, version: 0 };
    expect(await scan([one], { synced })).toMatchObject({ torn: false });
    const beyond = [
      { ...synced, position: one.end + 1 },
      { ...synced, segment: 4, position: 0 },
    ];
    for (const position of beyond) {
      await expect(scan([one], { synced: position })).rejects.toMatchObject(corrupt(3, one.end));
    }
    const two = after(one, 11, []);
    const earlier = { ...synced, position: two.end + 500 };
    expect(await scan([one, two], { synced: earlier })).toMatchObject({ end: { segment: 4 } });
  });

  test("and, after an orderly close, exactly its end", async () => {
    const two = after(one, 11, [[12, 0]]);
    const synced = { segment: 4, position: two.end, crc: two.crc, version: 0 };
    expect(await scan([one, two], { clean: true, synced })).toMatchObject({ end: { version: 12 } });
    const others = [
      { ...synced, segment: 2 },
      { ...synced, segment: 3 },
      { ...synced, position: two.end - 1 },
      { ...synced, crc: two.crc + 1 },
    ];
    for (const other of others) {
      const scanned = scan([one, two], { clean: true, synced: other });
      await expect(scanned).rejects.toMatchObject(corrupt(4, two.end));
      expect(await scan([one, two], { synced: other })).toMatchObject({ end: { version: 12 } });
    }
  });
});

describe("behind where an orderly close left the log", () => {
  const one = first([[11, 0]]);
  const two = after(one, 11, []);
  const clean = true;
  const synced = { segment: 3, position: one.end, crc: one.crc, version: 11 };

  test("an opening may have begun segments, that hold nothing", async () => {
    expect(await scan([one, two], { clean, synced })).toMatchObject({ end: { segment: 4, version: 11 } });
    const found = await scan([one, two, after(two, 11, [])], { clean, synced });
    expect(found).toMatchObject({ live: [{}, {}, {}], dead: [], end: { segment: 5, version: 11 } });
  });

  test("there is no commit: it would be one that nobody closed", async () => {
    const filled = after(one, 11, [[12, 0]]);
    await expect(scan([one, filled], { clean, synced })).rejects.toMatchObject(corrupt(4, filled.end));
    const later = after(two, 11, [[12, 0]]);
    await expect(scan([one, two, later], { clean, synced })).rejects.toMatchObject(corrupt(5, later.end));
    const further = after(filled, 12, []);
    await expect(scan([one, filled, further], { clean, synced })).rejects.toMatchObject(
      corrupt(5, further.end),
    );
  });

  test("segments follow that log, and no other of the same length", async () => {
    for (const other of [{ crc: one.crc + 1 }, { version: 10 }, { position: one.end - 1 }]) {
      const scanned = scan([one, two], { clean, synced: { ...synced, ...other } });
      await expect(scanned).rejects.toMatchObject(corrupt(4, two.end));
    }
  });
});

describe("a gap", () => {
  const one = first([[11, 0]]);
  const two = after(one, 11, [[12, 0]]);
  const three = after(two, 12, [[13, 0]]);

  test("in the chain is a file that was lost", async () => {
    await expect(scan([one, three])).rejects.toMatchObject(corrupt(4, 0));
  });

  test("is none when the chain was cut before it", async () => {
    // Its opening is damaged: all that is behind it is cut off, and nothing of it is missing.
    const found = await scan([one, damaged(two, SEGMENT_HEADER_BYTES + 1, [9]), three]);
    expect(found.dead.map(({ number }) => number)).toEqual([4, 5]);
    const elsewhere = after(one, 10, [], { number: 6, previousSegment: 3 });
    expect((await scan([one, elsewhere])).dead.map(({ number }) => number)).toEqual([6]);
  });
});
