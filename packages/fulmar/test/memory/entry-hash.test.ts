import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32 } from "../../src/base/crc.js";
import { addHash, DIGEST_WORDS, equalDigests } from "../../src/memory/digest.js";
import { createEntryHash } from "../../src/memory/entry-hash.js";
import { type EntryFields, EXPIRED, HAS_DEADLINE, TOMBSTONE } from "../../src/record/entry.js";
import { ascii, cryptography, entry, hash, ORIGIN_IDS, originTable } from "./fixtures.js";
import { wordsToBigint } from "./model.js";

function hashOf(key: string, fields: Partial<EntryFields>, of = hash): bigint {
  const words = new Uint32Array(DIGEST_WORDS);
  of(entry(ascii(key), fields), 0, words);
  return wordsToBigint(words);
}

const BASE = { value: ascii("v"), origin: 2, hlc: 7, seq: 9 };

describe("entry hash", () => {
  it("is the documented one", () => {
    const message = Buffer.alloc(4 + 3 + 16 + 8 + 8 + 4);
    message.writeUInt32LE(3, 0);
    message.write("key", 4);
    message.write(ORIGIN_IDS[1], 7, "hex");
    message.writeBigUInt64LE(9n, 23);
    message.writeBigUInt64LE(7n, 31);
    message.writeUInt32LE(crc32(ascii("v")), 39);
    const expected = createHash("sha256").update(message).digest();
    const words = new Uint32Array(DIGEST_WORDS);
    hash(entry(ascii("key"), BASE), 0, words);
    expect([...words]).toEqual([0, 4, 8, 12].map((at) => expected.readUInt32LE(at)));
  });

  it("differs with key, origin, time, number and value", () => {
    const hashes = [
      hashOf("key", BASE),
      hashOf("kez", BASE),
      hashOf("key", { ...BASE, origin: 3 }),
      hashOf("key", { ...BASE, hlc: 8 }),
      hashOf("key", { ...BASE, seq: 10 }),
      hashOf("key", { ...BASE, value: ascii("w") }),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it("is equal for an entry that expires and the tombstone that is left of it", () => {
    const valueChecksum = crc32(BASE.value);
    const swept = { ...BASE, value: new Uint8Array(), flags: TOMBSTONE | EXPIRED, valueChecksum };
    expect(hashOf("key", { ...BASE, deadline: 5 })).toBe(hashOf("key", swept));
    expect(hashOf("key", { ...swept, flags: swept.flags | HAS_DEADLINE, deadline: 8 })).toBe(
      hashOf("key", swept),
    );
  });

  it("does not depend on the numbers of origins, nor on what was hashed before", () => {
    const other = createEntryHash(cryptography, originTable([...ORIGIN_IDS].reverse()));
    const long = "x".repeat(4000);
    expect(hashOf(long, BASE)).toBe(hashOf(long, { ...BASE, origin: 3 }, other));
    expect(hashOf("", BASE)).toBe(hashOf("", { ...BASE, origin: 3 }, other));
    expect(hashOf("key", BASE)).toBe(hashOf("key", { ...BASE, origin: 3 }, other));
  });
});

describe("sums of hashes", () => {
  const word = fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0, 1, 0xffffffff, 0x80000000));
  const words = fc.tuple(word, word, word, word).map((items) => Uint32Array.from(items));

  it("carry through all four words", () => {
    fc.assert(
      fc.property(words, words, (a, b) => {
        const sum = a.slice();
        addHash(sum, b);
        expect(wordsToBigint(sum)).toBe(BigInt.asUintN(128, wordsToBigint(a) + wordsToBigint(b)));
      }),
      { numRuns: 1000 },
    );
  });

  it("are compared with their counts", () => {
    const sum = Uint32Array.of(1, 2, 3, 4);
    expect(equalDigests({ count: 1, sum }, { count: 1, sum: sum.slice() })).toBe(true);
    expect(equalDigests({ count: 1, sum }, { count: 2, sum })).toBe(false);
    expect(equalDigests({ count: 1, sum }, { count: 1, sum: Uint32Array.of(1, 2, 3, 5) })).toBe(false);
  });
});
