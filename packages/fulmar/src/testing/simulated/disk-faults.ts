import type { Prng } from "./prng.js";
import type { SystemCode } from "./system-error.js";

/** The calls of a file system that can be counted, observed and made to fail. */
export type DiskOperationKind =
  | "open"
  | "create"
  | "write"
  | "read"
  | "size"
  | "truncate"
  | "sync"
  | "close"
  | "status"
  | "list"
  | "makeDirectory"
  | "rename"
  | "remove"
  | "removeDirectory"
  | "syncDirectory"
  | "realPath"
  | "lock"
  | "unlock";

/** One call on a simulated disk. */
export interface DiskOperation {
  /** Counts all calls on this disk from 1. */
  readonly number: number;
  readonly kind: DiskOperationKind;
  readonly path: string;
  /** Whether it changes what a crash may leave: a crash elsewhere is equal to one before the next such call. */
  readonly mutates: boolean;
}

const MUTATING: ReadonlySet<DiskOperationKind> = new Set<DiskOperationKind>([
  "create",
  "write",
  "truncate",
  "sync",
  "makeDirectory",
  "rename",
  "remove",
  "removeDirectory",
  "syncDirectory",
]);

export function mutates(kind: DiskOperationKind): boolean {
  return MUTATING.has(kind);
}

/**
 * What a failed sync leaves of the operations that did not reach the disk. `clean`: they count as written,
 * readers see them, the next sync succeeds, and they are never durable. `revert`: readers see the durable
 * state again. `dirty`: they stay pending, and a later sync may make them durable after all.
 */
export type AfterSync = "clean" | "revert" | "dirty";

/** Which calls go wrong, and how. All conditions given must hold. */
export interface DiskFault {
  readonly operations: readonly DiskOperationKind[];
  /** Only paths that hold this text or match this expression. */
  readonly path?: string | RegExp;
  /** The first matching call to fail, counted from 1 since the fault was added; 1 unless given. */
  readonly nth?: number;
  /** Fails so many matching calls from the nth on; 1 unless given. Infinity: all of them. */
  readonly times?: number;
  /** Fails each call with this probability; takes the place of `nth`. */
  readonly probability?: number;
  /** The error thrown. Without one a `write` is short instead, and a `read` is spoilt by `spoil`. */
  readonly code?: SystemCode;
  /** `write`: so many bytes reach the file before the error, or before the short count is returned. */
  readonly bytes?: number;
  /** `read`: what comes back is not what was written, though no error says so. */
  readonly spoil?: "bit" | "zero-sector" | "misdirected-sector";
  /** `sync`, `syncDirectory`: what a failed one leaves; `clean` unless given. */
  readonly afterSync?: AfterSync;
  /** `sync`, `syncDirectory`: with which chance each operation was durable already when it failed; 0 unless given. */
  readonly reached?: number;
}

class ActiveFault {
  readonly fault: DiskFault;
  #matched = 0;
  #failed = 0;

  constructor(fault: DiskFault) {
    this.fault = fault;
  }

  hits(operation: DiskOperation, prng: Prng): boolean {
    const { operations, path, nth = 1, times, probability } = this.fault;
    if (!operations.includes(operation.kind)) return false;
    if (typeof path === "string" && !operation.path.includes(path)) return false;
    if (path instanceof RegExp && !path.test(operation.path)) return false;
    this.#matched++;
    const limit = times ?? (probability === undefined ? 1 : Number.POSITIVE_INFINITY);
    if (this.#failed >= limit) return false;
    if (probability === undefined ? this.#matched < nth : !prng.chance(probability)) return false;
    this.#failed++;
    return true;
  }
}

/** The faults of one disk. Those added first are asked first, and one call meets at most one of them. */
export class DiskFaults {
  readonly #prng: Prng;
  readonly #active = new Set<ActiveFault>();

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Returns the way to take the fault out again. */
  add(fault: DiskFault): () => void {
    const active = new ActiveFault(fault);
    this.#active.add(active);
    return () => this.#active.delete(active);
  }

  clear(): void {
    this.#active.clear();
  }

  match(operation: DiskOperation): DiskFault | undefined {
    for (const active of this.#active) if (active.hits(operation, this.#prng)) return active.fault;
    return undefined;
  }
}
