import { describe, expect, test } from "vitest";
import { readU32 } from "../../src/base/bytes.js";
import type { Runtime } from "../../src/base/runtime/interface.js";
import { nodeCompression } from "../../src/base/runtime/node/compression.js";
import {
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  CHECKPOINT_HEADER_BYTES,
  FOOTER_BYTES,
} from "../../src/durability/checkpoint-format.js";
import { repairDirectory } from "../../src/durability/repair.js";
import { verifyDirectory } from "../../src/durability/verify.js";
import type { SimulatedStorage } from "../../src/testing/simulated/index.js";
import { edit, filesOf, MiniStore, machine, machineOn, ROOT, refusal, replayed } from "./harness.js";

const CHECKPOINT = `${ROOT}/checkpoint/000000000001`;
const OPTIONS = { compressed: true, segmentBytes: 1 << 20 };
const PACKED = 2 ** 31;

const value = (i: number): string => `{"id":${i},"name":"Ada","tags":["a","b"],"x":"${"y".repeat(i % 60)}"}`;
const withZlib = ({ runtime }: SimulatedStorage): Runtime => ({ ...runtime, compression: nodeCompression });

/** A closed store, all of it in one checkpoint. */
async function closed(
  options: { compressed?: boolean },
  runtimeOf: (storage: SimulatedStorage) => Runtime = withZlib,
  keys = 3000,
): Promise<{ storage: SimulatedStorage; contents: Map<string, string> }> {
  const storage = machine();
  const store = await MiniStore.open(runtimeOf(storage), { ...OPTIONS, ...options });
  for (let i = 0; i < keys; i++) store.put(`key ${i}`, value(i));
  await store.save("last", "x");
  await store.checkpoint();
  await store.close();
  return { storage, contents: replayed(store.written) };
}

const flagsOf = (bytes: Uint8Array): number => readU32(bytes, 12);
const newest = (storage: SimulatedStorage): Uint8Array =>
  filesOf(storage, "/checkpoint/").at(-1)?.[1] ?? expect.unreachable("there is a checkpoint");

/** Position and length of each block, and whether it is packed. */
function blocksOf(bytes: Uint8Array): { at: number; bytes: number; packed: boolean }[] {
  const blocks: { at: number; bytes: number; packed: boolean }[] = [];
  let at = CHECKPOINT_HEADER_BYTES + readU32(bytes, 96) + 4;
  while (at < bytes.length - FOOTER_BYTES) {
    const length = readU32(bytes, at);
    const whole = BLOCK_HEAD_BYTES + (length % PACKED) + BLOCK_TAIL_BYTES;
    blocks.push({ at, bytes: whole, packed: length >= PACKED });
    at += whole;
  }
  return blocks;
}

describe("a compressed checkpoint", () => {
  test("holds the same in fewer bytes, and opens whatever the option says", async () => {
    const { storage, contents } = await closed({});
    const plain = await closed({ compressed: false });
    expect(newest(storage).length).toBeLessThan(newest(plain.storage).length / 4);
    expect([flagsOf(newest(storage)), flagsOf(newest(plain.storage))]).toEqual([4, 0]);
    for (const compressed of [true, false]) {
      const store = await MiniStore.open(withZlib(machineOn(storage.disk.fork())), { compressed });
      expect(store.contents()).toEqual(contents);
      expect(store.directory.recovered).toMatchObject({ clean: true, commits: 0, entries: 3001 });
      await store.close();
    }
    const report = await verifyDirectory(withZlib(machineOn(storage.disk)), ROOT);
    expect(report).toMatchObject({ ok: true, findings: [], checkpoint: { entries: 3001 } });
  });

  test("stores a block as it is that does not get shorter, between others that do", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime, OPTIONS);
    store.put("a", "a".repeat(70_000));
    // Nothing is repeated four times in line, which is all that the machine's compression makes shorter.
    store.put("b", "0123".repeat(17_500));
    await store.save("c", "c".repeat(200_000));
    await store.checkpoint();
    expect(blocksOf(newest(storage)).map(({ packed }) => packed)).toEqual([true, false, true]);
    await store.close();
    const again = await MiniStore.open(storage.restart());
    expect(again.contents()).toEqual(replayed(store.written));
    await again.close();
  });

  test("stands beside plain ones: each generation is what the option of its time said", async () => {
    const storage = machine();
    const contents = new Map<string, string>();
    for (const [life, compressed] of [false, true, true, false, true].entries()) {
      const store = await MiniStore.open(storage.restart(), { compressed });
      expect(store.contents()).toEqual(contents);
      for (let i = 0; i < 40; i++) store.put(`${life} ${i}`, "v".repeat(500));
      await store.save("in the checkpoint", String(life));
      await store.checkpoint();
      expect(flagsOf(newest(storage))).toBe(compressed ? 4 : 0);
      await store.save("in the log", String(life));
      for (const [key, text] of replayed(store.written)) contents.set(key, text);
      storage.powerCut();
    }
  });

  test("is not relied on when it cannot be inflated to what it was made of", async () => {
    const storage = machine();
    const { runtime } = storage;
    const deflate = async (bytes: Uint8Array): Promise<Uint8Array> => {
      const wrong = bytes.slice();
      wrong[wrong.length - 1] ^= 1;
      return runtime.compression.deflate(wrong);
    };
    const compression = { ...runtime.compression, deflate };
    const store = await MiniStore.open({ ...runtime, compression }, OPTIONS);
    // Several blocks, of which none is what it was.
    for (const key of ["a", "b", "c"]) await store.save(key, "v".repeat(70_000));
    await expect(store.checkpoint()).rejects.toMatchObject({ code: "CORRUPT" });
    expect(filesOf(storage, "/checkpoint/")).toEqual([]);
    await store.close();
    const again = await MiniStore.open(storage.restart());
    expect(again.contents()).toEqual(replayed(store.written));
    await again.close();
  });
});

describe("unpacking ahead", () => {
  /** Opens a store and returns how many bytes were being unpacked at the same time, for how many payloads. */
  async function most(
    storage: SimulatedStorage,
  ): Promise<{ payloads: number; bytes: number; contents: Map<string, string> }> {
    const { runtime } = storage;
    const now = { payloads: 0, bytes: 0 };
    const highest = { ...now };
    const inflate = async (bytes: Uint8Array, lengthBytes: number): Promise<Uint8Array | undefined> => {
      now.payloads++;
      now.bytes += lengthBytes;
      highest.payloads = Math.max(highest.payloads, now.payloads);
      highest.bytes = Math.max(highest.bytes, now.bytes);
      const inflated = await nodeCompression.inflate(bytes, lengthBytes);
      now.payloads--;
      now.bytes -= lengthBytes;
      return inflated;
    };
    const store = await MiniStore.open({ ...runtime, compression: { ...runtime.compression, inflate } });
    const contents = store.contents();
    await store.close();
    return { ...highest, contents };
  }

  test("goes on with eight blocks of a file that takes several reads, and mixes none up", async () => {
    const storage = machine();
    const store = await MiniStore.open(withZlib(storage), OPTIONS);
    const digits = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(2000))).toString("hex");
    for (let i = 0; i < 1200; i++) store.put(`key ${i}`, digits());
    await store.save("last", "x");
    await store.checkpoint();
    await store.close();
    expect(newest(storage).length).toBeGreaterThan(2 << 20);
    const { contents, payloads } = await most(machineOn(storage.disk));
    expect(contents).toEqual(replayed(store.written));
    expect(payloads).toBe(8);
  });

  test("takes little memory for blocks that become large", async () => {
    const storage = machine();
    const store = await MiniStore.open(withZlib(storage), OPTIONS);
    const large = 700 * 1024;
    for (let i = 0; i < 8; i++) await store.save(`key ${i}`, String(i).repeat(large));
    await store.checkpoint();
    await store.close();
    const { contents, bytes } = await most(machineOn(storage.disk));
    expect(contents).toEqual(replayed(store.written));
    expect(bytes).toBeGreaterThan(large * 1.9);
    expect(bytes).toBeLessThan(large * 2.1);
  });
});

describe("damage of a compressed checkpoint", () => {
  test("T-SNAP-01: each flipped bit is noticed", async () => {
    const { storage } = await closed({}, ({ runtime }) => runtime, 5);
    for (let bit = 0; bit < newest(storage).length * 8; bit++) {
      const fork = machineOn(storage.disk.fork());
      fork.disk.rot(CHECKPOINT, { bits: [bit] });
      expect(await refusal(fork), `bit ${bit}`).toMatchObject({ code: "CORRUPT" });
    }
  });

  test("costs the blocks that it hits: a repair saves all others", async () => {
    const { storage, contents } = await closed({});
    const blocks = blocksOf(newest(storage));
    expect(blocks.length).toBeGreaterThan(4);
    const hit = blocks[2];
    storage.disk.rot(CHECKPOINT, { bits: [(hit.at + BLOCK_HEAD_BYTES + 100) * 8] });
    // Nor does a header that is lost tell any more that there are packed blocks.
    storage.disk.rot(CHECKPOINT, { bits: [12 * 8 + 2] });
    await edit(storage, `${ROOT}/log/${"1".padStart(12, "0")}.log`, (bytes) => bytes.slice(0, 100));
    const runtime = withZlib(storage);
    const context = { runtime, dryRun: false, stopped: () => false, progress: () => undefined };
    const report = await repairDirectory(context, ROOT);
    const [file] = report.files.filter(({ kind }) => kind === "checkpoint");
    expect(file.lost.map(({ offset }) => offset)).toContain(hit.at);
    expect(file.saved).toBeGreaterThan((contents.size * (blocks.length - 2)) / blocks.length);
    const store = await MiniStore.open(runtime);
    expect(store.contents().size).toBe(file.saved);
    expect(flagsOf(newest(storage))).toBe(0);
    for (const [key, text] of store.contents()) expect(contents.get(key)).toBe(text);
    await store.close();
  });

  test("in a block leaves the mark of the file: what is repaired is compressed again", async () => {
    const { storage } = await closed({});
    const [, hit] = blocksOf(newest(storage));
    storage.disk.rot(CHECKPOINT, { bits: [(hit.at + BLOCK_HEAD_BYTES + 100) * 8] });
    const context = {
      runtime: withZlib(storage),
      dryRun: false,
      stopped: () => false,
      progress: () => undefined,
    };
    expect(await repairDirectory(context, ROOT)).toMatchObject({ repaired: true });
    expect(flagsOf(newest(storage)) & 4).toBe(4);
  });
});
