import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
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
    records,
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

/** Does work for which only so many more arrays are granted; whether it needed one more. */
function withoutMemory(granted: number, work: () => void): boolean {
  let left = granted;
  const Own = Uint32Array;
  const construct = (target: typeof Uint32Array, args: unknown[]): object => {
    if (left-- === 0) throw new RangeError("Array buffer allocation failed");
    return Reflect.construct(target, args) as object;
  };
  vi.stubGlobal("Uint32Array", new Proxy(Own, { construct }));
  try {
    work();
    return false;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return true;
  } finally {
    vi.unstubAllGlobals();
  }
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
    // 61 keys fit seven groups; in between there is the next table as well.
    expect(bytesMax).toBeLessThan(64 * 40);
  });

  it("finds every key through any additions and removals", () => {
    const dice = fc.tuple(fc.nat(9), fc.nat(999));
    fc.assert(
      fc.property(fc.array(dice, { minLength: 300, maxLength: 600, size: "max" }), (steps) => {
        const { index, find, locate, add } = setUp(sizes);
        const refs = new Map<number, number>();
        for (const [i, [kind, key]] of steps.entries()) {
          const isGrowing = kind < (Math.floor(i / 150) % 2 === 0 ? 9 : 3);
          const chosen = isGrowing ? key : [...refs.keys()][key % Math.max(1, refs.size)];
          if (isGrowing && !refs.has(key)) refs.set(key, add(key));
          if (!isGrowing && chosen !== undefined) {
            expect(locate(chosen)).toBe(refs.get(chosen));
            index.remove();
            refs.delete(chosen);
          }
          for (const [other, ref] of refs) if (find(other) !== ref) expect.fail(`key ${other} at step ${i}`);
        }
        index.verify();
        expect(index.size).toBe(refs.size);
      }),
      { numRuns: 30 },
    );
  });

  it("keeps every key where it is found when there is no memory to grow, and grows once there is", () => {
    const { index, record, find, locate } = setUp(sizes);
    const refs = Array.from({ length: 300 }, (_, i) => record(i));
    let refused = 0;
    /** Every allocation for a change fails once, also the second, the third and so on of one change. */
    const changed = (change: () => void, check: () => void): void => {
      for (let granted = 0; ; granted++) {
        const failed = withoutMemory(granted, change);
        if (!failed) return;
        refused++;
        index.verify();
        check();
      }
    };
    const findsFirst = (count: number) => (): void => {
      for (let i = 0; i < count; i++) if (find(i) !== refs[i]) expect.fail(`key ${i}`);
      expect(find(count)).toBe(0);
    };
    for (let i = 0; i < refs.length; i++) {
      changed(() => {
        expect(locate(i)).toBe(0);
        index.add(refs[i]);
      }, findsFirst(i));
    }
    expect(refused).toBeGreaterThan(20);
    for (let i = refs.length - 1; i >= 0; i--) {
      changed(
        () => expect(locate(i)).toBe(refs[i]),
        () => expect(find(i)).toBe(refs[i]),
      );
      index.remove();
      findsFirst(i)();
    }
    expect(index.size).toBe(0);
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
  /** Tables of eight groups, each with room for fifteen keys and in a chunk of its own; one is moved by each change. */
  const sizes = { ...SMALL, hashGroupsMin: 8, hashChunkGroups: 4, hashStepGroups: 1 };
  const hash = new KeyHash([1, 2]);
  const key = (i: number): Uint8Array => ascii(`key ${i}`);
  const homeOf = (i: number, groups: number): number =>
    Math.floor(((hash.of(key(i), 0, key(i).length) >>> 0) * groups) / 2 ** 32);

  it("finds keys that passed full groups, around the end of a table, while these come, go and are moved", () => {
    const { index, find, locate, add } = setUp(sizes);
    // The last two groups get three times the keys that they have room for; others fill the table up.
    const last = Array.from({ length: 2000 }, (_, i) => i).filter((i) => homeOf(i, 8) >= 6);
    const others = Array.from({ length: 2000 }, (_, i) => i).filter((i) => homeOf(i, 8) < 6);
    const refs = new Map<number, number>();
    const check = (): void => {
      index.verify();
      for (const [i, ref] of refs) expect(find(i)).toBe(ref);
      expect(index.size).toBe(refs.size);
    };
    for (const i of [...last.slice(0, 90), ...others.slice(0, 18)]) refs.set(i, add(i));
    check();
    // From here on a new table takes over, group after group; the overfull ones gain and lose keys meanwhile.
    for (let step = 0; step < 12; step++) {
      for (const i of [last[100 + step], others[80 + step]]) refs.set(i, add(i));
      expect(locate(last[3 * step])).toBe(refs.get(last[3 * step]));
      index.remove();
      refs.delete(last[3 * step]);
      check();
    }
  });

  it("takes keys of one hash, though they fill the whole table", () => {
    const { index, find, add } = setUp({ ...sizes, hashGroupsMin: 2 });
    const alike = Array.from({ length: 20_000 }, (_, i) => i).filter((i) => homeOf(i, 512) === 300);
    const refs = alike.slice(0, 45).map((i) => add(i));
    index.verify();
    for (const [at, ref] of refs.entries()) expect(find(alike[at])).toBe(ref);
  });

  it("spreads out the work of growing: a thousand writes in a row move no more than fifteen thousand keys", () => {
    const { index, record, records } = setUp({});
    let moved = 0;
    const { touch } = records;
    // A group is read ahead before its keys are moved.
    records.touch = (refs, count) => {
      moved += count;
      return touch.call(records, refs, count);
    };
    let movedMax = 0;
    for (let i = 0; i < 200_000; i++) {
      if (i % 1000 === 0) moved = 0;
      const start = key(i);
      index.locate(start, 0, start.length);
      index.add(record(i));
      // Before that parts are so small that a thousand writes replace the tables of all.
      if (i >= 30_000) movedMax = Math.max(movedMax, moved);
    }
    expect(movedMax).toBeGreaterThan(1000);
    // With one table for all it would be forty thousand.
    expect(movedMax).toBeLessThan(15_000);
    index.verify();
  });

  it("makes different room for announced keys in each part, so that these do not grow together", () => {
    const { index, record, records } = setUp({});
    index.announce(100_000);
    const hashes = Uint32Array.from({ length: 100_000 }, (_, i) => index.hashOf(key(i), 0, key(i).length));
    index.appendAll(
      hashes,
      Uint32Array.from(hashes, (_, i) => record(i)),
      hashes.length,
    );
    expect(index.allocatedBytes / index.size).toBeLessThan(7);
    const before = index.allocatedBytes;
    let moved = 0;
    records.touch = (_, count) => {
      moved += count;
      return 0;
    };
    let movedMax = 0;
    for (let i = 100_000; i < 130_000; i++) {
      if (i % 1000 === 0) moved = 0;
      index.locate(key(i), 0, key(i).length);
      index.add(record(i));
      movedMax = Math.max(movedMax, moved);
    }
    expect(index.allocatedBytes).toBeGreaterThan(before);
    expect(movedMax).toBeLessThan(15_000);
    index.verify();
  });

  it("uses three quarters of its memory on average, whatever the number of keys", () => {
    const { index, record } = setUp({});
    let sum = 0;
    let count = 0;
    for (let i = 0; i < 30_000; i++) {
      const start = ascii(`key ${i}`);
      expect(index.locate(start, 0, start.length)).toBe(0);
      index.add(record(i));
      if (i < 3000) continue;
      sum += index.allocatedBytes / index.size;
      count++;
    }
    expect(sum / count).toBeLessThan(7.3);
  });

  it.each([0, 1, 31, 32, 33, 500, 5000])("takes %i appended keys, announced or not", (count) => {
    for (const announced of [undefined, 0, 7, count, 10 * count]) {
      const { index, record, find, add } = setUp(sizes);
      if (announced !== undefined) index.announce(announced);
      const refs = Array.from({ length: count }, (_, i) => record(i));
      const hashes = refs.map((_, i) => index.hashOf(key(i), 0, key(i).length));
      index.appendAll(Uint32Array.from(hashes), Uint32Array.from(refs), count);
      expect(index.size).toBe(count);
      // Room for all was made at once, and is still there.
      if (announced === 10 * count) expect(index.allocatedBytes).toBeGreaterThan(count * 10);
      index.verify();
      for (const [i, ref] of refs.entries()) expect(find(i)).toBe(ref);
      expect(find(count)).toBe(0);
      add(count);
      index.verify();
    }
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
        expect(hash.of(bytes, 1, length + 1) >>> 0).toBe(reference(bytes.subarray(1, length + 1), secret));
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
