import { beforeEach, describe, expect, test } from "vitest";
import type { FileHandle, Runtime } from "../../../src/base/runtime/interface.js";
import { createStore, identityOf } from "../../../src/durability/first-open.js";
import { type Layout, layoutOf } from "../../../src/durability/layout.js";
import { type Manifest, type ManifestReading, readManifest } from "../../../src/durability/manifest.js";
import { renewManifest } from "../../../src/durability/manifest-renewal.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { filesOf, machine, ROOT } from "../harness.js";

let storage: SimulatedStorage;
let runtime: Runtime;
let layout: Layout;
let handle: FileHandle;
let reading: ManifestReading;
let changed: Manifest;

const open = (): Promise<FileHandle> => runtime.fileSystem.open(layout.manifest, "update");

beforeEach(async () => {
  storage = machine();
  ({ runtime } = storage);
  layout = layoutOf(runtime.fileSystem, ROOT);
  await runtime.fileSystem.makeDirectory(ROOT);
  await createStore(runtime, layout);
  handle = await open();
  reading = await readManifest(runtime.checksum, handle);
  changed = { ...reading.manifest, seq: 77 };
});

/** What the file says that has the name now. */
async function found(): Promise<ManifestReading> {
  const other = await open();
  const read = await readManifest(runtime.checksum, other);
  await other.close();
  return read;
}

const identity = async (): Promise<string> =>
  (await runtime.fileSystem.status(layout.manifest))?.identity ?? "nothing";
const names = (): string[] => filesOf(storage, ROOT).map(([path]) => path.slice(ROOT.length + 1));

describe("the manifest of a directory that is opened", () => {
  test("is another file, which names itself and goes on with the numbers of the old one", async () => {
    const before = await identity();
    const file = await renewManifest(runtime, layout, handle, reading, changed);
    expect(await identity()).not.toBe(before);
    const renewed = await found();
    expect(renewed.manifest).toEqual({ ...changed, identity: identityOf(runtime, await identity()) });
    expect(file.manifest).toEqual(renewed.manifest);
    expect(renewed.generation).toBe(reading.generation + 2);
    expect(names()).not.toContain("MANIFEST.tmp");
    await expect(handle.read(new Uint8Array(1), 0)).rejects.toThrow();

    await file.update((now) => ({ ...now, seq: 78 }));
    const after = await found();
    expect([after.manifest.seq, after.generation]).toEqual([78, reading.generation + 4]);
    await file.close();
  });

  test("is the old one, changed, where the disk has no room for another", async () => {
    const before = await identity();
    storage.disk.faults.add({ operations: ["write"], path: "MANIFEST.tmp", code: "ENOSPC" });
    const file = await renewManifest(runtime, layout, handle, reading, changed);
    expect(await identity()).toBe(before);
    expect((await found()).manifest).toEqual(changed);
    expect(file.manifest).toEqual(changed);
    expect(names()).not.toContain("MANIFEST.tmp");
    await file.close();
  });

  test.each(["write", "sync", "rename"] as const)(
    "is as it was where a %s fails, and nothing is left beside it",
    async (operation) => {
      storage.disk.faults.add({ operations: [operation], path: "MANIFEST", code: "EIO" });
      const renewal = renewManifest(runtime, layout, handle, reading, changed);
      await expect(renewal).rejects.toMatchObject({ code: "IO_ERROR" });
      expect((await found()).manifest).toEqual(reading.manifest);
      expect(names()).not.toContain("MANIFEST.tmp");
    },
  );

  test("takes the place of what an earlier attempt left", async () => {
    const left = await runtime.fileSystem.open(`${layout.manifest}.tmp`, "create");
    await left.write(new Uint8Array(9000).fill(7), 0);
    await left.close();
    const file = await renewManifest(runtime, layout, handle, reading, changed);
    expect((await found()).manifest.seq).toBe(77);
    await file.close();
    expect(names()).not.toContain("MANIFEST.tmp");
  });

  test("leaves no file open but the one that it is in", async () => {
    const opened = new Map<string, number>();
    storage.disk.onOperation = ({ kind, path }, phase) => {
      if (phase !== "after") return;
      if (kind === "open" || kind === "create") opened.set(path, (opened.get(path) ?? 0) + 1);
      if (kind === "close") opened.set(path, (opened.get(path) ?? 0) - 1);
    };
    const file = await renewManifest(runtime, layout, handle, reading, changed);
    expect(opened.get(`${layout.manifest}.tmp`)).toBe(0);
    // The old one was open before anybody counted.
    expect(opened.get(layout.manifest)).toBe(0);
    await file.close();
    expect(opened.get(layout.manifest)).toBe(-1);
  });
});
