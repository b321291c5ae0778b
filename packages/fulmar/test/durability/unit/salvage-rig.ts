import { expect } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import type { CareProgress, RepairedFile } from "../../../src/durability/care-types.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import { layoutOf } from "../../../src/durability/layout.js";
import { encodeSlot, type Manifest, SLOT_BYTES } from "../../../src/durability/manifest.js";
import { type Salvaged, salvage } from "../../../src/durability/salvage.js";
import { createKeyring, type Encryption } from "../../../src/store/encryption.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { contents, edit, filesOf, MiniStore, machine, ROOT } from "../harness.js";
import { manifestIn } from "./manifests.js";

export const LARGE = { segmentBytes: 4 * 1024 * 1024 };
/** A segment with less than a sixteenth of it used goes on at a checkpoint. */
export const SMALL = { segmentBytes: 8192 };
export const MISSING = "the file is missing";
export const segment = (number: number): string => `log/${String(number).padStart(12, "0")}.log`;
export const checkpoint = (number: number): string => `checkpoint/${String(number).padStart(12, "0")}`;
export const whole = (number: number, saved: number): RepairedFile => ({
  file: segment(number),
  kind: "segment",
  saved,
  lost: [],
});

/** The machine of the present test. */
export let storage: SimulatedStorage = machine();

/** Begins with an empty disk. */
export function begin(): void {
  storage = machine();
}

export interface Plan {
  /** How many commits each segment holds. */
  readonly segments?: readonly number[];
  /** Behind which commits there is a checkpoint. */
  readonly checkpoints?: readonly number[];
  readonly killed?: boolean;
  readonly keys?: Encryption;
}

/** A store whose n-th commit sets the key kn, closed unless it is killed. */
export async function build({
  segments = [3, 2, 1],
  checkpoints = [],
  killed = false,
  keys,
}: Plan = {}): Promise<MiniStore> {
  const { runtime } = storage;
  const store = await MiniStore.open(withKeyring(runtime, createKeyring(runtime, keys)), SMALL);
  for (const [i, count] of segments.entries()) {
    if (i > 0) await store.directory.startSegment();
    for (let left = count; left > 0; left--) {
      const isLast = left === 1 && i < segments.length - 1;
      await store.save(`k${store.version + 1}`, "x".repeat(isLast ? 600 : 1));
      if (checkpoints.includes(store.version)) await store.checkpoint();
    }
  }
  if (killed) storage.kill();
  else await store.close();
  return store;
}

export async function salvaged(
  keys?: Encryption,
  progress: (told: CareProgress) => void = () => undefined,
): Promise<Salvaged> {
  const runtime = storage.restart();
  const before = storage.disk.fingerprint();
  const found = await salvage({
    runtime: withKeyring(runtime, createKeyring(runtime, keys)),
    layout: layoutOf(runtime.fileSystem, ROOT),
    progress,
    check: () => undefined,
  });
  expect(storage.disk.fingerprint()).toBe(before);
  return found;
}

export const keysOf = ({ sink }: Salvaged): string => [...contents(sink.engine).keys()].sort().join(" ");
export const bytesOf = (name: string): Uint8Array => {
  const found = filesOf(storage, `${ROOT}/${name}`)[0];
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found[1];
};
export const damage = (name: string, change: (bytes: Uint8Array) => void): Promise<void> =>
  edit(storage, `${ROOT}/${name}`, (bytes) => {
    change(bytes);
    return bytes;
  });

export async function put(name: string, bytes: Uint8Array): Promise<void> {
  const { fileSystem } = storage.restart();
  const path = `${ROOT}/${name}`;
  if ((await fileSystem.status(path)) !== undefined) await fileSystem.remove(path);
  const handle = await fileSystem.open(path, "create");
  await handle.write(bytes, 0);
  await handle.syncData();
  await handle.close();
  await fileSystem.syncDirectory(fileSystem.parent(path));
}

export const remove = async (...names: string[]): Promise<void> => {
  for (const name of names) await storage.restart().fileSystem.remove(`${ROOT}/${name}`);
};

/** Makes the manifest say something else, with right checksums. */
export async function restate(change: (manifest: Manifest) => Manifest): Promise<void> {
  const { manifest, generation } = manifestIn(bytesOf("MANIFEST"));
  const slot = encodeSlot(nodeChecksum, change(manifest), generation + 1);
  await damage("MANIFEST", (bytes) => {
    bytes.set(slot);
    bytes.set(slot, SLOT_BYTES);
  });
}

/** Changes the header of a segment, with a right checksum. */
export const restateHeader = (name: string, change: (bytes: Uint8Array) => void): Promise<void> =>
  damage(name, (bytes) => {
    change(bytes);
    writeU32(bytes, 64, crc32(bytes, 0, 64, 0));
  });

/** Where each record of a segment ends. */
export function endsOf(name: string): number[] {
  const bytes = bytesOf(name);
  const ends: number[] = [];
  for (let at = 68; at + 44 <= bytes.length && readU32(bytes, at + 4) !== 0; ends.push(at)) {
    at += 44 + readU32(bytes, at);
  }
  return ends;
}
