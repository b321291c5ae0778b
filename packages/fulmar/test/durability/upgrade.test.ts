import { describe, expect, test } from "vitest";
import { verifyDirectory } from "../../src/durability/verify.js";
import type { DiskProfile, SimulatedDisk } from "../../src/testing/simulated/index.js";
import { CONTENTS, OLD_LOG, olderFormats, writeOld } from "./format-zero.js";
import { edit, MiniStore, machine, machineOn, ROOT } from "./harness.js";

describe("a directory of an older format", () => {
  test("is read by the code of that format and goes on in the present one", async () => {
    const storage = machine();
    const old = await writeOld(storage);
    const store = await MiniStore.open(storage.restart(), { olderFormats });
    expect(store.contents()).toEqual(CONTENTS);
    const { storeId, incarnation, version, seq } = store.directory.recovered;
    expect({ storeId, incarnation, version, seq }).toEqual({
      storeId: old.storeId,
      incarnation: old.incarnation,
      version: 3,
      seq: 3,
    });
    await store.save("d", "4");
    await store.close();
    // From here on no code of the older format is needed, and nothing of it is left.
    expect(await verifyDirectory(storage.restart(), ROOT)).toMatchObject({ ok: true, findings: [] });
    const again = await MiniStore.open(storage.restart());
    expect(again.contents()).toEqual(new Map([...CONTENTS, ["d", "4"]]));
    await again.close();
    expect(storage.disk.image().has(OLD_LOG)).toBe(false);
  });

  test("is refused unchanged where that code is missing", async () => {
    const storage = machine();
    await writeOld(storage);
    const runtime = storage.restart();
    const before = storage.disk.fingerprint();
    await expect(MiniStore.open(runtime)).rejects.toMatchObject({
      code: "FORMAT_OLDER",
      message: expect.stringMatching(/dump it with the version that wrote it .*and load the dump/),
      details: { version: 0, file: `${ROOT}/MANIFEST` },
    });
    const report = await verifyDirectory(runtime, ROOT);
    expect(report.ok).toBe(false);
    expect(report.findings[0].message).toContain("has format 0");
    expect(storage.disk.fingerprint()).toBe(before);
  });

  test("is not taken for one where nothing of the manifest can be read", async () => {
    const storage = machine();
    await writeOld(storage);
    await edit(storage, `${ROOT}/MANIFEST`, (bytes) => bytes.fill(0xff));
    const before = storage.disk.fingerprint();
    // It may be of the present format: a repair is what helps, and no other version does.
    await expect(MiniStore.open(storage.restart(), { olderFormats })).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: `${ROOT}/MANIFEST` },
    });
    expect(storage.disk.fingerprint()).toBe(before);
  });

  test("that was copied becomes another writer", async () => {
    const storage = machine();
    const old = await writeOld(storage, "ee".repeat(32));
    const store = await MiniStore.open(storage.restart(), { olderFormats });
    const { incarnation, seq, hadPeers, coverage } = store.directory.recovered;
    expect(incarnation).not.toBe(old.incarnation);
    expect({ seq, hadPeers, covered: coverage.of(old.incarnation).upTo }).toEqual({
      seq: 0,
      hadPeers: true,
      covered: 3,
    });
    expect(store.contents()).toEqual(CONTENTS);
    await store.close();
  });

  test.each(["posix-strict", "ext4-like"] satisfies DiskProfile[])(
    "T-REC-09: survives a crash at any moment of the change, disk %s",
    async (profile) => {
      const storage = machine({ profile });
      await writeOld(storage);
      const runtime = storage.restart();
      const moments: { label: string; disk: SimulatedDisk }[] = [];
      storage.disk.onOperation = (operation, phase) => {
        if (phase === "before" && !operation.mutates) return;
        if (phase === "after" && operation.kind !== "write") return;
        moments.push({ label: `${phase} ${operation.kind} ${operation.path}`, disk: storage.disk.fork() });
      };
      const first = await MiniStore.open(runtime, { olderFormats });
      await first.close();
      const seen = new Set<string>();
      const kinds = new Set<string>();
      for (const { label, disk } of moments) {
        for (const image of disk.durableImages(8)) {
          if (seen.has(image.fingerprint())) continue;
          seen.add(image.fingerprint());
          const after = machineOn(image);
          const plain = await MiniStore.open(after.runtime).catch((error: { code: string }) => error.code);
          kinds.add(typeof plain === "string" ? plain : "new");
          if (typeof plain !== "string") await plain.close();
          const store = await MiniStore.open(after.restart(), { olderFormats });
          expect(store.contents(), label).toEqual(CONTENTS);
          await store.save("d", "4");
          await store.close();
          expect(await verifyDirectory(after.restart(), ROOT), label).toMatchObject({
            ok: true,
            findings: [],
          });
        }
      }
      expect([...kinds].sort()).toEqual(["FORMAT_OLDER", "new"]);
    },
  );
});
