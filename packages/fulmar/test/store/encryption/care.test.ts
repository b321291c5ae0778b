import { describe, expect, test } from "vitest";
import { open, repair, restore, verify } from "../../../src/index.js";
import type { SimulatedStorage } from "../../../src/testing/index.js";
import { edit, filesOf } from "../../durability/harness.js";
import { BACKUP, errorOf, fill, MARKER, machine, marked, ONE, openOn, ROOT, TWO } from "./support.js";

describe("backup, restore, verify and repair", () => {
  async function backedUp(): Promise<SimulatedStorage> {
    const storage = machine();
    const db = await openOn(storage, { key: ONE });
    await fill(db, 0, 30);
    await db.checkpoint();
    await fill(db, 30, 2);
    await db.backup(BACKUP);
    await db.close();
    return storage;
  }

  test("a backup needs its key, and may be restored under another one", async () => {
    const { runtime } = await backedUp();
    expect(await errorOf(restore(BACKUP, "/a", { runtime }))).toMatchObject({
      code: "ENCRYPTION_KEY_MISSING",
    });
    const wrong = restore(BACKUP, "/a", { runtime, encryption: { key: TWO } });
    expect(await errorOf(wrong)).toMatchObject({ code: "ENCRYPTION_KEY_WRONG" });
    await restore(BACKUP, "/a", { runtime, encryption: { key: TWO, previousKeys: [ONE] } });
    const db = await open<string>("/a", { codec: "text", runtime, encryption: { key: TWO } });
    expect(db.status().entries).toBe(32);
    await db.close();
    await restore(BACKUP, "/b", { runtime, encryption: { key: null, previousKeys: [ONE] } });
    const plain = await open<string>("/b", { codec: "text", runtime });
    expect(plain.get(`${MARKER} 31`)).toBe(MARKER.repeat(1000));
    await plain.close();
  });

  test("verify reads everything with the key, and says which is missing without", async () => {
    const { runtime } = await backedUp();
    for (const path of [ROOT, BACKUP]) {
      expect(await verify(path, { runtime, encryption: { key: ONE } })).toMatchObject({
        ok: true,
        findings: [],
      });
      expect(await errorOf(verify(path, { runtime }))).toMatchObject({ code: "ENCRYPTION_KEY_MISSING" });
      const wrong = verify(path, { runtime, encryption: { key: TWO } });
      expect(await errorOf(wrong)).toMatchObject({ code: "ENCRYPTION_KEY_WRONG" });
    }
  });

  test("a repair saves what it can unseal, also behind damage and with a damaged header", async () => {
    const storage = await backedUp();
    const [[checkpoint]] = filesOf(storage, "checkpoint/");
    const segment = filesOf(storage, ".log").at(-1)?.[0] ?? "";
    // The numbers in both headers, and bytes in the first block.
    storage.disk.rot(checkpoint, { bits: [8 * 17, 8 * 500] });
    storage.disk.rot(segment, { bits: [8 * 17] });
    const runtime = storage.restart();
    expect(await errorOf(repair(ROOT, { runtime }))).toMatchObject({ code: "ENCRYPTION_KEY_MISSING" });
    const report = await repair(ROOT, { runtime, encryption: { key: ONE } });
    expect(report).toMatchObject({ repaired: true, damaged: true });
    const db = await openOn({ runtime }, { key: ONE, refusePlain: true });
    expect(db.status().entries).toBe(report.entries);
    expect(db.status().entries).toBeGreaterThan(10);
    for (const { key, value } of db.list()) {
      expect([String(key).startsWith(MARKER), value]).toEqual([true, MARKER.repeat(1000)]);
    }
    expect(db.get(`${MARKER} 31`)).toBe(MARKER.repeat(1000));
    await db.close();
    expect(marked(storage)).toEqual([]);
  });

  test("a key section that is damaged costs what it opens, and the report says so", async () => {
    const storage = await backedUp();
    const [[checkpoint]] = filesOf(storage, "checkpoint/");
    storage.disk.rot(checkpoint, { bits: [8 * 120] });
    const runtime = storage.restart();
    const report = await repair(ROOT, { runtime, encryption: { key: ONE } });
    const lost = report.files.flatMap((file) => file.lost.map(({ what }) => what));
    expect(lost).toContain("the key section, without which nothing can be read");
    const db = await openOn({ runtime }, { key: ONE });
    expect(db.get(`${MARKER} 31`)).toBe(MARKER.repeat(1000));
    await db.close();
  });

  test("a repair that accepts encrypted files only takes nothing plain, behind a damaged header neither", async () => {
    for (const part of ["checkpoint/", ".log"]) {
      for (const header of ["whole", "damaged"]) {
        const storage = machine();
        const plain = await openOn(storage, undefined);
        // Of later versions than what is there: a repair takes of the log what the checkpoint has not.
        for (let i = 0; i < 50; i++) await plain.set("forged", "x");
        await plain.checkpoint();
        await plain.set("forged too", "x");
        await plain.close();
        const [[, bytes]] = filesOf(storage, part);
        const own = await backedUp();
        const put = filesOf(own, part).at(-1)?.[0] ?? "";
        await edit(own, put, () => bytes);
        // What damages the directory, and the numbers in the forged header.
        own.disk.rot(`${ROOT}/MANIFEST`, { bits: [8 * 30, 8 * 542] });
        if (header === "damaged") own.disk.rot(put, { bits: [8 * 17] });
        const runtime = own.restart();
        const encryption = { key: ONE, refusePlain: true };
        const repaired = await repair(ROOT, { runtime, encryption }).catch((error: unknown) => error);
        if (header === "whole") {
          expect(repaired, part).toMatchObject({ code: "NOT_ENCRYPTED" });
          continue;
        }
        expect(repaired, part).toMatchObject({ repaired: true });
        const db = await openOn({ runtime: own.restart() }, encryption);
        expect([db.get("forged"), db.get("forged too")], part).toEqual([undefined, undefined]);
        await db.close();
      }
    }
  });
});
