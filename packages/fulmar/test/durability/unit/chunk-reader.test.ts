import { describe, expect, test } from "vitest";
import type { FileHandle } from "../../../src/base/runtime/interface.js";
import { CHUNK_BYTES, ChunkReader } from "../../../src/durability/chunk-reader.js";

const KIB = 1024;
const HEADROOM_BYTES = 256 * KIB;
const FILE = Uint8Array.from({ length: 6 * CHUNK_BYTES }, (_, i) => (i * 31 + (i >>> 8)) & 255);

/** A reader of a file of this size that writes down each read: where, and how much. */
function readerOf(sizeBytes: number, readsAhead = false) {
  const reads: (readonly [position: number, length: number])[] = [];
  const read = async (target: Uint8Array, position: number): Promise<number> => {
    reads.push([position, target.length]);
    const part = FILE.subarray(position, Math.min(sizeBytes, position + target.length));
    target.set(part);
    return part.length;
  };
  const reader = new ChunkReader({ path: "file", read } as unknown as FileHandle, sizeBytes, readsAhead);
  return { reader, reads };
}

/** Loads, and compares the ends of what was loaded. */
async function load(reader: ChunkReader, position: number, length: number): Promise<void> {
  const at = await reader.load(position, length);
  expect(at).toBeGreaterThanOrEqual(0);
  expect(reader.index(position, length)).toBe(at);
  expect(reader.bytes.length).toBeGreaterThanOrEqual(at + length);
  for (const i of [0, length >> 1, length - 1]) expect(reader.bytes[at + i]).toBe(FILE[position + i]);
}

describe("a reader of chunks", () => {
  test("reads a chunk, or what there is, and gives from it what is asked for", async () => {
    const { reader, reads } = readerOf(5000);
    expect(reader.index(0, 1)).toBe(-1);
    expect(reader.bytes.length).toBe(5000);
    await load(reader, 10, 20);
    expect(reads).toEqual([[10, 4990]]);
    await load(reader, 10, 4990);
    expect(reader.index(9, 1)).toBe(-1);
    expect(reader.index(4999, 1)).toBe(4989);
    expect(reader.index(4999, 2)).toBe(-1);
    expect(reads).toHaveLength(1);
  });

  test("has nothing behind the end of the file, and does not look there", async () => {
    const { reader, reads } = readerOf(5000);
    expect(await reader.load(0, 5001)).toBe(-1);
    expect(await reader.load(4999, 2)).toBe(-1);
    expect(await reader.load(6000, 1)).toBe(-1);
    expect(reads).toEqual([]);
    await load(reader, 0, 5000);
  });

  test("shows what is there, and no more, and nothing behind the end of the file", async () => {
    const { reader } = readerOf(5000);
    expect(await reader.view(0, 10)).toEqual(FILE.subarray(0, 10));
    expect(await reader.view(4990, 10)).toEqual(FILE.subarray(4990, 5000));
    expect(await reader.view(4991, 10)).toBeUndefined();
  });

  test("finds what is needed, at the start of its memory too, or says that the file is damaged", async () => {
    const { reader } = readerOf(5000);
    expect(await reader.need(0, 10)).toBe(0);
    expect(await reader.need(7, 10)).toBe(7);
    const damaged = { code: "CORRUPT", details: { file: "file", offset: 4995 } };
    await expect(reader.need(4995, 6)).rejects.toMatchObject(damaged);
  });

  test("reads the rest of what begins where its memory does, in the same memory if that is large enough", async () => {
    const { reader, reads } = readerOf(2 * CHUNK_BYTES + 100);
    await load(reader, 0, 10);
    await load(reader, 0, CHUNK_BYTES + 10);
    expect(reads).toEqual([
      [0, CHUNK_BYTES],
      [CHUNK_BYTES, 10],
    ]);
    const other = readerOf(2 * CHUNK_BYTES + 100);
    const { buffer } = other.reader.bytes;
    // Another chunk is as long; the end of the file is far shorter.
    for (const position of [0, CHUNK_BYTES, 2 * CHUNK_BYTES]) await load(other.reader, position, 10);
    expect(other.reader.bytes.buffer).toBe(buffer);
    expect(other.reads.map(([, length]) => length)).toEqual([CHUNK_BYTES, CHUNK_BYTES, 100]);
  });

  test("does not read ahead unless it is told to", async () => {
    const reads: number[] = [];
    const read = async (target: Uint8Array, position: number): Promise<number> => {
      reads.push(position);
      return target.length;
    };
    const reader = new ChunkReader({ path: "file", read } as unknown as FileHandle, 4 * CHUNK_BYTES);
    await reader.load(0, 10);
    expect(reads).toEqual([0]);
  });

  test("says so when the file became shorter", async () => {
    const { handle } = { handle: { path: "file", read: () => Promise.resolve(0) } as unknown as FileHandle };
    expect(await new ChunkReader(handle, 100).load(0, 10)).toBe(-1);
  });

  test("keeps what was not used yet, and reads only the rest", async () => {
    const { reader, reads } = readerOf(3 * CHUNK_BYTES);
    await load(reader, 0, 10);
    await load(reader, CHUNK_BYTES - 100, 200);
    await load(reader, CHUNK_BYTES - 50, 100);
    expect(reads).toEqual([
      [0, CHUNK_BYTES],
      [CHUNK_BYTES, CHUNK_BYTES - 100],
    ]);
    // What follows at once is not kept, and nothing of what comes before.
    await load(reader, 2 * CHUNK_BYTES - 100, 7);
    await load(reader, CHUNK_BYTES - 101, 7);
    expect(reads.slice(2)).toEqual([
      [2 * CHUNK_BYTES - 100, CHUNK_BYTES],
      [CHUNK_BYTES - 101, CHUNK_BYTES],
    ]);
  });

  test("takes as much memory as a long record needs, and gives it back when that is four times too much", async () => {
    const { reader } = readerOf(6 * CHUNK_BYTES);
    expect(reader.bytes.length).toBe(CHUNK_BYTES);
    await load(reader, 0, CHUNK_BYTES + 1);
    expect(reader.bytes.length).toBe(CHUNK_BYTES + 1);
    await load(reader, CHUNK_BYTES, 4 * CHUNK_BYTES);
    expect(reader.bytes.length).toBe(4 * CHUNK_BYTES);
    await load(reader, 0, 10);
    expect(reader.bytes.length).toBe(4 * CHUNK_BYTES);
    await load(reader, 10, 4 * CHUNK_BYTES + 1);
    expect(reader.bytes.length).toBe(4 * CHUNK_BYTES + 1);
    await load(reader, 5 * CHUNK_BYTES, 10);
    expect(reader.bytes.length).toBe(CHUNK_BYTES);
  });
});

describe("a reader that reads ahead", () => {
  test.each([
    [CHUNK_BYTES, 1],
    [CHUNK_BYTES + 1, 2],
  ])("does so in files longer than a chunk: of %i bytes it makes %i reads", async (sizeBytes, count) => {
    const { reader, reads } = readerOf(sizeBytes, true);
    await load(reader, 0, 10);
    expect(reads).toHaveLength(count);
    await load(reader, sizeBytes - 1, 1);
    expect(reads).toHaveLength(count);
    await reader.stop();
  });

  test("reads each byte once, into two pieces of memory", async () => {
    const { reader, reads } = readerOf(5 * CHUNK_BYTES + 5, true);
    const memory = new Set<ArrayBufferLike>();
    for (let position = 0; position + 1000 <= 5 * CHUNK_BYTES; position += 1000) {
      await load(reader, position, 1000);
      if (position > CHUNK_BYTES) memory.add(reader.bytes.buffer);
    }
    expect(reads).toEqual([0, 1, 2, 3, 4, 5].map((i) => [i * CHUNK_BYTES, i < 5 ? CHUNK_BYTES : 5]));
    expect(memory.size).toBe(2);
    expect(reader.bytes.length).toBe(HEADROOM_BYTES + CHUNK_BYTES);
  });

  test.each([
    ["as much as there is room for before it", HEADROOM_BYTES, HEADROOM_BYTES + 10, 3],
    ["more", HEADROOM_BYTES + 1, HEADROOM_BYTES + 10, 4],
    ["little, and wants all of it", 100, CHUNK_BYTES + 100, 3],
    ["little, and wants more than it", 100, CHUNK_BYTES + 101, 4],
  ])("goes over to the next chunk when it keeps %s", async (_, kept, length, count) => {
    const { reader, reads } = readerOf(4 * CHUNK_BYTES, true);
    await load(reader, 0, 10);
    await load(reader, CHUNK_BYTES - kept, length);
    await reader.stop();
    expect(reads).toHaveLength(count);
    expect(reads[1]).toEqual([CHUNK_BYTES, CHUNK_BYTES]);
    // Either the chunk after the one that was read ahead, or what is not kept is read once more.
    if (count === 3) expect(reads[2]).toEqual([2 * CHUNK_BYTES, CHUNK_BYTES]);
    else expect(reads[2][0]).toBe(CHUNK_BYTES);
  });

  test("keeps what it read ahead while what it has is asked for again", async () => {
    const { reader, reads } = readerOf(4 * CHUNK_BYTES, true);
    for (let i = 0; i < 2; i++) await load(reader, 0, 10);
    await reader.stop();
    expect(reads).toHaveLength(2);
  });

  test("forgets what it read ahead when another place is asked for", async () => {
    const { reader, reads } = readerOf(4 * CHUNK_BYTES, true);
    await load(reader, 0, 10);
    await load(reader, CHUNK_BYTES + 5, 10);
    expect(reads.slice(2)).toEqual([
      [CHUNK_BYTES + 5, CHUNK_BYTES],
      [2 * CHUNK_BYTES + 5, CHUNK_BYTES],
    ]);
    await reader.stop();
    await reader.stop();
    expect(reads).toHaveLength(4);
  });

  test("has nothing of what stands before the part that it keeps", async () => {
    const { reader } = readerOf(4 * CHUNK_BYTES, true);
    await load(reader, 0, 10);
    await load(reader, CHUNK_BYTES - 100, 200);
    expect(reader.index(CHUNK_BYTES - 101, 1)).toBe(-1);
    await load(reader, CHUNK_BYTES - 150, 20);
    await reader.stop();
  });

  test("is stopped when no read is under way any more", async () => {
    let underWay = 0;
    const read = async (target: Uint8Array): Promise<number> => {
      underWay++;
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
      return target.length;
    };
    const handle = { path: "file", read } as unknown as FileHandle;
    const reader = new ChunkReader(handle, 4 * CHUNK_BYTES, true);
    await reader.load(0, 10);
    expect(underWay).toBe(1);
    await reader.stop();
    expect(underWay).toBe(0);
  });

  test("ends with the file", async () => {
    const { reader, reads } = readerOf(2 * CHUNK_BYTES, true);
    await load(reader, 0, 10);
    await load(reader, CHUNK_BYTES, CHUNK_BYTES);
    expect(reads).toEqual([
      [0, CHUNK_BYTES],
      [CHUNK_BYTES, CHUNK_BYTES],
    ]);
    expect(await reader.load(CHUNK_BYTES, CHUNK_BYTES + 1)).toBe(-1);
    await reader.stop();
  });
});
