import { writeU32 } from "../../src/base/bytes.js";
import type { Runtime } from "../../src/base/runtime/interface.js";
import { readFully, withFile } from "../../src/durability/files.js";
import { identityOf } from "../../src/durability/first-open.js";
import type { Layout } from "../../src/durability/layout.js";
import { MANIFEST_BYTES, SLOT_BYTES } from "../../src/durability/manifest.js";
import { newEngine } from "../../src/durability/new-store.js";
import type { OlderFormat, OlderStore } from "../../src/durability/upgrade.js";
import { Coverage } from "../../src/record/coverage.js";
import { writeEntry } from "../../src/record/entry.js";
import { OriginTable } from "../../src/record/origins.js";
import type { SimulatedStorage } from "../../src/testing/simulated/index.js";
import { ROOT } from "./harness.js";

/** What an older program might have written: a manifest of format 0, and a log of JSON. */
export interface Old {
  readonly storeId: string;
  readonly incarnation: string;
  readonly identity: string;
  readonly seq: number;
  readonly version: number;
}

export const OLD_LOG = `${ROOT}/log/000000000001.log`;
const ENTRIES: readonly [string, string][] = [
  ["a", "1"],
  ["b", "2"],
  ["c", "3"],
];
export const CONTENTS = new Map(ENTRIES);
const encoder = new TextEncoder();

export async function put(runtime: Runtime, path: string, bytes: Uint8Array): Promise<void> {
  await withFile(runtime.fileSystem, path, "create", async (file) => {
    await file.write(bytes, 0);
    await file.syncData();
  });
}

export function oldManifest(runtime: Runtime, old: Old): Uint8Array {
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

export async function writeOld(storage: SimulatedStorage, identity?: string): Promise<Old> {
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

export async function readAll(runtime: Runtime, path: string): Promise<Uint8Array> {
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

export const olderFormats = new Map([[0, formatZero]]);
