import { mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { compareTrees } from "../src/compare.js";
import { memoryStore, mirrorNode, temporaryDirectory } from "./harness.js";

const PATIENCE = { timeout: 100_000, interval: 10 };

test("changes are noticed without a rescan, in both directions", async () => {
  const store = await memoryStore();
  const options = { watch: true, rescanIntervalMs: 3_600_000 };
  const a = await mirrorNode(store, options);
  const b = await mirrorNode(store, options);
  const equal = (): Promise<void> =>
    vi.waitFor(async () => {
      for (const { mirror } of [a, b]) expect(mirror.status()).toMatchObject({ pending: 0, errors: 0 });
      expect((await compareTrees([a.directory, b.directory])).differences).toEqual([]);
    }, PATIENCE);
  await mkdir(join(a.directory, "d/e"), { recursive: true });
  await writeFile(join(a.directory, "d/e/f"), "one");
  await vi.waitFor(() => readFile(join(b.directory, "d/e/f")), PATIENCE);
  await equal();
  await writeFile(join(b.directory, "d/e/f"), "two");
  await vi.waitFor(
    async () => expect(await readFile(join(a.directory, "d/e/f"), "utf8")).toBe("two"),
    PATIENCE,
  );
  await rename(join(a.directory, "d"), join(a.directory, "moved"));
  await vi.waitFor(() => readFile(join(b.directory, "moved/e/f")), PATIENCE);
  await equal();
  await rm(join(b.directory, "moved"), { recursive: true });
  await vi.waitFor(() => expect(store.count({ prefix: ["file"] })).toBe(0), PATIENCE);
  await equal();
});

test("our own writes do not echo", async () => {
  const store = await memoryStore();
  const options = { watch: true, rescanIntervalMs: 3_600_000 };
  const a = await mirrorNode(store, options);
  const b = await mirrorNode(store, options);
  for (let i = 0; i < 30; i++) await writeFile(join(a.directory, `f${i}`), `${i}`);
  await vi.waitFor(() => expect(b.mirror.status()).toMatchObject({ files: 30, pending: 0 }), PATIENCE);
  // A last change makes sure that every report about the others has been through.
  await writeFile(join(b.directory, "last"), "last");
  await vi.waitFor(() => expect(a.mirror.status()).toMatchObject({ files: 31, pending: 0 }), PATIENCE);
  expect(b.mirror.status().uploaded).toBe(1);
  expect(a.mirror.status().downloaded).toBe(1);
});

test("what a link leads to is not watched into the store", async () => {
  const store = await memoryStore();
  const outside = await temporaryDirectory();
  const a = await mirrorNode(store, { watch: true, rescanIntervalMs: 3_600_000 });
  await symlink(outside, join(a.directory, "link"));
  await writeFile(join(outside, "secret"), "secret");
  await writeFile(join(a.directory, "plain"), "plain");
  await vi.waitFor(() => expect(store.has(["file", "plain"])).toBe(true), PATIENCE);
  await a.mirror.rescan();
  expect([...store.keys({ prefix: ["file"] })]).toEqual([["file", "plain"]]);
});

test("a file that is saved in two steps arrives whole, however far these are apart", async () => {
  const store = await memoryStore();
  const options = { watch: true, rescanIntervalMs: 3_600_000 };
  const a = await mirrorNode(store, options);
  const b = await mirrorNode(store, options);
  for (let pauseMs = 0; pauseMs < 120; pauseMs += 10) {
    await writeFile(join(a.directory, "f"), "");
    await setTimeout(pauseMs);
    await writeFile(join(a.directory, "f"), `saved after ${pauseMs} ms`);
    await vi.waitFor(
      async () => expect(await readFile(join(b.directory, "f"), "utf8")).toBe(`saved after ${pauseMs} ms`),
      PATIENCE,
    );
  }
});

test("a tree that is copied in at once is found without a rescan", async () => {
  const store = await memoryStore();
  const a = await mirrorNode(store, { watch: true, rescanIntervalMs: 3_600_000 });
  for (let i = 0; i < 300; i++) {
    const folder = join(a.directory, `t/${i % 10}/${i % 7}/${i % 3}`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${i}`), `${i}`);
  }
  await vi.waitFor(() => expect(a.mirror.status().files).toBe(300), PATIENCE);
});
