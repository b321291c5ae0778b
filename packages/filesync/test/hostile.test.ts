import { lstat, mkdir, readdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeMeta, type FileMeta, fileKey } from "../src/model.js";
import {
  type BytesStore,
  converge,
  memoryStore,
  mirrorNode,
  stagingLeftovers,
  temporaryDirectory,
} from "./harness.js";
import { fileMeta, putFile } from "./store-files.js";

/** A root in a directory of its own, so that an escape shows beside it. */
async function guardedNode(store: BytesStore) {
  const outer = await temporaryDirectory();
  await mkdir(join(outer, "root"));
  await writeFile(join(outer, "victim"), "untouched");
  return { outer, node: await mirrorNode(store, { directory: join(outer, "root") }) };
}

describe("SEC: key -> path", () => {
  test("T-SEC-PATH: hostile keys in the store write nothing anywhere, and are counted", async () => {
    const store = await memoryStore();
    const { outer, node } = await guardedNode(store);
    const hostile = [
      "../victim",
      "../new",
      "a/../../victim",
      "/tmp/fulmar-absolute",
      `${outer}/victim`,
      "..",
      ".",
      "",
      "a//b",
      "a\\..\\b",
      "nul\0l",
      ".fulmar/identity",
      ".fulmar/staging/x",
      "sub/.Fulmar/x",
      "C:/x",
      "x".repeat(300),
    ];
    const identity = await readFile(join(outer, "root/.fulmar/identity"), "utf8");
    for (const path of hostile) await putFile(store, path, "evil");
    await putFile(store, "good", "good");
    await converge(store, node);
    expect((await readdir(outer)).sort()).toEqual(["root", "victim"]);
    expect((await readdir(join(outer, "root"))).sort()).toEqual([".fulmar", "good"]);
    expect(await readFile(join(outer, "victim"), "utf8")).toBe("untouched");
    expect(await readFile(join(outer, "root/.fulmar/identity"), "utf8")).toBe(identity);
    expect(node.mirror.status().refused).toEqual({ name: hostile.length });
  });

  test("T-SEC-PATH: deletions of hostile keys delete nothing", async () => {
    const store = await memoryStore();
    const { outer, node } = await guardedNode(store);
    await putFile(store, "../victim", "evil");
    await converge(store, node);
    await store.delete(fileKey("../victim"));
    await converge(store, node);
    expect(await readFile(join(outer, "victim"), "utf8")).toBe("untouched");
    expect(node.mirror.status().refused).toEqual({});
  });

  test("T-SEC-PATH: keys of another shape and values that are no metadata are passed over", async () => {
    const store = await memoryStore();
    const { outer, node } = await guardedNode(store);
    await store.set(["file"], new Uint8Array([1]));
    await store.set(["file", 7], new Uint8Array([1]));
    await store.set(["file", "a", "b"], new Uint8Array([1]));
    await store.set(["file", "empty"], new Uint8Array());
    await store.set(["file", "garbage"], new Uint8Array([1, 2, 3]));
    await converge(store, node);
    expect(await readdir(join(outer, "root"))).toEqual([".fulmar"]);
    expect(node.mirror.status()).toMatchObject({ refused: { metadata: 2 }, errors: 0 });
  });

  test("T-SEC-PATH: nothing is written through a symbolic link, to a directory or to a file", async () => {
    const store = await memoryStore();
    const { outer, node } = await guardedNode(store);
    const root = node.directory;
    await mkdir(join(outer, "elsewhere"));
    await symlink(join(outer, "elsewhere"), join(root, "link"));
    await mkdir(join(root, "real"));
    await symlink(outer, join(root, "real/up"));
    await symlink(join(outer, "victim"), join(root, "file-link"));
    for (const path of ["link/a", "link/b/c", "real/up/victim", "real/up/root/x", "file-link", "link"]) {
      await putFile(store, path, "evil");
    }
    await converge(store, node);
    expect(await readdir(join(outer, "elsewhere"))).toEqual([]);
    expect((await readdir(root)).sort()).toEqual([".fulmar", "file-link", "link", "real"]);
    expect(await readFile(join(outer, "victim"), "utf8")).toBe("untouched");
    expect((await lstat(join(root, "file-link"))).isSymbolicLink()).toBe(true);
    expect(node.mirror.status()).toMatchObject({ refused: { link: 6 }, errors: 0, skipped: { symlinks: 3 } });
  });

  test("T-SEC-PATH: a directory replaced by a link: writes stay out, nothing outside is read", async () => {
    const store = await memoryStore();
    const { outer, node } = await guardedNode(store);
    await mkdir(join(node.directory, "d"));
    await writeFile(join(node.directory, "d/f"), "inside");
    await converge(store, node);
    await rename(join(node.directory, "d"), join(outer, "moved"));
    await writeFile(join(outer, "moved/secret"), "secret");
    await symlink(join(outer, "moved"), join(node.directory, "d"));
    await converge(store, node);
    expect([...store.keys({ prefix: ["file"] })]).toEqual([]);
    await putFile(store, "d/f", "evil");
    await converge(store, node);
    expect(await readFile(join(outer, "moved/f"), "utf8")).toBe("inside");
  });

  test("T-SEC-PATH: content that is not what its metadata says is not put on the disk", async () => {
    const store = await memoryStore();
    const { node } = await guardedNode(store);
    const cases: [string, Partial<FileMeta>][] = [
      ["wrong-hash", { sha256: "0".repeat(64) }],
      ["too-long", { size: 3 }],
      ["too-short", { size: 5 }],
    ];
    for (const [path, change] of cases) {
      const meta = await putFile(store, path, "evil");
      await store.set(fileKey(path), encodeMeta({ ...meta, ...change }));
    }
    for (let i = 0; i < 3; i++) await node.mirror.rescan();
    expect(await readdir(node.directory)).toEqual([".fulmar"]);
    expect(await stagingLeftovers(node.directory)).toEqual([]);
    expect(node.mirror.status()).toMatchObject({ refused: { content: 3 }, idle: false, waiting: 3 });
  });

  test("set-user-id and other special bits do not pass", async () => {
    const store = await memoryStore();
    const { node } = await guardedNode(store);
    await store.set(fileKey("suid"), encodeMeta({ ...fileMeta(""), mode: 0o4755 }));
    await converge(store, node);
    expect(await readdir(node.directory)).toEqual([".fulmar"]);
    expect(node.mirror.status().refused).toEqual({ metadata: 1 });
  });
});
