import { beforeEach, describe, expect, test } from "vitest";
import type { FileHandle } from "../../../src/base/runtime/interface.js";
import { type DiskRuntime, Keyring, withKeyring } from "../../../src/durability/keyring.js";
import { layoutOf } from "../../../src/durability/layout.js";
import type { LiveSegment, LogScan } from "../../../src/durability/log-scan.js";
import { secureLog } from "../../../src/durability/log-securing.js";
import { RECORD_HEAD_BYTES, SEGMENT_HEADER_BYTES } from "../../../src/durability/segment-format.js";
import { openedSegment } from "../../../src/durability/segment-pool.js";
import { inspectSegment } from "../../../src/durability/segment-reader.js";
import type { SimulatedStorage } from "../../../src/testing/index.js";
import { machine } from "../harness.js";
import { type Built, built, FIRST_AT, ID, OPENING, PATH } from "./built-segment.js";

const NEXT_PATH = "/000000000004.log";

let storage: SimulatedStorage;
let runtime: DiskRuntime;
let segment: Built;
let scan: LogScan;
/** What was opened to be written again. */
let touched: string[];
/** Position and length of each read. */
let reads: [position: number, length: number][];

beforeEach(async () => {
  storage = machine();
  ({ runtime } = storage);
  touched = [];
  reads = [];
  segment = built([100, 200, 3000]);
  scan = scanOf([await live(PATH, segment.bytes, segment.bytes.length, 13)]);
});

/** A stored segment whose records end at `end`. */
async function live(path: string, bytes: Uint8Array, end: number, lastVersion: number): Promise<LiveSegment> {
  const handle = await runtime.fileSystem.open(path, "create");
  await handle.write(bytes, 0);
  await handle.close();
  const file = await inspectSegment(runtime, path, path === PATH ? 3 : 4, ID);
  return {
    file,
    header: file.header!,
    base: 10,
    end,
    lastVersion,
    marks: [{ position: FIRST_AT, version: 10 }],
  };
}

/** These segments, of which nothing proves that they were synced. */
function scanOf(segments: LiveSegment[], more: Partial<LogScan> = {}): LogScan {
  const logEnd = { segment: 3, position: 0, crc: segment.crc, version: 13 };
  const whole = { dead: [], end: logEnd, proven: 0, torn: false, cutBytes: 0, lastNumber: 4 };
  return { live: segments, ...whole, ...more };
}

/** Writes the segments again, of whose reads the first `times` give this byte of the file wrong. */
function secured(at: number, times: number): Promise<void> {
  let left = times;
  const open = async (path: string, mode: "update"): Promise<FileHandle> => {
    touched.push(path);
    const opened = await runtime.fileSystem.open(path, mode);
    const read = async (target: Uint8Array, position: number): Promise<number> => {
      reads.push([position, target.length]);
      const count = await opened.read(target, position);
      if (at >= position && at < position + count && left-- > 0) target[at - position] ^= 0x10;
      return count;
    };
    return Object.assign(Object.create(opened) as FileHandle, {
      path,
      write: (bytes: Uint8Array, position: number) => opened.write(bytes, position),
      truncate: (sizeBytes: number) => opened.truncate(sizeBytes),
      syncData: () => opened.syncData(),
      close: () => opened.close(),
      read,
    });
  };
  const fileSystem = Object.assign(Object.create(runtime.fileSystem), { open });
  const misread: DiskRuntime = { ...runtime, fileSystem };
  const nowhere = { segment: 1, position: 0, crc: 0, version: 0 };
  return secureLog(misread, layoutOf(runtime.fileSystem, "/"), scan, nowhere);
}

/** Writes the segments again, with every read right. */
const securedRightly = (): Promise<void> => secured(0, 0);

const stored = (path = PATH): Uint8Array => storage.disk.image().get(path)!;

test.each([
  ["the header", () => 20],
  ["the opening's head", () => SEGMENT_HEADER_BYTES + 20],
  ["the opening's payload", () => FIRST_AT - 6],
  ["a record's head", () => segment.starts[1]],
  ["a record's payload", () => segment.starts[1] + RECORD_HEAD_BYTES + 9],
  ["the last checksum", () => segment.bytes.length - 1],
])("what is written again is as it was, and durable, though %s comes wrong once", async (_what, place) => {
  await secured(place(), 1);
  expect(stored()).toEqual(segment.bytes);
});

test.each([
  ["the header", () => 20, 0],
  ["the opening's head", () => SEGMENT_HEADER_BYTES + 20, 0],
  ["a record's payload", () => segment.starts[1] + RECORD_HEAD_BYTES + 9, 1],
])("nothing takes the place of what is right when %s comes wrong twice", async (_what, place, index) => {
  const offset = index === 0 ? 0 : segment.starts[index];
  const twice = secured(place(), 2 + index);
  await expect(twice).rejects.toMatchObject({ code: "CORRUPT", details: { file: PATH, offset } });
  expect(stored()).toEqual(segment.bytes);
});

test("what is right is read once, from the last place on that is proven", async () => {
  const [{ marks, ...rest }] = scan.live;
  const [, second] = segment.starts;
  const proven = { ...rest, marks: [...marks, { position: second, version: 11 }] };
  scan = scanOf([proven], { proven: 11 });
  await securedRightly();
  expect(reads).toEqual([[second, segment.bytes.length - second]]);
  expect(stored()).toEqual(segment.bytes);
});

describe("behind a segment that something else follows", () => {
  const next = built([50], { number: 4, sizeBytes: 4096 });
  let first: LiveSegment;
  let last: LiveSegment;

  beforeEach(async () => {
    segment = built([100, 200, 3000], { sizeBytes: 8192 });
    await runtime.fileSystem.remove(PATH);
    first = await live(PATH, segment.bytes, segment.starts[3], 13);
    last = await live(NEXT_PATH, next.bytes, next.starts[1], 14);
  });

  test("what was torn is cut off, and that one is left alone where it is proven", async () => {
    scan = scanOf([first, last], { proven: 14, torn: true });
    await securedRightly();
    expect(touched).toEqual([NEXT_PATH]);
    expect(stored(NEXT_PATH)).toEqual(next.bytes.slice(0, next.starts[1]));
  });

  test("what was torn is cut off, and that one keeps its length where it is written again", async () => {
    scan = scanOf([first, last], { torn: true });
    await securedRightly();
    expect(touched).toEqual([PATH, NEXT_PATH]);
    expect(stored()).toEqual(segment.bytes);
    expect(stored(NEXT_PATH)).toEqual(next.bytes.slice(0, next.starts[1]));
  });
});

describe("the key section of a sealed segment", () => {
  const AT = SEGMENT_HEADER_BYTES + 3;
  let bytes: Uint8Array;

  beforeEach(async () => {
    const keyring = new Keyring(runtime, {
      current: "one",
      refusesPlain: true,
      asFound: false,
      key: () => new Uint8Array(32).fill(1),
      erase: () => undefined,
    });
    runtime = withKeyring(runtime, keyring);
    ({ bytes } = await openedSegment(runtime, { storeId: ID, incarnation: ID }, 3, OPENING));
    await runtime.fileSystem.remove(PATH);
    scan = scanOf([await live(PATH, bytes, bytes.length, 10)]);
    expect(scan.live[0].file.seal?.keyId).toBe("one");
  });

  test("is written again as it was though it comes wrong once", async () => {
    await secured(AT, 1);
    expect(stored()).toEqual(bytes);
  });

  test("is not written over when it comes wrong twice", async () => {
    await expect(secured(AT, 2)).rejects.toMatchObject({ code: "CORRUPT", details: { offset: 0 } });
    expect(stored()).toEqual(bytes);
  });
});
