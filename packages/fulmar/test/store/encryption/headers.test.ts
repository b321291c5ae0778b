import { describe, expect, test } from "vitest";
import { readU32, writeU32, writeU64 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { repair } from "../../../src/index.js";
import type { SimulatedStorage } from "../../../src/testing/index.js";
import { edit, filesOf } from "../../durability/harness.js";
import { repairCheckpoint } from "../../fuzz/repair.js";
import { fill, MARKER, machine, ONE, openOn, ROOT, refusal } from "./support.js";

const KEY = { encryption: { key: ONE } };
const logOf = (number: number): string => `${ROOT}/log/${String(number).padStart(12, "0")}.log`;

/** Several segments without a checkpoint; in each of them stand some of these keys. */
async function written(): Promise<SimulatedStorage> {
  const storage = machine();
  const db = await openOn(storage, { key: ONE });
  await fill(db, 0, 30);
  await db.close();
  expect(filesOf(storage, ".log").length).toBeGreaterThan(2);
  return storage;
}

/** Changes a segment's header and mends its checksum, so that only the opening's seal can tell. */
function forge(storage: SimulatedStorage, path: string, change: (bytes: Uint8Array) => void): Promise<void> {
  return edit(storage, path, (bytes) => {
    change(bytes);
    writeU32(bytes, 64, crc32(bytes, 0, 64, 0));
    return bytes;
  });
}

async function expectAll(storage: SimulatedStorage): Promise<void> {
  const db = await openOn({ runtime: storage.restart() }, { key: ONE, refusePlain: true });
  expect([...db.list()].map(({ key }) => key).sort()).toEqual(
    Array.from({ length: 30 }, (_, i) => `${MARKER} ${i}`).sort(),
  );
  await db.close();
}

describe("a repair believes of a sealed segment's header what its opening proves", () => {
  const changes: readonly (readonly [string, (bytes: Uint8Array) => void])[] = [
    ["another number, so that it seems to be the newest segment", (bytes) => writeU64(bytes, 16, 99)],
    ["another number, so that it seems to be another segment", (bytes) => writeU64(bytes, 16, 2)],
    ["another store", (bytes) => bytes.fill(0xee, 32, 48)],
    ["another writer", (bytes) => bytes.fill(0xee, 48, 64)],
  ];

  test.each(changes)("%s", async (_, change) => {
    const storage = await written();
    await forge(storage, logOf(1), change);
    expect(await refusal(storage, { key: ONE })).toMatchObject({ code: "CORRUPT" });
    const report = await repair(ROOT, { runtime: storage.restart(), ...KEY });
    expect(report).toMatchObject({ repaired: true, entries: 30 });
    const lost = report.files.filter((file) => file.lost.length > 0);
    expect(lost.map(({ file }) => file)).toEqual(["log/000000000001.log"]);
    expect(lost[0].lost).toMatchObject([{ offset: 0, bytes: 68 + 104 + 60 + 28 }]);
    await expectAll(storage);
  });

  test("a changed opening is reported as well, and where it continues from is not believed", async () => {
    const storage = await written();
    await edit(storage, logOf(2), (bytes) => {
      // The log before this segment would end within its first records.
      writeU64(bytes, 172 + 40 + 8, 300);
      writeU32(bytes, 172 + 84, crc32(bytes, 172 + 40, 172 + 84, readU32(bytes, 172 + 36)));
      return bytes;
    });
    expect(await refusal(storage, { key: ONE })).toMatchObject({ code: "CORRUPT" });
    const report = await repair(ROOT, { runtime: storage.restart(), ...KEY });
    expect(report.entries).toBe(30);
    const lost = report.files.filter((file) => file.lost.length > 0);
    expect(lost.map(({ file }) => file)).toEqual(["log/000000000002.log"]);
    await expectAll(storage);
  });
});

describe("a repair believes of a sealed checkpoint's header what its dictionary proves", () => {
  test.each(["a manifest", "none"])(
    "a version that was raised hides no later commit, with %s",
    async (manifest) => {
      const storage = machine();
      const db = await openOn(storage, { key: ONE });
      await db.set("k", "early");
      await db.checkpoint();
      await db.set("k", "late");
      await db.close();
      const [[path]] = filesOf(storage, "checkpoint/");
      await edit(storage, path, (bytes) => {
        writeU64(bytes, 64, 2 ** 53 - 2);
        repairCheckpoint(bytes, ONE);
        return bytes;
      });
      if (manifest === "none") await storage.restart().fileSystem.remove(`${ROOT}/MANIFEST`);
      else expect(await refusal(storage, { key: ONE })).toMatchObject({ code: "CORRUPT" });
      const report = await repair(ROOT, { runtime: storage.restart(), ...KEY });
      expect(report).toMatchObject({ repaired: true, entries: 1, version: 2 });
      const lost = report.files.find(({ kind }) => kind === "checkpoint")?.lost.map(({ what }) => what);
      expect(lost).toContain("the dictionary of writers");
      const again = await openOn({ runtime: storage.restart() }, { key: ONE });
      expect(again.get("k")).toBe("late");
      await again.close();
    },
  );
});

describe("a header that is damaged where the salt stands", () => {
  test.each([
    ["a bit of the salt", (bytes: Uint8Array) => void bytes.fill(bytes[27] ^ 1, 27, 28)],
    ["all of it overwritten", (bytes: Uint8Array) => void bytes.fill(0xff, 0, 68)],
    ["all of it zeros", (bytes: Uint8Array) => void bytes.fill(0, 0, 68)],
  ])("costs no commit: %s", async (_, change) => {
    for (const encryption of [{ key: ONE }, undefined]) {
      const storage = machine();
      const db = await openOn(storage, encryption);
      await fill(db, 0, 30);
      await db.close();
      await edit(storage, logOf(2), (bytes) => {
        change(bytes);
        return bytes;
      });
      const report = await repair(ROOT, {
        runtime: storage.restart(),
        ...(encryption !== undefined && { encryption }),
      });
      expect(report.entries).toBe(30);
      const lost = report.files.filter((file) => file.lost.length > 0);
      expect(lost).toMatchObject([
        { file: "log/000000000002.log", lost: [{ offset: 0, bytes: 68, what: "the header" }] },
      ]);
    }
  });
});
