import { beforeEach, describe, expect, test } from "vitest";
import { readU32, writeU32, writeU64 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import { type SalvagedCheckpoint, salvageCheckpoint } from "../../../src/durability/salvage-checkpoint.js";
import { keyOf } from "../../../src/record/entry.js";
import { createKeyring, type Encryption } from "../../../src/store/encryption.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { repairCheckpoint } from "../../fuzz/repair.js";
import { filesOf, MiniStore, machine } from "../harness.js";
import { blockOf, type Checkpoint, checkpointOf, payloadOf, STATE } from "./checkpoint-bytes.js";
import { steady } from "./steady.js";

const PATH = "/checkpoint";
const HEADER_BYTES = 108;
const FOOTER_BYTES = 40;
const NO_BLOCK = "bytes that are no block";
const NO_END = "the end of the file, and any blocks before it";
const KEY = { key: new Uint8Array(32).fill(1) };

let storage: SimulatedStorage;

beforeEach(() => {
  storage = machine();
});

interface Saved extends SalvagedCheckpoint {
  readonly keys: string[];
}

async function put(bytes: Uint8Array): Promise<void> {
  const { fileSystem } = storage.restart();
  if ((await fileSystem.status(PATH)) !== undefined) await fileSystem.remove(PATH);
  const handle = await fileSystem.open(PATH, "create");
  await handle.write(bytes, 0);
  await handle.close();
}

async function salvaged(bytes: Uint8Array, encryption?: Encryption): Promise<Saved> {
  await put(bytes);
  const keys: string[] = [];
  const runtime = storage.restart();
  const read = await salvageCheckpoint(
    withKeyring(runtime, createKeyring(runtime, encryption)),
    PATH,
    (found, at, length) => {
      expect(at + length).toBeLessThanOrEqual(found.length);
      keys.push(new TextDecoder().decode(keyOf(found, at)));
    },
  );
  return { ...read, keys };
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice();
  changed[at] ^= 0x40;
  return changed;
}

const item = (key: string, value = "1"): { key: string; value: string } => ({ key, value });

describe("a checkpoint", () => {
  /** Three blocks of one, two and three entries. */
  let whole: Checkpoint;
  let footerAt: number;
  let end: number;

  beforeEach(() => {
    whole = checkpointOf([
      blockOf(item("a")),
      blockOf(item("b"), item("c")),
      blockOf(item("d"), item("e"), item("f")),
    ]);
    end = whole.bytes.length;
    footerAt = end - FOOTER_BYTES;
  });

  test("is saved as a whole if it is whole", async () => {
    const { header, cover, ...read } = await salvaged(whole.bytes);
    expect(read).toEqual({ keyId: undefined, saved: 6, lost: [], keys: ["a", "b", "c", "d", "e", "f"] });
    expect(cover.isComplete).toBe(true);
    expect(header).toMatchObject({ number: STATE.number, version: STATE.version, storeId: STATE.storeId });
  });

  test("loses the one block whose contents are damaged", async () => {
    for (const [i, count] of [1, 2, 3].entries()) {
      const [from, to] = [whole.starts[i], whole.starts[i + 1]];
      for (const at of [from + 16, to - 5, to - 1]) {
        const { saved, lost, cover } = await salvaged(flipped(whole.bytes, at));
        expect(cover.isComplete).toBe(false);
        const what = `block ${i} of ${count} entries`;
        expect([saved, lost], `byte ${at}`).toEqual([6 - count, [{ offset: from, bytes: to - from, what }]]);
      }
    }
  });

  test("loses the one block whose head is damaged", async () => {
    for (const [i, count] of [1, 2, 3].entries()) {
      const [from, to] = [whole.starts[i], whole.starts[i + 1]];
      for (const at of [0, 3, 4, 8, 12]) {
        const { saved, lost } = await salvaged(flipped(whole.bytes, from + at));
        const missed = { offset: from, bytes: to - from, what: NO_BLOCK };
        expect([saved, lost], `byte ${at}`).toEqual([6 - count, [missed]]);
      }
    }
  });

  test("loses no block with its header, whichever part of that is damaged", async () => {
    for (const at of [0, 9, 13, 17, 30, 64, 90, 97, 104, 107]) {
      const { saved, lost, header } = await salvaged(flipped(whole.bytes, at));
      expect([saved, header], `byte ${at}`).toEqual([6, undefined]);
      expect(lost, `byte ${at}`).toEqual([
        { offset: 0, bytes: HEADER_BYTES, what: "the header" },
        { offset: HEADER_BYTES, bytes: whole.starts[0] - HEADER_BYTES, what: NO_BLOCK },
        { offset: footerAt, bytes: FOOTER_BYTES, what: NO_BLOCK },
        { offset: end, bytes: 0, what: NO_END },
      ]);
    }
  });

  test("loses no block with its dictionary, and keeps the header", async () => {
    const length = whole.starts[0] - HEADER_BYTES;
    for (const at of [HEADER_BYTES, whole.starts[0] - 1]) {
      const { saved, lost, header } = await salvaged(flipped(whole.bytes, at));
      expect([saved, header?.version]).toEqual([6, STATE.version]);
      expect(lost).toEqual([{ offset: HEADER_BYTES, bytes: length, what: "the dictionary of writers" }]);
    }
  });

  test("loses no block with its footer, but nobody knows whether that is all", async () => {
    for (const at of [footerAt, footerAt + 10, end - 1]) {
      const { saved, lost } = await salvaged(flipped(whole.bytes, at));
      expect([saved, lost], `byte ${at}`).toEqual([
        6,
        [
          { offset: footerAt, bytes: FOOTER_BYTES, what: NO_BLOCK },
          { offset: end, bytes: 0, what: NO_END },
        ],
      ]);
    }
  });

  test("that was cut off keeps the blocks before", async () => {
    const [one, two, three] = whole.starts;
    const cases: readonly (readonly [length: number, saved: number])[] = [
      [footerAt + 39, 6],
      [footerAt, 6],
      [footerAt - 1, 3],
      [three, 3],
      [three - 1, 1],
      [two + 15, 1],
      [two, 1],
      [two - 1, 0],
      [one, 0],
    ];
    for (const [length, saved] of cases) {
      const read = await salvaged(whole.bytes.slice(0, length));
      expect(read.saved, `${length} bytes`).toBe(saved);
      // A block that is not all there is none.
      const at = whole.starts.findLast((start) => start <= length) ?? 0;
      const rest = { offset: at, bytes: length - at, what: NO_BLOCK };
      expect(read.lost.slice(0, -1), `${length} bytes`).toEqual(at === length ? [] : [rest]);
      expect(read.lost.at(-1), `${length} bytes`).toEqual({ offset: length, bytes: 0, what: NO_END });
      expect(read.header?.version).toBe(STATE.version);
    }
    expect((await salvaged(whole.bytes.slice(0, one - 1))).lost).toEqual([
      { offset: HEADER_BYTES, bytes: one - 1 - HEADER_BYTES, what: "the dictionary of writers" },
      { offset: one - 1, bytes: 0, what: NO_END },
    ]);
    expect(await salvaged(whole.bytes.slice(0, HEADER_BYTES - 1))).toMatchObject({
      header: undefined,
      saved: 0,
      lost: [
        { offset: 0, bytes: HEADER_BYTES - 1, what: "the header" },
        { offset: HEADER_BYTES - 1, bytes: 0, what: NO_END },
      ],
    });
    expect((await salvaged(new Uint8Array(0))).lost).toHaveLength(2);
  });

  test("that was cut off in a block is not searched for others behind its end", async () => {
    const [, two, three] = whole.starts;
    const { saved, lost } = await salvaged(flipped(whole.bytes, two).slice(0, footerAt - 1));
    expect([saved, lost[0]]).toEqual([1, { offset: two, bytes: footerAt - 1 - two, what: NO_BLOCK }]);
    expect((await salvaged(flipped(whole.bytes, two).slice(0, three + 16))).saved).toBe(1);
  });

  test("of a later format is not touched", async () => {
    const newer = whole.bytes.slice();
    writeU32(newer, 8, 2);
    repairCheckpoint(newer);
    await expect(salvaged(newer)).rejects.toMatchObject({ code: "FORMAT_NEWER" });
  });

  test("that is plain is refused where plain files are", async () => {
    const refusing = { ...KEY, refusePlain: true };
    await expect(salvaged(whole.bytes, refusing)).rejects.toMatchObject({ code: "NOT_ENCRYPTED" });
    expect(await salvaged(whole.bytes, KEY)).toMatchObject({ saved: 6, lost: [] });
    const damaged = flipped(whole.bytes, 20);
    const { saved, lost } = await salvaged(damaged, refusing);
    expect([saved, lost.slice(0, 2)]).toMatchObject([
      0,
      [{ offset: 0 }, { offset: HEADER_BYTES, bytes: 104 }],
    ]);
    expect((await salvaged(damaged, KEY)).saved).toBe(6);
  });
});

describe("blocks", () => {
  test("are taken whatever they say of their place, and no one twice", async () => {
    const twice = { ...blockOf(item("b")), index: 3 };
    const blocks = [{ ...blockOf(item("a")), index: 3 }, twice, { ...blockOf(item("c")), index: 2 }, twice];
    const { bytes, starts } = checkpointOf(blocks);
    const { keys, lost } = await salvaged(bytes);
    expect(keys).toEqual(["a", "b", "c"]);
    expect(lost).toEqual([{ offset: starts[3], bytes: starts[4] - starts[3], what: "a copy of block 3" }]);
  });

  test("whose entries are malformed keep those before", async () => {
    const payload = payloadOf([item("a"), item("b"), item("c")]);
    const third = (payload.length / 3) * 2;
    const cut = payload.slice(0, payload.length - 1);
    const { bytes, starts } = checkpointOf([{ payload: cut, entryCount: 3 }, blockOf(item("d"))]);
    const { saved, keys, lost } = await salvaged(bytes);
    expect([saved, keys]).toEqual([3, ["a", "b", "d"]]);
    expect(lost).toEqual([
      { offset: starts[0] + 16 + third, bytes: cut.length - third, what: "entries that are malformed" },
    ]);
  });

  test("are found behind many bytes that are none, wherever they begin", async () => {
    const WINDOW = 64 * 1024;
    const overhead = blockOf(item("b", "")).payload.length + 20;
    for (let shift = -20; shift <= 20; shift++) {
      const value = "x".repeat(WINDOW - overhead + shift);
      const { bytes, starts } = checkpointOf([
        blockOf(item("a")),
        blockOf(item("b", value)),
        blockOf(item("c")),
      ]);
      const { keys, lost } = await salvaged(flipped(bytes, starts[1] + 1));
      expect(keys, `shifted by ${shift}`).toEqual(["a", "c"]);
      expect(lost).toEqual([{ offset: starts[1], bytes: starts[2] - starts[1], what: NO_BLOCK }]);
    }
  });

  test("are read and searched with turns for other work", async () => {
    const value = "x".repeat(700_000);
    const { bytes, starts } = checkpointOf(["a", "b", "c", "d"].map((key) => blockOf(item(key, value))));
    for (const damaged of [bytes, flipped(bytes, starts[1] + 1)]) {
      await put(damaged);
      const rig = steady(storage.restart());
      const { saved } = await salvageCheckpoint(rig.runtime, PATH, () => undefined);
      expect(saved).toBe(damaged === bytes ? 4 : 3);
      expect([rig.turns >= 2, rig.turns <= 3], `${rig.turns} turns`).toEqual([true, true]);
    }
  });
});

describe("a checkpoint that a store wrote", () => {
  async function written(encryption: Encryption | undefined, compressed = false): Promise<Uint8Array> {
    const other = machine();
    const keyring = createKeyring(other.runtime, encryption);
    const store = await MiniStore.open(withKeyring(other.runtime, keyring), { compressed });
    for (let i = 0; i < 100; i++) await store.save(`k${100 + i}`, "x".repeat(1800));
    await store.checkpoint();
    await store.close();
    return filesOf(other, "/checkpoint/")[0][1];
  }

  const firstBlock = (bytes: Uint8Array): number => HEADER_BYTES + 104 + readU32(bytes, 96) + 4;

  test("with packed blocks loses what does not unpack", async () => {
    const bytes = await written(undefined, true);
    const { saved, lost } = await salvaged(bytes);
    expect([saved, lost]).toEqual([100, []]);
    const at = HEADER_BYTES + readU32(bytes, 96) + 4;
    const changed = bytes.slice();
    // How long it is unpacked, under a right checksum.
    writeU32(changed, at + 16, readU32(bytes, at + 16) + 1);
    const end = at + 16 + (readU32(bytes, at) & 0x7fff_ffff);
    writeU32(changed, end, crc32(changed, at + 16, end, readU32(bytes, at + 12)));
    const read = await salvaged(changed);
    expect(read.saved).toBeLessThan(100);
    expect(read.lost).toMatchObject([{ offset: at, what: expect.stringContaining("block 0 of") }]);
  });

  test("with packed blocks that are sealed as well loses what somebody changed", async () => {
    const bytes = await written(KEY, true);
    expect(await salvaged(bytes, KEY)).toMatchObject({ saved: 100, lost: [] });
    const first = firstBlock(bytes);
    const changed = flipped(bytes, first + 30);
    repairCheckpoint(changed, KEY.key);
    const { lost } = await salvaged(changed, KEY);
    expect(lost.at(-1)).toMatchObject({ offset: first, what: expect.stringContaining("block 0 of") });
  });

  test("and sealed is read with its key", async () => {
    const bytes = await written(KEY);
    const { saved, lost, keyId, header } = await salvaged(bytes, KEY);
    expect([saved, lost, header?.version]).toEqual([100, [], 100]);
    expect(keyId).toMatch(/^key-[0-9a-f]{16}$/);
    await expect(salvaged(bytes)).rejects.toMatchObject({ code: "ENCRYPTION_KEY_MISSING" });
    const other = { key: new Uint8Array(32).fill(2) };
    await expect(salvaged(bytes, other)).rejects.toMatchObject({ code: "ENCRYPTION_KEY_WRONG" });
  });

  test("and sealed loses no block with its header", async () => {
    const bytes = await written(KEY);
    for (const at of [0, 17, 70, 104]) {
      const { saved, keyId, header, lost } = await salvaged(flipped(bytes, at), KEY);
      expect([saved, header, keyId?.length], `byte ${at}`).toEqual([100, undefined, 20]);
      expect(lost[0]).toEqual({ offset: 0, bytes: HEADER_BYTES, what: "the header" });
    }
  });

  test("and sealed is lost with its key section", async () => {
    const { saved, keyId, header, lost } = await salvaged(flipped(await written(KEY), 130), KEY);
    expect([saved, keyId, header]).toEqual([0, undefined, undefined]);
    expect(lost[0]).toEqual({
      offset: HEADER_BYTES,
      bytes: 104,
      what: "the key section, without which nothing can be read",
    });
    // Where the blocks are is known all the same.
    expect(lost.slice(1).every(({ what }) => what.startsWith("block "))).toBe(true);
    expect(lost.length).toBeGreaterThan(2);
  });

  test("and sealed loses what was changed though every checksum is right", async () => {
    const bytes = await written(KEY);
    const first = firstBlock(bytes);
    const second = first + 20 + readU32(bytes, first);
    const seal = bytes.length - FOOTER_BYTES - 28;
    const forged = (change: (bytes: Uint8Array) => void): Promise<Saved> => {
      const changed = bytes.slice();
      change(changed);
      repairCheckpoint(changed, KEY.key);
      return salvaged(changed, KEY);
    };
    const block = await forged((changed) => changed.fill(7, first + 30, first + 31));
    // The seal before the footer is over the checksums of the blocks too.
    expect(block.lost.map(({ offset, bytes: count }) => [offset, count])).toEqual([
      [seal, 28],
      [first, second - first],
    ]);
    expect([block.saved > 0, block.header?.version]).toEqual([true, 100]);
    const footer = await forged((changed) => changed.fill(7, seal + 20, seal + 21));
    expect([footer.saved, footer.lost]).toMatchObject([100, [{ offset: seal, bytes: 28 }]]);
    // A block that somebody left out may have held keys behind all others.
    expect(footer.cover.isComplete).toBe(false);
    // A header that was not sealed with the dictionary is not believed.
    const header = await forged((changed) => writeU64(changed, 64, 2 ** 40));
    expect([header.saved, header.header]).toEqual([100, undefined]);
    expect(header.lost[0]).toEqual({ offset: 212, bytes: first - 212, what: "the dictionary of writers" });
  });
});
