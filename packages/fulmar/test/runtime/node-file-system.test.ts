import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";

const { fileSystem } = nodeRuntime();
const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);
const code = (value: string): object => expect.objectContaining({ code: value });

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fulmar-files-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("a file is written and read at positions, in line and off the loop", async () => {
  const path = fileSystem.join(root, "a");
  const file = await fileSystem.open(path, "create");
  expect(file.path).toBe(path);
  expect(file.writeNow(bytes(1, 2, 3), 0)).toBe(3);
  expect(await file.write(bytes(9, 9), 5)).toBe(2);
  expect(await file.size()).toBe(7);
  file.syncDataNow();
  await file.syncData();
  const target = new Uint8Array(10).fill(77);
  expect(await file.read(target, 1)).toBe(6);
  expect([...target]).toEqual([2, 3, 0, 0, 9, 9, 77, 77, 77, 77]);
  expect(await file.read(target, 7)).toBe(0);
  expect(await file.read(target, 1000)).toBe(0);
  expect(await file.read(new Uint8Array(0), 0)).toBe(0);
  await file.truncate(2);
  await file.truncate(4);
  await file.close();
  expect([...readFileSync(path)]).toEqual([1, 2, 0, 0]);
});

test("modes: read cannot write, update needs the file, create needs its absence", async () => {
  const path = join(root, "a");
  await expect(fileSystem.open(path, "read")).rejects.toEqual(code("ENOENT"));
  await expect(fileSystem.open(path, "update")).rejects.toEqual(code("ENOENT"));
  const created = await fileSystem.open(path, "create");
  expect(created.writeNow(bytes(1, 2), 0)).toBe(2);
  await created.close();
  await expect(fileSystem.open(path, "create")).rejects.toEqual(code("EEXIST"));
  const reader = await fileSystem.open(path, "read");
  expect(() => reader.writeNow(bytes(1), 0)).toThrow(code("EBADF") as Error);
  await expect(reader.write(bytes(1), 0)).rejects.toEqual(code("EBADF"));
  await reader.close();
  const updater = await fileSystem.open(path, "update");
  expect(updater.writeNow(bytes(3), 1)).toBe(1);
  await updater.close();
  expect([...readFileSync(path)]).toEqual([1, 3]);
});

test("a closed handle takes nothing more, and close waits for what is under way", async () => {
  const path = join(root, "a");
  const file = await fileSystem.open(path, "create");
  const large = new Uint8Array(32 << 20).fill(5);
  const order: string[] = [];
  const writing = file.write(large, 0).finally(() => order.push("written"));
  const closing = file.close().finally(() => order.push("closed"));
  expect(() => file.writeNow(bytes(1), 0)).toThrow(code("EBADF") as Error);
  expect(() => file.syncDataNow()).toThrow(code("EBADF") as Error);
  await expect(file.write(bytes(1), 0)).rejects.toEqual(code("EBADF"));
  await expect(file.read(bytes(1), 0)).rejects.toEqual(code("EBADF"));
  await expect(file.size()).rejects.toEqual(code("EBADF"));
  expect(await writing).toBe(large.length);
  await closing;
  expect(order).toEqual(["written", "closed"]);
  await file.close();
  expect(statSync(path).size).toBe(large.length);
});

test("files and directories are for their owner only", async () => {
  const directory = join(root, "x", "y");
  await fileSystem.makeDirectory(directory);
  await fileSystem.makeDirectory(directory);
  await (await fileSystem.open(join(directory, "a"), "create")).close();
  expect(statSync(join(root, "x")).mode & 0o777).toBe(0o700);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, "a")).mode & 0o777).toBe(0o600);
  await expect(fileSystem.makeDirectory(join(directory, "a"))).rejects.toEqual(code("EEXIST"));
});

test("status tells kind, size and identity, which a rename keeps and a copy or successor has not", async () => {
  const [a, b, c] = ["a", "b", "c"].map((name) => join(root, name));
  expect(await fileSystem.status(a)).toBeUndefined();
  const file = await fileSystem.open(a, "create");
  file.writeNow(bytes(1, 2, 3), 0);
  const first = (await fileSystem.status(a))!;
  expect(first).toMatchObject({ kind: "file", sizeBytes: 3 });
  file.writeNow(bytes(4), 3);
  await file.close();
  await fileSystem.rename(a, b);
  expect(await fileSystem.status(b)).toEqual({ ...first, sizeBytes: 4 });
  copyFileSync(b, c);
  const copied = (await fileSystem.status(c))!;
  expect(copied.identity).not.toBe(first.identity);
  expect(await fileSystem.status(root)).toMatchObject({ kind: "directory" });
  symlinkSync(b, a);
  expect(await fileSystem.status(a)).toEqual({ ...first, sizeBytes: 4 });
  expect(await fileSystem.isNamed(a)).toBe(true);
  await fileSystem.remove(b);
  expect([await fileSystem.status(a), await fileSystem.isNamed(a)]).toEqual([undefined, true]);
  expect([await fileSystem.isNamed(b), await fileSystem.isNamed(root)]).toEqual([false, true]);
  await expect(fileSystem.isNamed(join(c, "below"))).rejects.toEqual(code("ENOTDIR"));
  expect(await fileSystem.status("/dev/null")).toMatchObject({ kind: "other" });
});

test("names are listed by code unit", async () => {
  for (const name of ["b", "a", "B", "10", "9", "é", "_"]) {
    await (await fileSystem.open(join(root, name), "create")).close();
  }
  expect(await fileSystem.list(root)).toEqual(["10", "9", "B", "_", "a", "b", "é"]);
  await expect(fileSystem.list(join(root, "missing"))).rejects.toEqual(code("ENOENT"));
});

test("rename replaces, remove removes, and both say when there is nothing", async () => {
  const [a, b] = ["a", "b"].map((name) => join(root, name));
  for (const [path, value] of [
    [a, 1],
    [b, 2],
  ] as const) {
    const file = await fileSystem.open(path, "create");
    file.writeNow(bytes(value), 0);
    await file.close();
  }
  await fileSystem.rename(a, b);
  await fileSystem.syncDirectory(root);
  expect([...readFileSync(b)]).toEqual([1]);
  expect(await fileSystem.list(root)).toEqual(["b"]);
  await fileSystem.remove(b);
  await expect(fileSystem.remove(b)).rejects.toEqual(code("ENOENT"));
  await expect(fileSystem.rename(a, b)).rejects.toEqual(code("ENOENT"));
  await expect(fileSystem.syncDirectory(a)).rejects.toEqual(code("ENOENT"));
});

test("paths: real path, join, parent", async () => {
  const link = join(root, "link");
  symlinkSync(root, link, "dir");
  expect(await fileSystem.realPath(link)).toBe(await fileSystem.realPath(root));
  await expect(fileSystem.realPath(join(root, "missing"))).rejects.toEqual(code("ENOENT"));
  expect(fileSystem.parent(fileSystem.join("/a/b", "c"))).toBe("/a/b");
  expect(fileSystem.parent("name")).toBe(process.cwd());
});

test("lock is that of the directory", async () => {
  const lock = await fileSystem.lock(root);
  await expect(fileSystem.lock(root)).rejects.toEqual(code("LOCKED"));
  await lock.release();
  expect(await fileSystem.list(root)).toEqual([]);
});

test.runIf(process.platform === "linux")("a directory is refused where none can be made", async () => {
  await expect(fileSystem.makeDirectory("/proc/self/a/b")).rejects.toEqual(code("ENOENT"));
});

test("a directory is there for all who make it at once, with its parents", async () => {
  const deep = join(root, "a", "b", "c");
  await Promise.all(
    [deep, deep, join(root, "a", "b"), `${deep}/d/`].map((path) => fileSystem.makeDirectory(path)),
  );
  expect(statSync(join(deep, "d")).mode & 0o777).toBe(0o700);
  symlinkSync(join(root, "nothing"), join(root, "dangling"));
  await expect(fileSystem.makeDirectory(join(root, "dangling", "a"))).rejects.toEqual(code("EEXIST"));
});
