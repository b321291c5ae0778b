import { beforeEach, describe, expect, test, vi } from "vitest";
import { writeU32 } from "../../../src/base/bytes.js";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { nodeCryptography } from "../../../src/base/runtime/node/cryptography.js";
import { CHECKPOINT_HEADER_BYTES, FOOTER_BYTES } from "../../../src/durability/checkpoint-format.js";
import { readCheckpoint } from "../../../src/durability/checkpoint-reader.js";
import type { CheckpointName } from "../../../src/durability/manifest.js";
import type { FoundNumbers } from "../../../src/durability/replay.js";
import { createEntryHash } from "../../../src/memory/entry-hash.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { Coverage } from "../../../src/record/coverage.js";
import { ENTRY_HEADER_BYTES } from "../../../src/record/entry.js";
import { OriginTable } from "../../../src/record/origins.js";
import { contents, machine } from "../harness.js";
import { blockOf, type Checkpoint, checkpointOf, IDS, payloadOf, STATE } from "./checkpoint-bytes.js";
import { countedReads, type Steady, steady } from "./steady.js";

const MIB = 1024 * 1024;
const PATH = "/000000000004";

let runtime: Runtime;
let rig: Steady;
/** How many entries loaders were told to expect. */
let announced: number[];

beforeEach(() => {
  announced = [];
  rig = steady(machine().runtime);
  ({ runtime } = rig);
});

interface Read {
  readonly entries: number;
  readonly version: number;
  readonly contents: Map<string, string>;
  readonly found: FoundNumbers;
  readonly origins: OriginTable;
  readonly progress: readonly (readonly [entries: number, bytes: number, bytesTotal: number])[];
}

interface Wanted {
  readonly storeId?: string;
  readonly name?: Partial<CheckpointName>;
  readonly hlc?: number;
  /** Origins that the store knows already. */
  readonly known?: readonly string[];
  readonly keep?: boolean;
}

async function read({ bytes, name }: Omit<Checkpoint, "starts">, wanted: Wanted = {}): Promise<Read> {
  const handle = await runtime.fileSystem.open(PATH, "create");
  await handle.write(bytes, 0);
  await handle.close();
  const origins = new OriginTable();
  for (const id of wanted.known ?? []) origins.intern(id);
  const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
  engine.keepTombstones = true;
  const loader = wanted.keep === false ? undefined : engine.load();
  if (loader !== undefined) vi.spyOn(loader, "announce").mockImplementation((count) => announced.push(count));
  const found: FoundNumbers = { seq: 0, hlc: wanted.hlc ?? 0, coverage: new Coverage() };
  const progress: [number, number, number][] = [];
  const target = {
    loader,
    origins,
    found,
    progress: (...all: [number, number, number]) => progress.push(all),
  };
  try {
    const named = { ...name, ...wanted.name };
    const result = await readCheckpoint(runtime, PATH, named, wanted.storeId ?? STATE.storeId, target);
    while (loader?.step() === false);
    loader?.finish(result.header.version);
    const { entries, header } = result;
    return { entries, version: header.version, contents: contents(engine), found, origins, progress };
  } finally {
    await runtime.fileSystem.remove(PATH);
  }
}

const corrupt = (offset: number) => ({ code: "CORRUPT", details: { file: PATH, offset } });
const [A, B, C, D] = ["a", "b", "c", "d"].map((key) => ({ key, value: `value of ${key}` }));

describe("a checkpoint that is whole", () => {
  test("gives back its entries, of any number of blocks", async () => {
    expect((await read(checkpointOf([]))).entries).toBe(0);
    const checkpoint = checkpointOf([blockOf(A, B), blockOf({ key: "bb" }), blockOf(C, D)]);
    const found = await read(checkpoint);
    expect([found.entries, found.version]).toEqual([5, STATE.version]);
    expect([...found.contents]).toEqual([A, B, C, D].map(({ key, value }) => [key, value]));
    const { length } = checkpoint.bytes;
    expect(found.progress).toEqual([[5, length, length]]);
    expect((await read(checkpoint, { keep: false })).entries).toBe(5);
    expect(rig.turns).toBe(0);
  });

  test("gives back the highest time: of an entry, of the checkpoint, or that was known", async () => {
    const time = async (hlc: number, known: number): Promise<number> =>
      (await read(checkpointOf([blockOf({ ...A, hlc }, B)]), { hlc: known })).found.hlc;
    expect(await time(2000, 5)).toBe(2000);
    expect(await time(20, 5)).toBe(STATE.hlc);
    expect(await time(20, 3000)).toBe(3000);
    expect(await time(4000, 3000)).toBe(4000);
  });

  test("gives its origins the numbers of the store, in entries and in what is covered", async () => {
    const covered = { upTo: 9, holes: [{ from: 3, to: 4 }] };
    const coverage = [{ origin: 2, coverage: covered }];
    const checkpoint = checkpointOf([blockOf({ ...A, origin: 2 }, B)], { coverage });
    const found = await read(checkpoint, { known: ["d4".repeat(16), IDS[1]] });
    expect(found.origins.size).toBe(3);
    expect(found.origins.id(3)).toBe(IDS[0]);
    expect([...found.found.coverage.origins()]).toEqual([[IDS[1], covered]]);
    // The hash of an entry, and so the order of writers, depends on its origin.
    expect(found.contents.get("a")).toBe("value of a");
  });

  test("of many blocks is read so that others can work, who are told how far it is", async () => {
    const value = "v".repeat(100_000);
    const blocks = Array.from({ length: 24 }, (_, i) => blockOf({ key: `k${100 + i}`, value }));
    const checkpoint = checkpointOf(blocks);
    const { starts, bytes } = checkpoint;
    const { progress, contents: all } = await read(checkpoint);
    expect(progress).toEqual([
      [11, starts[11], bytes.length],
      [22, starts[22], bytes.length],
      [24, bytes.length, bytes.length],
    ]);
    expect(rig.turns).toBeGreaterThanOrEqual(2);
    expect(all.size).toBe(24);
    expect([...all.values()].every((found) => found === value)).toBe(true);
  });
});

describe("a checkpoint is refused that", () => {
  test("is missing, or has another length than the manifest says", async () => {
    const { bytes, name } = checkpointOf([blockOf(A)]);
    const target = {
      loader: undefined,
      origins: new OriginTable(),
      found: { seq: 0, hlc: 0, coverage: new Coverage() },
      progress: () => undefined,
    };
    await expect(readCheckpoint(runtime, PATH, name, STATE.storeId, target)).rejects.toMatchObject(
      corrupt(0),
    );
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    await expect(read({ bytes: longer, name })).rejects.toMatchObject(corrupt(longer.length));
    const shorter = bytes.subarray(0, bytes.length - 1);
    await expect(read({ bytes: shorter, name })).rejects.toMatchObject(corrupt(shorter.length));
  });

  test("is not the one that the manifest names, or of another store", async () => {
    const checkpoint = checkpointOf([blockOf(A)]);
    await expect(read(checkpoint, { name: { number: 5 } })).rejects.toMatchObject(corrupt(0));
    await expect(read(checkpoint, { name: { version: 51 } })).rejects.toMatchObject(corrupt(0));
    await expect(read(checkpoint, { storeId: "a2".repeat(16) })).rejects.toMatchObject(corrupt(0));
    await expect(read(checkpoint, { name: { crc: 1 } })).rejects.toMatchObject(
      corrupt(checkpoint.bytes.length - FOOTER_BYTES),
    );
  });

  test("is of a newer format", async () => {
    const { bytes, name } = checkpointOf([blockOf(A)]);
    writeU32(bytes, 8, 99);
    writeU32(bytes, 104, nodeChecksum.crc32(bytes, 0, 104, 0));
    const error = { code: "FORMAT_NEWER", details: { file: PATH, version: 99 } };
    await expect(read({ bytes, name })).rejects.toMatchObject(error);
  });

  test("has a damaged byte, wherever: told is the part that it is in", async () => {
    const { bytes, name, starts } = checkpointOf([blockOf(A, B), blockOf(C)]);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] ^= 4;
      const parts = [0, CHECKPOINT_HEADER_BYTES, ...starts];
      const offset = parts.findLast((start) => start <= at) ?? 0;
      await expect(read({ bytes: damaged, name }), `byte ${at}`).rejects.toMatchObject(corrupt(offset));
    }
  });

  test.each([
    ["bytes", { fileBytes: 1 }, "footer"],
    ["blocks, one more", { blockCount: 3 }, "end"],
    ["blocks, one less", { blockCount: 1 }, "middle"],
    ["entries", { entryCount: 4 }, "end"],
    ["checksum of blocks", { blocksCrc: 1 }, "end"],
  ])("has a footer with other %s", async (_, footer, place) => {
    const checkpoint = checkpointOf([blockOf(A, B), blockOf(C)], { footer });
    const [, middle, end] = checkpoint.starts;
    const offset = place === "middle" ? middle : end;
    await expect(read(checkpoint)).rejects.toMatchObject(corrupt(offset));
  });

  test("has bytes between its blocks and its footer", async () => {
    const checkpoint = checkpointOf([blockOf(A)], { between: 1 });
    await expect(read(checkpoint)).rejects.toMatchObject(corrupt(checkpoint.starts[1]));
  });

  test("has fewer entries than its footer says, and no room is made for more than its bytes can hold", async () => {
    const whole = checkpointOf([blockOf(A, B)]);
    expect((await read(whole)).entries).toBe(2);
    expect(announced).toEqual([2]);
    for (const compressed of [false, true]) {
      const forged = checkpointOf([blockOf(A, B)], {
        state: { compressed },
        footer: { entryCount: 2 ** 40 },
      });
      await expect(read(forged)).rejects.toMatchObject({ code: "CORRUPT" });
      const most = Math.floor(forged.bytes.length / (compressed ? 1 : 8 + ENTRY_HEADER_BYTES));
      expect(announced.pop()).toBe(most);
    }
    expect(announced).toEqual([2]);
  });

  test("has the footer of another one", async () => {
    const checkpoint = checkpointOf([blockOf(A)], { footerSeed: 1 });
    await expect(read(checkpoint)).rejects.toMatchObject(corrupt(checkpoint.starts[1]));
  });

  test("has blocks in another order", async () => {
    const checkpoint = checkpointOf([blockOf(A), { ...blockOf(B), index: 2 }]);
    await expect(read(checkpoint)).rejects.toMatchObject(corrupt(checkpoint.starts[1]));
  });

  test("has a block that is longer than the file", async () => {
    const { bytes, name, starts } = checkpointOf([blockOf(A)]);
    const at = starts[0];
    for (const length of [bytes.length, 2 ** 31 - 1]) {
      writeU32(bytes, at, length);
      const { crc32 } = nodeChecksum;
      writeU32(bytes, at + 12, crc32(bytes, at, at + 12, crc32(bytes, 0, 104, 0)));
      await expect(read({ bytes, name })).rejects.toMatchObject(corrupt(at));
    }
  });

  const items = payloadOf([A, B]);
  test.each([
    ["more bytes than entries", { payload: items, entryCount: 1 }],
    ["more entries than bytes", { payload: items, entryCount: 3 }],
    ["an entry that is cut off", { payload: items.subarray(0, items.length - 1), entryCount: 2 }],
    ["a version that is cut off", { payload: payloadOf([A]).subarray(0, 7), entryCount: 1 }],
    ["a version of 0", blockOf({ ...A, version: 0 })],
    ["a version above its own", blockOf({ ...A, version: STATE.version + 1 })],
    ["an origin of 0", blockOf({ ...A, origin: 0 })],
    ["an origin that is not defined", blockOf({ ...A, origin: 3 })],
    ["keys that are not in order", blockOf(B, A)],
    ["a key twice", blockOf(A, A)],
    ["a key before another that it begins with", blockOf({ key: "ab" }, { key: "a" })],
  ])("has a block with %s", async (_, block) => {
    const checkpoint = checkpointOf([block]);
    await expect(read(checkpoint)).rejects.toMatchObject(corrupt(checkpoint.starts[0]));
    await expect(read(checkpoint, { keep: false })).rejects.toMatchObject(corrupt(checkpoint.starts[0]));
  });

  test("is damaged, with nothing read of it any more when that is told", async () => {
    const value = "v".repeat(1_000_000);
    const blocks = Array.from({ length: 4 }, (_, i) => blockOf({ key: `k${i}`, value }));
    const checkpoint = checkpointOf([blockOf({ ...A, version: 0 }), ...blocks]);
    const { fileSystem } = runtime;
    let reads = { begun: 0, underWay: 0 };
    let underWayAtClose = -1;
    const open: typeof fileSystem.open = async (path, mode) => {
      if (mode !== "read") return fileSystem.open(path, mode);
      // What is read ahead takes longer than the rest.
      const counted = await countedReads(rig.runtime, path, (position) => (position === MIB ? 9 : 1));
      const { handle } = counted;
      const close = handle.close.bind(handle);
      reads = counted.reads;
      return Object.assign(handle, {
        close: () => {
          underWayAtClose = reads.underWay;
          return close();
        },
      });
    };
    const watched = new Proxy(fileSystem, {
      get: (target, key) => {
        if (key === "open") return open;
        const value = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    runtime = { ...runtime, fileSystem: watched };
    await expect(read(checkpoint)).rejects.toMatchObject(corrupt(checkpoint.starts[0]));
    // The first MiB, the footer, and what is read ahead.
    expect(reads).toEqual({ begun: 3, underWay: 0 });
    expect(underWayAtClose).toBe(0);
  });

  test("has a version of its own at most, and the highest origin", async () => {
    const item = { ...A, version: STATE.version, origin: 2 };
    expect((await read(checkpointOf([blockOf(item)]))).entries).toBe(1);
  });

  test.each([
    ["lower", A],
    ["the same", B],
  ])("has a %s key in the next block", async (_, item) => {
    const checkpoint = checkpointOf([blockOf(A, B), blockOf(item)]);
    await expect(read(checkpoint)).rejects.toMatchObject(corrupt(checkpoint.starts[1]));
  });

  test("has an empty block between keys that are not in order", async () => {
    const checkpoint = checkpointOf([blockOf(B), blockOf(), blockOf(A)]);
    await expect(read(checkpoint)).rejects.toMatchObject(corrupt(checkpoint.starts[2]));
    expect((await read(checkpointOf([blockOf(A), blockOf(), blockOf(B)]))).entries).toBe(2);
    expect((await read(checkpointOf([blockOf(), blockOf(A)]))).entries).toBe(1);
    expect((await read(checkpointOf([blockOf(), blockOf({ key: "\u0001" })]))).entries).toBe(1);
  });
});

test("a key may be empty, and comes first", async () => {
  expect((await read(checkpointOf([blockOf({ key: "", value: "x" }, A)]))).entries).toBe(2);
  const checkpoint = checkpointOf([blockOf({ key: "", value: "x" }), blockOf({ key: "", value: "y" })]);
  await expect(read(checkpoint)).rejects.toMatchObject(corrupt(checkpoint.starts[1]));
});
