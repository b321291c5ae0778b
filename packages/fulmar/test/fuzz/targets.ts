import { writeU32 } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/crc.js";
import { codeOf, FulmarError } from "../../src/base/errors.js";
import {
  CHECKPOINT_HEADER_BYTES,
  FOOTER_BYTES,
  readCheckpointHeader,
} from "../../src/durability/checkpoint-format.js";
import { decodeSlot, encodeSlot, MANIFEST_BYTES, SLOT_BYTES } from "../../src/durability/manifest.js";
import type { SimulatedDisk } from "../../src/testing/index.js";
import { edit, filesOf, MiniStore, machineOn, ROOT } from "../durability/harness.js";
import { backupTarget, dumpTarget } from "./exports.js";
import type { FuzzTarget } from "./fuzzer.js";
import { type Sealed, sealedMachine } from "./lenient.js";
import { repairCheckpoint, repairSegment } from "./repair.js";

const checksum = { crc32 };
const MANIFEST = `${ROOT}/MANIFEST`;
const LOG = `${ROOT}/log/000000000001.log`;
const CHECKPOINT = `${ROOT}/checkpoint/000000000001`;
const BYTES_MAX = 64 * 1024;
const ALLOCATED_BYTES_MAX = 16 << 20;

/** A killed store with a checkpoint, whose first segment holds all of its commits. */
async function killed(
  withCheckpoint: boolean,
  compressed = false,
  sealed: Sealed = "plain",
): Promise<SimulatedDisk> {
  const storage = sealedMachine(sealed);
  const store = await MiniStore.open(storage.runtime(), { compressed });
  const other = store.origins.intern("ab".repeat(16));
  for (let i = 0; i < 4; i++) await store.save(`key ${i}`, `value ${i}`.repeat(i * 3));
  const change = { origin: other, coverage: { upTo: 9, holes: [{ from: 3, to: 4 }] } };
  store.put("other", "x", [change], other);
  await store.save("key 1", undefined);
  if (withCheckpoint) await store.checkpoint();
  await store.save("last", "");
  storage.kill();
  return storage.disk;
}

const REFUSALS = /^(CORRUPT|FORMAT_NEWER|FORMAT_OLDER|NOT_A_STORE|ENCRYPTION_KEY_(WRONG|MISSING))$/;

/** Opens what is on `disk`: it is refused by name, or what it shows comes back after a close. */
async function openTwice(disk: SimulatedDisk, sealed: Sealed = "plain"): Promise<void> {
  const storage = sealedMachine(sealed, disk);
  let store: MiniStore;
  try {
    store = await MiniStore.open(storage.runtime());
  } catch (error) {
    if (error instanceof FulmarError && REFUSALS.test(codeOf(error) ?? "")) return;
    throw error;
  }
  store.engine.verify();
  await store.save("fuzz", "x");
  const shown = JSON.stringify([...store.contents()]);
  await store.checkpoint();
  await store.close();
  const again = await MiniStore.open(storage.runtime());
  const found = JSON.stringify([...again.contents()]);
  await again.close();
  if (found !== shown) throw new Error(`shown first: ${shown.slice(0, 500)}; then: ${found.slice(0, 500)}`);
}

async function onCopy(disk: SimulatedDisk, path: string, bytes: Uint8Array): Promise<SimulatedDisk> {
  const copy = disk.fork();
  const storage = machineOn(copy);
  await edit(storage, path, () => bytes);
  storage.kill();
  return copy;
}

const contentOf = (disk: SimulatedDisk, path: string): Uint8Array =>
  filesOf(machineOn(disk.fork()), path)[0]?.[1] ?? new Uint8Array();

async function logTarget(sealed: Sealed = "plain"): Promise<FuzzTarget> {
  const disk = await killed(false, false, sealed);
  return {
    name: nameOf("log", sealed),
    seeds: [contentOf(disk, LOG)],
    bytesMax: BYTES_MAX,
    allocatedBytesMax: ALLOCATED_BYTES_MAX,
    repair: repairSegment,
    run: async (bytes) => openTwice(await onCopy(disk, LOG, bytes), sealed),
  };
}

function nameOf(part: string, sealed: Sealed): string {
  return sealed === "plain" ? part : `${part}, sealed (${sealed})`;
}

async function manifestTarget(): Promise<FuzzTarget> {
  const disk = await killed(true);
  return {
    name: "manifest",
    seeds: [contentOf(disk, MANIFEST)],
    bytesMax: MANIFEST_BYTES + 512,
    allocatedBytesMax: ALLOCATED_BYTES_MAX,
    repair(bytes) {
      for (let end = SLOT_BYTES; end <= bytes.length; end += SLOT_BYTES) {
        writeU32(bytes, end - 4, crc32(bytes, end - SLOT_BYTES, end - 4, 0));
      }
    },
    run: async (bytes) => openTwice(await onCopy(disk, MANIFEST, bytes)),
  };
}

async function checkpointTarget(sealed: Sealed = "plain"): Promise<FuzzTarget> {
  const disk = await killed(true, false, sealed);
  const slot = decodeSlot(checksum, contentOf(disk, MANIFEST).subarray(0, SLOT_BYTES));
  if (slot === undefined || typeof slot === "number") throw new Error("the manifest of a store is readable");
  /** The manifest that names a file like this one, so that only its inside can be wrong. */
  const naming = (bytes: Uint8Array): Uint8Array => {
    const header = readCheckpointHeader(checksum, bytes.subarray(0, CHECKPOINT_HEADER_BYTES));
    const { version } = typeof header === "object" ? header : slot.manifest.checkpoint;
    const crc = crc32(bytes, Math.max(0, bytes.length - FOOTER_BYTES), bytes.length, 0);
    const checkpoint = { number: 1, version, bytes: bytes.length, crc };
    return encodeSlot(checksum, { ...slot.manifest, checkpoint }, slot.generation + 9);
  };
  return {
    name: nameOf("checkpoint", sealed),
    seeds: [contentOf(disk, CHECKPOINT), contentOf(await killed(true, true, sealed), CHECKPOINT)],
    bytesMax: BYTES_MAX,
    allocatedBytesMax: ALLOCATED_BYTES_MAX,
    repair: repairCheckpoint,
    async run(bytes) {
      const copy = await onCopy(disk, CHECKPOINT, bytes);
      await openTwice(await onCopy(copy, MANIFEST, naming(bytes)), sealed);
    },
  };
}

/** Every reader of a data directory, and of what is made of one. */
export const TARGETS = {
  log: () => logTarget(),
  "log, encrypted": () => logTarget("lenient"),
  "log, encrypted, no tag mended": () => logTarget("real"),
  manifest: manifestTarget,
  checkpoint: () => checkpointTarget(),
  "checkpoint, encrypted": () => checkpointTarget("lenient"),
  "checkpoint, encrypted, no tag mended": () => checkpointTarget("real"),
  backup: () => backupTarget("plain"),
  "backup, encrypted": () => backupTarget("lenient"),
  dump: dumpTarget,
} as const;
