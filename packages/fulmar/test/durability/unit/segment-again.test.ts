import { beforeEach, describe, expect, test } from "vitest";
import type { FileHandle, Runtime } from "../../../src/base/runtime/interface.js";
import { CHUNK_BYTES } from "../../../src/durability/chunk-reader.js";
import { RECORD_HEAD_BYTES, SEGMENT_HEADER_BYTES } from "../../../src/durability/segment-format.js";
import { inspectSegment, readRecords, type SegmentFile } from "../../../src/durability/segment-reader.js";
import { machine } from "../harness.js";
import { type Built, built, FIRST_AT, ID, OPENING, PATH } from "./built-segment.js";

/** What comes wrong of a file: of its reads from the first on, as often as `times`, this byte of the file. */
interface Wrong {
  readonly at: number;
  readonly times: number;
}

let runtime: Runtime;
/** Position and length of each read. */
let reads: [position: number, length: number][];

beforeEach(() => {
  ({ runtime } = machine());
  reads = [];
});

/** The runtime, of whose files a byte comes wrong. */
function misreading({ at, times }: Wrong): Runtime {
  let left = times;
  const open = async (path: string, mode: "read"): Promise<FileHandle> => {
    const opened = await runtime.fileSystem.open(path, mode);
    const read = async (target: Uint8Array, position: number): Promise<number> => {
      reads.push([position, target.length]);
      const count = await opened.read(target, position);
      if (at >= position && at < position + count && left-- > 0) target[at - position] ^= 0x10;
      return count;
    };
    return Object.assign(Object.create(opened) as FileHandle, {
      path,
      size: () => opened.size(),
      close: () => opened.close(),
      read,
    });
  };
  return { ...runtime, fileSystem: Object.assign(Object.create(runtime.fileSystem), { open }) };
}

async function stored({ bytes }: Built): Promise<void> {
  const handle = await runtime.fileSystem.open(PATH, "create");
  await handle.write(bytes, 0);
  await handle.close();
}

/** Reads the records of a stored segment, of which a byte comes wrong. */
async function readWrong(
  wrong: Wrong,
): Promise<{ end: number; commits: [version: number, length: number][] }> {
  const file: SegmentFile = await inspectSegment(runtime, PATH, 3, ID);
  const reader = misreading(wrong);
  const handle = await reader.fileSystem.open(PATH, "read");
  const commits: [number, number][] = [];
  const commit = (version: number, bytes: Uint8Array, at: number, end: number): boolean => {
    // Behind its definitions a payload is the commit's, which was filled with its version.
    expect(bytes[end - 1]).toBe(version);
    commits.push([version, end - at]);
    return true;
  };
  const link = { crc: file.opening?.crc ?? 0, version: OPENING.base, syncedThrough: 0 };
  const { end } = await readRecords(reader, handle, file, link, { commit }, () => undefined);
  await handle.close();
  return { end, commits };
}

const NEVER: Wrong = { at: 0, times: 0 };

describe("records", () => {
  test("are read once when they are right, and nothing behind the end of the file", async () => {
    const segment = built([100, 200, 3000]);
    await stored(segment);
    const { end, commits } = await readWrong(NEVER);
    expect([end, commits.map(([version]) => version)]).toEqual([segment.bytes.length, [11, 12, 13]]);
    expect(reads).toEqual([[FIRST_AT, segment.bytes.length - FIRST_AT]]);
  });

  test("are read once when they are right, also where one lies across two chunks", async () => {
    const segment = built([300_000, 300_000, 300_000, 300_000, 300_000]);
    await stored(segment);
    const { end, commits } = await readWrong(NEVER);
    expect([end, commits.length]).toEqual([segment.bytes.length, 5]);
    const border = FIRST_AT + CHUNK_BYTES;
    expect(reads).toEqual([
      [FIRST_AT, CHUNK_BYTES],
      [border, segment.bytes.length - border],
    ]);
  });

  test.each([
    ["its head", 0],
    ["its head's checksum", RECORD_HEAD_BYTES - 1],
    ["its payload", RECORD_HEAD_BYTES + 20],
    ["its checksum", -1],
  ])(
    "of which %s comes wrong once are read again, from there on, and all are there",
    async (_what, offset) => {
      const segment = built([100, 200, 3000]);
      await stored(segment);
      for (const index of [0, 1, 2]) {
        reads = [];
        const at = offset < 0 ? segment.starts[index + 1] - 1 : segment.starts[index] + offset;
        const { end, commits } = await readWrong({ at, times: 1 });
        expect([end, commits.map(([version]) => version)]).toEqual([segment.bytes.length, [11, 12, 13]]);
        // A head, and then what it says.
        expect(reads[1]).toEqual([segment.starts[index], RECORD_HEAD_BYTES]);
        expect(reads).toHaveLength(3);
      }
    },
  );

  test.each([
    ["its head", 0],
    ["its payload", RECORD_HEAD_BYTES + 20],
  ])("end before the one of which %s is wrong at the second reading, too", async (_what, offset) => {
    const segment = built([100, 200, 3000]);
    await stored(segment);
    const { end, commits } = await readWrong({ at: segment.starts[1] + offset, times: 2 });
    expect([end, commits.map(([version]) => version)]).toEqual([segment.starts[1], [11]]);
  });

  test("end before one that the file ends in", async () => {
    const segment = built([100, 3000]);
    const cut = segment.bytes.subarray(0, segment.bytes.length - 1);
    await stored({ ...segment, bytes: cut });
    const { end, commits } = await readWrong(NEVER);
    expect([end, commits.map(([version]) => version)]).toEqual([segment.starts[1], [11]]);
    const inHead = segment.bytes.subarray(0, segment.starts[1] + RECORD_HEAD_BYTES - 1);
    await runtime.fileSystem.remove(PATH);
    await stored({ ...segment, bytes: inHead });
    expect((await readWrong(NEVER)).end).toBe(segment.starts[1]);
  });
});

describe("a segment", () => {
  test.each([
    ["header", 20],
    ["opening", SEGMENT_HEADER_BYTES + 20],
  ])("whose %s comes wrong once is read again", async (_what, at) => {
    await stored(built([5]));
    const right = await inspectSegment(runtime, PATH, 3, ID);
    expect(right.opening).toMatchObject(OPENING);
    expect(await inspectSegment(misreading({ at, times: 1 }), PATH, 3, ID)).toEqual(right);
  });

  test("is read once where it is right", async () => {
    const segment = built([5]);
    await stored(segment);
    await inspectSegment(misreading(NEVER), PATH, 3, ID);
    expect(reads).toEqual([[0, segment.bytes.length]]);
  });

  test("is damaged, or has no opening, when that is wrong twice", async () => {
    await stored(built([5]));
    const headerTwice = inspectSegment(misreading({ at: 20, times: 2 }), PATH, 3, ID);
    await expect(headerTwice).rejects.toMatchObject({ code: "CORRUPT", details: { offset: 0 } });
    const opening = misreading({ at: SEGMENT_HEADER_BYTES + 20, times: 2 });
    expect((await inspectSegment(opening, PATH, 3, ID)).opening).toBeUndefined();
  });
});
