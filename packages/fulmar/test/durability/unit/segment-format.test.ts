import { describe, expect, test } from "vitest";
import { readU32, readU64, writeU32 } from "../../../src/base/bytes.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import {
  closeRecord,
  KIND_COMMIT,
  KIND_OPENING,
  newRecordHead,
  OPENING_BYTES,
  OPENING_PAYLOAD_BYTES,
  RECORD_HEAD_BYTES,
  RECYCLED,
  readRecordHead,
  readSegmentHeader,
  recordBytes,
  SEGMENT_HEADER_BYTES,
  writeOpening,
  writeRecordHead,
  writeSegmentHeader,
} from "../../../src/durability/segment-format.js";

const U53_MAX = Number.MAX_SAFE_INTEGER;
const SALT = Uint8Array.of(11, 12, 13, 14, 15, 16, 17, 18);
const STORE_ID = Uint8Array.from({ length: 16 }, (_, i) => 32 + i);
const INCARNATION = Uint8Array.from({ length: 16 }, (_, i) => 64 + i);
const HEX_STORE_ID = "202122232425262728292a2b2c2d2e2f";
const HEX_INCARNATION = "404142434445464748494a4b4c4d4e4f";
/** Records are read and written in the middle of larger arrays. */
const AT = 5;

const { crc32 } = nodeChecksum;

describe("the header of a segment", () => {
  const header = { number: U53_MAX, flags: RECYCLED, salt: SALT };
  const written = (): Uint8Array => writeSegmentHeader(nodeChecksum, header, STORE_ID, INCARNATION);
  const read = (bytes: Uint8Array): ReturnType<typeof readSegmentHeader> =>
    readSegmentHeader(nodeChecksum, bytes);

  function resealed(change: (bytes: Uint8Array) => void): Uint8Array {
    const bytes = written();
    change(bytes);
    writeU32(bytes, 64, crc32(bytes, 0, 64, 0));
    return bytes;
  }

  /** A header whose last byte is 0, as what is read behind its end may be. */
  function endingInZero(): Uint8Array {
    for (let number = 1; ; number++) {
      const bytes = writeSegmentHeader(nodeChecksum, { ...header, number }, STORE_ID, INCARNATION);
      if (bytes[SEGMENT_HEADER_BYTES - 1] === 0) return bytes;
    }
  }

  test("gives back every field, also in front of other bytes", () => {
    const expected = { ...header, storeId: HEX_STORE_ID, incarnation: HEX_INCARNATION };
    expect(written().length).toBe(SEGMENT_HEADER_BYTES);
    expect(read(written())).toEqual(expected);
    expect(read(Uint8Array.of(...written(), 1, 2, 3))).toEqual(expected);
  });

  test("keeps its salt when the bytes that it was read from change", () => {
    const bytes = written();
    const found = read(bytes);
    bytes.fill(0);
    expect(found).toMatchObject({ salt: SALT });
  });

  test("with a flag that is not known is of a newer format", () => {
    for (let flag = 2; flag < 32; flag++) {
      expect(read(resealed((bytes) => writeU32(bytes, 12, 2 ** flag)))).toBe(1);
    }
  });

  test("with any byte changed, or cut off, is none", () => {
    for (let at = 0; at < SEGMENT_HEADER_BYTES; at++) {
      const bytes = written();
      bytes[at] ^= 1;
      expect(read(bytes), `byte ${at}`).toBeUndefined();
    }
    expect(read(written().subarray(0, SEGMENT_HEADER_BYTES - 1))).toBeUndefined();
    expect(read(endingInZero())).toBeDefined();
    expect(read(endingInZero().subarray(0, SEGMENT_HEADER_BYTES - 1))).toBeUndefined();
  });

  test("of another kind of file is none, whatever its checksum says", () => {
    for (let at = 0; at < 8; at++) {
      const bytes = resealed((changed) => {
        changed[at] ^= 1;
      });
      expect(read(bytes)).toBeUndefined();
    }
  });

  test("of a newer format is its number; of an older one, or with a number that is not exact, none", () => {
    expect(read(resealed((bytes) => writeU32(bytes, 8, 2)))).toBe(2);
    expect(read(resealed((bytes) => writeU32(bytes, 8, 0)))).toBeUndefined();
    const inexact = resealed((bytes) => {
      bytes[16 + 6] = 32;
    });
    expect(read(inexact)).toBeUndefined();
  });
});

describe("the head of a record", () => {
  const head = {
    payloadLength: 0xfffffff0,
    kind: KIND_COMMIT,
    version: U53_MAX,
    syncedThrough: U53_MAX - 1,
    predecessorCrc: 0xdeadbeef,
  };

  function written(change?: (bytes: Uint8Array) => void): { bytes: Uint8Array; headCrc: number } {
    const bytes = new Uint8Array(AT + RECORD_HEAD_BYTES + 3).fill(9);
    const headCrc = writeRecordHead(nodeChecksum, bytes, AT, SALT, head);
    if (change === undefined) return { bytes, headCrc };
    change(bytes);
    writeU32(bytes, AT + 36, crc32(bytes, AT, AT + 36, 0));
    return { bytes, headCrc };
  }
  const read = (bytes: Uint8Array, salt = SALT): ReturnType<typeof readRecordHead> =>
    readRecordHead(nodeChecksum, bytes, AT, salt);

  test("gives back every field, and its checksum", () => {
    const { bytes, headCrc } = written();
    expect(read(bytes)).toEqual({ ...head, headCrc });
    expect(headCrc).toBe(crc32(bytes, AT, AT + 36, 0));
    expect([...bytes.subarray(0, AT), ...bytes.subarray(-3)]).toEqual([9, 9, 9, 9, 9, 9, 9, 9]);
  });

  test("is read into the object that is given", () => {
    const into = newRecordHead();
    expect(into).toEqual({
      payloadLength: 0,
      kind: 0,
      version: 0,
      syncedThrough: 0,
      predecessorCrc: 0,
      headCrc: 0,
    });
    const { bytes } = written();
    expect(readRecordHead(nodeChecksum, bytes, AT, SALT, into)).toBe(into);
    expect(into).toMatchObject(head);
  });

  test("with any byte changed is none", () => {
    for (let at = 0; at < RECORD_HEAD_BYTES; at++) {
      const { bytes } = written();
      bytes[AT + at] ^= 1;
      expect(read(bytes), `byte ${at}`).toBeUndefined();
    }
  });

  test("of another segment is none, at whichever byte the salts differ", () => {
    const { bytes } = written();
    for (let at = 0; at < SALT.length; at++) {
      const other = SALT.slice();
      other[at] ^= 1;
      expect(read(bytes, other)).toBeUndefined();
    }
  });

  test.each([16, 24])("with a number at %i that is not exact is none", (at) => {
    const { bytes } = written((changed) => {
      changed[AT + at + 6] = 32;
    });
    expect(read(bytes)).toBeUndefined();
  });
});

test("a record ends with the checksum of its payload, which the head's begins", () => {
  const payload = Uint8Array.of(1, 2, 3, 4, 5);
  const bytes = new Uint8Array(AT + recordBytes(payload.length) + 1).fill(9);
  bytes.set(payload, AT + RECORD_HEAD_BYTES);
  const crc = closeRecord(nodeChecksum, bytes, AT, payload.length, 77);
  expect(crc).toBe(crc32(payload, 0, payload.length, 77));
  expect(recordBytes(payload.length)).toBe(49);
  expect(readU32(bytes, AT + 45)).toBe(crc);
  expect(bytes[AT + 49]).toBe(9);
});

test("an opening is a record that says where the log continues from", () => {
  const bytes = new Uint8Array(AT + OPENING_BYTES + 1).fill(9);
  const opening = {
    base: U53_MAX,
    syncedThrough: U53_MAX - 1,
    predecessorCrc: 123,
    previousSegment: U53_MAX - 2,
    previousEnd: U53_MAX - 3,
  };
  const crc = writeOpening(nodeChecksum, bytes, AT, SALT, opening);
  const head = readRecordHead(nodeChecksum, bytes, AT, SALT);
  expect(head).toMatchObject({
    kind: KIND_OPENING,
    payloadLength: OPENING_PAYLOAD_BYTES,
    version: opening.base,
    syncedThrough: opening.syncedThrough,
    predecessorCrc: 123,
  });
  expect(readU64(bytes, AT + 40)).toBe(opening.previousSegment);
  expect(readU64(bytes, AT + 48)).toBe(opening.previousEnd);
  expect(crc).toBe(crc32(bytes, AT + 40, AT + 56, head?.headCrc ?? 0));
  expect(readU32(bytes, AT + 56)).toBe(crc);
  expect([bytes[AT + OPENING_BYTES], OPENING_BYTES]).toEqual([9, 60]);
});
