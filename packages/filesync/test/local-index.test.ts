import { lstat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { look, type PresentState } from "../src/disk.js";
import { type IndexRecord, isRacy, isUnchanged, LocalIndex } from "../src/local-index.js";
import { memoryStore, temporaryDirectory } from "./harness.js";

const OWNER = { rootIdentity: "r", storeId: "s" };

async function fileRecord(path: string, checkedAtMs: number): Promise<IndexRecord> {
  const { print } = (await look(path)) as PresentState;
  return { kind: "file", print, checkedAtMs, sha256: "a".repeat(64), writeId: "w" };
}

test("a file is unchanged as long as nothing of its state differs", async () => {
  const path = join(await temporaryDirectory(), "f");
  await writeFile(path, "one");
  await utimes(path, 1_000, 1_000);
  const record = await fileRecord(path, Date.now());
  expect(isUnchanged(await look(path), record)).toBe(true);
  for (const change of [{ size: 4 }, { mtimeNs: "1" }, { ctimeNs: "1" }, { ino: "1" }, { mode: 0 }]) {
    expect(isUnchanged(await look(path), { ...record, print: { ...record.print, ...change } })).toBe(false);
  }
});

test("the same size and time do not hide a change: the time of the inode differs", async () => {
  const path = join(await temporaryDirectory(), "f");
  await writeFile(path, "one");
  await utimes(path, 1_000, 1_000);
  const record = await fileRecord(path, Date.now());
  await writeFile(path, "two");
  await utimes(path, 1_000, 1_000);
  expect((await lstat(path)).size).toBe(3);
  expect(isUnchanged(await look(path), record)).toBe(false);
});

test("a file whose time is that of the look is racy: it must be read", async () => {
  const path = join(await temporaryDirectory(), "f");
  await writeFile(path, "one");
  const state = (await look(path)) as PresentState;
  const racy = await fileRecord(path, state.mtimeMs + 1);
  expect(isRacy(racy)).toBe(true);
  expect(isUnchanged(state, racy)).toBe(false);
  const safe = await fileRecord(path, state.mtimeMs + 5_000);
  expect(isRacy(safe)).toBe(false);
  expect(isUnchanged(state, safe)).toBe(true);
});

test("whole seconds as time widen what counts as racy; a time far in the future does not", async () => {
  const path = join(await temporaryDirectory(), "f");
  await writeFile(path, "one");
  await utimes(path, 5_000, 5_000);
  expect(isRacy(await fileRecord(path, 5_000_000 + 1_900))).toBe(true);
  expect(isRacy(await fileRecord(path, 5_000_000 + 2_100))).toBe(false);
  expect(isRacy(await fileRecord(path, 4_000_000))).toBe(false);
});

test("counts follow the records, and come back with them", async () => {
  const store = await memoryStore();
  const index = await LocalIndex.open(store, OWNER);
  const print = { size: 10, mtimeNs: "1", ctimeNs: "1", ino: "1", mode: 0o644 };
  const record: IndexRecord = { kind: "file", print, checkedAtMs: 1, sha256: "", writeId: "w" };
  await index.set("a", record);
  await index.set("a", { ...record, print: { ...print, size: 30 } });
  await index.set("d", { ...record, kind: "directory" });
  await index.set("b", record);
  await index.delete("b");
  await index.delete("never");
  const again = await LocalIndex.open(store, OWNER);
  for (const each of [index, again]) expect([each.files, each.directories, each.bytes]).toEqual([1, 1, 30]);
  expect(again.nodeId).toBe(index.nodeId);
  expect(again.get("a")?.print.size).toBe(30);
});

test.each([
  { rootIdentity: "other", storeId: "s" },
  { rootIdentity: "r", storeId: "other" },
])("records of another tree or store are dropped: %j", async (owner) => {
  const store = await memoryStore();
  const index = await LocalIndex.open(store, OWNER);
  const print = { size: 10, mtimeNs: "1", ctimeNs: "1", ino: "1", mode: 0o644 };
  await index.set("a", { kind: "file", print, checkedAtMs: 1, sha256: "", writeId: "w" });
  const again = await LocalIndex.open(store, owner);
  expect(again.get("a")).toBe(undefined);
  expect(again.files).toBe(0);
});
