import { beforeEach, describe, expect, test } from "vitest";
import { NUMBERS_SKIPPED } from "../../../src/base/limits.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import type { CareProgress } from "../../../src/durability/care-types.js";
import { encodeSlot, SLOT_BYTES } from "../../../src/durability/manifest.js";
import { repairDirectory } from "../../../src/durability/repair.js";
import { verifyDirectory } from "../../../src/durability/verify.js";
import { edit, filesOf, MiniStore, machineOn, ROOT } from "../harness.js";

import { manifestIn } from "./manifests.js";

import { begin, contents, damaged, decoder, KEPT, LEFT, names, repaired, storage } from "./repair-rig.js";

beforeEach(() => begin());

describe("a directory that is damaged", () => {
  test("is told of in the same words before and after, and as it was kept", async () => {
    await damaged();
    const before = storage.disk.fingerprint();
    const told = await repaired({ dryRun: true });
    expect(storage.disk.fingerprint()).toBe(before);
    const { incarnation, files } = told;
    const [log] = filesOf(storage, ".log")[0];
    const offset = files[0].lost[0]?.offset;
    expect(told).toEqual({
      repaired: false,
      damaged: true,
      directory: ROOT,
      incarnation,
      version: 4,
      entries: 3,
      files: [
        { file: "checkpoint/000000000001", kind: "checkpoint", saved: 1, lost: [] },
        {
          file: log.slice(ROOT.length + 1),
          kind: "segment",
          saved: 2,
          lost: [
            {
              offset: expect.any(Number),
              bytes: expect.any(Number),
              what: "bytes that are no record",
              versions: { from: 3, to: 3 },
            },
          ],
        },
      ],
    });
    expect(offset).toBeUndefined();
    const report = await repaired();
    expect(report.incarnation).not.toBe(incarnation);
    expect(report).toEqual({ ...told, repaired: true, keptIn: KEPT, incarnation: report.incarnation });
    const [[, kept]] = filesOf(storage, `${KEPT}/REPORT.json`);
    expect(JSON.parse(decoder.decode(kept))).toEqual(report);
    expect(await contents()).toEqual(LEFT);
  });

  test("keeps its old files under their names, and the new ones are whole", async () => {
    await damaged();
    const old = filesOf(storage, `${ROOT}/`).filter(([path]) => !path.includes("LOCK"));
    await repaired();
    for (const [path, bytes] of old) {
      const [[, kept]] = filesOf(storage, path.replace(ROOT, KEPT));
      expect(Buffer.from(kept).equals(bytes), path).toBe(true);
    }
    const present = names().filter((name) => !name.startsWith("damaged-1/"));
    expect(present.map((name) => name.replace(/\d{12}/, "N"))).toEqual([
      "MANIFEST",
      "checkpoint/N",
      "log/N.log",
    ]);
    expect(present[1]).toBe("checkpoint/000000000002");
    expect(await verifyDirectory(storage.restart(), ROOT)).toMatchObject({ ok: true, findings: [] });
  });

  test("goes on with numbers that were never given out, and claims its own commits only", async () => {
    await damaged();
    const report = await repaired();
    const store = await MiniStore.open(storage.restart());
    const { version, seq, hlc, incarnation, coverage, clean, hadPeers } = store.directory.recovered;
    expect({ version, seq, hlc, incarnation, clean, hadPeers }).toEqual({
      version: 4 + NUMBERS_SKIPPED,
      seq: 3,
      hlc: 4,
      incarnation: report.incarnation,
      clean: true,
      hadPeers: false,
    });
    expect([...coverage.origins()]).toEqual([[incarnation, { upTo: 3, holes: [] }]]);
    await store.close();
  });

  test("skips the numbers that only its manifest knows of", async () => {
    await damaged();
    await edit(storage, `${ROOT}/MANIFEST`, (bytes) => {
      const { manifest, generation } = manifestIn(bytes);
      const slot = encodeSlot(nodeChecksum, { ...manifest, version: 1000 }, generation + 1);
      bytes.set(slot);
      bytes.set(slot, SLOT_BYTES);
      return bytes;
    });
    expect((await repaired()).version).toBe(4);
    const store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.version).toBe(1000 + NUMBERS_SKIPPED);
    await store.close();
  });

  test("of which nothing is left becomes a store without commits", async () => {
    await damaged(0);
    for (const [path] of filesOf(storage, ".log")) {
      await edit(storage, path, (bytes) => {
        bytes.fill(0);
        return bytes;
      });
    }
    expect(await repaired()).toMatchObject({ repaired: true, version: 0, entries: 0 });
    const store = await MiniStore.open(storage.restart());
    const { coverage, seq } = store.directory.recovered;
    expect([[...coverage.origins()], seq, store.contents().size]).toEqual([[], 0, 0]);
    await store.save("k", "v");
    await store.close();
  });

  test("is changed in an order that a crash may interrupt anywhere", async () => {
    await damaged();
    const told = new Set(["create", "sync", "rename", "syncDirectory", "remove", "makeDirectory", "unlock"]);
    const calls: string[] = [];
    storage.disk.onOperation = ({ kind, path }, phase) => {
      if (phase !== "before" || !told.has(kind)) return;
      calls.push(`${kind} ${path.slice(ROOT.length).replace(/^\/|LOCK.*/g, "")}`);
    };
    await repaired();
    const [newName] = names().filter((name) => name.startsWith("log/"));
    const old = names()
      .find((name) => name.startsWith("damaged-1/log/"))
      ?.slice("damaged-1/".length);
    const number = newName.slice("log/".length, -".log".length);
    const made = (path: string): string[] => [`create ${path}.tmp`, `sync ${path}.tmp`];
    expect(calls.filter((call) => call !== "create ")).toEqual([
      // Everything new, under temporary names.
      ...made(`checkpoint/${number}`),
      ...made(newName),
      ...made("MANIFEST"),
      "syncDirectory log",
      "syncDirectory checkpoint",
      "syncDirectory ",
      // Where the old files go, with the report, before the mark.
      "makeDirectory damaged-1",
      "makeDirectory damaged-1/log",
      "makeDirectory damaged-1/checkpoint",
      "syncDirectory damaged-1",
      ...made("damaged-1/REPORT.json"),
      "rename damaged-1/REPORT.json",
      "syncDirectory damaged-1",
      "syncDirectory ",
      ...made("REPAIRING"),
      "rename REPAIRING",
      "syncDirectory ",
      // The exchange.
      `rename damaged-1/${old}`,
      "syncDirectory damaged-1/log",
      "syncDirectory log",
      "rename damaged-1/checkpoint/000000000001",
      "syncDirectory damaged-1/checkpoint",
      "syncDirectory checkpoint",
      "rename damaged-1/MANIFEST",
      "syncDirectory damaged-1",
      "syncDirectory ",
      `rename checkpoint/${number}`,
      "syncDirectory checkpoint",
      `rename ${newName}`,
      "syncDirectory log",
      "rename MANIFEST",
      "syncDirectory ",
      "remove REPAIRING",
      "syncDirectory ",
      "unlock ",
    ]);
  });

  test("is completed by the next repair wherever this one failed", async () => {
    let [failed, completed] = [0, 0];
    for (let nth = 1; ; nth += 5) {
      begin();
      await damaged();
      const operations = ["rename", "remove", "syncDirectory", "sync", "makeDirectory"] as const;
      const remove = storage.disk.faults.add({ operations, nth, code: "EIO" });
      const outcome = await repaired().catch((error: { code: string }) => error.code);
      remove();
      if (typeof outcome !== "string") break;
      expect(["IO_ERROR", "DURABILITY_UNKNOWN"], `call ${nth}`).toContain(outcome);
      failed++;
      const again = await repaired();
      if (again.repaired) completed++;
      expect(await contents(), `call ${nth}`).toEqual(LEFT);
      const left = names().filter((name) => !name.startsWith("damaged-1/"));
      expect(left, `call ${nth}`).toHaveLength(3);
      expect(
        names().filter((name) => name.startsWith("damaged-1/")),
        `call ${nth}`,
      ).toHaveLength(4);
    }
    expect([failed > 5, completed > 5]).toEqual([true, true]);
  });

  test("is not exchanged for what cannot be opened", async () => {
    await damaged();
    const before = names();
    let rotten = false;
    storage.disk.onOperation = ({ kind, path }, phase) => {
      if (rotten || kind !== "syncDirectory" || phase !== "after" || path !== ROOT) return;
      rotten = true;
      const [written] = filesOf(storage, ".tmp").find(([name]) => name.includes("/checkpoint/")) ?? [""];
      storage.disk.rot(written, { bits: [8 * 110] });
    };
    await expect(repaired()).rejects.toMatchObject({ code: "CORRUPT" });
    storage.disk.onOperation = undefined;
    expect([rotten, names().filter((name) => !name.endsWith(".tmp"))]).toEqual([true, before]);
    await repaired();
    expect(await contents()).toEqual(LEFT);
  });

  test("keeps its new manifest where only the mark was left to be removed", async () => {
    await damaged();
    const remove = storage.disk.faults.add({ operations: ["remove"], path: "REPAIRING", code: "EIO" });
    await expect(repaired()).rejects.toMatchObject({ code: "IO_ERROR" });
    remove();
    const [[, kept]] = filesOf(storage, `${KEPT}/MANIFEST`);
    const forked = storage.disk.fork();
    expect(await repaired()).toMatchObject({ repaired: true, entries: 3 });
    expect(filesOf(storage, `${KEPT}/MANIFEST`)).toEqual([[`${KEPT}/MANIFEST`, kept]]);
    expect(await contents()).toEqual(LEFT);
    // A report that is damaged is not told as if it were one; the store is whole all the same.
    begin(machineOn(forked));
    await edit(storage, `${KEPT}/REPORT.json`, (bytes) => bytes.slice(1));
    const file = `${KEPT}/REPORT.json`;
    await expect(repaired()).rejects.toMatchObject({ code: "CORRUPT", details: { file } });
    expect(await contents()).toEqual(LEFT);
  });

  test("is let go of when a repair fails, and when it ends", async () => {
    await damaged();
    const runtime = storage.restart();
    const context = { runtime, dryRun: false, stopped: () => false, progress: () => undefined };
    const remove = storage.disk.faults.add({ operations: ["write"], nth: 1, code: "EIO" });
    await expect(repairDirectory(context, ROOT)).rejects.toMatchObject({ code: "IO_ERROR" });
    remove();
    expect(await repairDirectory(context, ROOT)).toMatchObject({ repaired: true });
    await (await MiniStore.open(runtime)).close();
  });

  test("is left as it was when the repair is stopped, at the latest before it writes", async () => {
    await damaged();
    const before = names();
    for (let calls = 0; ; calls++) {
      let left = calls;
      const outcome = await repaired({ stopped: () => --left < 0 }).catch(
        (error: { code: string }) => error.code,
      );
      if (typeof outcome !== "string") break;
      expect(outcome).toBe("CLOSED");
      // While it reads nothing is made at all.
      const present = calls === 0 ? names() : names().filter((name) => !name.endsWith(".tmp"));
      expect(present).toEqual(before);
    }
    expect(await contents()).toEqual(LEFT);
    await expect(repaired({ stopped: () => true })).resolves.toMatchObject({ repaired: false });
  });

  test("tells how far it is, first with reading and then with writing", async () => {
    await damaged();
    const told: CareProgress[] = [];
    await repaired({ progress: (progress) => told.push(progress) });
    const phases = told.map(({ phase }) => phase);
    expect(phases).toEqual([...phases].sort());
    expect(new Set(phases)).toEqual(new Set(["read", "write"]));
    const last = told.at(-1);
    expect(last).toMatchObject({ phase: "write", entries: 3 });
    for (const { bytes, bytesTotal } of told) expect(bytesTotal).toBeGreaterThanOrEqual(bytes);
    expect(last?.bytesTotal).toBeGreaterThan(0);
  });
});
