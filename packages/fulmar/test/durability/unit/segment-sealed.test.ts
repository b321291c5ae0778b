import { beforeEach, describe, expect, test } from "vitest";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import type { FileSeal } from "../../../src/durability/file-seal.js";
import { GroupBuffer } from "../../../src/durability/group-buffer.js";
import { KEY_SECTION_BYTES } from "../../../src/durability/key-section.js";
import { type DiskRuntime, Keyring, withKeyring } from "../../../src/durability/keyring.js";
import {
  closeRecord,
  newRecordHead,
  RECORD_HEAD_BYTES,
  RECYCLED,
  readRecordHead,
  SEALED,
  SEGMENT_HEADER_BYTES,
  writeSegmentHeader,
} from "../../../src/durability/segment-format.js";
import { openedSegment } from "../../../src/durability/segment-pool.js";
import {
  inspectSegment,
  type Link,
  readRecords,
  type SegmentFile,
} from "../../../src/durability/segment-reader.js";
import { OriginTable } from "../../../src/record/origins.js";
import { machine } from "../harness.js";

const ID = "5".repeat(32);
const ID_BYTES = new Uint8Array(16).fill(0x55);
const PATH = "/000000000003.log";
const OPENING = { base: 10, syncedThrough: 9, predecessorCrc: 1, previousSegment: 2, previousEnd: 500 };

let runtime: DiskRuntime;

beforeEach(() => {
  const { runtime: plain } = machine();
  const keyring = new Keyring(plain, {
    current: "one",
    refusesPlain: true,
    asFound: false,
    key: (id) => (id === "one" ? new Uint8Array(32).fill(1) : undefined),
    erase: () => undefined,
  });
  runtime = withKeyring(plain, keyring);
});

interface Built {
  readonly bytes: Uint8Array;
  readonly salt: Uint8Array;
  /** Where each commit's record begins, and where the last one ends. */
  readonly starts: readonly number[];
  readonly openingCrc: number;
}

/** A sealed segment with commits of so many bytes each, of versions from 11 on. */
async function built(lengths: readonly number[]): Promise<Built> {
  const identity = { storeId: ID, incarnation: ID };
  const head = await openedSegment(runtime, identity, 3, OPENING);
  const group = new GroupBuffer(nodeChecksum, new OriginTable(), head.crc, OPENING.base);
  const sealing = { seal: head.seal as FileSeal, position: head.bytes.length };
  const starts = [head.bytes.length];
  for (const [i, length] of lengths.entries()) {
    const { bytes, at } = group.begin(head.salt, 11 + i, 10, length, sealing);
    bytes.fill(11 + i, at, at + length);
    group.end();
    starts.push(head.bytes.length + group.filled);
  }
  const bytes = new Uint8Array(head.bytes.length + group.filled);
  bytes.set(head.bytes);
  bytes.set(group.content, head.bytes.length);
  return { bytes, salt: head.salt, starts, openingCrc: head.crc };
}

async function inspect(bytes: Uint8Array): Promise<SegmentFile> {
  const handle = await runtime.fileSystem.open(PATH, "create");
  await handle.write(bytes, 0);
  await handle.close();
  return inspectSegment(runtime, PATH, 3, ID);
}

/** The commits of a segment, without what stands before each. */
async function commits(file: SegmentFile, crc: number): Promise<{ version: number; bytes: number[] }[]> {
  const handle = await runtime.fileSystem.open(PATH, "read");
  const link: Link = { crc, version: OPENING.base, syncedThrough: 0 };
  const seen: { version: number; bytes: number[] }[] = [];
  const commit = (version: number, bytes: Uint8Array, at: number, end: number): boolean => {
    seen.push({ version, bytes: [...bytes.subarray(at + 4, end)] });
    return true;
  };
  try {
    await readRecords(runtime, handle, file, link, { commit }, () => undefined);
    return seen;
  } finally {
    await handle.close();
  }
}

const corrupt = (offset: number) => ({ code: "CORRUPT", details: { file: PATH, offset } });

describe("a sealed segment", () => {
  test("tells its key, its opening and its commits", async () => {
    const { bytes, openingCrc } = await built([5, 0, 3]);
    const file = await inspect(bytes);
    expect(file.seal?.keyId).toBe("one");
    expect(file.seal?.header).toEqual(bytes.subarray(0, SEGMENT_HEADER_BYTES));
    expect(file.opening).toEqual({ ...OPENING, crc: openingCrc });
    expect(await commits(file, openingCrc)).toEqual([
      { version: 11, bytes: Array(5).fill(11) },
      { version: 12, bytes: [] },
      { version: 13, bytes: Array(3).fill(13) },
    ]);
    expect(Buffer.from(bytes).includes(Buffer.alloc(5, 11))).toBe(false);
  });

  test("is damaged when its key section is, or ends within it", async () => {
    const { bytes } = await built([5]);
    const changed = bytes.slice();
    changed[SEGMENT_HEADER_BYTES + 3] ^= 1;
    await expect(inspect(changed)).rejects.toMatchObject(corrupt(SEGMENT_HEADER_BYTES));
    await runtime.fileSystem.remove(PATH);
    const cut = bytes.slice(0, SEGMENT_HEADER_BYTES + KEY_SECTION_BYTES - 1);
    await expect(inspect(cut)).rejects.toMatchObject(corrupt(SEGMENT_HEADER_BYTES));
  });

  test("that ends before its opening does is not begun", async () => {
    const { bytes, starts } = await built([]);
    for (const length of [starts[0] - 1, SEGMENT_HEADER_BYTES + KEY_SECTION_BYTES]) {
      const file = await inspect(bytes.slice(0, length));
      expect([file.seal?.keyId, file.opening]).toEqual(["one", undefined]);
      await runtime.fileSystem.remove(PATH);
    }
  });

  test("is damaged when its header is not the one that its opening was sealed with", async () => {
    const { bytes, salt } = await built([5]);
    const header = { number: 3, flags: SEALED | RECYCLED, salt };
    bytes.set(writeSegmentHeader(nodeChecksum, header, ID_BYTES, ID_BYTES));
    await expect(inspect(bytes)).rejects.toMatchObject(corrupt(SEGMENT_HEADER_BYTES + KEY_SECTION_BYTES));
  });

  test("is damaged when a commit is not what was sealed there, though its checksums are right", async () => {
    const { bytes, salt, starts, openingCrc } = await built([5, 5]);
    const at = starts[1];
    const head = readRecordHead(nodeChecksum, bytes, at, salt, newRecordHead());
    if (head === undefined) throw new Error("there is no record");
    bytes[at + RECORD_HEAD_BYTES + 14] ^= 1;
    closeRecord(nodeChecksum, bytes, at, head.payloadLength, head.headCrc);
    const file = await inspect(bytes);
    await expect(commits(file, openingCrc)).rejects.toMatchObject(corrupt(at));
  });
});
