import type { Cryptography } from "../../src/base/runtime/interface.js";
import { type DiskRuntime, withKeyring } from "../../src/durability/keyring.js";
import { createKeyring } from "../../src/store/encryption.js";
import { nodeCryptography, type SimulatedDisk, simulatedStorage } from "../../src/testing/index.js";

const TAG_BYTES = 16;
const SEALED_KEY = new Uint8Array(32).fill(7);

/**
 * Sealing that hides nothing, and that opens whatever has an even tag: so changed bytes reach what lies behind the
 * seals, and half of the changed tags do not.
 */
const LENIENT: Cryptography = {
  ...nodeCryptography,
  sealInPlace(_key, _nonce, bytes) {
    bytes.fill(0, bytes.length - TAG_BYTES);
  },
  unseal(_key, _nonce, sealed) {
    const length = sealed.length - TAG_BYTES;
    return length < 0 || (sealed[length] & 1) === 1 ? undefined : sealed.slice(0, length);
  },
};

/** How the files of a fuzzed store are sealed: not at all, by what changed bytes get through, or really. */
export type Sealed = "plain" | "lenient" | "real";

/** A machine around a disk, and its surroundings: a keyring lasts as long as one opening. */
export function sealedMachine(
  sealed: Sealed,
  disk?: SimulatedDisk,
): { readonly disk: SimulatedDisk; runtime(): DiskRuntime; kill(): void } {
  const cryptography = sealed === "lenient" ? LENIENT : nodeCryptography;
  const storage = simulatedStorage({ cryptography, sectorBytes: 512, seed: 7, ...(disk && { disk }) });
  return {
    disk: storage.disk,
    runtime: () => ringed(sealed, storage.restart()),
    kill: () => storage.kill(),
  };
}

function ringed(sealed: Sealed, runtime: DiskRuntime): DiskRuntime {
  if (sealed === "plain") return runtime;
  return withKeyring(runtime, createKeyring(runtime, encryptionOf(sealed)));
}

/** What the files of a fuzzed store are under. */
export function encryptionOf(sealed: Sealed): { key: Uint8Array } | undefined {
  return sealed === "plain" ? undefined : { key: SEALED_KEY };
}

/** What tells of a changed key section that it is one's own. */
export function keyCheck(salt: Uint8Array, key: Uint8Array = SEALED_KEY): Uint8Array {
  return nodeCryptography.deriveKey(key, salt, "fulmar key check", 16);
}
