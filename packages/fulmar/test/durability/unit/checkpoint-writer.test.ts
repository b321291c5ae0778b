import { beforeEach, describe, expect, test } from "vitest";
import { readU32 } from "../../../src/base/bytes.js";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeCryptography } from "../../../src/base/runtime/node/cryptography.js";
import {
  BLOCK_BYTES,
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  FOOTER_BYTES,
} from "../../../src/durability/checkpoint-format.js";
import { readCheckpoint } from "../../../src/durability/checkpoint-reader.js";
import {
  CheckpointWriter,
  SYNC_EVERY_BYTES,
  type WrittenCheckpoint,
} from "../../../src/durability/checkpoint-writer.js";
import { createEntryHash } from "../../../src/memory/entry-hash.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { Coverage } from "../../../src/record/coverage.js";
import { OriginTable } from "../../../src/record/origins.js";
import { contents, machine } from "../harness.js";
import { entryOf, IDS, type Item, STATE } from "./checkpoint-bytes.js";
import { type Steady, steady } from "./steady.js";

const PATH = "/checkpoint";
const KIB = 1024;

let runtime: Runtime;
let rig: Steady;

beforeEach(() => {
  rig = steady(machine().runtime);
  ({ runtime } = rig);
});

interface Written extends WrittenCheckpoint {
  readonly file: Uint8Array;
  readonly writes: readonly number[];
  /** Bytes of the memory that each write was made from. */
  readonly memory: readonly number[];
  readonly progress: readonly (readonly [entries: number, bytes: number])[];
  /** Bytes of the file at each sync. */
  readonly syncs: readonly number[];
}

interface Options {
  readonly hadPeers?: boolean;
  readonly coverage?: Coverage;
  readonly stopped?: () => boolean;
  readonly compressed?: boolean;
}

/** Writes a checkpoint of these items, the first of version 1. */
async function write(items: readonly Item[], options: Options = {}): Promise<Written> {
  const { hadPeers = false, coverage = new Coverage(), stopped = () => false, compressed = false } = options;
  const origins = new OriginTable();
  for (const id of IDS) origins.intern(id);
  const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
  engine.keepTombstones = true;
  for (const [i, item] of items.entries()) {
    const entry = entryOf(item);
    engine.put(i + 1, entry, 0, entry.length);
  }
  engine.settle(engine.version);
  const version = engine.version;
  const state = { ...STATE, hadPeers, compressed, version };
  const source = { version, seq: 7, hlc: 1000, coverage, engine, synced: () => Promise.resolve() };
  const handle = await runtime.fileSystem.open(PATH, "create");
  const writes: number[] = [];
  const memory: number[] = [];
  const syncs: number[] = [];
  const watched = Object.assign(Object.create(handle) as typeof handle, {
    path: PATH,
    write: (bytes: Uint8Array, position: number) => {
      writes.push(bytes.length);
      memory.push(bytes.buffer.byteLength);
      return handle.write(bytes, position);
    },
    syncData: async () => {
      syncs.push(await handle.size());
      await handle.syncData();
    },
  });
  const progress: [number, number][] = [];
  const writer = new CheckpointWriter(runtime, watched, stopped, (...all) => progress.push(all));
  const written = await writer.write(source, state, origins);
  const file = new Uint8Array(await handle.size());
  await handle.read(file, 0);
  await handle.close();
  return { ...written, file, writes, memory, progress, syncs };
}

/** Reads a checkpoint back, checking every byte. */
async function readBack({ bytes, crc }: Written, version: number) {
  const origins = new OriginTable();
  const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
  engine.keepTombstones = true;
  const loader = engine.load();
  const found = { seq: 0, hlc: 0, coverage: new Coverage() };
  const name = { number: STATE.number, version, bytes, crc };
  const target = { loader, origins, found, progress: () => undefined };
  const { header, entries } = await readCheckpoint(runtime, PATH, name, STATE.storeId, target);
  while (!loader.step());
  loader.finish(header.version);
  return { header, entries, found, origins, contents: contents(engine), usage: engine.usage() };
}

/** Whole lengths of the blocks of a file. */
function blockLengths(file: Uint8Array, from: number): number[] {
  const lengths: number[] = [];
  for (let at = from; at < file.length - FOOTER_BYTES; ) {
    const length = BLOCK_HEAD_BYTES + readU32(file, at) + BLOCK_TAIL_BYTES;
    lengths.push(length);
    at += length;
  }
  return lengths;
}

const valued = (count: number, bytes: number): Item[] =>
  Array.from({ length: count }, (_, i) => ({ key: `k${1000 + i}`, value: `${i}`.padEnd(bytes, "v") }));

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

  test("has blocks that are closed when they reach 64 KiB, written in pieces of 256 KiB", async () => {
    const items = valued(800, 1000);
    const written = await write(items);
    const [head] = written.writes;
    const lengths = blockLengths(written.file, head);
    const each = 8 + entryOf(items[0]).length;
    // A block has its head before what is counted.
    const perBlock = Math.ceil((BLOCK_BYTES - BLOCK_HEAD_BYTES) / each);
    const whole = BLOCK_HEAD_BYTES + perBlock * each + BLOCK_TAIL_BYTES;
    const blocks = Math.ceil(800 / perBlock);
    const last = BLOCK_HEAD_BYTES + (800 - (blocks - 1) * perBlock) * each + BLOCK_TAIL_BYTES;
    expect(lengths).toEqual([...Array.from({ length: blocks - 1 }, () => whole), last]);
    expect(written.writes).toEqual([head, 4 * whole, 4 * whole, 4 * whole, last, FOOTER_BYTES]);
    expect(written.progress).toEqual([
      [4 * perBlock, head + 4 * whole],
      [8 * perBlock, head + 8 * whole],
      [12 * perBlock, head + 12 * whole],
      [800, written.bytes - FOOTER_BYTES],
    ]);
    expect((await readBack(written, 800)).contents.size).toBe(800);
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
    const [head] = written.writes;
    expect(written.bytes).toBeLessThan(200_000);
    const back = await readBack(written, 301);
    expect(back.header).toMatchObject({ compressed: true });
    expect(back.contents).toEqual(new Map(items.map(({ key, value }) => [key, value])));
    const lengths: number[] = [];
    for (let at = head; at < written.file.length - FOOTER_BYTES; ) {
      const length = readU32(written.file, at) % 2 ** 31;
      lengths.push(length);
      at += BLOCK_HEAD_BYTES + length + BLOCK_TAIL_BYTES;
    }
    expect(lengths[0]).toBeLessThan(BLOCK_BYTES / 2);
  });

  const LEAST_BYTES = (256 + 64) * KIB;

  test("is put together in little memory: more only for an entry that needs it, and not for long", async () => {
    const few = await write(valued(1500, 1000));
    expect(new Set(few.memory.slice(1, -1))).toEqual(new Set([LEAST_BYTES]));
    await runtime.fileSystem.remove(PATH);
    const around = 3000 * KIB;
    const items = [10, around, 10, 300 * KIB, 10].map((bytes, i) => ({
      key: `k${i}`,
      value: "v".repeat(bytes),
    }));
    const { memory, writes } = await write(items);
    const [first, second, last] = memory.slice(1, -1);
    expect(writes).toHaveLength(5);
    expect(first).toBeGreaterThan(around);
    expect(first).toBeLessThan(around + LEAST_BYTES);
    // Then 300 KiB and what stands before them do not fit into the least.
    expect(second).toBeGreaterThan(300 * KIB);
    expect(second).toBeLessThan(1024 * KIB);
    expect(last).toBe(second);
  });

  test("keeps larger memory as long as that is not four times too much", async () => {
    const sizes = [600 * KIB, 10, 700 * KIB, 10];
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
    expect(more.memory[1]).toBe(LEAST_BYTES + 1 + 256 * KIB);
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
    const piece = 256 * KIB - BLOCK_HEAD_BYTES - BLOCK_TAIL_BYTES - BLOCK_HEAD_BYTES;
    const pieces = await write([
      { key: "k0", value: "v".repeat(valueBytes(piece)) },
      { key: "k1", value: "" },
    ]);
    expect(pieces.writes).toHaveLength(4);
  });

  test("is synced every 8 MiB, so that no sync of a commit waits for much of it", async () => {
    const { syncs, bytes } = await write(valued(1300, 14 * KIB));
    expect(syncs).toHaveLength(2);
    for (const [i, size] of [...syncs, bytes].entries()) {
      const piece = size - (syncs[i - 1] ?? 0);
      if (i < syncs.length) expect(piece).toBeGreaterThanOrEqual(SYNC_EVERY_BYTES);
      expect(piece).toBeLessThan(SYNC_EVERY_BYTES + 512 * KIB);
    }
  });

  test("lets others work after each MiB, and when 4 ms have passed", async () => {
    await write(valued(30, 100_000));
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
    // A single large entry is followed by a rest before it is written.
    asked = 1;
    await expect(write(valued(1, 1100 * KIB), { stopped })).rejects.toMatchObject(closed);
    expect([before, asked]).toEqual([3, 3]);
  });
});
