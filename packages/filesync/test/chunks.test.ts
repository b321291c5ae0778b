import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { MirrorContext } from "../src/context.js";
import { newCounters } from "../src/counters.js";
import { encodeMeta, fileKey } from "../src/model.js";
import { ORPHAN_AGE_MS, OrphanScan } from "../src/orphans.js";
import { converge, memoryStore, mirrorNode, stagingLeftovers, temporaryDirectory } from "./harness.js";
import { fileMeta, putChunk, putFile } from "./store-files.js";

test("a file appears when its last chunk does, whichever that is, and not before", async () => {
  const store = await memoryStore();
  const node = await mirrorNode(store);
  const content = new TextEncoder().encode("x".repeat(2500));
  const meta = fileMeta(content);
  await store.set(fileKey("f"), encodeMeta(meta));
  await node.mirror.settled();
  for (const index of [2, 0]) {
    await putChunk(store, meta, index, content);
    await node.mirror.settled();
    expect(await readdir(node.directory)).toEqual([".fulmar"]);
    expect(node.mirror.status()).toMatchObject({ waiting: 1, idle: false });
  }
  await putChunk(store, meta, 1, content);
  await node.mirror.settled();
  expect((await readFile(join(node.directory, "f"))).length).toBe(2500);
  expect(node.mirror.status()).toMatchObject({ waiting: 0, idle: true });
  expect(await stagingLeftovers(node.directory)).toEqual([]);
});

test("what waits for chunks leaves the present file alone, and is forgotten when deleted", async () => {
  const store = await memoryStore();
  const node = await mirrorNode(store);
  await putFile(store, "f", "present");
  await converge(store, node);
  await store.set(fileKey("f"), encodeMeta(fileMeta("to come")));
  await node.mirror.settled();
  expect(await readFile(join(node.directory, "f"), "utf8")).toBe("present");
  await store.delete(fileKey("f"));
  await node.mirror.settled();
  expect(node.mirror.status()).toMatchObject({ waiting: 0, idle: true, files: 0 });
});

test("what never came is forgotten when it is deleted", async () => {
  const store = await memoryStore();
  const node = await mirrorNode(store);
  await store.set(fileKey("f"), encodeMeta(fileMeta("to come")));
  await node.mirror.settled();
  expect(node.mirror.status().waiting).toBe(1);
  await store.delete(fileKey("f"));
  await node.mirror.settled();
  expect(node.mirror.status()).toMatchObject({ waiting: 0, idle: true });
});

test("the loser of two concurrent writes deletes its chunks", async () => {
  const store = await memoryStore();
  const node = await mirrorNode(store);
  await writeFile(join(node.directory, "f"), "mine");
  await converge(store, node);
  expect(store.count({ prefix: ["chunk"] })).toBe(1);
  // As merged from a peer that had not seen this node's write: its chunks are not deleted by the winner.
  await putFile(store, "f", "theirs");
  expect(store.count({ prefix: ["chunk"] })).toBe(2);
  await converge(store, node);
  expect(await readFile(join(node.directory, "f"), "utf8")).toBe("theirs");
  expect(store.count({ prefix: ["chunk"] })).toBe(1);
  expect(node.mirror.status().conflicts).toBe(1);
});

test("orphaned chunks go after ten minutes without a change, others never", async () => {
  const store = await memoryStore();
  const uploads = new Set<string>();
  const scan = new OrphanScan({ store, uploads, counters: newCounters() } as unknown as MirrorContext);
  await putFile(store, "kept", "k".repeat(1500));
  const bytes = new Uint8Array(5000);
  const [orphan, growing, own] = [fileMeta(bytes), fileMeta(bytes), fileMeta(bytes)];
  for (const meta of [orphan, growing, own]) await putChunk(store, meta, 0, bytes);
  uploads.add(own.writeId);
  const count = (): number => store.count({ prefix: ["chunk"] });
  expect(await scan.scan(0)).toBe(0);
  await putChunk(store, growing, 1, bytes);
  expect(await scan.scan(ORPHAN_AGE_MS - 1)).toBe(0);
  expect(count()).toBe(2 + 1 + 2 + 1);
  expect(await scan.scan(ORPHAN_AGE_MS)).toBe(1);
  expect(count()).toBe(2 + 2 + 1);
  expect(await scan.scan(2 * ORPHAN_AGE_MS - 1)).toBe(1);
  expect(count()).toBe(2 + 1);
});

test("what an earlier process left half-written is removed soon after the start", async () => {
  const store = await memoryStore();
  const directory = await temporaryDirectory();
  await mkdir(join(directory, ".fulmar/staging"), { recursive: true });
  await writeFile(join(directory, ".fulmar/staging/left"), "half");
  const { mirror } = await mirrorNode(store, { directory });
  await mirror.settled();
  expect(await stagingLeftovers(directory)).toEqual([]);
});
