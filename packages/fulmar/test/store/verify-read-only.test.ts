import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { open, repair, type VerifyReport, verify } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";
import { mounted, whyNoMount } from "../crash/real/mount.js";

async function written(): Promise<SimulatedStorage> {
  const storage = simulatedStorage({ cryptography: nodeCryptography, seed: 3 });
  const db = await open<string>("/data", { runtime: storage.runtime, codec: "text" });
  await db.set("a", "1");
  await db.close();
  return storage;
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: { code: string }) => error.code,
  );

describe("a directory whose lock cannot be taken", () => {
  const WHOLE = { ok: true, clean: true, entries: 1 };

  /** What is found where the lock cannot be taken for a reason, and whoever has it may be asked or not. */
  async function verified(
    storage: SimulatedStorage,
    code: "EROFS" | "EACCES",
    canAsk = true,
  ): Promise<VerifyReport> {
    storage.disk.faults.add({ operations: ["lock"], path: "/data", code });
    const runtime = storage.restart();
    const { fileSystem } = runtime;
    const lookForHolder = async (path: string): Promise<boolean> =>
      (await fileSystem.lookForHolder(path)) && canAsk;
    const looking = new Proxy(fileSystem, {
      get(target, name) {
        if (name === "lookForHolder") return lookForHolder;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return verify("/data", { runtime: { ...runtime, fileSystem: looking } });
  }

  test("because nothing can be written there is read all the same, with a note on other mounts", async () => {
    const storage = await written();
    const before = storage.disk.fingerprint();
    const { findings, ...report } = await verified(storage, "EROFS");
    expect(report).toMatchObject(WHOLE);
    expect(findings).toMatchObject([{ severity: "note", file: "/data" }]);
    expect(findings[0].message).toContain("another mount");
    expect(storage.disk.fingerprint()).toBe(before);
  });

  test("for want of rights is read with a note that somebody may write meanwhile", async () => {
    const { findings, ...report } = await verified(await written(), "EACCES");
    expect(report).toMatchObject(WHOLE);
    expect(findings).toMatchObject([{ severity: "note", file: "/data" }]);
    expect(findings[0].message).toContain("may not take");
  });

  test("for want of room on the disk is read with a note that says so, and a repair told of", async () => {
    const storage = await written();
    storage.disk.faults.add({ operations: ["lock"], path: "/data", code: "ENOSPC", times: 2 });
    const before = storage.disk.fingerprint();
    const { findings, ...report } = await verify("/data", { runtime: storage.restart() });
    expect(report).toMatchObject(WHOLE);
    expect(findings).toMatchObject([{ severity: "note", file: "/data" }]);
    expect(findings[0].message).toContain("no room");
    const told = await repair("/data", { runtime: storage.restart(), dryRun: true });
    expect(told).toMatchObject({ damaged: false, note: findings[0].message });
    expect(storage.disk.fingerprint()).toBe(before);
  });

  test("beside somebody who may not be asked is read with a note that says so", async () => {
    for (const code of ["EROFS", "EACCES"] as const) {
      const { findings, ...report } = await verified(await written(), code, false);
      expect(report).toMatchObject(WHOLE);
      expect(findings).toMatchObject([{ severity: "note", file: "/data" }]);
      expect(findings[0].message).toContain("may not be asked");
    }
  });

  /** All that would change anything. */
  const CHANGING = ["write", "create", "rename", "remove", "truncate", "makeDirectory"] as const;

  test("tells what a repair would save, with that note, and nothing is changed", async () => {
    for (const code of ["EROFS", "EACCES"] as const) {
      const storage = await written();
      const { runtime } = storage;
      const handle = await runtime.fileSystem.open("/data/MANIFEST", "update");
      await handle.write(new Uint8Array(8192), 0);
      await handle.close();
      storage.disk.faults.add({ operations: ["lock"], path: "/data", code });
      storage.disk.faults.add({ operations: CHANGING, path: "/data", code });
      const before = storage.disk.fingerprint();
      const told = await repair("/data", { runtime: storage.restart(), dryRun: true });
      expect(told).toMatchObject({ repaired: false, damaged: true, entries: 1 });
      expect(told.note).toContain(code === "EROFS" ? "another mount" : "may not take");
      expect(storage.disk.fingerprint()).toBe(before);
      await expect(repair("/data", { runtime: storage.restart() })).rejects.toMatchObject({
        code: "ACCESS_DENIED",
      });
    }
  });

  test("that is sound is told as that", async () => {
    const storage = await written();
    storage.disk.faults.add({ operations: ["lock"], path: "/data", code: "EROFS" });
    const told = await repair("/data", { runtime: storage.restart(), dryRun: true });
    expect(told).toMatchObject({ repaired: false, damaged: false, entries: 1 });
    expect(told.note).toContain("another mount");
  });

  test("is refused while a live process holds it", async () => {
    const storage = await written();
    const runtime = storage.restart();
    const db = await open("/data", { runtime });
    storage.disk.faults.add({ operations: ["lock"], path: "/data", code: "EACCES" });
    expect(await codeOf(verify("/data", { runtime }))).toBe("LOCKED");
    expect(await codeOf(repair("/data", { runtime, dryRun: true }))).toBe("LOCKED");
    await db.close();
  });

  test("for another reason is not read", async () => {
    const storage = await written();
    storage.disk.faults.add({ operations: ["lock"], path: "/data", code: "EIO", times: 2 });
    expect(await codeOf(verify("/data", { runtime: storage.restart() }))).toBe("IO_ERROR");
    expect(await codeOf(repair("/data", { runtime: storage.restart(), dryRun: true }))).toBe("IO_ERROR");
  });
});

test("a read-only mount of it is read with a note, and refused while another one is held", async (context) => {
  const source = await mkdtemp(join(tmpdir(), "fulmar-read-only-"));
  onTestFinished(() => rm(source, { recursive: true, force: true }));
  const options = ["-o", "bind,ro", source];
  const reason = await whyNoMount(...options);
  if (reason !== undefined) context.skip(reason);
  const [data, seen] = [join(source, "data"), join(await mounted(...options), "data")];
  const db = await open<string>(data, { codec: "text" });
  await db.set("a", "1");
  expect(await codeOf(open(seen))).toBe("ACCESS_DENIED");
  expect(await codeOf(verify(seen))).toBe("LOCKED");
  expect(await codeOf(repair(seen, { dryRun: true }))).toBe("LOCKED");
  await db.close();
  const names = await readdir(data);
  const report = { ok: true, clean: true, entries: 1, findings: [{ severity: "note", file: seen }] };
  expect(await verify(seen)).toMatchObject(report);
  expect(await repair(seen, { dryRun: true })).toMatchObject({ damaged: false, note: expect.any(String) });
  expect(await readdir(data)).toEqual(names);
});
