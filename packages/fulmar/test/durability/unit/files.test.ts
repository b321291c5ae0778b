import { beforeEach, describe, expect, test } from "vitest";
import type { FileHandle, FileSystem } from "../../../src/base/runtime/interface.js";
import {
  corrupt,
  createDurably,
  formatNewer,
  formatOlder,
  listOwn,
  notSealed,
  openFile,
  Pacer,
  readFully,
  removeFile,
  unknownOutcome,
  withFile,
  writeFully,
} from "../../../src/durability/files.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { machine } from "../harness.js";
import { type Steady, steady } from "./steady.js";

const PATH = "/store/file";
const TEMPORARY = "/store/file.tmp";

let storage: SimulatedStorage;
let fileSystem: FileSystem;
let operations: string[];

beforeEach(async () => {
  storage = machine();
  ({ fileSystem } = storage.runtime);
  await fileSystem.makeDirectory("/store");
  operations = [];
  storage.disk.onOperation = ({ kind }, phase) => {
    if (phase === "before" && kind !== "status") operations.push(kind);
  };
});

const fill = (handle: FileHandle): Promise<void> => writeFully(handle, Uint8Array.of(1, 2, 3), 0);

async function contents(path: string): Promise<number[]> {
  return withFile(fileSystem, path, "read", async (handle) => {
    const bytes = new Uint8Array(await handle.size());
    expect(await readFully(handle, bytes, 0)).toBe(bytes.length);
    return [...bytes];
  });
}

describe("a file that is created durably", () => {
  test("is filled and synced before it gets its name, which is synced too", async () => {
    const handle = await createDurably(fileSystem, TEMPORARY, PATH, fill);
    expect(operations).toEqual(["create", "write", "sync", "rename", "syncDirectory"]);
    await handle.close();
    expect(await fileSystem.list("/store")).toEqual(["file"]);
    expect(await contents(PATH)).toEqual([1, 2, 3]);
  });

  test("takes the place of what an earlier attempt left", async () => {
    await (await fileSystem.open(TEMPORARY, "create")).close();
    operations.length = 0;
    await (await createDurably(fileSystem, TEMPORARY, PATH, fill)).close();
    expect(operations.slice(0, 2)).toEqual(["remove", "create"]);
  });

  test.each(["write", "sync", "rename", "syncDirectory"] as const)(
    "leaves nothing, and no file open, when its %s fails",
    async (kind) => {
      storage.disk.faults.add({ operations: [kind], path: "/store", code: "EIO" });
      const made = createDurably(fileSystem, TEMPORARY, PATH, fill);
      await expect(made).rejects.toMatchObject({ code: "IO_ERROR" });
      expect(await fileSystem.list("/store")).toEqual([]);
      expect(operations).toContain("close");
    },
  );

  test("in the place of another one leaves one of both when its name cannot be synced", async () => {
    await (await createDurably(fileSystem, TEMPORARY, PATH, fill)).close();
    for (const kind of ["sync", "syncDirectory"] as const) {
      storage.disk.faults.add({ operations: [kind], path: "/store", code: "EIO" });
      const made = createDurably(fileSystem, TEMPORARY, PATH, fill);
      await expect(made).rejects.toMatchObject({ code: "IO_ERROR" });
      expect(await fileSystem.list("/store")).toEqual(["file"]);
    }
  });
});

describe("errors of the system", () => {
  test.each([
    ["create", "create"],
    ["open", "update"],
    ["open", "read"],
  ] as const)("say that it could not %s the file", async (action, mode) => {
    storage.disk.faults.add({ operations: ["create", "open"], code: "EACCES" });
    const error = await openFile(fileSystem, PATH, mode).catch((cause: Error) => cause);
    expect(error).toMatchObject({ code: "ACCESS_DENIED", details: { path: PATH } });
    expect((error as Error).message).toContain(`not allowed to ${action} ${PATH}`);
  });

  test("close the file that was open for the time of some work", async () => {
    await (await createDurably(fileSystem, TEMPORARY, PATH, fill)).close();
    operations.length = 0;
    const failure = new Error("no");
    const work = withFile(fileSystem, PATH, "read", () => Promise.reject(failure));
    await expect(work).rejects.toBe(failure);
    expect(operations).toEqual(["open", "close"]);
    storage.disk.faults.add({ operations: ["close"], code: "EIO" });
    const closed = withFile(fileSystem, PATH, "read", () => Promise.resolve(1));
    await expect(closed).rejects.toMatchObject({ code: "IO_ERROR" });
  });

  test("name the file and its format", () => {
    const details = { file: PATH, version: 9 };
    expect(formatNewer(PATH, 9)).toMatchObject({ code: "FORMAT_NEWER", details });
    expect(formatOlder(PATH, 9)).toMatchObject({ code: "FORMAT_OLDER", details });
    expect(corrupt(PATH, 9, "no")).toMatchObject({ code: "CORRUPT", details: { file: PATH, offset: 9 } });
    const changed = notSealed(PATH, 9, "the footer");
    expect(changed).toMatchObject({ code: "CORRUPT", details: { file: PATH, offset: 9 } });
    const cause = new Error("EIO");
    const unknown = { code: "DURABILITY_UNKNOWN", details: { path: PATH }, cause };
    expect(unknownOutcome(cause, PATH)).toMatchObject(unknown);
    // What is known already is said as it is.
    expect(unknownOutcome(changed, PATH)).toBe(changed);
  });

  test("that a directory is missing are damage, others are not", async () => {
    await expect(listOwn(fileSystem, "/store/log")).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: "/store/log", offset: 0 },
    });
    expect(await listOwn(fileSystem, "/store")).toEqual([]);
    storage.disk.faults.add({ operations: ["list"], code: "EACCES" });
    await expect(listOwn(fileSystem, "/store")).rejects.toMatchObject({ code: "ACCESS_DENIED" });
  });
});

test("a file is removed if it is there", async () => {
  await (await createDurably(fileSystem, TEMPORARY, PATH, fill)).close();
  operations.length = 0;
  await removeFile(fileSystem, PATH);
  await removeFile(fileSystem, PATH);
  expect(operations).toEqual(["remove"]);
});

describe("reads and writes", () => {
  test("go on after short ones, and end with the file", async () => {
    const handle = await fileSystem.open(PATH, "create");
    storage.disk.faults.add({ operations: ["write"], bytes: 2, times: 2 });
    await writeFully(handle, Uint8Array.of(1, 2, 3, 4, 5), 1);
    expect(operations.filter((kind) => kind === "write")).toHaveLength(3);
    const target = new Uint8Array(8);
    expect(await readFully(handle, target, 0)).toBe(6);
    expect([...target]).toEqual([0, 1, 2, 3, 4, 5, 0, 0]);
    const reads = (): number => operations.filter((kind) => kind === "read").length;
    const before = reads();
    expect(await readFully(handle, target.subarray(0, 0), 0)).toBe(0);
    expect(await readFully(handle, target.subarray(0, 6), 0)).toBe(6);
    // Not once more when all is there.
    expect(reads() - before).toBe(1);
    await handle.close();
  });

  test("of some bytes at a time are put together", async () => {
    const parts = [3, 1, 2];
    const read = async (target: Uint8Array, position: number): Promise<number> => {
      const count = Math.min(parts.shift() ?? 0, target.length);
      for (let i = 0; i < count; i++) target[i] = position + i;
      return count;
    };
    const handle = { path: PATH, read } as unknown as FileHandle;
    const target = new Uint8Array(7);
    expect(await readFully(handle, target, 10)).toBe(6);
    expect([...target]).toEqual([10, 11, 12, 13, 14, 15, 0]);
  });

  test.each([0, -1])("fail when the system writes %i bytes", async (count) => {
    const handle = { path: PATH, write: () => Promise.resolve(count) } as unknown as FileHandle;
    await expect(writeFully(handle, Uint8Array.of(1), 0)).rejects.toMatchObject({
      code: "IO_ERROR",
      details: { path: PATH },
    });
  });
});

describe("the pace of long work", () => {
  let rig: Steady;
  let asked: number;
  let nowMs: number;

  beforeEach(() => {
    rig = steady(storage.runtime);
    [asked, nowMs] = [0, 100];
    rig.nowMs = () => {
      asked++;
      return nowMs;
    };
  });

  test("is a rest after each MiB", async () => {
    const pacer = new Pacer(rig.runtime);
    expect(pacer.worked(1024 * 1024 - 1)).toBe(false);
    expect(pacer.worked(1)).toBe(true);
    await pacer.rest();
    expect(rig.turns).toBe(1);
    expect(pacer.worked(1024 * 1024 - 1)).toBe(false);
    expect(pacer.worked(2)).toBe(true);
  });

  test("is a rest after 4 ms", async () => {
    const pacer = new Pacer(rig.runtime);
    nowMs += 3.9;
    expect(pacer.worked(20_000)).toBe(false);
    nowMs += 0.1;
    expect(pacer.worked(20_000)).toBe(true);
    await pacer.rest();
    expect(pacer.worked(20_000)).toBe(false);
    nowMs += 4;
    expect(pacer.worked(20_000)).toBe(true);
  });

  test("reads the clock every 16 KiB, not for each small piece", () => {
    const pacer = new Pacer(rig.runtime);
    for (let i = 0; i < 160; i++) pacer.worked(1024);
    expect(asked).toBe(1 + 10);
  });
});
