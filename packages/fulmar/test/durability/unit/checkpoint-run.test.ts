import { beforeEach, describe, expect, test } from "vitest";
import type { FileSystem, Runtime } from "../../../src/base/runtime/interface.js";
import { nodeCryptography } from "../../../src/base/runtime/node/cryptography.js";
import { CHECKPOINT_HEADER_BYTES, readCheckpointHeader } from "../../../src/durability/checkpoint-format.js";
import { writeCheckpoint } from "../../../src/durability/checkpoint-run.js";
import { checkpointName, layoutOf } from "../../../src/durability/layout.js";
import type { Manifest } from "../../../src/durability/manifest.js";
import { createEntryHash } from "../../../src/memory/entry-hash.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { Coverage } from "../../../src/record/coverage.js";
import { OriginTable } from "../../../src/record/origins.js";
import { machine } from "../harness.js";
import { entryOf, IDS, STATE } from "./checkpoint-bytes.js";

const { storeId, incarnation } = STATE;

let runtime: Runtime;
let directory: string;

beforeEach(async () => {
  ({ runtime } = machine());
  directory = layoutOf(runtime.fileSystem, "/store").checkpoints;
  for (const path of ["/store", directory]) await runtime.fileSystem.makeDirectory(path);
});

interface Options {
  readonly number?: number;
  readonly keepTombstones?: boolean;
  readonly stopped?: () => boolean;
  readonly synced?: () => Promise<void>;
  readonly compressed?: boolean;
  /** Instead of methods of the file system. */
  readonly fileSystem?: Partial<FileSystem>;
}

/** Writes a checkpoint of two entries, one of which is deleted. */
function write(options: Options = {}) {
  const { number = 0, keepTombstones = false, compressed = false } = options;
  const { stopped = () => false, synced = () => Promise.resolve() } = options;
  const fileSystem = new Proxy(runtime.fileSystem, {
    get(target, name: keyof FileSystem) {
      const own = options.fileSystem?.[name];
      return own ?? (target[name] as () => unknown).bind(target);
    },
  });
  const origins = new OriginTable();
  for (const id of IDS) origins.intern(id);
  const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
  engine.keepTombstones = keepTombstones;
  for (const [i, item] of [{ key: "a", value: "1".repeat(5000) }, { key: "b" }].entries()) {
    const entry = entryOf(item);
    engine.put(i + 1, entry, 0, entry.length);
  }
  engine.settle(2);
  const coverage = new Coverage();
  coverage.set(IDS[1], { upTo: 9, holes: [] });
  const context = {
    runtime: { ...runtime, fileSystem },
    layout: layoutOf(fileSystem, "/store"),
    origins,
    compressed,
    stopped,
  };
  const manifest = { storeId, incarnation, checkpoint: { number, version: 0, bytes: 0, crc: 0 } } as Manifest;
  return writeCheckpoint(context, manifest, {
    version: 2,
    seq: 7,
    hlc: 1000,
    coverage,
    engine,
    read: () => undefined,
    synced,
  });
}

const names = (): Promise<string[]> => runtime.fileSystem.list(directory);

async function create(name: string): Promise<void> {
  const handle = await runtime.fileSystem.open(runtime.fileSystem.join(directory, name), "create");
  await handle.close();
}

describe("a checkpoint of a directory", () => {
  test("is a file of the next number, named when it is whole", async () => {
    const written = await write({ number: 4 });
    expect(written).toMatchObject({ number: 5, version: 2, entries: 1 });
    expect(await names()).toEqual([checkpointName(5)]);
    const path = runtime.fileSystem.join(directory, checkpointName(5));
    expect((await runtime.fileSystem.status(path))?.sizeBytes).toBe(written.bytes);
    const handle = await runtime.fileSystem.open(path, "read");
    const head = new Uint8Array(CHECKPOINT_HEADER_BYTES);
    await handle.read(head, 0);
    await handle.close();
    const header = readCheckpointHeader(runtime.checksum, head);
    expect(header).toMatchObject({ number: 5, version: 2, isBackup: false, hadPeers: false, storeId });
  });

  test("has a number that no file has, whatever else is there", async () => {
    for (const name of [checkpointName(8), checkpointName(2), "notes.txt"]) await create(name);
    expect((await write({ number: 4 })).number).toBe(9);
    expect((await write({ number: 20 })).number).toBe(21);
  });

  test("holds deletions when the store keeps them, and is packed when that is wished", async () => {
    const plain = await write();
    expect((await write({ keepTombstones: true })).entries).toBe(2);
    expect((await write({ compressed: true })).bytes).toBeLessThan(plain.bytes - 2000);
  });

  test("is checked by reading it, and removed when it is not what was written", async () => {
    const rename = async (from: string, to: string): Promise<void> => {
      const handle = await runtime.fileSystem.open(from, "update");
      await handle.write(Uint8Array.of(0xff), 3000);
      await handle.close();
      await runtime.fileSystem.rename(from, to);
    };
    await expect(write({ fileSystem: { rename } })).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await names()).toEqual([]);
  });

  test("is removed when the store closes before the end, or what it holds cannot be synced", async () => {
    let waits = false;
    const synced = async (): Promise<void> => {
      waits = true;
    };
    await expect(write({ synced, stopped: () => waits })).rejects.toMatchObject({ code: "CLOSED" });
    expect([waits, await names()]).toEqual([true, []]);
    const failed = new Error("it cannot be synced");
    await expect(write({ synced: () => Promise.reject(failed) })).rejects.toBe(failed);
    expect(await names()).toEqual([]);
  });

  test("tells why it could not be written, also when it cannot be removed", async () => {
    const failed = new Error("it cannot be synced");
    const remove = (path: string): Promise<void> =>
      path.endsWith(checkpointName(1)) ? Promise.reject(new Error("no")) : runtime.fileSystem.remove(path);
    const synced = (): Promise<void> => Promise.reject(failed);
    await expect(write({ synced, fileSystem: { remove } })).rejects.toBe(failed);
    expect(await names()).toEqual([checkpointName(1)]);
  });

  test("is not written when the directory cannot be listed", async () => {
    const list = (): Promise<string[]> => Promise.reject(Object.assign(new Error("no"), { code: "EIO" }));
    await expect(write({ fileSystem: { list } })).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(await names()).toEqual([]);
  });
});
