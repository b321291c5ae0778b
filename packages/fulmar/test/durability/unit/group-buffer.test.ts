import { describe, expect, test } from "vitest";
import { readU32 } from "../../../src/base/bytes.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { GroupBuffer, type GroupEnd } from "../../../src/durability/group-buffer.js";
import {
  DEFINITION_BYTES,
  KIND_COMMIT,
  KIND_OPENING,
  OPENING_BYTES,
  RECORD_HEAD_BYTES,
  RECORD_TAIL_BYTES,
  type RecordHead,
  readRecordHead,
} from "../../../src/durability/segment-format.js";
import { OriginTable, originFromBytes } from "../../../src/record/origins.js";
import { scarcity } from "../../memory/scarce.js";

const SALT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const [ADA, BOB] = ["a".repeat(32), "b".repeat(32)];
const LEAST_BYTES = 16 * 1024;
const KEPT_BYTES = 1024 * 1024;
const OVERHEAD_BYTES = RECORD_HEAD_BYTES + 4 + RECORD_TAIL_BYTES;

interface Found {
  readonly head: RecordHead;
  readonly crc: number;
  readonly origins: Readonly<Record<number, string>>;
  readonly commit: Uint8Array;
}

/** Reads a group as a reader of the log would. */
function records(content: Uint8Array): Found[] {
  const found: Found[] = [];
  for (let at = 0; at < content.length; ) {
    const head = readRecordHead(nodeChecksum, content, at, SALT);
    if (head === undefined) throw new Error(`no record at ${at}`);
    const payload = at + RECORD_HEAD_BYTES;
    const end = payload + head.payloadLength;
    const crc = readU32(content, end);
    expect(crc).toBe(nodeChecksum.crc32(content, payload, end, head.headCrc));
    const count = head.kind === KIND_COMMIT ? readU32(content, payload) : 0;
    const origins: Record<number, string> = {};
    for (let i = 0; i < count; i++) {
      const definition = payload + 4 + i * DEFINITION_BYTES;
      origins[readU32(content, definition)] = originFromBytes(content, definition + 4);
    }
    const commit = content.slice(payload + 4 + count * DEFINITION_BYTES, end);
    found.push({ head, crc, origins, commit });
    at = end + RECORD_TAIL_BYTES;
  }
  return found;
}

function add(group: GroupBuffer, version: number, commit: Uint8Array, syncedThrough = 0): void {
  const { bytes, at } = group.begin(SALT, version, syncedThrough, commit.length);
  bytes.set(commit, at);
  group.end();
}

function newGroup(crc = 99, version = 10): { group: GroupBuffer; origins: OriginTable } {
  const origins = new OriginTable();
  origins.intern(ADA);
  return { group: new GroupBuffer(nodeChecksum, origins, crc, version), origins };
}

const filledWith = (value: number, bytes: number): Uint8Array => new Uint8Array(bytes).fill(value);

describe("a group", () => {
  test("is empty at first, and knows the record before it", () => {
    const { group } = newGroup();
    expect([group.filled, group.commits, group.crc, group.version]).toEqual([0, 0, 99, 10]);
    expect(group.content.length).toBe(0);
  });

  test("holds records that name each other", () => {
    const { group } = newGroup();
    add(group, 11, filledWith(1, 3), 5);
    add(group, 15, filledWith(2, 0), 6);
    const [first, second] = records(group.content);
    expect(first.head).toMatchObject({
      kind: KIND_COMMIT,
      version: 11,
      syncedThrough: 5,
      predecessorCrc: 99,
    });
    expect(second.head).toMatchObject({ version: 15, syncedThrough: 6, predecessorCrc: first.crc });
    expect([first.commit, second.commit]).toEqual([filledWith(1, 3), filledWith(2, 0)]);
    expect([group.commits, group.version, group.crc]).toEqual([2, 15, second.crc]);
    expect(group.filled).toBe(2 * OVERHEAD_BYTES + DEFINITION_BYTES + 3);
  });

  test("defines each origin once, in the first record after it came", () => {
    const { group, origins } = newGroup();
    expect(group.recordBytes(7)).toBe(OVERHEAD_BYTES + DEFINITION_BYTES + 7);
    add(group, 11, filledWith(1, 7));
    expect(group.recordBytes(7)).toBe(OVERHEAD_BYTES + 7);
    add(group, 12, filledWith(2, 7));
    origins.intern(BOB);
    expect(group.recordBytes(7)).toBe(OVERHEAD_BYTES + DEFINITION_BYTES + 7);
    add(group, 13, filledWith(3, 7));
    expect(records(group.content).map((record) => record.origins)).toEqual([{ 1: ADA }, {}, { 2: BOB }]);
  });

  test("keeps nothing of a record that was abandoned, origins that it defined included", () => {
    const { group, origins } = newGroup();
    group.begin(SALT, 11, 0, 7);
    group.abandon();
    expect([group.filled, group.commits, group.crc, group.version]).toEqual([0, 0, 99, 10]);
    add(group, 12, filledWith(1, 7));
    origins.intern(BOB);
    group.begin(SALT, 13, 0, 70);
    group.abandon();
    expect([group.commits, group.version]).toEqual([1, 12]);
    add(group, 14, filledWith(2, 7));
    const found = records(group.content);
    expect(found.map(({ head }) => head.version)).toEqual([12, 14]);
    expect(found.map((record) => record.origins)).toEqual([{ 1: ADA }, { 2: BOB }]);
    expect(found[1].head.predecessorCrc).toBe(found[0].crc);
  });

  test("knows whether a record has begun", () => {
    const { group } = newGroup();
    expect(group.isOpen).toBe(false);
    group.begin(SALT, 11, 0, 7);
    expect(group.isOpen).toBe(true);
    group.end();
    expect(group.isOpen).toBe(false);
    group.begin(SALT, 12, 0, 7);
    group.abandon();
    expect(group.isOpen).toBe(false);
  });

  test("in a new segment begins with an opening and defines every origin again", () => {
    const { group } = newGroup();
    add(group, 11, filledWith(1, 7));
    const { crc } = group;
    group.clear();
    group.open(SALT, 4, 8, 900);
    expect([group.filled, group.commits, group.version]).toEqual([OPENING_BYTES, 0, 11]);
    add(group, 12, filledWith(2, 7));
    const [opening, commit] = records(group.content);
    expect(opening.head).toMatchObject({
      kind: KIND_OPENING,
      version: 11,
      syncedThrough: 4,
      predecessorCrc: crc,
    });
    expect(commit.head.predecessorCrc).toBe(opening.crc);
    expect(commit.origins).toEqual({ 1: ADA });
  });

  test("that is cleared goes on from its last record", () => {
    const { group } = newGroup();
    add(group, 11, filledWith(1, 7));
    const { crc } = group;
    group.clear();
    expect([group.filled, group.commits, group.crc, group.version]).toEqual([0, 0, crc, 11]);
    add(group, 12, filledWith(2, 7));
    const [record] = records(group.content);
    expect(record.head.predecessorCrc).toBe(crc);
    expect(record.origins).toEqual({});
  });

  test("that is rewound goes on from an earlier record and defines its origins anew", () => {
    const { group } = newGroup();
    add(group, 11, filledWith(1, 7));
    group.rewind(55, 3);
    expect([group.filled, group.commits, group.crc, group.version]).toEqual([0, 0, 55, 3]);
    add(group, 12, filledWith(2, 7));
    const [record] = records(group.content);
    expect(record.head.predecessorCrc).toBe(55);
    expect(record.origins).toEqual({ 1: ADA });
  });
});

describe("what part of a group is whole", () => {
  test("when only so many bytes of it were written", () => {
    const { group } = newGroup();
    group.open(SALT, 0, 1, 2);
    const before: GroupEnd = { bytes: 0, commits: 0, version: 10, crc: 99 };
    const ends: GroupEnd[] = [before, { bytes: OPENING_BYTES, commits: 0, version: 10, crc: group.crc }];
    for (let i = 0; i < 3; i++) {
      add(group, 11 + 2 * i, filledWith(i, 10 * i));
      ends.push({ bytes: group.filled, commits: i + 1, version: 11 + 2 * i, crc: group.crc });
    }
    for (let bytes = 0; bytes <= group.filled; bytes++) {
      const expected = ends.findLast((end) => end.bytes <= bytes);
      expect(group.wholeWithin(bytes, before), `${bytes} bytes`).toEqual(expected);
    }
  });

  test("nothing of an empty one, whatever its memory holds of an earlier one", () => {
    const { group } = newGroup();
    add(group, 11, filledWith(1, 7));
    group.clear();
    const before: GroupEnd = { bytes: 0, commits: 0, version: 11, crc: 1 };
    expect(group.wholeWithin(1000, before)).toBe(before);
  });
});

describe("the memory of a group", () => {
  /** Begins and ends a record, and returns how much memory the group has then. */
  function memoryWith(group: GroupBuffer, version: number, commitBytes: number): number {
    const { bytes } = group.begin(SALT, version, 0, commitBytes);
    group.end();
    return bytes.length;
  }
  const first = OVERHEAD_BYTES + DEFINITION_BYTES;

  test("grows when a record does not fit, not before, and keeps what is in it", () => {
    const { group } = newGroup();
    expect(memoryWith(group, 11, LEAST_BYTES - first)).toBe(LEAST_BYTES);
    expect(memoryWith(group, 12, 0)).toBe(2 * LEAST_BYTES);
    expect(records(group.content).map(({ head }) => head.version)).toEqual([11, 12]);
  });

  test("is exactly what a huge record needs, and given back when the group is empty", () => {
    const { group } = newGroup();
    memoryWith(group, 11, 4 * KEPT_BYTES - first);
    const needed = group.filled + OVERHEAD_BYTES;
    expect(memoryWith(group, 12, 0)).toBe(needed + KEPT_BYTES);
    group.clear();
    expect(memoryWith(group, 13, 0)).toBe(LEAST_BYTES);
  });

  test("is given back where there is none for a smaller one", () => {
    const { group } = newGroup();
    memoryWith(group, 11, 4 * KEPT_BYTES);
    const scarce = scarcity(0);
    group.clear();
    expect(() => group.begin(SALT, 12, 0, 0)).toThrow("allocation failed");
    scarce.end();
    expect(memoryWith(group, 12, 0)).toBe(LEAST_BYTES);
    expect(records(group.content).map(({ head }) => head.version)).toEqual([12]);
  });

  test("is kept for the next group while it is small", () => {
    const { group } = newGroup();
    expect(memoryWith(group, 11, KEPT_BYTES - first)).toBe(KEPT_BYTES);
    group.clear();
    expect(memoryWith(group, 12, 0)).toBe(KEPT_BYTES);
  });
});
