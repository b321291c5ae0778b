import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Runtime } from "../../src/base/runtime/interface.js";
import { nodeDiagnostics } from "../../src/base/runtime/node/diagnostics.js";
import { dump, load, open, repair, restore, verify } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";

interface Wishes {
  readonly runtime: Runtime;
  readonly onProgress: () => void;
}

/** Every call that tells how far it is, on a directory with a store and a backup of it. */
const CALLS: [string, (wishes: Wishes) => Promise<unknown>][] = [
  ["open", async (wishes) => (await open("/data", wishes)).close()],
  [
    "verify",
    async (wishes) => expect(await verify("/data", wishes)).toMatchObject({ ok: true, findings: [] }),
  ],
  [
    "verify of a backup",
    async (wishes) => expect(await verify("/backup", wishes)).toMatchObject({ ok: true, findings: [] }),
  ],
  [
    "restore",
    async (wishes) => expect(await restore("/backup", "/restored", wishes)).toMatchObject({ entries: 3 }),
  ],
  [
    "repair",
    async (wishes) => {
      const { fileSystem } = wishes.runtime;
      for (const name of await fileSystem.list("/data")) {
        if (name.startsWith("MANIFEST")) await fileSystem.remove(`/data/${name}`);
      }
      await repair("/data", wishes);
      const db = await open<number>("/data", { runtime: wishes.runtime });
      expect(db.count()).toBe(3);
      await db.close();
    },
  ],
  [
    "backup",
    async ({ runtime, onProgress }) => {
      await using db = await open("/data", { runtime });
      expect(await db.backup("/another", { onProgress })).toMatchObject({ entries: 3 });
    },
  ],
  [
    "load",
    async ({ runtime, onProgress }) => {
      await using db = await open("/data", { runtime });
      await using copy = await open();
      expect(await load(copy, dump(db), { batchEntries: 2, onProgress })).toEqual({ entries: 3, commits: 2 });
    },
  ],
];

const reports: unknown[] = [];
const report = (message: unknown): void => void reports.push(message);
beforeEach(() => {
  reports.length = 0;
  subscribe("fulmar:progress-error", report);
});
afterEach(() => unsubscribe("fulmar:progress-error", report));

/** The store has a checkpoint, and the log something behind it. */
async function prepared(): Promise<Runtime> {
  const storage = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
  const runtime = { ...storage.runtime, diagnostics: nodeDiagnostics };
  const db = await open<number>("/data", { runtime });
  await db.set("a", 1);
  await db.set("b", 2);
  await db.checkpoint();
  await db.set("c", 3);
  await db.backup("/backup");
  await db.close();
  return runtime;
}

test.each(CALLS)("%s goes on whatever its listener of progress throws or rejects with", async (_, call) => {
  const error = new Error("a mistake");
  const thrower = vi.fn(() => {
    throw error;
  });
  await call({ runtime: await prepared(), onProgress: thrower });
  expect(thrower).toHaveBeenCalled();
  expect(reports).toEqual(thrower.mock.calls.map(() => ({ error })));
  const rejecter = vi.fn(async () => {
    await Promise.resolve();
    throw error;
  });
  await call({ runtime: await prepared(), onProgress: rejecter });
  await vi.waitUntil(() => reports.length === thrower.mock.calls.length + rejecter.mock.calls.length);
  expect(rejecter).toHaveBeenCalled();
});
