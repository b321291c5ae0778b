import { beforeEach, describe, expect, test } from "vitest";
import { readU32 } from "../../../src/base/bytes.js";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import {
  BLOCK_BYTES,
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  FOOTER_BYTES,
} from "../../../src/durability/checkpoint-format.js";
import { SYNC_EVERY_BYTES } from "../../../src/durability/checkpoint-writer.js";
import { Coverage } from "../../../src/record/coverage.js";
import { machine } from "../harness.js";
import { entryOf, IDS, type Item, STATE } from "./checkpoint-bytes.js";
import {
  blockLengths,
  PATH,
  readBack as readWith,
  valued,
  type WriteOptions,
  type Written,
  write as writeWith,
} from "./checkpoint-written.js";
import { type Steady, steady } from "./steady.js";

const KIB = 1024;

let runtime: Runtime;
let rig: Steady;

beforeEach(() => {
  rig = steady(machine().runtime);
  ({ runtime } = rig);
});

const write = (items: readonly Item[], options?: WriteOptions): Promise<Written> =>
  writeWith(runtime, items, options);
const readBack = (file: Written, version: number) => readWith(runtime, file, version);

/** Bytes of the payload of each block, packed or not. */
function blockSizes({ file, writes: [head] }: Written): number[] {
  const sizes: number[] = [];
  for (let at = head; at < file.length - FOOTER_BYTES; ) {
    const size = readU32(file, at) % 2 ** 31;
    sizes.push(size);
    at += BLOCK_HEAD_BYTES + size + BLOCK_TAIL_BYTES;
  }
  return sizes;
}

describe("a checkpoint that is written", () => {
  test("of nothing has no blocks", async () => {
    const written = await write([{ key: "a" }]);
    expect(written.entries).toBe(0);
    expect(written.bytes).toBe(written.file.length);
    expect(blockLengths(written.file, written.bytes - FOOTER_BYTES)).toEqual([]);
    expect(written.writes).toHaveLength(2);
    expect(written.progress).toEqual([]);
    expect((await readBack(written, 1)).entries).toBe(0);
  });

  test("lets go of the state as soon as it was read, before the last write", async () => {
    const { writes, wholeAt } = await write(valued(3000, 1000));
    expect(wholeAt).toEqual([writes.length - 1]);
  });

  test("is what is read back: entries with their versions, origins and coverage", async () => {
    const coverage = new Coverage();
    coverage.set(IDS[1], { upTo: 9, holes: [{ from: 2, to: 3 }] });
    const items = [
      { key: "b", value: "2" },
      { key: "a", value: "1", origin: 2 },
      { key: "c", value: "old" },
      { key: "c", value: "3" },
    ];
    const written = await write(items, { coverage });
    const back = await readBack(written, 4);
    expect([written.entries, back.entries]).toEqual([3, 3]);
    expect([...back.contents]).toEqual([
      ["a", "1"],
      ["b", "2"],
      ["c", "3"],
    ]);
    const { number, salt, storeId, incarnation, seq, hlc } = STATE;
    const stated = { number, salt, storeId, incarnation, seq, hlc, isBackup: false };
    expect(back.header).toMatchObject({ ...stated, hadPeers: false, version: 4 });
    expect([...back.found.coverage.origins()]).toEqual([...coverage.origins()]);
    expect([1, 2].map((number) => back.origins.id(number))).toEqual(IDS);
    expect(written.progress).toEqual([[3, written.bytes - FOOTER_BYTES]]);
  });

  test("holds deletions if there were peers, and only then", async () => {
    const items = [{ key: "a", value: "1" }, { key: "a" }, { key: "b", value: "2" }, { key: "c" }];
    const without = await write(items);
    expect(without.entries).toBe(1);
    expect((await readBack(without, 4)).usage.tombstones).toBe(0);
    await runtime.fileSystem.remove(PATH);
    const withThem = await write(items, { hadPeers: true });
    expect(withThem.entries).toBe(3);
    expect((await readBack(withThem, 4)).usage.tombstones).toBe(2);
  });

  test("has blocks that are closed when they reach 64 KiB, written in pieces of a MiB", async () => {
    const items = valued(3005, 1000);
    const written = await write(items);
    const [head] = written.writes;
    const lengths = blockLengths(written.file, head);
    const each = 8 + entryOf(items[0]).length;
    // A block has its head before what is counted.
    const perBlock = Math.ceil((BLOCK_BYTES - BLOCK_HEAD_BYTES) / each);
    const whole = BLOCK_HEAD_BYTES + perBlock * each + BLOCK_TAIL_BYTES;
    const blocks = Math.ceil(3005 / perBlock);
    const last = BLOCK_HEAD_BYTES + (3005 - (blocks - 1) * perBlock) * each + BLOCK_TAIL_BYTES;
    expect(lengths).toEqual([...Array.from({ length: blocks - 1 }, () => whole), last]);
    // A piece is written when the sixteenth block, which stays for the next one, is almost full.
    const stays = Math.ceil((1024 * KIB - 15 * whole - BLOCK_HEAD_BYTES) / each);
    expect(written.writes).toEqual([
      head,
      15 * whole,
      15 * whole,
      15 * whole,
      2 * whole + last,
      FOOTER_BYTES,
    ]);
    expect(written.progress).toEqual([
      [15 * perBlock + stays, head + 15 * whole],
      [30 * perBlock + stays, head + 30 * whole],
      [45 * perBlock + stays, head + 45 * whole],
      [3005, written.bytes - FOOTER_BYTES],
    ]);
    expect((await readBack(written, 3005)).contents.size).toBe(3005);
  });

  test("holds entries of any size, and gives back the memory of large ones", async () => {
    const sizes = [10, 200 * KIB, 70 * KIB, 3000 * KIB, 5, 1100 * KIB, 900, 255 * KIB, 64 * KIB, 1];
    const items = sizes.map((bytes, i) => ({ key: `k${i}`, value: `${i}`.padEnd(bytes, "v") }));
    const written = await write(items);
    const back = await readBack(written, items.length);
    expect(back.contents).toEqual(new Map(items.map(({ key, value }) => [key, value])));
    const [head] = written.writes;
    expect(blockLengths(written.file, head)).toHaveLength(7);
  });

  test("is packed where that makes it shorter, if that is asked for", async () => {
    const noise = Array.from({ length: 70_000 }, (_, i) =>
      String.fromCharCode(33 + ((i * i * 7919) % 89)),
    ).join("");
    const items = [...valued(300, 1000), { key: "z", value: noise }];
    const written = await write(items, { compressed: true });
    expect(written.bytes).toBeLessThan(200_000);
    const back = await readBack(written, 301);
    expect(back.header).toMatchObject({ compressed: true });
    expect(back.contents).toEqual(new Map(items.map(({ key, value }) => [key, value])));
    expect(blockSizes(written)[0]).toBeLessThan(BLOCK_BYTES / 2);
  });

  test("is packed to its last block, but for one that would not become shorter", async () => {
    const items = valued(90, 1000);
    const packed = await write(items, { compressed: true });
    const lengths = blockSizes(packed);
    expect(lengths).toHaveLength(2);
    for (const length of lengths) expect(length).toBeLessThan(5000);
    expect((await readBack(packed, 90)).contents.size).toBe(90);
    await runtime.fileSystem.remove(PATH);
    const deflate = async (bytes: Uint8Array): Promise<Uint8Array> => bytes.slice();
    const vain = { ...runtime, compression: { ...runtime.compression, deflate } };
    const left = await writeWith(vain, items, { compressed: true });
    expect(blockLengths(left.file, left.writes[0])).toHaveLength(2);
    expect((await readBack(left, 90)).contents.size).toBe(90);
  });

  const LEAST_BYTES = (1024 + 64) * KIB;

  test("is put together in little memory: more only for an entry that needs it, and not for long", async () => {
    const few = await write(valued(1500, 1000));
    expect(new Set(few.memory.slice(1, -1))).toEqual(new Set([LEAST_BYTES]));
    await runtime.fileSystem.remove(PATH);
    const around = 12_000 * KIB;
    const items = [10, around, 10, 1200 * KIB, 10].map((bytes, i) => ({
      key: `k${i}`,
      value: "v".repeat(bytes),
    }));
    const { memory, writes } = await write(items);
    const [first, second, last] = memory.slice(1, -1);
    expect(writes).toHaveLength(5);
    expect(first).toBeGreaterThan(around);
    expect(first).toBeLessThan(around + LEAST_BYTES);
    // Then 1200 KiB and what stands before them do not fit into the least.
    expect(second).toBeGreaterThan(1200 * KIB);
    expect(second).toBeLessThan(4096 * KIB);
    expect(last).toBe(second);
  });

  test("is put together in the least memory again after a large entry", async () => {
    const items = [{ key: "a", value: "v".repeat(12_000 * KIB) }, ...valued(800, 1000)];
    const { memory } = await write(items);
    expect(memory[1]).toBeGreaterThan(12_000 * KIB);
    expect(new Set(memory.slice(2, -1))).toEqual(new Set([LEAST_BYTES]));
  });

  test("keeps what stands behind the last block that is finished when the others are written", async () => {
    // Twelve blocks that almost fill a piece, and small entries that do.
    const large = Array.from({ length: 12 }, (_, i) => ({ key: `a${i}`, value: `${i % 10}`.repeat(87_000) }));
    const items = [...large, ...valued(40, 100)];
    const file = await write(items);
    expect(file.progress[0][0]).toBeGreaterThan(12);
    expect(file.progress[0][0]).toBeLessThan(52);
    const back = await readBack(file, 52);
    expect(back.contents).toEqual(new Map(items.map(({ key, value }) => [key, value])));
  });

  test("keeps larger memory as long as that is not four times too much", async () => {
    const sizes = [2400 * KIB, 10, 2800 * KIB, 10];
    const items = sizes.map((bytes, i) => ({ key: `k${i}`, value: "v".repeat(bytes) }));
    const { memory } = await write(items);
    expect(new Set(memory.slice(1, -1)).size).toBe(1);
  });

  /** The size of a value that makes its entry so many bytes of a block. */
  const valueBytes = (bytes: number): number => bytes - 8 - entryOf({ key: "k0", value: "" }).length;

  test("uses all of its memory before it takes more", async () => {
    // A head, the entry, a tail, and the head of the next block.
    const fits = LEAST_BYTES - BLOCK_HEAD_BYTES - BLOCK_TAIL_BYTES - BLOCK_HEAD_BYTES;
    const exact = await write([{ key: "k0", value: "v".repeat(valueBytes(fits)) }]);
    expect(exact.memory[1]).toBe(LEAST_BYTES);
    await runtime.fileSystem.remove(PATH);
    const more = await write([{ key: "k0", value: "v".repeat(valueBytes(fits + 1)) }]);
    expect(more.memory[1]).toBe(LEAST_BYTES + 1 + 1024 * KIB);
    expect((await readBack(more, 1)).contents.size).toBe(1);
  });

  test("has a block that is exactly full closed, and a piece that is exactly large enough written", async () => {
    const full = BLOCK_BYTES - BLOCK_HEAD_BYTES;
    const blocks = await write([
      { key: "k0", value: "v".repeat(valueBytes(full)) },
      { key: "k1", value: "" },
    ]);
    expect(blockLengths(blocks.file, blocks.writes[0])).toHaveLength(2);
    await runtime.fileSystem.remove(PATH);
    const piece = 1024 * KIB - BLOCK_HEAD_BYTES - BLOCK_TAIL_BYTES - BLOCK_HEAD_BYTES;
    const pieces = await write([
      { key: "k0", value: "v".repeat(valueBytes(piece)) },
      { key: "k1", value: "" },
    ]);
    expect(pieces.writes).toHaveLength(4);
    expect(pieces.progress[0][0]).toBe(1);
  });

  test("keeps memory that is four times as large as the least write, and no more than that", async () => {
    for (const [more, kept] of [
      [0, true],
      [1, false],
    ] as const) {
      // What an entry needs, and room for one more write.
      const entry = 3072 * KIB - BLOCK_HEAD_BYTES - BLOCK_TAIL_BYTES - BLOCK_HEAD_BYTES + more;
      const large = { key: "k0", value: "v".repeat(valueBytes(entry)) };
      const { memory } = await write([large, { key: "k1", value: "" }]);
      expect(memory[1]).toBe(4096 * KIB + more);
      expect(memory[2]).toBe(kept ? 4096 * KIB : LEAST_BYTES);
      await runtime.fileSystem.remove(PATH);
    }
  });

  test("is synced as soon as 8 MiB are written", async () => {
    const [head] = (await write([])).writes;
    await runtime.fileSystem.remove(PATH);
    const entry = SYNC_EVERY_BYTES - head - BLOCK_HEAD_BYTES - BLOCK_TAIL_BYTES;
    const { syncs } = await write([{ key: "k0", value: "v".repeat(valueBytes(entry)) }]);
    expect(syncs).toEqual([SYNC_EVERY_BYTES]);
  });

  test("is synced every 8 MiB, so that no sync of a commit waits for much of it", async () => {
    const { syncs, bytes } = await write(valued(1300, 14 * KIB));
    expect(syncs).toHaveLength(2);
    for (const [i, size] of [...syncs, bytes].entries()) {
      const piece = size - (syncs[i - 1] ?? 0);
      if (i < syncs.length) expect(piece).toBeGreaterThanOrEqual(SYNC_EVERY_BYTES);
      expect(piece).toBeLessThan(SYNC_EVERY_BYTES + (1024 + 64) * KIB);
    }
  });

  test("lets others work with each piece, after each MiB that is packed, and when 4 ms have passed", async () => {
    expect((await write(valued(30, 100_000))).writes).toHaveLength(5);
    expect(rig.turns).toBe(0);
    await runtime.fileSystem.remove(PATH);
    await write(valued(30, 100_000), { compressed: true });
    expect(rig.turns).toBe(2);
    await runtime.fileSystem.remove(PATH);
    rig.turns = 0;
    let asked = 0;
    rig.nowMs = () => (asked++ > 4 ? 4 : 0);
    await write(valued(10, 20_000));
    expect(rig.turns).toBe(1);
  });

  test("is given up when it is told to, after a piece or when others worked", async () => {
    const closed = { code: "CLOSED" };
    await expect(write(valued(10, 100), { stopped: () => true })).rejects.toMatchObject(closed);
    await runtime.fileSystem.remove(PATH);
    let asked = 0;
    const stopped = (): boolean => ++asked === 3;
    await expect(write(valued(100, 100_000), { stopped })).rejects.toMatchObject(closed);
    const before = asked;
    await runtime.fileSystem.remove(PATH);
    // A single large entry is a piece, and so packed that it is none it is followed by a rest.
    asked = 2;
    await expect(write(valued(1, 1100 * KIB), { stopped })).rejects.toMatchObject(closed);
    await runtime.fileSystem.remove(PATH);
    asked = 2;
    await expect(write(valued(1, 1100 * KIB), { stopped, compressed: true })).rejects.toMatchObject(closed);
    expect([before, asked]).toEqual([3, 3]);
  });
});
