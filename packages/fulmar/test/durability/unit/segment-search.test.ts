import { beforeEach, describe, expect, test } from "vitest";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { KIND_COMMIT, RECORD_HEAD_BYTES, writeRecordHead } from "../../../src/durability/segment-format.js";
import type { SegmentFile } from "../../../src/durability/segment-reader.js";
import { type Remainder, searchRemainder } from "../../../src/durability/segment-remainder.js";
import { machine } from "../harness.js";
import { countedReads, type Steady, steady } from "./steady.js";

const ID = "5".repeat(32);
const SALT = Uint8Array.of(77, 2, 3, 4, 5, 6, 7, 8);
const PATH = "/000000000003.log";

let runtime: Runtime;
let rig: Steady;

beforeEach(() => {
  rig = steady(machine().runtime);
  ({ runtime } = rig);
});

async function search(bytes: Uint8Array, from: number, header = true): Promise<Remainder> {
  const handle = await runtime.fileSystem.open(PATH, "create");
  await handle.write(bytes, 0);
  const known = { number: 3, flags: 0, salt: SALT, storeId: ID, incarnation: ID };
  const file: SegmentFile = {
    number: 3,
    path: PATH,
    sizeBytes: bytes.length,
    header: header ? known : undefined,
    opening: undefined,
  };
  const found = await searchRemainder(runtime, handle, file, from);
  await handle.close();
  await runtime.fileSystem.remove(PATH);
  return found;
}

/** Puts the head of a record into bytes. */
function putHead(bytes: Uint8Array, at: number, syncedThrough: number, salt = SALT): void {
  const fields = { payloadLength: 9, kind: KIND_COMMIT, version: 11, syncedThrough, predecessorCrc: 0 };
  writeRecordHead(nodeChecksum, bytes, at, salt, fields);
}

const NOTHING = { syncedThrough: 0, lastHead: -1, lastNonZero: -1 };
const STEP = 64 * 1024;

describe("what stands behind the valid records", () => {
  test.each([0, 1, 100, STEP, 3 * STEP + 5])("is nothing in %i zeros", async (length) => {
    expect(await search(new Uint8Array(300 + length), 300)).toEqual(NOTHING);
  });

  test("is nothing where the file became shorter than it was, and no read is left under way", async () => {
    const sizeBytes = 4 * 1024 * 1024;
    const written = await runtime.fileSystem.open(PATH, "create");
    await written.write(new Uint8Array(400).fill(1), 0);
    await written.close();
    const { handle, reads } = await countedReads(runtime, PATH);
    const known = { number: 3, flags: 0, salt: SALT, storeId: ID, incarnation: ID };
    const file: SegmentFile = { number: 3, path: PATH, sizeBytes, header: known, opening: undefined };
    expect(await searchRemainder(runtime, handle, file, 300)).toEqual(NOTHING);
    expect(reads.underWay).toBe(0);
    expect(reads.begun).toBeGreaterThan(1);
    await handle.close();
  });

  test("has a last byte that is not zero, wherever that is", async () => {
    const bytes = new Uint8Array(300 + 50);
    for (let at = 300; at < bytes.length; at++) {
      bytes.fill(0, 300).fill(9, 300, at + 1);
      expect((await search(bytes, 300)).lastNonZero, `at ${at}`).toBe(at + 1);
      bytes.fill(0, 300, at);
      expect((await search(bytes, 301)).lastNonZero, `alone at ${at}`).toBe(at === 300 ? -1 : at + 1);
    }
  });

  test.each([STEP - 1, STEP, STEP - 39, 2 * STEP - 40, 3 * STEP])(
    "may go on for long, and end %i bytes on",
    async (at) => {
      const bytes = new Uint8Array(4 * STEP);
      bytes[300 + at] = 1;
      expect(await search(bytes, 300)).toEqual({ ...NOTHING, lastNonZero: 300 + at + 1 });
      bytes.fill(0, 300 + at + 1).fill(1, 300, 300 + at);
      expect((await search(bytes, 300)).lastNonZero).toBe(300 + at + 1);
    },
  );

  test("holds heads of this segment's records: what they call synced, and where the last one ends", async () => {
    for (const at of [
      300,
      301,
      1000,
      300 + STEP - 40,
      300 + STEP - 39,
      300 + STEP - 1,
      300 + STEP,
      2 * STEP,
    ]) {
      const bytes = new Uint8Array(4 * STEP);
      putHead(bytes, at, 7);
      const found = await search(bytes, 300);
      expect([found.syncedThrough, found.lastHead], `at ${at}`).toEqual([7, at + RECORD_HEAD_BYTES]);
    }
    const bytes = new Uint8Array(2 * STEP);
    putHead(bytes, 400, 9);
    putHead(bytes, STEP + 500, 8);
    putHead(
      bytes,
      STEP + 600,
      8,
      SALT.map((byte) => byte + 1),
    );
    expect(await search(bytes, 300)).toMatchObject({ syncedThrough: 9, lastHead: STEP + 540 });
  });

  test("holds no head that is cut off, or that stands before it", async () => {
    const bytes = new Uint8Array(500);
    putHead(bytes, 460, 9);
    expect((await search(bytes, 300)).lastHead).toBe(500);
    expect((await search(bytes.subarray(0, 499), 300)).lastHead).toBe(-1);
    expect((await search(bytes, 461)).lastHead).toBe(-1);
    expect((await search(bytes, 460)).lastHead).toBe(500);
  });

  test("holds no heads when its salt is not known", async () => {
    const bytes = new Uint8Array(500);
    putHead(bytes, 400, 9);
    expect(await search(bytes, 300, false)).toMatchObject({ syncedThrough: 0, lastHead: -1 });
  });

  test("holds no head where there is only a byte that salts begin with", async () => {
    const bytes = new Uint8Array(500).fill(SALT[0], 300);
    expect(await search(bytes, 300)).toEqual({ ...NOTHING, lastNonZero: 500 });
  });

  test("is what the file holds, not what was read of it before", async () => {
    const bytes = new Uint8Array(3 * 1024 * 1024 + 1000);
    putHead(bytes, 1024 * 1024 + 500_000, 7);
    bytes[bytes.length - 1] = 1;
    const lastHead = 1024 * 1024 + 500_000 + RECORD_HEAD_BYTES;
    expect(await search(bytes, 0)).toEqual({ syncedThrough: 7, lastHead, lastNonZero: bytes.length });
  });

  test("is read ahead, and no read is under way when a file is shorter than it was", async () => {
    await (await runtime.fileSystem.open(PATH, "create")).close();
    const { handle, reads } = await countedReads(runtime, PATH);
    const known = { number: 3, flags: 0, salt: SALT, storeId: ID, incarnation: ID };
    const sizeBytes = 3 * 1024 * 1024;
    const file = { number: 3, path: PATH, sizeBytes, header: known, opening: undefined };
    expect(await searchRemainder(runtime, handle, file, 0)).toEqual(NOTHING);
    expect([reads.begun > 1, reads.underWay]).toEqual([true, 0]);
  });

  test("is looked at so that others can work", async () => {
    await search(new Uint8Array(300 + 2 * 1024 * 1024), 300);
    expect(rig.turns).toBe(2);
  });
});
