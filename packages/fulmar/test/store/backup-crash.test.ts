import { afterEach, describe, expect, test } from "vitest";
import type { Runtime } from "../../src/base/runtime/interface.js";
import { nodeCryptography } from "../../src/base/runtime/node/cryptography.js";
import { open, restore, verify } from "../../src/index.js";
import { type DiskProfile, type SimulatedDisk, simulatedStorage } from "../../src/testing/simulated/index.js";

const cryptography = nodeCryptography;
const PROFILES: readonly DiskProfile[] = ["posix-strict", "ext4-like"];

/** Keeps the disk as it is before each call that changes what a crash may leave, and after each write. */
function record(disk: SimulatedDisk): { readonly label: string; readonly disk: SimulatedDisk }[] {
  const moments: { label: string; disk: SimulatedDisk }[] = [];
  disk.onOperation = (operation, phase) => {
    if (phase === "before" && !operation.mutates) return;
    if (phase === "after" && operation.kind !== "write") return;
    moments.push({ label: `${phase} ${operation.kind} ${operation.path}`, disk: disk.fork() });
  };
  return moments;
}

/** Every disk that a crash at one of these moments may leave, once. */
function* images(moments: ReturnType<typeof record>): Generator<{ label: string; runtime: Runtime }> {
  const seen = new Set<string>();
  for (const { label, disk } of moments) {
    for (const image of disk.durableImages(12)) {
      if (seen.has(image.fingerprint())) continue;
      seen.add(image.fingerprint());
      yield { label, runtime: simulatedStorage({ cryptography, disk: image, seed: 3 }).runtime };
    }
  }
}

async function contents(runtime: Runtime, directory: string): Promise<unknown[]> {
  const db = await open(directory, { runtime });
  const found = [...db.list()].map(({ key, value }) => [key, value]);
  await db.close();
  return found;
}

async function filled(runtime: Runtime): Promise<unknown[]> {
  const db = await open("/data", { runtime });
  for (let n = 0; n < 12; n++) await db.set(["n", n], "x".repeat(40 * n));
  await db.delete(["n", 3]);
  const found = [...db.list()].map(({ key, value }) => [key, value]);
  await db.close();
  return found;
}

/** A filled store, a backup of it, and the moments of a restore of that. */
async function restored(profile: DiskProfile, seed: number, target: string) {
  const storage = simulatedStorage({ cryptography, sectorBytes: 512, profile, seed });
  const expected = await filled(storage.runtime);
  const db = await open("/data", { runtime: storage.restart() });
  await db.backup("/backup");
  await db.close();
  const runtime = storage.restart();
  const moments = record(storage.disk);
  await restore("/backup", target, { runtime });
  return { expected, moments, disk: storage.disk };
}

let checked = 0;
afterEach(() => {
  checked = 0;
});

describe.each(PROFILES)("a crash at any moment, disk %s", (profile) => {
  test("T-SNAP-05, T-SNAP-07: of a backup leaves a whole one or none, and the next removes the rest", async () => {
    const storage = simulatedStorage({ cryptography, sectorBytes: 512, profile, seed: 1 });
    const expected = await filled(storage.runtime);
    const runtime = storage.restart();
    await runtime.fileSystem.makeDirectory("/backups");
    await runtime.fileSystem.syncDirectory("/");
    const db = await open("/data", { runtime });
    const moments = record(storage.disk);
    await db.backup("/backups/one");
    await db.close();
    for (const { label, runtime: after } of images(moments)) {
      const there = (await after.fileSystem.status("/backups/one")) !== undefined;
      if (there) {
        await restore("/backups/one", "/restored", { runtime: after });
        expect(await contents(after, "/restored"), label).toEqual(expected);
      }
      const again = await open("/data", { runtime: after });
      await again.backup("/backups/two");
      await again.close();
      const names = await after.fileSystem.list("/backups");
      expect(names, label).toEqual(there ? ["one", "two"] : ["two"]);
      expect((await verify("/backups/two", { runtime: after })).ok, label).toBe(true);
      checked++;
    }
    expect(checked).toBeGreaterThan(4);
  });

  test("T-REC-09: of a restore leaves a whole store, or what the next restore completes", async () => {
    const { expected, moments, disk } = await restored(profile, 2, "/deep/restored");
    moments.push({ label: "the end", disk: disk.fork() });
    const outcomes = new Map<string, number>();
    for (const { label, runtime: after } of images(moments)) {
      const outcome = await restore("/backup", "/deep/restored", { runtime: after }).then(
        () => "completed",
        (error: { code: string }) => error.code,
      );
      expect(["completed", "ALREADY_EXISTS"], label).toContain(outcome);
      expect(await contents(after, "/deep/restored"), label).toEqual(expected);
      const names = await after.fileSystem.list("/deep/restored");
      expect(
        names.filter((name) => !name.startsWith("LOCK")),
        label,
      ).toEqual(["MANIFEST", "checkpoint", "log"]);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect(outcomes.get("completed")).toBeGreaterThan(5);
    expect(outcomes.get("ALREADY_EXISTS")).toBeGreaterThan(0);
  });

  test("an unfinished restore is never opened as a store", async () => {
    const { expected, moments } = await restored(profile, 4, "/restored");
    for (const { label, runtime: after } of images(moments)) {
      const names = await after.fileSystem.list("/restored").catch(() => []);
      // Nothing was restored yet where nothing is but directories and the lock.
      if (!names.some((name) => name === "MANIFEST" || name === "RESTORING")) continue;
      const found = await contents(after, "/restored").catch((error: { code: string }) => error.code);
      if (found === "NOT_A_STORE") checked++;
      else expect(found, label).toEqual(expected);
    }
    expect(checked).toBeGreaterThan(3);
  });
});

test("a full disk refuses a backup and leaves nothing of it", async () => {
  const storage = simulatedStorage({ cryptography, sectorBytes: 512, seed: 5 });
  await filled(storage.runtime);
  const runtime = storage.restart();
  const db = await open("/data", { runtime });
  await runtime.fileSystem.makeDirectory("/backups");
  storage.disk.faults.add({ operations: ["write"], path: "/backups", bytes: 300, code: "ENOSPC" });
  await expect(db.backup("/backups/one")).rejects.toMatchObject({ code: "DISK_FULL" });
  expect(await runtime.fileSystem.list("/backups")).toEqual([]);
  await db.backup("/backups/one");
  await db.close();
});
