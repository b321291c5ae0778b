import { describe, expect, test } from "vitest";
import type { Runtime } from "../../src/base/runtime/interface.js";
import { nodeCryptography } from "../../src/base/runtime/node/cryptography.js";
import { open, repair } from "../../src/index.js";
import {
  type DiskProfile,
  type SimulatedDisk,
  type SimulatedStorage,
  simulatedStorage,
} from "../../src/testing/simulated/index.js";
import { Prng } from "../../src/testing/simulated/prng.js";
import { edit, filesOf } from "./harness.js";

const cryptography = nodeCryptography;
const MARK = "/data/REPAIRING";
const PROFILES: readonly DiskProfile[] = ["posix-strict", "ext4-like"];

/** A store with a checkpoint and more, of which one commit in the middle of the log is damaged. */
async function damaged(profile: DiskProfile) {
  const storage = simulatedStorage({ cryptography, sectorBytes: 512, profile, seed: 9 });
  const db = await open<string>("/data", { runtime: storage.runtime, codec: "text" });
  for (let n = 0; n < 4; n++) await db.set(`a${n}`, `early ${n}`);
  await db.checkpoint();
  for (let n = 0; n < 4; n++) await db.set(`b${n}`, `late ${n}`);
  await db.close();
  const [path] = filesOf(storage, ".log")[0];
  await edit(storage, path, (bytes) => {
    bytes[Buffer.from(bytes).indexOf("late 1")] ^= 1;
    return bytes;
  });
  return storage;
}

const LEFT = ["a0", "a1", "a2", "a3", "b0", "b2", "b3"];

async function keysIn(runtime: Runtime): Promise<unknown[]> {
  const db = await open<string>("/data", { runtime, codec: "text" });
  const keys = [...db.keys()];
  await db.close();
  return keys;
}

type Files = readonly (readonly [path: string, bytes: Uint8Array])[];

/** Repairs what a crash left, and looks whether everything is there; how it opened before, and what the repair said. */
async function ended(after: SimulatedStorage, old: Files, at: string): Promise<string> {
  const opened = await keysIn(after.runtime).catch((error: { code: string }) => error.code);
  if (opened !== "CORRUPT") expect(opened, at).toEqual(LEFT);
  const again = await repair("/data", { runtime: after.restart() });
  expect(await keysIn(after.restart()), at).toEqual(LEFT);
  const files = [...after.disk.image()].map(([path, bytes]) => [path, Buffer.from(bytes).toString("hex")]);
  for (const [path, bytes] of old) {
    const kept = path.replace("/data/", "/data/damaged-1/");
    expect(files, `${at}: ${path}`).toContainEqual([kept, Buffer.from(bytes).toString("hex")]);
  }
  const names = files.map(([path]) => path).filter((path) => !path.includes("damaged-1"));
  expect(
    names.filter((path) => /tmp|REPAIRING/.test(path)),
    at,
  ).toEqual([]);
  return `${typeof opened} ${again.repaired}`;
}

describe.each(PROFILES)("disk %s", (profile) => {
  test("T-REC-09: a crash at any moment of a repair loses nothing more, and the next repair ends it", async () => {
    const storage = await damaged(profile);
    const old = filesOf(storage, "/data/").filter(([path]) => !path.includes("LOCK"));
    const runtime = storage.restart();
    const moments: { label: string; disk: SimulatedDisk }[] = [];
    storage.disk.onOperation = (operation, phase) => {
      if (phase === "before" && !operation.mutates) return;
      if (phase === "after" && operation.kind !== "write") return;
      moments.push({ label: `${phase} ${operation.kind} ${operation.path}`, disk: storage.disk.fork() });
    };
    const report = await repair("/data", { runtime });
    moments.push({ label: "the end", disk: storage.disk.fork() });
    expect(report.files.flatMap(({ lost }) => lost)).toEqual([
      expect.objectContaining({ versions: { from: 6, to: 6 } }),
    ]);
    const seen = new Set<string>();
    const outcomes = new Set<string>();
    for (const { label, disk } of moments) {
      for (const image of disk.durableImages(8)) {
        if (seen.has(image.fingerprint())) continue;
        seen.add(image.fingerprint());
        const isMarked = [...image.image()].some(([path]) => path === MARK);
        for (const spoilt of isMarked ? [false, true] : [false]) {
          const after = simulatedStorage({ cryptography, disk: image.fork(), seed: 3 });
          if (spoilt) await edit(after, MARK, (bytes) => bytes.fill(0));
          const at = spoilt ? `${label}, its mark damaged` : label;
          outcomes.add(await ended(after, old, at));
        }
      }
    }
    expect(outcomes).toContain("string true");
    expect(outcomes).toContain("object false");
  });

  test("a full disk refuses a repair, and the directory is as it was", async () => {
    const storage = await damaged(profile);
    storage.disk.faults.add({ operations: ["write"], path: "/data/checkpoint", bytes: 100, code: "ENOSPC" });
    await expect(repair("/data", { runtime: storage.restart() })).rejects.toMatchObject({
      code: "DISK_FULL",
    });
    await expect(keysIn(storage.restart())).rejects.toMatchObject({ code: "CORRUPT" });
    await repair("/data", { runtime: storage.restart() });
    expect(await keysIn(storage.restart())).toEqual(LEFT);
  });
});

test("of a store that was killed everything behind the damage is saved, synced or not", async () => {
  const storage = simulatedStorage({ cryptography, sectorBytes: 512, seed: 10 });
  const db = await open<string>("/data", { runtime: storage.runtime, codec: "text" });
  for (let n = 0; n < 6; n++) await db.set(`k${n}`, `value ${n}`);
  storage.kill();
  const [path] = filesOf(storage, ".log")[0];
  await edit(storage, path, (bytes) => {
    bytes[Buffer.from(bytes).indexOf("value 1")] ^= 1;
    return bytes;
  });
  const { files, version } = await repair("/data", { runtime: storage.restart() });
  expect(version).toBe(6);
  expect(files).toEqual([
    {
      file: "log/000000000001.log",
      kind: "segment",
      saved: 5,
      lost: [expect.objectContaining({ versions: { from: 2, to: 2 } })],
    },
  ]);
  expect(await keysIn(storage.restart())).toEqual(["k0", "k2", "k3", "k4", "k5"]);
});

test("T-FUZZ-01: of a checkpoint of many blocks one flipped byte costs one block at most", async () => {
  const storage = simulatedStorage({ cryptography, sectorBytes: 4096, seed: 11 });
  const db = await open<string>("/data", { runtime: storage.runtime, codec: "text" });
  const count = 300;
  await db.batch(Array.from({ length: count }, (_, n) => ({ type: "set", key: n, value: "v".repeat(1000) })));
  await db.checkpoint();
  await db.close();
  const [path, whole] = filesOf(storage, "/checkpoint/0")[0];
  const random = new Prng(Date.now() % 1_000_000);
  let damagedBlocks = 0;
  for (let round = 0; round < 25; round++) {
    const place = random.below(whole.length);
    const rotten = simulatedStorage({ cryptography, disk: storage.disk.fork(), seed: 3 });
    await edit(rotten, path, (bytes) => {
      bytes[place] ^= 1 << random.below(8);
      return bytes;
    });
    const { files } = await repair("/data", { runtime: rotten.restart(), dryRun: true });
    const checkpoint = files.find(({ kind }) => kind === "checkpoint");
    expect(checkpoint?.saved, `byte ${place}`).toBeGreaterThanOrEqual(count - 65);
    // With the header go what stands between it and the first block, the footer, and the end that this proves.
    expect(checkpoint?.lost.length, `byte ${place}`).toBeGreaterThanOrEqual(1);
    expect(checkpoint?.lost.length, `byte ${place}`).toBeLessThanOrEqual(4);
    if ((checkpoint?.saved ?? count) < count) damagedBlocks++;
  }
  expect(damagedBlocks).toBeGreaterThan(10);
});

test("a repair can be stopped, and refuses what is not a store", async () => {
  const storage = await damaged("posix-strict");
  const stop = new AbortController();
  const onProgress = (): void => stop.abort();
  const stopped = repair("/data", { runtime: storage.restart(), signal: stop.signal, onProgress });
  await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
  const { runtime } = storage;
  await runtime.fileSystem.makeDirectory("/empty");
  await expect(repair("/empty", { runtime })).rejects.toMatchObject({ code: "NOT_A_STORE" });
  await expect(repair("/data", { runtime, dryRun: 1 as never })).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
  });
  const db = await open("/held", { runtime });
  await expect(repair("/held", { runtime })).rejects.toMatchObject({ code: "LOCKED" });
  await db.close();
});
