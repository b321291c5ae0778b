import { chmod, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compareTrees } from "../src/compare.js";
import { type IndexRecord, NOTHING_KNOWN } from "../src/local-index.js";
import { encodeMeta, type FileMeta, fileKey } from "../src/model.js";
import {
  type BytesStore,
  converge,
  memoryStore,
  mirrorNode,
  type Node,
  temporaryDirectory,
} from "./harness.js";
import { putFile } from "./store-files.js";

async function restart(store: BytesStore, node: Node): Promise<Node> {
  await node.mirror.close();
  return mirrorNode(store, { directory: node.directory, index: node.index });
}

async function filledNode(store: BytesStore): Promise<Node> {
  const node = await mirrorNode(store);
  await mkdir(join(node.directory, "d"));
  for (const name of ["a", "b", "d/c"]) {
    await writeFile(join(node.directory, name), name);
    await utimes(join(node.directory, name), 1_000, 1_000);
  }
  await converge(store, node);
  return node;
}

test("a restart reads no unchanged file, neither own nor received", async () => {
  const store = await memoryStore();
  const a = await filledNode(store);
  const b = await mirrorNode(store);
  await converge(store, a, b);
  const version = store.version;
  for (const node of [a, b]) {
    const again = await restart(store, node);
    await converge(store, again);
    expect(again.mirror.status()).toMatchObject({ filesRead: 0, uploaded: 0, downloaded: 0, files: 3 });
  }
  expect(store.version).toBe(version);
});

test("after a restart only what changed is read", async () => {
  const store = await memoryStore();
  const a = await filledNode(store);
  await a.mirror.close();
  await writeFile(join(a.directory, "b"), "changed");
  await utimes(join(a.directory, "b"), 1_000, 1_000);
  const again = await restart(store, a);
  await converge(store, again);
  expect(again.mirror.status()).toMatchObject({ filesRead: 1, uploaded: 1 });
});

test("what was deleted, renamed or changed while away is so in the store", async () => {
  const store = await memoryStore();
  const a = await filledNode(store);
  const b = await mirrorNode(store);
  await converge(store, a, b);
  await a.mirror.close();
  await rm(join(a.directory, "a"));
  await rename(join(a.directory, "d"), join(a.directory, "e"));
  await chmod(join(a.directory, "b"), 0o600);
  const again = await restart(store, a);
  await converge(store, again, b);
  expect((await compareTrees([a.directory, b.directory])).differences).toEqual([]);
  expect((await readdir(b.directory)).sort()).toEqual([".fulmar", "b", "e"]);
});

test("what others changed or deleted while this node was away is so on its disk", async () => {
  const store = await memoryStore();
  const a = await filledNode(store);
  const b = await mirrorNode(store);
  await converge(store, a, b);
  await a.mirror.close();
  await rm(join(b.directory, "d"), { recursive: true });
  await rm(join(b.directory, "a"));
  await writeFile(join(b.directory, "b"), "changed");
  await converge(store, b);
  const again = await restart(store, a);
  await converge(store, again, b);
  expect(await readdir(a.directory)).toEqual([".fulmar", "b"]);
  expect(await readFile(join(a.directory, "b"), "utf8")).toBe("changed");
  expect(again.mirror.status()).toMatchObject({ uploaded: 0, filesRead: 0, files: 1 });
});

test("deleted while away, but written elsewhere since: the newer write wins", async () => {
  const store = await memoryStore();
  const a = await filledNode(store);
  const b = await mirrorNode(store);
  await converge(store, a, b);
  await a.mirror.close();
  await rm(join(a.directory, "a"));
  await writeFile(join(b.directory, "a"), "newer");
  await b.mirror.rescan();
  const again = await restart(store, a);
  await converge(store, again, b);
  expect(await readFile(join(a.directory, "a"), "utf8")).toBe("newer");
});

test("an empty store is no deletion: with another store the tree is taken in, not removed", async () => {
  const a = await filledNode(await memoryStore());
  const fresh = await memoryStore();
  const again = await restart(fresh, a);
  await converge(fresh, again);
  expect((await readdir(a.directory)).sort()).toEqual([".fulmar", "a", "b", "d"]);
  expect(again.mirror.status()).toMatchObject({ files: 3, uploaded: 4 });
});

test("an empty directory is no deletion: without its marker the tree is restored from the store", async () => {
  const store = await memoryStore();
  const a = await filledNode(store);
  await a.mirror.close();
  for (const name of await readdir(a.directory)) await rm(join(a.directory, name), { recursive: true });
  const again = await restart(store, a);
  await converge(store, again);
  expect((await readdir(a.directory)).sort()).toEqual([".fulmar", "a", "b", "d"]);
});

test("a directory that vanishes under a running mirror deletes nothing in the store", async () => {
  const store = await memoryStore();
  const outer = await temporaryDirectory();
  const directory = join(outer, "tree");
  const a = await mirrorNode(store, { directory });
  await writeFile(join(directory, "f"), "f");
  await converge(store, a);
  const before = store.version;
  await rename(directory, join(outer, "moved"));
  await mkdir(directory);
  await a.mirror.rescan();
  expect(store.version).toBe(before);
  expect(a.mirror.status().errors).toBeGreaterThan(0);
});

const decoder = new TextDecoder();

function recordOf(node: Node, path: string): IndexRecord {
  return JSON.parse(decoder.decode(node.index.get(["path", path]))) as IndexRecord;
}

/** Puts the index back to the moment between an intent and its completion, as a kill there would leave it. */
async function rewind(
  node: Node,
  path: string,
  before: IndexRecord,
  direction: "upload" | "download",
): Promise<void> {
  const { kind, writeId, sha256 } = recordOf(node, path);
  const staged = direction === "download" ? "0123456789abcdef" : undefined;
  const record = { ...before, pending: { direction, kind, writeId, sha256, staged } };
  await node.index.set(["path", path], new TextEncoder().encode(JSON.stringify(record)));
}

test("killed between writing a received file and noting it: it is not taken for a local edit", async () => {
  const store = await memoryStore();
  const a = await filledNode(store);
  const before = recordOf(a, "a");
  await putFile(store, "a", "received");
  await converge(store, a);
  await a.mirror.close();
  await rewind(a, "a", before, "download");
  await putFile(store, "a", "newer");
  const again = await restart(store, a);
  await converge(store, again);
  expect(await readFile(join(a.directory, "a"), "utf8")).toBe("newer");
  expect(again.mirror.status()).toMatchObject({ uploaded: 0, conflicts: 0 });
});

test("killed between storing a change and noting it: a newer write of a peer that saw it wins", async () => {
  const store = await memoryStore();
  const a = await filledNode(store);
  const before = recordOf(a, "a");
  await writeFile(join(a.directory, "a"), "mine");
  await converge(store, a);
  const mine = recordOf(a, "a").writeId;
  await a.mirror.close();
  await rewind(a, "a", before, "upload");
  const meta: FileMeta = await putFile(store, "a", "newer");
  await store.set(fileKey("a"), encodeMeta({ ...meta, replaces: [mine] }));
  const again = await restart(store, a);
  await converge(store, again);
  expect(await readFile(join(a.directory, "a"), "utf8")).toBe("newer");
});

test.each(["upload", "download"] as const)(
  "deleted after a kill that interrupted its %s: it stays so",
  async (direction) => {
    const store = await memoryStore();
    const a = await mirrorNode(store);
    if (direction === "download") await putFile(store, "new", "content");
    else await writeFile(join(a.directory, "new"), "content");
    await converge(store, a);
    await a.mirror.close();
    await rewind(a, "new", NOTHING_KNOWN, direction);
    await rm(join(a.directory, "new"));
    const again = await restart(store, a);
    await converge(store, again);
    expect(await readdir(a.directory)).toEqual([".fulmar"]);
    expect(store.count()).toBe(0);
  },
);

test("killed before a received file took its place: it does at the next start", async () => {
  const store = await memoryStore();
  const a = await mirrorNode(store);
  await putFile(store, "new", "content");
  await converge(store, a);
  await a.mirror.close();
  await rewind(a, "new", NOTHING_KNOWN, "download");
  await rename(join(a.directory, "new"), join(a.directory, ".fulmar/staging/0123456789abcdef"));
  const again = await restart(store, a);
  await converge(store, again);
  expect(await readFile(join(a.directory, "new"), "utf8")).toBe("content");
});

test("killed before a change was stored: it is stored at the next start", async () => {
  const store = await memoryStore();
  const a = await filledNode(store);
  const before = recordOf(a, "a");
  await a.mirror.close();
  await writeFile(join(a.directory, "a"), "mine");
  const pending = {
    direction: "upload",
    kind: "file",
    writeId: `${"0".repeat(16)}-${"1".repeat(24)}`,
    sha256: "b".repeat(64),
  };
  await a.index.set(["path", "a"], new TextEncoder().encode(JSON.stringify({ ...before, pending })));
  const again = await restart(store, a);
  await converge(store, again);
  const meta = JSON.parse(decoder.decode(store.get(fileKey("a")))) as FileMeta;
  expect(meta.size).toBe(4);
  expect(await readFile(join(a.directory, "a"), "utf8")).toBe("mine");
});
