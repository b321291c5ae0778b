import { beforeEach, describe, expect, test } from "vitest";
import { writeU32 } from "../../../src/base/bytes.js";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import {
  closeRecord,
  KIND_COMMIT,
  KIND_OPENING,
  RECORD_HEAD_BYTES,
  SEGMENT_HEADER_BYTES,
  writeRecordHead,
} from "../../../src/durability/segment-format.js";
import {
  inspectSegment,
  type Link,
  type Mark,
  readRecords,
  type SegmentFile,
} from "../../../src/durability/segment-reader.js";
import { machine } from "../harness.js";
import { built, FIRST_AT, ID, OPENING, PATH, SALT } from "./built-segment.js";
import { countedReads, type Steady, steady } from "./steady.js";

let runtime: Runtime;
let rig: Steady;

beforeEach(() => {
  rig = steady(machine().runtime);
  ({ runtime } = rig);
});

async function inspect(bytes: Uint8Array, storeId: string | undefined = ID): Promise<SegmentFile> {
  const handle = await runtime.fileSystem.open(PATH, "create");
  await handle.write(bytes, 0);
  await handle.close();
  return inspectSegment(runtime, PATH, 3, storeId);
}

const corrupt = (offset: number) => ({ code: "CORRUPT", details: { file: PATH, offset } });

describe("a segment that is looked at", () => {
  test("tells its header and where the log continues from", async () => {
    const { bytes } = built([5]);
    const found = await inspect(bytes);
    const crc = new DataView(bytes.buffer).getUint32(FIRST_AT - 4, true);
    expect(found).toMatchObject({ number: 3, path: PATH, sizeBytes: bytes.length });
    expect(found.header).toMatchObject({ number: 3, salt: SALT, storeId: ID });
    expect(found.opening).toEqual({ ...OPENING, crc });
  });

  test.each([0, 1, SEGMENT_HEADER_BYTES - 1, SEGMENT_HEADER_BYTES, 200_000])(
    "of %i zeros was never used",
    async (length) => {
      const found = await inspect(new Uint8Array(length));
      expect(found).toEqual({
        number: 3,
        path: PATH,
        sizeBytes: length,
        header: undefined,
        opening: undefined,
      });
    },
  );

  test.each([
    [1, 0],
    [70, 69],
    [200_000, 0],
    [200_000, 65_536],
    [200_000, 70_001],
    [200_000, 199_999],
  ])("of %i zeros but for byte %i is damaged", async (length, at) => {
    const bytes = new Uint8Array(length);
    bytes[at] = 1;
    await expect(inspect(bytes)).rejects.toMatchObject(corrupt(0));
  });

  test("lets others work while many zeros are looked at", async () => {
    await inspect(new Uint8Array(2 * 1024 * 1024 + 100));
    expect(rig.turns).toBe(2);
  });

  test("of a newer format, of another number or of another store is refused", async () => {
    const newer = built([]).bytes;
    writeU32(newer, 8, 99);
    writeU32(newer, 64, nodeChecksum.crc32(newer, 0, 64, 0));
    await expect(inspect(newer)).rejects.toMatchObject({ code: "FORMAT_NEWER", details: { version: 99 } });
    await runtime.fileSystem.remove(PATH);
    await expect(inspect(built([], { number: 4 }).bytes)).rejects.toMatchObject(corrupt(16));
    await runtime.fileSystem.remove(PATH);
    await expect(inspect(built([]).bytes, "6".repeat(32))).rejects.toMatchObject(corrupt(32));
  });

  test("may be of any store when that is not known", async () => {
    const { bytes } = built([]);
    const handle = await runtime.fileSystem.open(PATH, "create");
    await handle.write(bytes, 0);
    expect((await inspectSegment(runtime, PATH, 3, undefined)).header?.storeId).toBe(ID);
  });

  test("has no opening before that is wholly there, and valid", async () => {
    const { bytes } = built([]);
    const flipped = (at: number): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
    const cases = [
      bytes.subarray(0, SEGMENT_HEADER_BYTES),
      bytes.subarray(0, FIRST_AT - 1),
      flipped(SEGMENT_HEADER_BYTES + 20),
      flipped(SEGMENT_HEADER_BYTES + 45),
      flipped(FIRST_AT - 1),
    ];
    for (const cut of cases) {
      const found = await inspect(cut);
      expect(found.header).toBeDefined();
      expect(found.opening).toBeUndefined();
      await runtime.fileSystem.remove(PATH);
    }
  });

  test.each([
    ["a commit", KIND_COMMIT, 16],
    ["an opening of another length", KIND_OPENING, 12],
  ])("begins with an opening, not with %s", async (_, kind, payloadLength) => {
    const bytes = built([]).bytes;
    const at = SEGMENT_HEADER_BYTES;
    const fields = { payloadLength, kind, version: 10, syncedThrough: 0, predecessorCrc: 0 };
    closeRecord(
      nodeChecksum,
      bytes,
      at,
      payloadLength,
      writeRecordHead(nodeChecksum, bytes, at, SALT, fields),
    );
    expect((await inspect(bytes)).opening).toBeUndefined();
  });
});

interface Read {
  readonly end: number;
  readonly marks: readonly Mark[];
  readonly versions: readonly number[];
  readonly link: Link;
  readonly told: readonly number[];
}

async function read(bytes: Uint8Array, link: Partial<Link> = {}, refused = 0): Promise<Read> {
  const file = await inspect(bytes);
  const versions: number[] = [];
  const told: number[] = [];
  const moved = { crc: file.opening?.crc ?? 0, version: 10, syncedThrough: 9, ...link };
  const handle = await runtime.fileSystem.open(PATH, "read");
  try {
    const visitor = {
      commit: (version: number, content: Uint8Array, at: number, end: number) => {
        versions.push(version);
        expect(content.subarray(at + 4, end).every((byte) => byte === (version & 255))).toBe(true);
        return version !== refused;
      },
    };
    const found = await readRecords(runtime, handle, file, moved, visitor, (count) => told.push(count));
    return { ...found, versions, link: moved, told };
  } finally {
    await handle.close();
    await runtime.fileSystem.remove(PATH);
  }
}

describe("the records of a segment", () => {
  test("are read one after the other, to the end of the file or of what is valid", async () => {
    const { bytes, starts, crc } = built([5, 0, 7]);
    const whole = await read(bytes);
    expect(whole.versions).toEqual([11, 12, 13]);
    expect(whole.end).toBe(starts[3]);
    expect(whole.link).toEqual({ crc, version: 13, syncedThrough: 12 });
    expect(whole.marks).toEqual([{ position: FIRST_AT, version: 10 }]);
    expect(whole.told).toEqual([starts[3] - FIRST_AT]);
    const longer = await read(built([5, 0, 7], { sizeBytes: 4096 }).bytes);
    expect(longer.end).toBe(starts[3]);
  });

  test("end before the first that is cut off, wherever that is", async () => {
    const { bytes, starts } = built([5, 9]);
    for (let length = starts[1]; length < bytes.length; length++) {
      const found = await read(bytes.subarray(0, length));
      expect([found.end, found.versions], `${length} bytes`).toEqual([starts[1], [11]]);
      expect(found.told).toEqual([starts[1] - FIRST_AT]);
    }
  });

  test("end before the first with a damaged byte, whichever", async () => {
    const { bytes, starts } = built([5, 9, 3]);
    for (let at = starts[1]; at < starts[2]; at++) {
      const damaged = bytes.slice();
      damaged[at] ^= 16;
      const found = await read(damaged);
      expect([found.end, found.versions, found.link.version], `byte ${at}`).toEqual([starts[1], [11], 11]);
    }
  });

  test("must continue the link: by checksum, by a higher version, and as commits", async () => {
    const { bytes } = built([5]);
    expect((await read(bytes, { crc: 5 })).versions).toEqual([]);
    expect((await read(bytes, { version: 11 })).versions).toEqual([]);
    expect((await read(bytes, { version: 12 })).versions).toEqual([]);
    const other = bytes.slice();
    const head = { payloadLength: 9, version: 11, syncedThrough: 9, predecessorCrc: 0, kind: KIND_OPENING };
    const { opening } = await inspect(bytes);
    await runtime.fileSystem.remove(PATH);
    const crc = opening?.crc ?? 0;
    const headCrc = writeRecordHead(nodeChecksum, other, FIRST_AT, SALT, { ...head, predecessorCrc: crc });
    closeRecord(nodeChecksum, other, FIRST_AT, 9, headCrc);
    expect((await read(other)).versions).toEqual([]);
  });

  test("that are valid, but not understood, are damage", async () => {
    const { bytes, starts } = built([5, 9]);
    await expect(read(bytes, {}, 12)).rejects.toMatchObject(corrupt(starts[1]));
  });

  test("leave a mark every 256 KiB, and let others work", async () => {
    const quarter = 256 * 1024 - RECORD_HEAD_BYTES - 8;
    const lengths = [quarter, quarter - 1, quarter + 1, quarter, 3_000_000, 5, quarter, quarter];
    const { bytes, starts } = built(lengths, { sizeBytes: 6_000_000 });
    const { marks, told, end } = await read(bytes);
    expect(end).toBe(starts[8]);
    expect(marks).toEqual([
      { position: starts[0], version: 10 },
      { position: starts[1], version: 11 },
      { position: starts[3], version: 13 },
      { position: starts[4], version: 14 },
      { position: starts[5], version: 15 },
      { position: starts[7], version: 17 },
      { position: starts[8], version: 18 },
    ]);
    expect(told).toEqual([starts[4] - starts[0], starts[5] - starts[4], starts[8] - starts[5]]);
    expect(rig.turns).toBe(2);
  });

  test("are read ahead, and leave no read under way when they end early", async () => {
    const file = await inspect(built([5], { sizeBytes: 5 * 1024 * 1024 }).bytes);
    const { handle, reads } = await countedReads(runtime, PATH);
    const link = { crc: 0, version: 0, syncedThrough: 0 };
    const visitor = { commit: () => true };
    const { end } = await readRecords(runtime, handle, file, link, visitor, () => undefined);
    // The first chunk, the one ahead, and a second look at what is no record.
    expect([end, reads.begun, reads.underWay]).toEqual([FIRST_AT, 3, 0]);
  });

  test("leave no read under way when one is refused", async () => {
    const file = await inspect(built([5], { sizeBytes: 5 * 1024 * 1024 }).bytes);
    const { handle, reads } = await countedReads(runtime, PATH, (position) => (position > FIRST_AT ? 9 : 1));
    const link = { crc: file.opening!.crc, version: OPENING.base, syncedThrough: 0 };
    const visitor = { commit: () => false };
    const refused = readRecords(runtime, handle, file, link, visitor, () => undefined);
    await expect(refused).rejects.toMatchObject(corrupt(FIRST_AT));
    expect([reads.begun, reads.underWay]).toEqual([2, 0]);
  });
});
