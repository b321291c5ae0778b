import { cp, readdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { open, restore, type Store } from "../../src/index.js";
import { temporaryDirectory } from "../store/fixture.js";

interface Place {
  readonly db: Store<string>;
  readonly path: string;
  /** For what is not to be inside of the directory. */
  readonly beside: string;
  /** Makes the next sync one of the next second. */
  readonly nextSecond: () => void;
}

/** A store in a directory of this machine, with one key, at a time that a test decides. */
async function storeOnDisk(): Promise<Place> {
  const beside = await temporaryDirectory();
  const path = join(beside, "data");
  const runtime = nodeRuntime();
  let nowMs = 0;
  const clock = { wallMs: () => runtime.clock.wallMs(), monotonicMs: () => nowMs };
  const db = await open<string>(path, { runtime: { ...runtime, clock }, codec: "text" });
  await db.set("a", "1");
  const nextSecond = (): void => {
    nowMs += 1000;
  };
  return { db, path, beside, nextSecond };
}

describe("on the file system of this machine", () => {
  test.each<[string, (place: Place) => Promise<void>]>([
    ["removed", ({ path }) => rm(path, { recursive: true })],
    ["moved", ({ path, beside }) => rename(path, join(beside, "moved"))],
    [
      "replaced by an earlier copy",
      async ({ db, path, beside }) => {
        // Sockets cannot be copied.
        const filter = (source: string): boolean => !source.includes("LOCK");
        await cp(path, join(beside, "copy"), { recursive: true, filter });
        await db.set("a", "2");
        await rename(path, join(beside, "moved"));
        await rename(join(beside, "copy"), path);
      },
    ],
    [
      "robbed of its lock",
      async ({ path }) => {
        const locks = (await readdir(path)).filter((name) => name.startsWith("LOCK"));
        expect(locks).toHaveLength(1);
        await rm(join(path, locks[0]));
      },
    ],
  ])("a directory that is %s is missed, and memory saved", async (_, mishap) => {
    const place = await storeOnDisk();
    const { db, beside, nextSecond } = place;
    await mishap(place);
    nextSecond();
    await expect(db.set("b", "1")).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    const { path } = await db.backup(join(beside, "saved.backup"));
    const shown = [db.get("a"), db.get("b")];
    await expect(db.close()).rejects.toMatchObject({ code: "DIRECTORY_LOST" });
    await restore(path, join(beside, "restored"));
    await using restored = await open<string>(join(beside, "restored"), { codec: "text" });
    expect([restored.get("a"), restored.get("b")]).toEqual(shown);
  });

  test("a directory that is moved, and linked to from where it was, is not missed", async () => {
    const { db, path, beside, nextSecond } = await storeOnDisk();
    await rename(path, join(beside, "moved"));
    await symlink(join(beside, "moved"), path);
    nextSecond();
    await db.set("b", "1");
    await db.checkpoint();
    await db.close();
    await using again = await open<string>(path, { codec: "text" });
    expect([again.get("a"), again.get("b")]).toEqual(["1", "1"]);
  });
});
