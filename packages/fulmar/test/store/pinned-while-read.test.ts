import { expect, test } from "vitest";
import type { FileSystem, Runtime } from "../../src/base/runtime/interface.js";
import { open, type Store } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";

/** A store of one key, and what it keeps of old versions when one of its files is opened. */
async function watched(isWatched: (path: string) => boolean) {
  const { runtime } = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
  const seen: string[] = [];
  const look = { db: undefined as Store<string> | undefined };
  const fileSystem = new Proxy(runtime.fileSystem, {
    get(target, name) {
      if (name === "open") {
        return async (...[path, mode]: Parameters<FileSystem["open"]>) => {
          const { db } = look;
          if (db !== undefined && isWatched(path)) {
            const before = db.status().memory.oldVersions;
            await db.set("k", mode, { durability: "full" });
            seen.push(`${mode}: ${before}, ${db.status().memory.oldVersions}`);
          }
          return target.open(path, mode);
        };
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  const own: Runtime = { ...runtime, fileSystem };
  const db = await open<string>("/data", { runtime: own, codec: "text" });
  await db.set("k", "1");
  look.db = db;
  return { db, seen };
}

// A pin makes each overwrite keep the version before, which costs as much as the write itself.
test("a checkpoint pins what it writes until it was read, and not while it is read back", async () => {
  const { db, seen } = await watched((path) => path.includes("checkpoint"));
  expect((await db.checkpoint()).entries).toBe(1);
  expect(new Set(seen)).toEqual(new Set(["create: 0, 1", "read: 0, 0"]));
  await db.close();
});

test("a backup pins what it writes until it was read, and not while it is read back", async () => {
  const { db, seen } = await watched((path) => path.includes("copy"));
  expect((await db.backup("/data/copy")).entries).toBe(1);
  expect(new Set(seen)).toEqual(new Set(["create: 0, 1", "read: 0, 0"]));
  await db.close();
});
