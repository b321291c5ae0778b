import fc from "fast-check";
import { expect, it } from "vitest";
import { entryBytes, HAS_DEADLINE, writeEntry } from "../../src/record/entry.js";
import {
  hasDeadlineIn,
  hlcIn,
  keyLengthIn,
  originIn,
  seqIn,
  valueLengthIn,
} from "../../src/record/entry-words.js";
import { anyEntry } from "./arbitrary.js";

it("gives the numbers of an entry by words, from any word of an array", () => {
  fc.assert(
    fc.property(anyEntry, fc.nat(5), (fields, at) => {
      const length = entryBytes(fields.key.length, fields.value.length, fields.flags);
      const words = new Uint32Array(at + Math.ceil(length / 4)).fill(0xaaaaaaaa);
      writeEntry(new Uint8Array(words.buffer), 4 * at, fields);
      expect({
        keyLength: keyLengthIn(words, at),
        valueLength: valueLengthIn(words, at),
        hasDeadline: hasDeadlineIn(words, at),
        origin: originIn(words, at),
        hlc: hlcIn(words, at),
        seq: seqIn(words, at),
      }).toEqual({
        keyLength: fields.key.length,
        valueLength: fields.value.length,
        hasDeadline: (fields.flags & HAS_DEADLINE) !== 0,
        origin: fields.origin,
        hlc: fields.hlc,
        seq: fields.seq,
      });
    }),
  );
});

it("gives lengths of 32 bits and numbers of 53 without loss", () => {
  const bytes = new Uint8Array(28).fill(255);
  const words = new Uint32Array(bytes.buffer);
  bytes[20] = 31;
  bytes[27] = 31;
  expect([keyLengthIn(words, 0), valueLengthIn(words, 0), originIn(words, 0)]).toEqual([
    2 ** 16 - 1,
    2 ** 32 - 1,
    2 ** 24 - 1,
  ]);
  expect([hlcIn(words, 0), seqIn(words, 0)]).toEqual([Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
});
