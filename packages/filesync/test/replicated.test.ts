import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Replicator, replicate } from "fulmar/sync";
import { expect, onTestFinished, test, vi } from "vitest";
import { compareTrees } from "../src/compare.js";
import { type BytesStore, memoryStore, mirrorNode, type Node } from "./harness.js";

const PATIENCE = { timeout: 100_000, interval: 20 };

interface Member extends Node {
  readonly store: BytesStore;
  readonly replicator: Replicator;
}

async function member(name: string, peers: string[]): Promise<Member> {
  const store = await memoryStore();
  const replicator = await replicate(store, { listen: "127.0.0.1:0", peers, name });
  onTestFinished(() => replicator.close());
  return { ...(await mirrorNode(store, { watch: true })), store, replicator };
}

async function untilEqual(...members: Member[]): Promise<void> {
  await vi.waitFor(async () => {
    expect(members.every(({ mirror }) => mirror.status().idle)).toBe(true);
    expect(new Set(members.map(({ store }) => store.digest())).size).toBe(1);
    expect((await compareTrees(members.map(({ directory }) => directory))).differences).toEqual([]);
  }, PATIENCE);
}

test("three mirrors over real connections, the third known to nobody at first", async () => {
  const a = await member("a", []);
  await mkdir(join(a.directory, "d"));
  await writeFile(join(a.directory, "d/f"), "one");
  await writeFile(join(a.directory, "big"), new Uint8Array(3_000_000).fill(5));
  const b = await member("b", [a.replicator.address as string]);
  const c = await member("c", [b.replicator.address as string]);
  await vi.waitFor(() => readFile(join(c.directory, "d/f")), PATIENCE);
  await untilEqual(a, b, c);
  await Promise.all([
    writeFile(join(a.directory, "contested"), "from a"),
    writeFile(join(b.directory, "contested"), "from b"),
    writeFile(join(c.directory, "contested"), "from c"),
    rename(join(b.directory, "d"), join(b.directory, "moved")),
    rm(join(c.directory, "big")),
  ]);
  await vi.waitFor(() => readFile(join(c.directory, "moved/f")), PATIENCE);
  await untilEqual(a, b, c);
  expect(await readFile(join(a.directory, "contested"), "utf8")).toMatch(/^from [abc]$/);
  // Losers cleared their chunks away: one each for the contested file and for the moved one.
  await vi.waitFor(() => expect(a.store.count({ prefix: ["chunk"] })).toBe(2), PATIENCE);
});
