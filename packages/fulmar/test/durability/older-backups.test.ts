import { beforeEach, expect, test } from "vitest";
import { readU32, writeU32 } from "../../src/base/bytes.js";
import { nodeChecksum } from "../../src/base/runtime/node/checksum.js";
import type { OlderBackup, ReadableBackup } from "../../src/durability/backup-reader.js";
import type { RestoreSummary } from "../../src/durability/care-types.js";
import { CHECKPOINT_HEADER_BYTES } from "../../src/durability/checkpoint-format.js";
import { attempt, corrupt, readFully, withFile } from "../../src/durability/files.js";
import { type RestoreContext, restoreBackup } from "../../src/durability/restore.js";
import { verifyDirectory } from "../../src/durability/verify.js";
import { verifyBackup } from "../../src/durability/verify-backup.js";
import type { SimulatedStorage } from "../../src/testing/simulated/index.js";
import { edit, MiniStore, machine, ROOT } from "./harness.js";
import { entryOf, type Item } from "./unit/checkpoint-bytes.js";

/** What an older program might have written: the header that every format keeps, and JSON with a checksum. */
interface Old {
  readonly facts: ReadableBackup["facts"];
  readonly items: readonly Item[];
}

const BACKUP = "/backups/old";
const STORE_ID = "5a".repeat(16);
const WRITER = "c0".repeat(16);
const FACTS = { storeId: STORE_ID, incarnation: WRITER, version: 4, seq: 4, compressed: false };
const ITEMS: readonly Item[] = [
  { key: "a", value: "1", hlc: 11 },
  { key: "b", value: "2", hlc: 12 },
  { key: "b", hlc: 13 },
  { key: "c", value: "3", hlc: 14 },
];
const CONTENTS = new Map([
  ["a", "1"],
  ["c", "3"],
]);
const encoder = new TextEncoder();

let storage: SimulatedStorage;

beforeEach(() => {
  storage = machine();
});

async function writeOld(hadPeers = false): Promise<void> {
  const old: Old = { facts: { ...FACTS, hadPeers }, items: ITEMS };
  const text = encoder.encode(JSON.stringify(old));
  const at = CHECKPOINT_HEADER_BYTES;
  const bytes = new Uint8Array(at + text.length + 4);
  bytes.set(encoder.encode("FULMARCP"));
  writeU32(bytes, 8, 0);
  writeU32(bytes, 104, nodeChecksum.crc32(bytes, 0, 104, 0));
  bytes.set(text, at);
  writeU32(bytes, at + text.length, nodeChecksum.crc32(text, 0, text.length, 0));
  const { fileSystem } = storage.restart();
  await fileSystem.makeDirectory("/backups");
  await withFile(fileSystem, BACKUP, "create", async (file) => {
    await file.write(bytes, 0);
    await file.syncData();
  });
  for (const directory of ["/", "/backups"]) await fileSystem.syncDirectory(directory);
}

/** The code that the older program read its backups with. */
const formatZero: OlderBackup = async (runtime, path) => {
  const bytes = await withFile(runtime.fileSystem, path, "read", async (file) => {
    const whole = new Uint8Array(await attempt("look at", path, file.size()));
    await readFully(file, whole, 0);
    return whole;
  });
  const end = bytes.length - 4;
  const isWhole = readU32(bytes, end) === runtime.checksum.crc32(bytes, CHECKPOINT_HEADER_BYTES, end, 0);
  if (!isWhole) throw corrupt(path, CHECKPOINT_HEADER_BYTES, "its text is not valid");
  const { facts, items } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(CHECKPOINT_HEADER_BYTES, end)),
  ) as Old;
  return {
    facts,
    read: async ({ loader, origins, found, progress }) => {
      const origin = origins.intern(facts.incarnation);
      for (const [i, item] of items.entries()) {
        const entry = entryOf({ ...item, origin });
        loader?.put(i + 1, entry, 0, entry.length);
        found.hlc = Math.max(found.hlc, item.hlc ?? 0);
      }
      progress(items.length, bytes.length, bytes.length);
      return { entries: items.length };
    },
  };
};

const olderBackups = new Map([[0, formatZero]]);

function restored(older: RestoreContext["olderBackups"] = olderBackups): Promise<RestoreSummary> {
  const context = { runtime: storage.restart(), stopped: () => false, progress: () => undefined };
  return restoreBackup({ ...context, olderBackups: older }, BACKUP, ROOT);
}

test("a backup of an older format is read by the code of that format, into a store of the present one", async () => {
  await writeOld();
  const made = await restored();
  expect(made).toMatchObject({ storeId: STORE_ID, version: 4, entries: 2 });
  expect(made.incarnation).not.toBe(WRITER);
  // From here on no code of the older format is needed.
  expect(await verifyDirectory(storage.restart(), ROOT)).toMatchObject({ ok: true, findings: [] });
  const store = await MiniStore.open(storage.restart());
  expect(store.contents()).toEqual(CONTENTS);
  const { seq, hlc, hadPeers } = store.directory.recovered;
  expect({ seq, hlc, hadPeers }).toEqual({ seq: 4, hlc: 14, hadPeers: false });
  await store.close();
});

test("one of a store with peers stays the work of that store, with its deletions", async () => {
  await writeOld(true);
  await restored();
  const store = await MiniStore.open(storage.restart());
  const { seq, hadPeers, coverage } = store.directory.recovered;
  expect({ seq, hadPeers, covered: coverage.of(WRITER).upTo }).toEqual({
    seq: 0,
    hadPeers: true,
    covered: 4,
  });
  expect([store.contents(), store.engine.usage().tombstones]).toEqual([CONTENTS, 1]);
  await store.close();
});

test("one is verified by that code, and damaged if that says so", async () => {
  await writeOld();
  const verified = (): ReturnType<typeof verifyBackup> =>
    verifyBackup(storage.restart(), BACKUP, undefined, olderBackups);
  expect(await verified()).toMatchObject({
    ...{ kind: "backup", ok: true, findings: [], entries: 4 },
    ...{ storeId: STORE_ID, incarnation: WRITER, version: 4 },
  });
  await edit(storage, BACKUP, (bytes) =>
    bytes.fill(0x20, CHECKPOINT_HEADER_BYTES + 5, CHECKPOINT_HEADER_BYTES + 6),
  );
  const finding = { severity: "problem", file: BACKUP, offset: CHECKPOINT_HEADER_BYTES };
  expect(await verified()).toMatchObject({ ok: false, findings: [finding] });
  await expect(restored()).rejects.toMatchObject({ code: "CORRUPT" });
  expect(await storage.restart().fileSystem.status(ROOT)).toBeUndefined();
});

test("one is refused where that code is missing, and nothing is written", async () => {
  await writeOld();
  const refused = { code: "FORMAT_OLDER", details: { version: 0, file: BACKUP } };
  for (const older of [undefined, new Map([[7, formatZero]])]) {
    const context = { runtime: storage.restart(), stopped: () => false, progress: () => undefined };
    const given = older === undefined ? {} : { olderBackups: older };
    await expect(restoreBackup({ ...context, ...given }, BACKUP, ROOT)).rejects.toMatchObject(refused);
  }
  expect(await verifyBackup(storage.restart(), BACKUP)).toMatchObject({ ok: false });
  expect(await storage.restart().fileSystem.status(ROOT)).toBeUndefined();
});

test("one of a newer format is refused, whatever code there is", async () => {
  await writeOld();
  await edit(storage, BACKUP, (bytes) => {
    writeU32(bytes, 8, 2);
    writeU32(bytes, 104, nodeChecksum.crc32(bytes, 0, 104, 0));
    return bytes;
  });
  await expect(restored(new Map([[2, formatZero]]))).rejects.toMatchObject({ code: "FORMAT_NEWER" });
});

test("one that calls itself older under a wrong checksum is damaged, whatever code there is", async () => {
  await writeOld();
  await edit(storage, BACKUP, (bytes) => bytes.fill(1, 50, 51));
  await expect(restored()).rejects.toMatchObject({ code: "CORRUPT", details: { file: BACKUP, offset: 0 } });
});
