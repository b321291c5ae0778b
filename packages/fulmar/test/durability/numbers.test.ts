import { expect, test } from "vitest";
import { writeU32, writeU64 } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/crc.js";
import { ADOPTED_NUMBERS_MAX, NUMBERS_MAX, NUMBERS_SKIPPED } from "../../src/base/limits.js";
import { FIRST_RECORD_AT } from "../../src/durability/log-scan.js";
import { SLOT_BYTES } from "../../src/durability/manifest.js";
import { verifyDirectory } from "../../src/durability/verify.js";
import { open, restore, verify } from "../../src/index.js";
import type { SimulatedStorage } from "../../src/testing/simulated/index.js";
import { repairSegment } from "../fuzz/repair.js";
import { edit, MiniStore, machine, ROOT, refusal } from "./harness.js";
import { blockOf, checkpointOf } from "./unit/checkpoint-bytes.js";

async function killed(): Promise<SimulatedStorage> {
  const storage = machine();
  const store = await MiniStore.open(storage.runtime);
  await store.save("a", "1");
  storage.kill();
  return storage;
}

async function withVersion(version: number): Promise<SimulatedStorage> {
  const storage = await killed();
  await edit(storage, `${ROOT}/log/000000000001.log`, (bytes) => {
    writeU64(bytes, FIRST_RECORD_AT + 16, version);
    repairSegment(bytes);
    return bytes;
  });
  return storage;
}

test("T-FUZZ-01: a version from which none can follow is refused, by opening and by the check", async () => {
  for (const version of [NUMBERS_MAX + 1, Number.MAX_SAFE_INTEGER - 1]) {
    const storage = await withVersion(version);
    expect(await refusal(storage)).toMatchObject({ code: "CORRUPT", details: { file: ROOT } });
    const { ok, findings } = await verifyDirectory(storage.restart(), ROOT);
    expect([ok, findings[0]?.message]).toEqual([false, expect.stringContaining(String(version))]);
  }
  const highest = await withVersion(NUMBERS_MAX);
  expect((await verifyDirectory(highest.restart(), ROOT)).ok).toBe(true);
  const storage = await withVersion(NUMBERS_MAX - 2 * NUMBERS_SKIPPED);
  const store = await MiniStore.open(storage.restart());
  await store.save("b", "2");
  await store.checkpoint();
  await store.close();
  expect((await verifyDirectory(storage.runtime, ROOT)).ok).toBe(true);
});

test.each([
  ["version", 152],
  ["seq", 160],
  ["time", 168],
])("T-FUZZ-01: a %s in the manifest from which none can follow is refused", async (_name, at) => {
  const storage = await killed();
  await edit(storage, `${ROOT}/MANIFEST`, (bytes) => {
    for (const slot of [0, SLOT_BYTES]) {
      writeU64(bytes, slot + at, Number.MAX_SAFE_INTEGER);
      writeU32(bytes, slot + SLOT_BYTES - 4, crc32(bytes, slot, slot + SLOT_BYTES - 4, 0));
    }
    return bytes;
  });
  expect(await refusal(storage)).toMatchObject({ code: "CORRUPT" });
});

test.each(["version", "seq", "hlc"])(
  "T-FUZZ-01: a backup with a %s from which none can follow is refused",
  async (name) => {
    const block = blockOf({ key: "k", value: "v", version: 20 });
    for (const number of [ADOPTED_NUMBERS_MAX, ADOPTED_NUMBERS_MAX + 1]) {
      const { runtime } = machine();
      const { bytes } = checkpointOf([block], { state: { isBackup: true, [name]: number } });
      const handle = await runtime.fileSystem.open("/backup", "create");
      await handle.write(bytes, 0);
      await handle.close();
      const { ok, findings } = await verify("/backup", { runtime });
      const restored = restore("/backup", ROOT, { runtime });
      if (number > ADOPTED_NUMBERS_MAX) {
        expect([ok, findings[0]?.message]).toEqual([false, expect.stringContaining(String(number))]);
        await expect(restored).rejects.toMatchObject({ code: "CORRUPT", details: { file: "/backup" } });
      } else {
        expect([ok, findings]).toEqual([true, []]);
        await restored;
        const db = await open<string>(ROOT, { runtime, codec: "text" });
        await db.set("after", "works");
        await db.close();
      }
    }
  },
);
