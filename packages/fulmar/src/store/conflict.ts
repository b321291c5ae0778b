import { FulmarError } from "../base/errors.js";
import { OWN_PREFIX } from "../keys/key.js";
import { locateKey } from "../keys/namespace.js";
import type { Conflict } from "../transaction/optimistic/validation.js";
import type { Key } from "./types.js";

/** A key that changed between a transaction's snapshot and its commit. */
export interface ConflictingKey {
  /** The bytes of the key, if it is not one of the application's. */
  readonly key: Key;
  /** The namespace that it is in, if any. */
  readonly namespace?: string;
  /** The version that the transaction saw; 0 when the key was absent. */
  readonly expected: number;
  /** The version that was found at the commit; 0 when the deadline of the key has passed. */
  readonly found: number;
}

/**
 * Another commit changed what a transaction read: nothing of it was done, and it can be run again.
 * `transact` does so by itself and throws this only after its last retry.
 */
export class ConflictError extends FulmarError {
  override readonly name = "ConflictError";
  /** The first few of the keys. */
  readonly conflicts: readonly ConflictingKey[];

  /** @internal Made by transactions. */
  constructor(conflicts: readonly Conflict[]) {
    const keys = conflicts.map(({ key, expected, found }) => ({ ...shown(key), expected, found }));
    super("CONFLICT", "another commit changed what the transaction read: run it again", { conflicts: keys });
    this.conflicts = keys;
  }
}

function shown(bytes: Uint8Array): Pick<ConflictingKey, "key" | "namespace"> {
  if (bytes[0] === OWN_PREFIX) return { key: bytes };
  const { namespace, key } = locateKey(bytes);
  return namespace === undefined ? { key } : { key, namespace };
}
