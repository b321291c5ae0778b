import { beforeEach, describe, expect, test } from "vitest";
import { writeU32 } from "../../../src/base/bytes.js";
import { NUMBERS_MAX, NUMBERS_SKIPPED } from "../../../src/base/limits.js";
import type { FileSystem, Runtime } from "../../../src/base/runtime/interface.js";
import { inspectBackup, readBackup } from "../../../src/durability/backup-reader.js";
import { prepareTarget } from "../../../src/durability/backup-writer.js";
import type { CareProgress } from "../../../src/durability/care-types.js";
import type { DirectoryProgress } from "../../../src/durability/directory-types.js";
import { verifyBackup } from "../../../src/durability/verify-backup.js";
import { Coverage } from "../../../src/record/coverage.js";
import { OriginTable } from "../../../src/record/origins.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { repairCheckpoint } from "../../fuzz/repair.js";
import { filesOf, machine } from "../harness.js";
import { BACKUP, backUp, FOREIGN, originOf, STORE_ID, WRITER } from "./backups.js";
import { blockOf, checkpointOf, STATE } from "./checkpoint-bytes.js";

const ITEMS = [{ key: "a", value: "1" }, { key: "b", value: "2" }, { key: "b" }, { key: "c", value: "3" }];
const TEMPORARY = `${BACKUP}.${WRITER}.tmp`;

let storage: SimulatedStorage;
let runtime: Runtime;

beforeEach(() => {
  storage = machine();
  ({ runtime } = storage);
});

const paths = (): string[] => filesOf(storage, "/").map(([path]) => path);

async function put(bytes: Uint8Array, path = BACKUP): Promise<void> {
  const { fileSystem } = runtime;
  await fileSystem.makeDirectory(fileSystem.parent(path));
  if ((await fileSystem.status(path)) !== undefined) await fileSystem.remove(path);
  const handle = await fileSystem.open(path, "create");
  await handle.write(bytes, 0);
  await handle.close();
}

describe("where a backup goes", () => {
  const source = { incarnation: WRITER, version: 7 };
  const own = `fulmar-${WRITER.slice(0, 8)}-000000000007.backup`;

  test("is the path itself, or a name of its own in a directory", async () => {
    await runtime.fileSystem.makeDirectory("/backups");
    expect(await prepareTarget(runtime, BACKUP, source)).toEqual({ path: BACKUP, temporary: TEMPORARY });
    const path = `/backups/${own}`;
    const expected = { path, temporary: `${path}.${WRITER}.tmp` };
    expect(await prepareTarget(runtime, "/backups", source)).toEqual(expected);
    await put(new Uint8Array(1), path);
    const refused = { code: "ALREADY_EXISTS", details: { path } };
    await expect(prepareTarget(runtime, "/backups", source)).rejects.toMatchObject(refused);
    await expect(prepareTarget(runtime, path, source)).rejects.toMatchObject(refused);
  });

  test("is in a directory that exists", async () => {
    await put(new Uint8Array(1), "/file");
    for (const [parent, told] of [
      ["/none", "/none"],
      ["/file", "/file/one"],
    ]) {
      const target = prepareTarget(runtime, `${parent}/one`, source);
      await expect(target).rejects.toMatchObject({ code: "PATH_UNUSABLE", details: { path: told } });
    }
    expect(paths()).toEqual(["/file"]);
  });

  test("is no name that a store has for a file of its own", async () => {
    const { fileSystem } = runtime;
    for (const path of ["/store/log", "/store/checkpoint", "/store/mine", "/other/log"])
      await fileSystem.makeDirectory(path);
    await put(new Uint8Array(1), "/store/MANIFEST");
    const names = ["MANIFEST.tmp", "RESTORING", "REPAIRING", "LOCK", "log/000000000077.log"];
    names.push("checkpoint/000000000077", "checkpoint/000000000077.tmp", "damaged-1");
    for (const name of names) {
      const path = `/store/${name}`;
      const refused = prepareTarget(runtime, path, source);
      await expect(refused, name).rejects.toMatchObject({ code: "PATH_UNUSABLE", details: { path } });
    }
    const others = ["/store", "/store/log/", "/store/monday", "/store/checkpoint/monday"];
    others.push("/store/mine/000000000077.log", "/other/log/000000000077.log", "/other/LOCK");
    for (const path of others) {
      await expect(prepareTarget(runtime, path, source), path).resolves.toBeDefined();
    }
  });

  test("is freed of what earlier attempts of this store left, and of nothing else", async () => {
    const others = ["/backups/a", `/backups/a.${FOREIGN}.tmp`, "/backups/b.tmp", `/backups/${WRITER}`];
    for (const path of [...others, TEMPORARY, `/backups/other.${WRITER}.tmp`])
      await put(new Uint8Array(1), path);
    await prepareTarget(runtime, BACKUP, source);
    expect(paths()).toEqual([...others].sort());
  });
});

describe("a backup", () => {
  test("is written, read back, and only then named, durably", async () => {
    const calls: string[] = [];
    const told = new Set(["create", "sync", "rename", "syncDirectory", "open", "close"]);
    const progress: CareProgress[] = [];
    const origin = originOf(runtime, ITEMS, { progress: (now) => progress.push(now) });
    await runtime.fileSystem.makeDirectory("/backups");
    storage.disk.onOperation = ({ kind, path }, phase) => {
      if (phase === "before" && told.has(kind)) calls.push(`${kind} ${path}`);
    };
    const summary = await backUp(origin);
    storage.disk.onOperation = undefined;
    const [[, bytes]] = filesOf(storage, BACKUP);
    expect(summary).toEqual({ path: BACKUP, version: 4, entries: 2, bytes: bytes.length });
    expect(calls).toEqual([
      `create ${TEMPORARY}`,
      `sync ${TEMPORARY}`,
      // Both ends, and then all of it.
      `open ${TEMPORARY}`,
      `close ${TEMPORARY}`,
      `open ${TEMPORARY}`,
      `close ${TEMPORARY}`,
      `sync ${TEMPORARY}`,
      `rename ${BACKUP}`,
      "syncDirectory /backups",
      `close ${TEMPORARY}`,
    ]);
    const { header, name } = await inspectBackup(runtime, BACKUP);
    expect(header).toMatchObject({
      number: 0,
      hadPeers: false,
      isBackup: true,
      compressed: false,
      storeId: STORE_ID,
      incarnation: WRITER,
      version: 4,
      seq: 11,
      hlc: 99,
    });
    expect(name).toMatchObject({ number: 0, version: 4, bytes: bytes.length });
    expect(new Set(progress.map(({ phase }) => phase))).toEqual(new Set(["write", "read"]));
    for (const phase of ["write", "read"]) {
      const all = progress.filter((each) => each.phase === phase);
      expect(all.at(-1)?.entries).toBe(2);
      for (const { bytes, bytesTotal } of all) {
        expect(bytes).toBeGreaterThan(0);
        expect(bytesTotal).toBeGreaterThanOrEqual(bytes);
      }
    }
    const record = origin.source.engine.usage().recordBytes;
    const large = originOf(
      runtime,
      Array.from({ length: 12_000 }, (_, i) => ({ key: `${i}`, value: "x".repeat(99) })),
      {
        progress: (now) => progress.push(now),
      },
    );
    expect(record).toBeGreaterThan(0);
    progress.length = 0;
    await backUp(large, "/backups/large");
    // At the beginning as much as the store has is announced.
    expect(progress[0].bytesTotal).toBeGreaterThanOrEqual(large.source.engine.usage().recordBytes);
    expect(progress[0].bytes).toBeLessThan(progress[0].bytesTotal);
  });

  test("keeps deletions, and who wrote what, of a store that had peers", async () => {
    const origin = originOf(runtime, ITEMS, { hadPeers: true, ids: [WRITER, FOREIGN], compressed: true });
    expect((await backUp(origin)).entries).toBe(3);
    const head = await inspectBackup(runtime, BACKUP);
    expect(head.header).toMatchObject({ hadPeers: true, compressed: true });
    const origins = new OriginTable();
    const found = { seq: 0, hlc: 0, coverage: new Coverage() };
    const target = { loader: undefined, origins, found, progress: () => undefined };
    expect(await readBackup(runtime, BACKUP, head, target)).toMatchObject({ entries: 3, tombstones: 1 });
    expect([...found.coverage.origins()]).toEqual([[FOREIGN, { upTo: 9, holes: [{ from: 3, to: 4 }] }]]);
    expect([origins.id(1), origins.id(2), found.hlc]).toEqual([WRITER, FOREIGN, 99]);
  });

  test("leaves nothing when it is stopped, whenever that is", async () => {
    let refused = 0;
    for (let calls = 0; ; calls++) {
      let left = calls;
      const origin = originOf(runtime, ITEMS, { stopped: () => --left < 0 });
      const outcome = await backUp(origin).catch((error: { code: string }) => error.code);
      if (typeof outcome !== "string") break;
      refused++;
      expect([outcome, paths()]).toEqual(["CLOSED", []]);
    }
    expect(refused).toBeGreaterThanOrEqual(2);
    let reading = false;
    const progress = ({ phase }: CareProgress): void => {
      reading = phase === "read";
    };
    // While it is read back the store may close, too.
    const late = originOf(runtime, ITEMS, { stopped: () => wrote, progress });
    let wrote = false;
    storage.disk.onOperation = ({ kind, path }) => {
      if (kind === "sync" && path.endsWith(".tmp")) wrote = true;
    };
    await expect(backUp(late, "/backups/late")).rejects.toMatchObject({ code: "CLOSED" });
    expect([reading, paths()]).toEqual([false, [BACKUP]]);
  });

  test("is no backup if it was not written as it should be", async () => {
    storage.disk.onOperation = ({ kind, path }, phase) => {
      if (kind === "sync" && phase === "after" && path === TEMPORARY) {
        storage.disk.rot(path, { bits: [8 * (filesOf(storage, path)[0][1].length - 60)] });
      }
    };
    await expect(backUp(originOf(runtime, ITEMS))).rejects.toMatchObject({ code: "CORRUPT" });
    expect(paths()).toEqual([]);
  });

  test("does not take the place of a file that somebody else made meanwhile", async () => {
    const origin = originOf(runtime, ITEMS, { progress: ({ phase }) => void (phase === "read" && make()) });
    let made: Promise<void> | undefined;
    const make = (): void => {
      made ??= put(Uint8Array.of(7));
    };
    await expect(backUp(origin)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    await made;
    expect(filesOf(storage, "/")).toEqual([[BACKUP, Uint8Array.of(7)]]);
  });
});

describe("of what is no backup", () => {
  const NOT_A_FILE = ["/none", "/"];
  test("nothing is read", async () => {
    for (const path of NOT_A_FILE) {
      await expect(inspectBackup(runtime, path)).rejects.toMatchObject({
        code: "PATH_UNUSABLE",
        details: { path },
      });
    }
    const { bytes } = checkpointOf([blockOf({ key: "a", value: "1" })], { state: { isBackup: true } });
    const cases: readonly (readonly [code: string, bytes: Uint8Array, offset?: number])[] = [
      ["NOT_A_STORE", new Uint8Array(0)],
      ["NOT_A_STORE", new Uint8Array(200).fill(7)],
      ["NOT_A_STORE", bytes.slice(0, 7)],
      ["CORRUPT", bytes.slice(0, 8), 0],
      ["CORRUPT", bytes.slice(0, 107), 0],
      ["CORRUPT", bytes.map((byte, at) => (at === 20 ? byte ^ 1 : byte)), 0],
      ["NOT_A_STORE", checkpointOf([blockOf({ key: "a", value: "1" })]).bytes],
    ];
    for (const [code, content, offset] of cases) {
      await put(content);
      const details = offset === undefined ? { path: BACKUP } : { file: BACKUP, offset };
      await expect(inspectBackup(runtime, BACKUP)).rejects.toMatchObject({ code, details });
    }
    const newer = bytes.slice();
    writeU32(newer, 8, 2);
    repairCheckpoint(newer);
    await put(newer);
    const refused = { code: "FORMAT_NEWER", details: { version: 2, file: BACKUP } };
    await expect(inspectBackup(runtime, BACKUP)).rejects.toMatchObject(refused);
  });

  test("one of an older format is not called damaged", async () => {
    const { bytes } = checkpointOf([blockOf({ key: "a", value: "1" })], { state: { isBackup: true } });
    writeU32(bytes, 8, 0);
    await put(bytes);
    await expect(inspectBackup(runtime, BACKUP)).rejects.toMatchObject({ code: "CORRUPT" });
    repairCheckpoint(bytes);
    await put(bytes);
    const refused = { code: "FORMAT_OLDER", details: { version: 0, file: BACKUP } };
    await expect(inspectBackup(runtime, BACKUP)).rejects.toMatchObject(refused);
    await expect(inspectBackup(runtime, BACKUP)).rejects.toThrow(
      "restore it with the version of Fulmar that wrote it",
    );
    const report = await verifyBackup(runtime, BACKUP);
    expect(report).toMatchObject({ ok: false, findings: [{ severity: "problem", file: BACKUP }] });
  });

  test("what became shorter meanwhile is said to end too early", async () => {
    const { bytes } = checkpointOf([blockOf({ key: "a", value: "1" })], { state: { isBackup: true } });
    await put(bytes);
    const { fileSystem } = runtime;
    const status = async (path: string): ReturnType<typeof fileSystem.status> => {
      const found = await fileSystem.status(path);
      return found === undefined ? undefined : { ...found, sizeBytes: found.sizeBytes + 1 };
    };
    const longer = { ...runtime, fileSystem: withStatus(fileSystem, status) };
    const from = bytes.length + 1 - 40;
    const refused = { code: "CORRUPT", details: { file: BACKUP, offset: from } };
    await expect(inspectBackup(longer, BACKUP)).rejects.toMatchObject(refused);
  });
});

/** The same file system but for one call. */
function withStatus(fileSystem: FileSystem, status: FileSystem["status"]): FileSystem {
  return new Proxy(fileSystem, {
    get(target, name) {
      if (name === "status") return status;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

describe("the numbers of a backup", () => {
  const HIGHEST = NUMBERS_MAX - NUMBERS_SKIPPED;
  const read = async (): Promise<unknown> => {
    const head = await inspectBackup(runtime, BACKUP);
    const found = { seq: 0, hlc: 0, coverage: new Coverage() };
    return readBackup(runtime, BACKUP, head, {
      loader: undefined,
      origins: new OriginTable(),
      found,
      progress: () => undefined,
    });
  };

  test.each(["version", "seq", "hlc"])("leave room for the jump behind them: %s", async (name) => {
    for (const [value, fits] of [
      [HIGHEST, true],
      [HIGHEST + 1, false],
    ] as const) {
      const state = { isBackup: true, [name]: value };
      await put(checkpointOf([blockOf({ key: "a", value: "1" })], { state }).bytes);
      const { ok, findings } = await verifyBackup(runtime, BACKUP);
      expect([ok, findings.length]).toEqual(fits ? [true, 0] : [false, 1]);
      if (fits) await read();
      else
        await expect(read()).rejects.toMatchObject({ code: "CORRUPT", details: { file: BACKUP, offset: 0 } });
    }
  });
});

describe("verification of a backup", () => {
  test("tells what it holds, and how far it is", async () => {
    await backUp(originOf(runtime, ITEMS));
    const progress: DirectoryProgress[] = [];
    expect(await verifyBackup(runtime, BACKUP, (told) => progress.push(told))).toEqual({
      kind: "backup",
      ok: true,
      clean: true,
      storeId: STORE_ID,
      incarnation: WRITER,
      version: 4,
      segments: 0,
      commits: 0,
      entries: 2,
      findings: [],
    });
    const { length } = filesOf(storage, BACKUP)[0][1];
    expect(progress.at(-1)).toEqual({ phase: "checkpoint", entries: 2, bytes: length, bytesTotal: length });
    expect((await verifyBackup(runtime, BACKUP)).ok).toBe(true);
  });

  test("tells where it is damaged, with what the header says if that is whole", async () => {
    const { bytes } = checkpointOf([blockOf({ key: "a", value: "1" })], { state: { isBackup: true } });
    const told = { kind: "backup", ok: false, clean: true, segments: 0, commits: 0, entries: 0 };
    for (const at of [20, bytes.length - 50]) {
      await put(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)));
      const { storeId, incarnation, version } =
        at === 20 ? { storeId: "", incarnation: "", version: 0 } : STATE;
      const report = await verifyBackup(runtime, BACKUP);
      expect(report).toMatchObject({ ...told, storeId, incarnation, version });
      expect(report.findings).toMatchObject([{ severity: "problem", file: BACKUP }]);
    }
  });
});
