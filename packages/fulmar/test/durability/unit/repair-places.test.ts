import { beforeEach, describe, expect, test } from "vitest";
import { verifyDirectory } from "../../../src/durability/verify.js";
import { filesOf, MiniStore, ROOT } from "../harness.js";

import {
  begin,
  contents,
  create,
  damaged,
  decoder,
  KEPT,
  LEFT,
  names,
  repaired,
  storage,
} from "./repair-rig.js";

beforeEach(() => begin());

describe("where the old files go", () => {
  test.each(["MANIFEST", "log/000000000001.log", "checkpoint/000000000001"])(
    "is a new directory if one holds %s already",
    async (name) => {
      await damaged();
      await create(`${KEPT}/${name}`);
      const report = await repaired();
      expect(report).toMatchObject({ repaired: true, keptIn: `${ROOT}/damaged-2` });
      expect(names().filter((path) => path.startsWith("damaged-1/"))).toEqual([`damaged-1/${name}`]);
      expect(names()).toContain("damaged-2/MANIFEST");
      expect(await contents()).toEqual(LEFT);
    },
  );

  test("is one that an earlier repair made and put nothing in but a report", async () => {
    await damaged();
    await create(`${KEPT}/REPORT.json`);
    await storage.runtime.fileSystem.makeDirectory(`${KEPT}/log`);
    const { keptIn, entries } = await repaired();
    expect([keptIn, entries]).toEqual([KEPT, 3]);
    const [[, report]] = filesOf(storage, `${KEPT}/REPORT.json`);
    expect(JSON.parse(decoder.decode(report))).toMatchObject({ keptIn: KEPT });
  });
});

describe("a directory that needs no repair", () => {
  test("is told of as it is, and not touched", async () => {
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    await store.close();
    const { incarnation } = store.directory.recovered;
    const before = storage.disk.fingerprint();
    expect(await repaired()).toEqual({
      repaired: false,
      damaged: false,
      directory: ROOT,
      incarnation,
      version: 1,
      entries: 1,
      files: [],
    });
    expect(storage.disk.fingerprint()).toBe(before);
  });

  test("or is none, is refused and not touched", async () => {
    const refused = (code: string, root = ROOT): Promise<void> =>
      expect(repaired({}, root)).rejects.toMatchObject({
        code,
        details: code === "NOT_A_STORE" ? { directory: root } : { path: root },
      });
    await refused("PATH_UNUSABLE");
    await create("/file");
    await refused("PATH_UNUSABLE", "/file");
    await storage.runtime.fileSystem.makeDirectory(ROOT);
    await refused("NOT_A_STORE");
    for (const stranger of ["thesis.txt", "log/notes", "checkpoint/12"]) {
      await create(`${ROOT}/${stranger}`);
      await refused("NOT_A_STORE");
    }
    // What an interrupted restore left was never a store.
    await create(`${ROOT}/RESTORING`);
    await create(`${ROOT}/log/000000000001.log`);
    await refused("NOT_A_STORE");
    expect(names()).toHaveLength(5);
    // Nobody holds a lock behind any of these.
    await storage.runtime.fileSystem.remove(`${ROOT}/RESTORING`);
    expect(await repaired({ dryRun: true })).toMatchObject({ damaged: true, entries: 0 });
  });

  test.each(["log", "checkpoint"])("lost its manifest: it has files in %s, and needs one", async (part) => {
    await damaged();
    const other = part === "log" ? "/checkpoint/" : "/log/";
    const { fileSystem } = storage.restart();
    await fileSystem.remove(`${ROOT}/MANIFEST`);
    for (const [path] of filesOf(storage, other)) await fileSystem.remove(path);
    const report = await repaired();
    expect(report).toMatchObject({ repaired: true, entries: part === "log" ? 3 : 1 });
    expect(await verifyDirectory(storage.restart(), ROOT)).toMatchObject({ ok: true, findings: [] });
  });

  test("with a mark alone is one whose repair was interrupted", async () => {
    await storage.runtime.fileSystem.makeDirectory(ROOT);
    await create(`${ROOT}/REPAIRING`);
    await expect(repaired()).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: `${ROOT}/REPAIRING`, offset: 0 },
    });
  });
});
