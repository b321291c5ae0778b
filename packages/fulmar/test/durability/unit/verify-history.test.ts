import { beforeEach, expect, test } from "vitest";
import type { FileHandle, FileSystem, Runtime } from "../../../src/base/runtime/interface.js";
import { findHistory, type PastSegment } from "../../../src/durability/history.js";
import { layoutOf, segmentName } from "../../../src/durability/layout.js";
import { inspectSegment, type SegmentFile } from "../../../src/durability/segment-reader.js";
import { checkHistory } from "../../../src/durability/verify-history.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { repairSegment } from "../../fuzz/repair.js";
import { edit, MiniStore, machine, ROOT } from "../harness.js";

let storage: SimulatedStorage;
let storeId: string;
/** What is kept for watches, oldest first, and what continues it. */
let kept: readonly PastSegment[];
let first: SegmentFile;

beforeEach(async () => {
  storage = machine();
  const store = await MiniStore.open(storage.runtime, { historyBytes: 2 ** 30 });
  ({ storeId } = store.directory.recovered);
  for (let i = 0; i < 12; i++) {
    await store.save(`k${i}`, "x".repeat(1000));
    for (let turns = 0; turns < 6; turns++) await store.runtime.timers.turn();
  }
  await store.checkpoint();
  await store.close();
  const runtime = storage.restart();
  const layout = layoutOf(runtime.fileSystem, ROOT);
  const names = await runtime.fileSystem.list(layout.log);
  const number = names.length - store.directory.status().segments + 1;
  first = await inspectSegment(runtime, `${layout.log}/${segmentName(number)}`, number, storeId);
  kept = await findHistory(runtime, layout, storeId, first, Number.POSITIVE_INFINITY);
  expect(kept.map((segment) => segment.number)).toEqual(Array.from({ length: number - 1 }, (_, i) => i + 1));
  expect(kept.length).toBeGreaterThan(2);
});

const check = (runtime: Runtime = storage.runtime): ReturnType<typeof checkHistory> =>
  checkHistory(runtime, storeId, kept, first, true);

test("of what is whole there are no findings", async () => {
  expect(await check()).toEqual([]);
  expect(await checkHistory(storage.runtime, storeId, [], undefined, false)).toEqual([]);
});

test("an error of the disk is no damage", async () => {
  storage.disk.faults.add({ operations: ["read"], path: kept[1].path, code: "EIO" });
  await expect(check()).rejects.toMatchObject({ code: "IO_ERROR" });
});

test("nor is a format that is newer, although it names the segment", async () => {
  const { path } = kept[1];
  await edit(storage, path, (bytes) => {
    bytes[8]++;
    repairSegment(bytes);
    return bytes;
  });
  await expect(check()).rejects.toMatchObject({ code: "FORMAT_NEWER", details: { file: path } });
});

test("damage in a file of another name is passed on: behind which segment to go on nobody knows", async () => {
  storage.disk.rot(kept[1].path, { bits: [8 * 2000] });
  const { runtime } = storage;
  const { fileSystem } = runtime;
  let opened = 0;
  const open = async (...args: Parameters<FileSystem["open"]>): Promise<FileHandle> => {
    if (++opened > 100) throw new Error("it would never come to an end");
    return renamed(await fileSystem.open(...args), `/real${args[0]}`);
  };
  const moved = { ...runtime, fileSystem: withMember(fileSystem, "open", open) };
  await expect(check(moved)).rejects.toMatchObject({
    code: "CORRUPT",
    details: { file: `/real${kept[1].path}` },
  });
  expect(await check()).toMatchObject([{ severity: "history", file: kept[1].path }]);
});

const renamed = (handle: FileHandle, path: string): FileHandle => withMember(handle, "path", path);

/** The same object but for one member. */
function withMember<T extends object>(object: T, name: keyof T, value: unknown): T {
  return new Proxy(object, {
    get(target, asked) {
      if (asked === name) return value;
      const member: unknown = Reflect.get(target, asked);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
