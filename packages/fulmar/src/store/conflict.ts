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

  /** @internal Made by transactions, after so many attempts. */
  constructor(conflicts: readonly ConflictingKey[], attempts = 1) {
    super("CONFLICT", attempts === 1 ? CHANGED : lostAgain(attempts), { conflicts, attempts });
    this.conflicts = conflicts;
  }
}

const CHANGED = "another commit changed what the transaction read: run it again";

/** Who loses each time may lose to itself, which nobody can tell from others that write the same. */
function lostAgain(attempts: number): string {
  const what = `another commit changed what the transaction read, ${attempts} times in a row`;
  const own = "if its own function writes these keys beside its `tx`, let it use that for everything";
  return `${what}: ${own}; else give more retries`;
}

/** A conflict as applications see it. */
export function shown({ key: bytes, expected, found }: Conflict): ConflictingKey {
  if (bytes[0] === OWN_PREFIX) return { key: bytes, expected, found };
  const { namespace, key } = locateKey(bytes);
  return namespace === undefined ? { key, expected, found } : { key, namespace, expected, found };
}
