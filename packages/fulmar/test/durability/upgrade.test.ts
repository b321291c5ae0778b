import { describe, expect, test } from "vitest";
import { writeU32 } from "../../src/base/bytes.js";
import type { Runtime } from "../../src/base/runtime/interface.js";
import { readFully, withFile } from "../../src/durability/files.js";
import { identityOf } from "../../src/durability/first-open.js";
import type { Layout } from "../../src/durability/layout.js";
import { MANIFEST_BYTES, SLOT_BYTES } from "../../src/durability/manifest.js";
import { newEngine } from "../../src/durability/new-store.js";
import type { OlderFormat, OlderStore } from "../../src/durability/upgrade.js";
import { verifyDirectory } from "../../src/durability/verify.js";
import { Coverage } from "../../src/record/coverage.js";
import { writeEntry } from "../../src/record/entry.js";
import { OriginTable } from "../../src/record/origins.js";
import type { DiskProfile, SimulatedDisk, SimulatedStorage } from "../../src/testing/simulated/index.js";
import { edit, MiniStore, machine, machineOn, ROOT } from "./harness.js";

/** What an older program might have written: a manifest of format 0, and a log of JSON. */
interface Old {
  readonly storeId: string;
  readonly incarnation: string;
  readonly identity: string;
  readonly seq: number;
  readonly version: number;
}

const OLD_LOG = `${ROOT}/log/000000000001.log`;
const ENTRIES: readonly [string, string][] = [
  ["a", "1"],
  ["b", "2"],
  ["c", "3"],
];
const CONTENTS = new Map(ENTRIES);
const encoder = new TextEncoder();

async function put(runtime: Runtime, path: string, bytes: Uint8Array): Promise<void> {
  await withFile(runtime.fileSystem, path, "create", async (file) => {
    await file.write(bytes, 0);
    await file.syncData();
  });
}

function oldManifest(runtime: Runtime, old: Old): Uint8Array {
  const bytes = new Uint8Array(MANIFEST_BYTES);
  for (const at of [0, SLOT_BYTES]) {
    const slot = bytes.subarray(at, at + SLOT_BYTES);
    slot.set(encoder.encode("FULMARMF"));
    writeU32(slot, 8, 0);
    slot.set(encoder.encode(JSON.stringify(old)), 12);
    writeU32(slot, SLOT_BYTES - 4, runtime.checksum.crc32(slot, 0, SLOT_BYTES - 4, 0));
  }
  return bytes;
}

async function writeOld(storage: SimulatedStorage, identity?: string): Promise<Old> {
  const { runtime } = storage;
  const { fileSystem } = runtime;
  for (const directory of [ROOT, `${ROOT}/log`, `${ROOT}/checkpoint`])
    await fileSystem.makeDirectory(directory);
  await put(runtime, OLD_LOG, encoder.encode(JSON.stringify(ENTRIES)));
  const ids = { storeId: "5a".repeat(16), incarnation: "c0".repeat(16) };
  await put(runtime, `${ROOT}/MANIFEST`, new Uint8Array(MANIFEST_BYTES));
  const own = identityOf(runtime, (await fileSystem.status(`${ROOT}/MANIFEST`))?.identity ?? "");
  const old = { ...ids, identity: identity ?? own, seq: 3, version: 3 };
  await withFile(fileSystem, `${ROOT}/MANIFEST`, "update", async (file) => {
    await file.write(oldManifest(runtime, old), 0);
    await file.syncData();
  });
  for (const directory of ["/", ROOT, `${ROOT}/log`, `${ROOT}/checkpoint`])
    await fileSystem.syncDirectory(directory);
  return old;
}

async function readAll(runtime: Runtime, path: string): Promise<Uint8Array> {
  return withFile(runtime.fileSystem, path, "read", async (file) => {
    const bytes = new Uint8Array(await file.size());
    await readFully(file, bytes, 0);
    return bytes;
  });
}

/** The code that the older program read its format with. */
const formatZero: OlderFormat = {
  async load(runtime: Runtime, layout: Layout): Promise<OlderStore> {
    const decoder = new TextDecoder();
    const manifest = await readAll(runtime, layout.manifest);
    const text = decoder.decode(manifest.subarray(12, manifest.indexOf(0, 12)));
    const old = JSON.parse(text) as Old;
    const origins = new OriginTable();
    const engine = newEngine(runtime, origins);
    const origin = origins.intern(old.incarnation);
    const entries = JSON.parse(decoder.decode(await readAll(runtime, OLD_LOG))) as [string, string][];
    for (const [i, [key, value]] of entries.entries()) {
      const fields = {
        key: encoder.encode(key),
        value: encoder.encode(value),
        flags: 0,
        origin,
        deadline: 0,
      };
      const bytes = new Uint8Array(100);
      const end = writeEntry(bytes, 0, { ...fields, hlc: i + 1, seq: i + 1, valueChecksum: 0 });
      engine.put(i + 1, bytes, 0, end);
    }
    engine.settle(old.version);
    const numbers = { version: old.version, usedVersion: old.version, seq: old.seq, hlc: 3 };
    return { engine, origins, coverage: new Coverage(), hadPeers: false, ...old, ...numbers };
  },
};

const olderFormats = new Map([[0, formatZero]]);

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
