import { describe, expect, it } from "vitest";
import { HashIndex } from "../../../src/memory/offheap/hash-index.js";
import { KeyHash } from "../../../src/memory/offheap/key-hash.js";
import { Records } from "../../../src/memory/offheap/records.js";
import { DEFAULT_SHAPE, type EngineShape } from "../../../src/memory/offheap/shape.js";
import { ascii, bytesOf, entry } from "../fixtures.js";
import { SMALL, SMALLEST } from "./shapes.js";

function setUp(sizes: Partial<EngineShape>) {
  const shape = { ...DEFAULT_SHAPE, ...sizes };
  const records = new Records(shape);
  const index = new HashIndex(records, shape, [1, 2]);
  const key = (i: number): Uint8Array => ascii(`key ${i}`);
  const record = (i: number): number => {
    const bytes = entry(key(i));
    return records.add(1, 0, bytes, 0, bytes.length);
  };
  return {
    index,
    record,
    find: (i: number): number => index.find(key(i), 0, key(i).length),
    locate: (i: number): number => index.locate(key(i), 0, key(i).length),
    add(i: number): number {
      const ref = record(i);
      expect(index.locate(key(i), 0, key(i).length)).toBe(0);
      index.add(ref);
      return ref;
    },
  };
}

describe.each([
  ["small", SMALL],
  ["smallest", SMALLEST],
])("hash index, %s sizes", (_, sizes) => {
  it("finds every key, and no other, at every step of growing and shrinking", () => {
    const { index, find, locate, add } = setUp(sizes);
    const refs: number[] = [];
    for (let i = 0; i < 400; i++) {
      refs.push(add(i));
      for (let j = 0; j <= i; j += 1 + (i % 7)) expect(find(j)).toBe(refs[j]);
      expect([find(i), find(i + 1)]).toEqual([refs[i], 0]);
      index.verify();
    }
    const full = index.allocatedBytes;
    for (let i = 0; i < 400; i++) {
      expect(locate(i)).toBe(refs[i]);
      index.remove();
      expect(find(i)).toBe(0);
      for (let j = i + 1; j < 400; j += 1 + (i % 7)) expect(find(j)).toBe(refs[j]);
      index.verify();
    }
    for (let i = 0; i < 400; i++) expect(locate(i)).toBe(0);
    expect(index.size).toBe(0);
    expect(index.allocatedBytes).toBeLessThan(full / 8);
  });

  it("stays small and right when the same few keys come and go for ever", () => {
    const { index, find, locate, add } = setUp(sizes);
    const refs = new Map<number, number>();
    let bytesMax = 0;
    for (let i = 0; i < 5000; i++) {
      const key = (i * 7919) % 61;
      const ref = locate(key);
      expect(ref).toBe(refs.get(key) ?? 0);
      if (ref === 0) refs.set(key, add(key));
      else {
        index.remove();
        refs.delete(key);
      }
      bytesMax = Math.max(bytesMax, index.allocatedBytes);
      if (i % 50 === 0) {
        index.verify();
        for (let other = 0; other < 61; other++) expect(find(other)).toBe(refs.get(other) ?? 0);
      }
    }
    expect(bytesMax).toBeLessThan(5 * 3 * 256 + 100);
  });

  it("replaces records while they are moved", () => {
    const { index, record, find, locate, add } = setUp(sizes);
    const refs: number[] = [];
    for (let i = 0; i < 300; i++) {
      refs.push(add(i));
      const other = (i * 31) % refs.length;
      expect(locate(other)).toBe(refs[other]);
      refs[other] = record(other);
      index.replace(refs[other]);
      for (const [j, ref] of refs.entries()) expect(find(j)).toBe(ref);
    }
  });
});

describe("hash index", () => {
  it("finds what lies around the end of a table, while its beginning is moved away and keys go", () => {
    const shape = { ...DEFAULT_SHAPE, ...SMALLEST, hashSlotsMin: 8, hashChunkSlots: 4, hashStepSlots: 4 };
    const records = new Records(shape);
    const index = new HashIndex(records, shape, [1, 2]);
    const hash = new KeyHash([1, 2]);
    const isLast = (key: Uint8Array): boolean => (hash.of(key, 0, key.length) & 7) === 7;
    const keys = Array.from({ length: 200 }, (_, i) => ascii(`key ${i}`)).filter(isLast);
    // Six keys whose place is the last slot: the others lie in the first five.
    const refs = keys.slice(0, 6).map((key) => {
      const bytes = entry(key);
      const ref = records.add(1, 0, bytes, 0, bytes.length);
      index.locate(key, 0, key.length);
      index.add(ref);
      return ref;
    });
    // One change begins a new table, the next moves the first four slots and removes the key of the last.
    expect(index.locate(keys[6], 0, keys[6].length)).toBe(0);
    expect(index.locate(keys[0], 0, keys[0].length)).toBe(refs[0]);
    index.remove();
    const found = refs.map((_, i) => index.find(keys[i], 0, keys[i].length));
    expect(found).toEqual([0, ...refs.slice(1)]);
    index.verify();
  });
});

describe("key hash", () => {
  it("is HalfSipHash-1-3", () => {
    const lengths = [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 255, 256, 300];
    for (const secret of [
      [0, 0],
      [1, 2],
      [0xffffffff, 0x80000000],
    ] as const) {
      const hash = new KeyHash(secret);
      for (const length of lengths) {
        const bytes = bytesOf(...Array.from({ length: length + 2 }, (_, i) => (i * 37 + 250) & 255));
        expect(hash.of(bytes, 1, length + 1)).toBe(reference(bytes.subarray(1, length + 1), secret));
      }
    }
  });

  it("differs with the secret", () => {
    const of = (secret: readonly [number, number]): number => new KeyHash(secret).of(ascii("key"), 0, 3);
    expect(new Set([of([0, 0]), of([1, 0]), of([0, 1])]).size).toBe(3);
  });
});

/** As the paper tells it, with big integers. */
function reference(bytes: Uint8Array, secret: readonly [number, number]): number {
  const u32 = (value: bigint): bigint => BigInt.asUintN(32, value);
  const rotate = (value: bigint, by: bigint): bigint => u32(value << by) | (value >> (32n - by));
  const [k0, k1] = secret.map(BigInt);
  let [v0, v1, v2, v3] = [k0, k1, 0x6c796765n ^ k0, 0x74656462n ^ k1];
  const round = (): void => {
    v0 = u32(v0 + v1);
    v1 = rotate(v1, 5n) ^ v0;
    v0 = rotate(v0, 16n);
    v2 = u32(v2 + v3);
    v3 = rotate(v3, 8n) ^ v2;
    v0 = u32(v0 + v3);
    v3 = rotate(v3, 7n) ^ v0;
    v2 = u32(v2 + v1);
    v1 = rotate(v1, 13n) ^ v2;
    v2 = rotate(v2, 16n);
  };
  const padded = new Uint8Array(Math.floor(bytes.length / 4) * 4 + 4);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length;
  for (let at = 0; at < padded.length; at += 4) {
    const word = BigInt(new DataView(padded.buffer).getUint32(at, true));
    v3 ^= word;
    round();
    v0 ^= word;
  }
  v2 ^= 0xffn;
  for (let i = 0; i < 3; i++) round();
  return Number(v1 ^ v3);
}
