import { beforeEach, expect, test } from "vitest";
import type { FileHandle, Runtime } from "../../../src/base/runtime/interface.js";
import { layoutOf } from "../../../src/durability/layout.js";
import type { LogScan } from "../../../src/durability/log-scan.js";
import { secureLog } from "../../../src/durability/log-securing.js";
import { RECORD_HEAD_BYTES, SEGMENT_HEADER_BYTES } from "../../../src/durability/segment-format.js";
import { inspectSegment } from "../../../src/durability/segment-reader.js";
import type { SimulatedStorage } from "../../../src/testing/index.js";
import { machine } from "../harness.js";
import { type Built, built, FIRST_AT, ID, PATH } from "./built-segment.js";

let storage: SimulatedStorage;
let segment: Built;
let scan: LogScan;

beforeEach(async () => {
  storage = machine();
  segment = built([100, 200, 3000]);
  const handle = await storage.runtime.fileSystem.open(PATH, "create");
  await handle.write(segment.bytes, 0);
  await handle.close();
  const file = await inspectSegment(storage.runtime, PATH, 3, ID);
  const end = segment.bytes.length;
  const marks = [{ position: FIRST_AT, version: 10 }];
  const live = [{ file, header: file.header!, base: 10, end, lastVersion: 13, marks }];
  const logEnd = { segment: 3, position: end, crc: segment.crc, version: 13 };
  scan = { live, dead: [], end: logEnd, proven: 0, torn: false, cutBytes: 0, lastNumber: 3 };
});

/** Writes the segment again, of whose reads the first `times` give this byte of it wrong. */
function secured(at: number, times: number): Promise<void> {
  const { runtime } = storage;
  let left = times;
  const open = async (path: string, mode: "update"): Promise<FileHandle> => {
    const opened = await runtime.fileSystem.open(path, mode);
    const read = async (target: Uint8Array, position: number): Promise<number> => {
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
  const misread: Runtime = { ...runtime, fileSystem };
  const nowhere = { segment: 1, position: 0, crc: 0, version: 0 };
  return secureLog(misread, layoutOf(runtime.fileSystem, "/"), scan, nowhere);
}

const stored = (): Uint8Array => storage.disk.image().get(PATH)!;

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
