import { beforeEach, describe, expect, test } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { BLOCK_HEAD_BYTES, BLOCK_TAIL_BYTES } from "../../../src/durability/checkpoint-format.js";
import { machine } from "../harness.js";
import { entryOf } from "./checkpoint-bytes.js";
import { PATH, readBack, replaceFile, valued, type Written, write } from "./checkpoint-written.js";
import { steady } from "./steady.js";

const KIB = 1024;
const PACKED = 2 ** 31;

let runtime: Runtime;
let unpacking: { now: number; most: number; total: number };

beforeEach(() => {
  const { runtime: base } = steady(machine().runtime);
  unpacking = { now: 0, most: 0, total: 0 };
  const inflate: typeof base.compression.inflate = async (...args) => {
    unpacking.now++;
    unpacking.total++;
    unpacking.most = Math.max(unpacking.most, unpacking.now);
    await new Promise((resolve) => setImmediate(resolve));
    unpacking.now--;
    return base.compression.inflate(...args);
  };
  runtime = { ...base, compression: { ...base.compression, inflate } };
});

/** Where each block begins. */
function blocksOf({ file, writes }: Written): number[] {
  const starts: number[] = [];
  for (let at = writes[0]; at < file.length - 40; ) {
    starts.push(at);
    at += BLOCK_HEAD_BYTES + (readU32(file, at) % PACKED) + BLOCK_TAIL_BYTES;
  }
  return starts;
}

const corrupt = (offset: number) => ({ code: "CORRUPT", details: { file: PATH, offset } });

describe("a packed checkpoint", () => {
  test("is unpacked eight blocks at a time", async () => {
    const items = valued(1500, 1000);
    const written = await write(runtime, items, { compressed: true });
    const back = await readBack(runtime, written, items.length);
    expect(back.contents).toEqual(new Map(items.map(({ key, value }) => [key, value])));
    const { length } = blocksOf(written);
    expect(length).toBeGreaterThan(16);
    expect(unpacking).toEqual({ now: 0, most: 8, total: length });
  });

  test("is unpacked a MiB at a time where its blocks are large", async () => {
    const items = valued(6, 600_000);
    const written = await write(runtime, items, { compressed: true });
    const back = await readBack(runtime, written, items.length);
    expect(back.contents.size).toBe(6);
    expect(unpacking).toEqual({ now: 0, most: 2, total: 6 });
  });

  test("is unpacked one block at a time where each has a MiB", async () => {
    const around = 8 + entryOf({ key: "k1000", value: "" }).length;
    const written = await write(runtime, valued(3, 1024 * KIB - around), { compressed: true });
    expect((await readBack(runtime, written, 3)).contents.size).toBe(3);
    expect(unpacking).toEqual({ now: 0, most: 1, total: 3 });
  });

  test("has a block as it is where packing would not make it shorter", async () => {
    let packings = 0;
    const deflate: typeof runtime.compression.deflate = async (bytes) =>
      packings++ === 0 ? bytes.slice() : runtime.compression.deflate(bytes);
    const packing = { ...runtime, compression: { ...runtime.compression, deflate } };
    const items = valued(200, 1000);
    const written = await write(packing, items, { compressed: true });
    const lengths = blocksOf(written).map((at) => readU32(written.file, at));
    expect(lengths.map((length) => length >= PACKED)).toEqual([false, true, true, true]);
    const back = await readBack(runtime, written, items.length);
    expect(back.contents).toEqual(new Map(items.map(({ key, value }) => [key, value])));
    expect(unpacking.total).toBe(3);
  });

  test("is damaged where a block does not become again what it was", async () => {
    const items = valued(200, 1000);
    const written = await write(runtime, items, { compressed: true });
    const [, second] = blocksOf(written);
    const file = written.file.slice();
    // The checksum of what was packed; the block's own is mended.
    file[second + BLOCK_HEAD_BYTES + 4] ^= 1;
    const end = second + BLOCK_HEAD_BYTES + (readU32(file, second) % PACKED);
    const headCrc = readU32(file, second + 12);
    writeU32(file, end, nodeChecksum.crc32(file, second + BLOCK_HEAD_BYTES, end, headCrc));
    await replaceFile(runtime, file);
    await expect(readBack(runtime, written, 200)).rejects.toMatchObject(corrupt(second));
  });

  test("is damaged where a block's own checksum is wrong", async () => {
    const written = await write(runtime, valued(200, 1000), { compressed: true });
    const [, second] = blocksOf(written);
    const file = written.file.slice();
    file[second + BLOCK_HEAD_BYTES + 20] ^= 1;
    await replaceFile(runtime, file);
    await expect(readBack(runtime, written, 200)).rejects.toMatchObject({ code: "CORRUPT" });
  });

  test("is what one must be that has a packed block", async () => {
    const written = await write(runtime, valued(3, 100));
    const [first] = blocksOf(written);
    const file = written.file.slice();
    const seed = nodeChecksum.crc32(file, 0, 104, 0);
    const payload = first + BLOCK_HEAD_BYTES;
    const end = payload + readU32(file, first);
    writeU32(file, first, readU32(file, first) + PACKED);
    // All checksums are right.
    const headCrc = nodeChecksum.crc32(file, first, first + 12, seed);
    writeU32(file, first + 12, headCrc);
    writeU32(file, end, nodeChecksum.crc32(file, payload, end, headCrc));
    await replaceFile(runtime, file);
    await expect(readBack(runtime, written, 3)).rejects.toMatchObject(corrupt(first));
    expect(unpacking.total).toBe(0);
  });
});
