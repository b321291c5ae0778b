import { beforeEach, describe, expect, test } from "vitest";
import { FulmarError } from "../../../src/base/errors.js";
import type { DirectoryProgress, Finding, VerifyReport } from "../../../src/durability/directory-types.js";
import { layoutOf } from "../../../src/durability/layout.js";
import { collect, verifyDirectory, verifyHeld } from "../../../src/durability/verify.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { edit, filesOf, MiniStore, machine, ROOT } from "../harness.js";

const MANIFEST = `${ROOT}/MANIFEST`;
const CHECKPOINT = `${ROOT}/checkpoint/000000000001`;

let storage: SimulatedStorage;

beforeEach(() => {
  storage = machine();
});

/** A store with three entries in its checkpoint, and two commits and one entry more behind that. */
async function written(close = true): Promise<MiniStore> {
  const store = await MiniStore.open(storage.runtime);
  for (const key of ["a", "b", "c"]) await store.save(key, "1");
  await store.checkpoint();
  for (const key of ["a", "d"]) await store.save(key, "2");
  if (close) await store.close();
  else storage.kill();
  return store;
}

/** Where the last segment is. */
const lastLog = (): string => filesOf(storage, ".log").at(-1)?.[0] ?? "";

const verified = (): Promise<VerifyReport> => verifyDirectory(storage.restart(), ROOT);

async function create(path: string): Promise<void> {
  const { fileSystem } = storage.restart();
  await (await fileSystem.open(path, "create")).close();
  await fileSystem.syncDirectory(fileSystem.parent(path));
}

describe("a directory", () => {
  test("is told of as it is, with the progress of its two phases", async () => {
    const { directory } = await written();
    const { storeId, incarnation } = directory.recovered;
    const before = storage.disk.fingerprint();
    const progress: DirectoryProgress[] = [];
    const report = await verifyDirectory(storage.restart(), ROOT, (told) => progress.push(told));
    expect(report).toEqual({
      kind: "directory",
      ok: true,
      clean: true,
      storeId,
      incarnation,
      version: 5,
      segments: 1,
      commits: 2,
      entries: 5,
      findings: [],
      checkpoint: { number: 1, version: 3, entries: 3, bytes: filesOf(storage, CHECKPOINT)[0][1].length },
    });
    expect(new Set(progress.map(({ phase }) => phase))).toEqual(new Set(["checkpoint", "log"]));
    expect(storage.disk.fingerprint()).toBe(before);
  });

  test("has no checkpoint before the first", async () => {
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    storage.kill();
    const report = await verified();
    expect(report).toMatchObject({ ok: true, clean: false, version: 1, commits: 1, entries: 1 });
    expect(report.checkpoint).toBeUndefined();
  });

  test("is locked meanwhile, and not behind that, whatever was found", async () => {
    const store = await MiniStore.open(storage.runtime);
    await expect(verifyDirectory(storage.runtime, ROOT)).rejects.toMatchObject({ code: "LOCKED" });
    await store.save("a", "1");
    await store.close();
    const runtime = storage.restart();
    await verifyDirectory(runtime, ROOT);
    storage.disk.faults.add({ operations: ["read"], path: "/log/", code: "EIO", nth: 1 });
    await expect(verifyDirectory(runtime, ROOT)).rejects.toMatchObject({ code: "IO_ERROR" });
    await (await MiniStore.open(runtime)).close();
  });

  test("without a manifest is none, and one that is missing neither", async () => {
    await written();
    const { fileSystem } = storage.restart();
    await fileSystem.remove(MANIFEST);
    const refused = { code: "NOT_A_STORE", details: { directory: ROOT } };
    await expect(verifyDirectory(storage.runtime, ROOT)).rejects.toMatchObject(refused);
    expect(await verifyHeld(storage.runtime, layoutOf(fileSystem, ROOT))).toBeUndefined();
    await expect(verifyDirectory(storage.runtime, "/none")).rejects.toBeInstanceOf(FulmarError);
  });

  test.each([
    "MANIFEST.tmp",
    "RESTORING",
    "log/000000000009.log.tmp",
    "log/000000000009.log",
    "checkpoint/000000000009",
    "checkpoint/000000000009.tmp",
  ])("with a directory where a file belongs is refused as by an open, unchanged: %s", async (name) => {
    await written();
    const { fileSystem } = storage.restart();
    const path = `${ROOT}/${name}`;
    await fileSystem.makeDirectory(path);
    await create(`${path}/thesis`);
    const before = filesOf(storage, ROOT);
    const message = expect.stringContaining("move it elsewhere");
    const refused = { code: "PATH_UNUSABLE", message, details: { path } };
    await expect(verifyDirectory(storage.restart(), ROOT)).rejects.toMatchObject(refused);
    await expect(MiniStore.open(storage.restart())).rejects.toMatchObject(refused);
    expect(filesOf(storage, ROOT)).toEqual(before);
    await storage.restart().fileSystem.rename(path, `${ROOT}/elsewhere`);
    await (await MiniStore.open(storage.restart())).close();
  });

  test("with the mark of a repair needs that to be completed, with a manifest or without", async () => {
    await written();
    const mark = `${ROOT}/REPAIRING`;
    await create(mark);
    for (const wasThere of [true, false]) {
      const { ok, findings, storeId, version, entries, clean } = await verified();
      expect([ok, storeId, version, entries, clean]).toEqual([false, "", 0, 0, false]);
      expect(findings).toMatchObject([{ severity: "problem", file: mark }]);
      if (wasThere) await storage.runtime.fileSystem.remove(MANIFEST);
    }
  });
});

describe("findings", () => {
  const found = async (): Promise<[severity: string, file: string, offset: number | undefined][]> => {
    const { findings } = await verified();
    return findings.map(({ severity, file, offset }) => [severity, file, offset]);
  };

  test("tell of each slot of the manifest that is damaged, and of both", async () => {
    await written();
    const flip = (at: number): Promise<void> =>
      edit(storage, MANIFEST, (bytes) => {
        bytes[at] ^= 1;
        return bytes;
      });
    for (const slot of [0, 1]) {
      await flip(slot * 4096 + 100);
      expect(await found()).toEqual([["note", MANIFEST, slot * 4096]]);
      expect((await verified()).ok).toBe(true);
      await flip(slot * 4096 + 100);
    }
    await flip(100);
    await flip(4196);
    const { ok, findings, ...rest } = await verified();
    expect(rest).toEqual({
      kind: "directory",
      clean: false,
      storeId: "",
      incarnation: "",
      version: 0,
      segments: 0,
      commits: 0,
      entries: 0,
    });
    expect([ok, findings]).toMatchObject([false, [{ severity: "problem", file: MANIFEST }]]);
  });

  test("tell where a torn tail begins, and how long it is", async () => {
    await written(false);
    const [[, bytes]] = filesOf(storage, lastLog());
    const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
    await edit(storage, lastLog(), (all) => {
      all.fill(7, end, end + 90);
      return all;
    });
    const { ok, findings, version } = await verified();
    expect([ok, version]).toEqual([true, 5]);
    expect(findings).toMatchObject([{ severity: "note", file: lastLog(), offset: end }]);
    expect(findings[0].message).toContain("90 bytes");
  });

  test("tell of what is left over, and of strangers, in each directory", async () => {
    await written();
    const leftOver = ["checkpoint/000000000009", "checkpoint/000000000009.tmp", "log/000000000009.log.tmp"];
    const known = ["LOCK-2", "damaged-1"];
    const strangers = ["notes", "log/000000000002", "checkpoint/000000000002.log", "checkpoint/notes.tmp"];
    for (const name of [...leftOver, ...known, ...strangers]) await create(`${ROOT}/${name}`);
    const { ok, findings } = await verified();
    expect(ok).toBe(true);
    const told = (text: string): string[] =>
      findings
        .filter(({ severity, message }) => severity === "note" && message.includes(text))
        .map(({ file }) => file.slice(ROOT.length + 1))
        .sort();
    expect(told("removed at the next open")).toEqual(leftOver);
    expect(told("ignored")).toEqual([...strangers].sort());
    expect(findings).toHaveLength(leftOver.length + strangers.length);
  });

  test("tell of what is left over whether an open would remove it: beside a note, not beside a problem", async () => {
    await written();
    const leftOver = ["RESTORING", "checkpoint/000000000009.tmp", "checkpoint/000000000009"];
    for (const name of leftOver) await create(`${ROOT}/${name}`);
    const rot = (path: string, byte: number): void => storage.disk.rot(path, { bits: [8 * byte] });
    const told = async (): Promise<Map<string, string>> => {
      const { findings } = await verified();
      return new Map(findings.map(({ file, message }) => [file.slice(ROOT.length + 1), message]));
    };
    rot(MANIFEST, 100);
    const noted = await told();
    expect(noted.get("MANIFEST")).toContain("slot 0 is damaged");
    for (const name of leftOver) expect(noted.get(name), name).toBe("left over; removed at the next open");
    rot(lastLog(), 200);
    const damaged = await told();
    const [mark, unfinished, other] = leftOver;
    for (const name of [mark, unfinished])
      expect(damaged.get(name), name).toBe("left over; nothing needs it");
    expect(damaged.get(other)).toBe("no open needs it, but a repair may take from it");
  });

  test("tell of a directory that was copied", async () => {
    await written();
    const [[, bytes]] = filesOf(storage, MANIFEST);
    const { fileSystem } = storage.restart();
    await fileSystem.remove(MANIFEST);
    await create(MANIFEST);
    await edit(storage, MANIFEST, () => bytes);
    const { ok, findings } = await verified();
    expect([ok, findings]).toMatchObject([true, [{ severity: "note", file: MANIFEST }]]);
    expect(findings[0].message).toContain("copy");
    expect(findings[0].offset).toBeUndefined();
  });

  test("tell of damage with its place, and what the manifest says of the rest", async () => {
    const { directory } = await written();
    const { storeId, incarnation } = directory.recovered;
    await edit(storage, lastLog(), (bytes) => {
      bytes[200] ^= 1;
      return bytes;
    });
    const { ok, findings, ...rest } = await verified();
    const { bytes } = rest.checkpoint ?? { bytes: 0 };
    expect(rest).toEqual({
      kind: "directory",
      clean: true,
      storeId,
      incarnation,
      version: 3,
      segments: 0,
      commits: 0,
      entries: 0,
      checkpoint: { number: 1, version: 3, entries: 0, bytes },
    });
    expect([ok, findings]).toMatchObject([false, [{ severity: "problem", file: lastLog() }]]);
    expect(findings[0].offset).toBeGreaterThan(0);
  });

  test("tell of a directory that is missing within it", async () => {
    await written();
    for (const [path] of filesOf(storage, "/checkpoint/")) await storage.runtime.fileSystem.remove(path);
    storage.restart();
    const times = Number.POSITIVE_INFINITY;
    storage.disk.faults.add({ operations: ["list"], path: `${ROOT}/checkpoint`, code: "ENOENT", times });
    const { ok, findings } = await verified();
    expect(ok).toBe(false);
    expect(findings.map(({ file }) => file)).toEqual([CHECKPOINT, `${ROOT}/checkpoint`]);
  });
});

describe("errors", () => {
  test("about bytes are findings, with an offset where they have one", async () => {
    for (const code of ["CORRUPT", "FORMAT_NEWER", "FORMAT_OLDER"] as const) {
      const findings: Finding[] = [];
      const fail = (details: Record<string, unknown>): Promise<never> =>
        Promise.reject(new FulmarError(code, "told", details));
      expect(await collect(findings, () => fail({ file: "one", offset: 7 }))).toBeUndefined();
      await collect(findings, () => fail({ file: "two" }));
      expect(findings).toEqual([
        { severity: "problem", code, file: "one", offset: 7, message: "told" },
        { severity: "problem", code, file: "two", message: "told" },
      ]);
      expect("offset" in findings[1]).toBe(false);
    }
  });

  test("of any other kind pass", async () => {
    const findings: Finding[] = [];
    const others = [new FulmarError("IO_ERROR", "told", {}), Object.assign(new Error(), { code: "CORRUPT" })];
    for (const error of others) {
      await expect(collect(findings, () => Promise.reject(error))).rejects.toBe(error);
    }
    expect(await collect(findings, () => Promise.resolve(7))).toBe(7);
    expect(findings).toEqual([]);
  });
});
