import { codeOf } from "../../../src/base/errors.js";
import type { Cryptography } from "../../../src/base/runtime/interface.js";
import { SEALED } from "../../../src/durability/segment-format.js";
import { type Encryption, open, type Store } from "../../../src/index.js";
import {
  nodeCryptography,
  type SimulatedDisk,
  type SimulatedStorage,
  simulatedStorage,
} from "../../../src/testing/index.js";

export const ROOT = "/place/data";

/** The key of workloads that encrypt before their key changes. */
export const FORMER_KEY = new Uint8Array(32).fill(9);

/** What a workload that encrypts gives to `open`. */
export const ENCRYPTION: Encryption = { key: new Uint8Array(32).fill(7), previousKeys: [FORMER_KEY] };

const SEALED_CHECKPOINT = 8;

const derived = new Map<string, Uint8Array>();

/** The same few keys are derived in every opening: once is enough. */
export const CRYPTOGRAPHY: Cryptography = {
  ...nodeCryptography,
  deriveKey(secret, salt, info, lengthBytes) {
    const mark = `${secret} ${salt} ${info} ${lengthBytes}`;
    let key = derived.get(mark);
    if (key === undefined) {
      if (derived.size >= 4096) derived.clear();
      key = nodeCryptography.deriveKey(secret, salt, info, lengthBytes);
      derived.set(mark, key.slice());
    }
    return key.slice();
  },
};

export function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

export function machineOn(disk: SimulatedDisk, wallMs: number): SimulatedStorage {
  const storage = simulatedStorage({ disk, seed: disk.prng.word(), cryptography: CRYPTOGRAPHY });
  storage.clock.jump(wallMs - storage.clock.wallMs());
  return storage;
}

/** How to open what is there: encrypted if some file is. */
export function encryptionOf(storage: SimulatedStorage): { encryption?: Encryption } {
  for (const [path, bytes] of storage.disk.image()) {
    const flag = path.endsWith(".log") ? SEALED : path.includes("/checkpoint/") ? SEALED_CHECKPOINT : 0;
    if (((bytes[12] ?? 0) & flag) !== 0) return { encryption: ENCRYPTION };
  }
  return {};
}

export function openOn(storage: SimulatedStorage): Promise<Store<string>> {
  const { runtime } = storage;
  return open<string>(ROOT, {
    ...encryptionOf(storage),
    codec: "text",
    runtime,
    segmentBytes: 65_536,
    durability: "full",
  });
}

/** A disk that is still full may turn an open down; then it is given space. */
export async function openWithSpace(storage: SimulatedStorage): Promise<Store<string>> {
  const { disk } = storage;
  if (disk.quotaBytes !== Number.POSITIVE_INFINITY) {
    try {
      await (await openOn(storage)).close();
    } catch (error) {
      must(codeOf(error) === "DISK_FULL", `on a full disk: ${String(error)}`);
    }
    disk.quotaBytes = Number.POSITIVE_INFINITY;
    storage.restart();
  }
  return openOn(storage);
}
