import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodeMeta, fileKey } from "../src/model.js";
import { converge, memoryStore, mirrorNode } from "./harness.js";
import { fileMeta, putFile } from "./store-files.js";

test("the place for staging files is made again where somebody removed it", async () => {
  const store = await memoryStore();
  const node = await mirrorNode(store);
  await rm(join(node.directory, ".fulmar", "staging"), { recursive: true });
  await putFile(store, "f", "content");
  await converge(store, node);
  expect(await readFile(join(node.directory, "f"), "utf8")).toBe("content");
});

test("while the tree is gone that is told, and nothing is made in its place", async () => {
  const store = await memoryStore();
  const node = await mirrorNode(store);
  const aside = `${node.directory}-aside`;
  // As when a disk is unmounted: its mount point is there, and empty.
  await rename(node.directory, aside);
  await mkdir(node.directory);
  const directory = { ...fileMeta(""), kind: "directory", mode: 0o755, sha256: "" } as const;
  await store.set(fileKey("d"), encodeMeta(directory));
  await putFile(store, "f", "content");
  await putFile(store, "implied/f", "content");
  await node.mirror.rescan();
  expect(node.mirror.status()).toMatchObject({
    pending: 0,
    lastError: expect.stringContaining("is gone, or is another directory now"),
  });
  expect(await readdir(node.directory)).toEqual([]);
  await rm(node.directory, { recursive: true });
  await rename(aside, node.directory);
  await converge(store, node);
  expect((await readdir(node.directory)).sort()).toEqual([".fulmar", "d", "f", "implied"]);
  for (const path of ["d", "f", "implied/f"]) expect(store.has(fileKey(path))).toBe(true);
});
