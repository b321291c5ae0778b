import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ORIGINS_MAX } from "../../src/base/limits.js";
import {
  checkedEntryLength,
  deadlineOf,
  ENTRY_HEADER_BYTES,
  type EntryFields,
  EVICTED,
  EXPIRED,
  entryBytes,
  entryLength,
  flagsOf,
  HAS_DEADLINE,
  hlcOf,
  isTombstone,
  keyOf,
  ORIGIN_NUMBER_MAX,
  originOf,
  seqOf,
  setOrigin,
  TOMBSTONE,
  valueChecksumOf,
  valueView,
  writeEntry,
} from "../../src/record/entry.js";
import { anyEntry, fenced, mutatedBytes } from "./arbitrary.js";

function encode(fields: EntryFields, before = 0): Uint8Array {
  const bytes = new Uint8Array(
    before + entryBytes(fields.key.length, fields.value.length, fields.flags) + 3,
  ).fill(0xaa);
  expect(writeEntry(bytes, before, fields)).toBe(bytes.length - 3);
  return bytes;
}

describe("an entry", () => {
  it("comes back field by field, from anywhere in an array", () => {
    fc.assert(
      fc.property(anyEntry, fc.nat(9), (fields, at) => {
        const bytes = encode(fields, at);
        const length = bytes.length - 3 - at;
        expect([entryLength(bytes, at), checkedEntryLength(bytes, at, bytes.length)]).toEqual([
          length,
          length,
        ]);
        expect({
          key: keyOf(bytes, at),
          value: new Uint8Array(valueView(bytes, at)),
          flags: flagsOf(bytes, at),
          origin: originOf(bytes, at),
          hlc: hlcOf(bytes, at),
          seq: seqOf(bytes, at),
          deadline: deadlineOf(bytes, at),
          valueChecksum: valueChecksumOf(bytes, at),
        }).toEqual({
          ...fields,
          deadline: fields.flags & HAS_DEADLINE ? fields.deadline : Number.POSITIVE_INFINITY,
        });
        expect(isTombstone(bytes, at)).toBe((fields.flags & TOMBSTONE) !== 0);
        expect(
          [...bytes.subarray(0, at), ...bytes.subarray(at + length)].every((byte) => byte === 0xaa),
        ).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("changes nothing but its origin when that is renumbered", () => {
    fc.assert(
      fc.property(anyEntry, fc.nat(ORIGIN_NUMBER_MAX), (fields, origin) => {
        const bytes = encode(fields);
        setOrigin(bytes, 0, origin);
        expect(bytes).toEqual(encode({ ...fields, origin }));
      }),
    );
  });

  it("takes no number of an origin that its field cannot hold", () => {
    const bytes = encode(fieldsOf({ origin: ORIGIN_NUMBER_MAX }));
    expect(originOf(bytes, 0)).toBe(ORIGIN_NUMBER_MAX);
    expect(() => setOrigin(bytes, 0, ORIGIN_NUMBER_MAX + 1)).toThrow(/24 bits/);
    expect(() => encode(fieldsOf({ origin: ORIGIN_NUMBER_MAX + 1 }))).toThrow(/24 bits/);
    expect(ORIGINS_MAX).toBeLessThanOrEqual(ORIGIN_NUMBER_MAX);
  });

  it("gives its key as a copy, even out of a Buffer", () => {
    const bytes = Buffer.from(encode(fieldsOf({})));
    const key = keyOf(bytes, 0);
    bytes.fill(0);
    expect(key).toEqual(Uint8Array.of(7, 8));
  });
});

describe("checkedEntryLength", () => {
  it("refuses an entry that lacks its last byte", () => {
    fc.assert(
      fc.property(anyEntry, (fields) => {
        const bytes = encode(fields);
        const length = bytes.length - 3;
        for (let end = 0; end < length; end++) expect(checkedEntryLength(bytes, 0, end)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it.each<[string, (bytes: Uint8Array) => void]>([
    ["an unknown flag", (bytes) => bytes.set([16], 2)],
    ["an evicted entry that is no tombstone", (bytes) => bytes.set([EVICTED], 2)],
    ["an expired entry that is no tombstone", (bytes) => bytes.set([EXPIRED], 2)],
    ["a tombstone with a value", (bytes) => bytes.set([TOMBSTONE], 2)],
    ["a time of 2^53", (bytes) => bytes.set([0, 0, 0, 0, 0, 0, 32], 14)],
    ["a sequence number of 2^53", (bytes) => bytes.set([0, 0, 0, 0, 0, 0, 32], 21)],
  ])("refuses %s", (_name, spoil) => {
    const bytes = encode(fieldsOf({}));
    expect(checkedEntryLength(bytes, 0, bytes.length)).toBeGreaterThan(0);
    spoil(bytes);
    expect(checkedEntryLength(bytes, 0, bytes.length)).toBe(0);
  });

  it("refuses a deadline of 2^53", () => {
    const bytes = encode(fieldsOf({ flags: HAS_DEADLINE }));
    bytes.set([0, 0, 0, 0, 0, 0, 32], ENTRY_HEADER_BYTES);
    expect(checkedEntryLength(bytes, 0, bytes.length)).toBe(0);
  });

  it("never throws and never looks beyond the end, whatever the bytes", () => {
    const start = anyEntry.map((fields) => encode(fields));
    fc.assert(
      fc.property(mutatedBytes(start), fc.nat(40), (bytes, at) => {
        const end = bytes.length;
        const length = checkedEntryLength(fenced(bytes, end), Math.min(at, end), end);
        expect(length).toBeLessThanOrEqual(end - Math.min(at, end));
      }),
      { numRuns: 3000 },
    );
  });
});

function fieldsOf(changes: Partial<EntryFields>): EntryFields {
  const key = Uint8Array.of(7, 8);
  const value = Uint8Array.of(1);
  return { key, value, flags: 0, origin: 1, hlc: 5, seq: 6, deadline: 9, valueChecksum: 3, ...changes };
}
