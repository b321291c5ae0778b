import { mkdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test, vi } from "vitest";
import { fileKey } from "../src/model.js";
import { type BytesStore, converge, memoryStore, mirrorNode } from "./harness.js";
import { putFile } from "./store-files.js";

/** What a power cut does not take: syncs, between renames and what is told to the index. */
const seen: string[] = [];

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return {
    ...real,
    async open(path: string, ...rest: [string, number]) {
      const handle = await real.open(path, ...rest);
      const sync = handle.sync.bind(handle);
      handle.sync = async () => {
        seen.push(`sync ${nameOf(path)}`);
        await sync();
      };
      return handle;
    },
    async rename(from: string, to: string) {
      await real.rename(from, to);
      seen.push(`rename ${nameOf(to)}`);
    },
  };
});

/** Names of staging files are random. */
function nameOf(path: string): string {
  return /^[0-9a-f]{24}$/.test(basename(path)) ? "staged" : basename(path);
}

/** An index whose records of `path` are seen too, with how durable each is. */
async function seenIndex(path: string): Promise<BytesStore> {
  const index = await memoryStore();
  const set = index.set.bind(index);
  const spy = vi.spyOn(index, "set");
  spy.mockImplementation((key, value, options) => {
    const { pending } = JSON.parse(new TextDecoder().decode(value));
    if (Array.isArray(key) && key[1] === path) {
      seen.push(`${pending === undefined ? "known" : "begun"} ${options?.durability}`);
    }
    return set(key, value, options);
  });
  return index;
}

test("what is received is durable before the index knows it", async () => {
  const store = await memoryStore();
  const node = await mirrorNode(store, { index: await seenIndex("d/f") });
  await mkdir(join(node.directory, "d"));
  await converge(store, node);
  seen.length = 0;
  await putFile(store, "d/f", "content");
  await converge(store, node);
  expect(seen.slice(0, 6)).toEqual([
    "sync staged",
    "sync staging",
    "begun full",
    "rename f",
    "sync d",
    "known relaxed",
  ]);
  seen.length = 0;
  await store.delete(fileKey("d/f"));
  await converge(store, node);
  expect(seen).toEqual(["sync d"]);
});

test("what is taken in is durable here before others have it", async () => {
  const store = await memoryStore();
  const node = await mirrorNode(store, { index: await seenIndex("d/f"), sizes: { atomicBytesMax: 100 } });
  for (const content of ["small", "large".repeat(100)]) {
    await mkdir(join(node.directory, "d"));
    await writeFile(join(node.directory, "d/f"), content);
    seen.length = 0;
    await converge(store, node);
    expect(seen.slice(0, 4)).toEqual([
      `sync ${basename(node.directory)}`,
      "sync f",
      "begun full",
      "known relaxed",
    ]);
    await rm(join(node.directory, "d"), { recursive: true });
    await converge(store, node);
  }
});
