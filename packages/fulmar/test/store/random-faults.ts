import type { AfterSync, DiskOperationKind, Prng, SimulatedStorage } from "../../src/testing/index.js";

const whole = (prng: Prng, least: number, most: number): number => least + prng.below(most - least + 1);

/** Where a fault may sit: the log most of all. */
const PATHS = [".log", ".log", ".log", "MANIFEST", "checkpoint", "/place"] as const;
const AFTER_SYNC = ["clean", "revert", "dirty"] as const satisfies readonly AfterSync[];
const OTHERS: readonly (readonly DiskOperationKind[])[] = [
  ["create"],
  ["rename"],
  ["truncate"],
  ["close"],
  ["remove"],
  ["list", "status", "size"],
];

/** Breaks something, and says whether even a process that is merely killed may lose what it wrote. */
export function breakDisk({ disk, clock }: SimulatedStorage, prng: Prng): boolean {
  const { faults } = disk;
  const times = whole(prng, 1, 4);
  const nth = whole(prng, 1, 3);
  const path = prng.pick(PATHS);
  const code = prng.pick(["ENOSPC", "EIO", "EDQUOT", "EFBIG"] as const);
  const kind = prng.below(14);
  if (kind < 4) {
    if (prng.chance(0.5)) faults.add({ operations: ["write"], path, bytes: prng.below(300), times, nth });
    faults.add({ operations: ["write"], path, code, bytes: prng.below(3000), times, nth });
  } else if (kind < 7) {
    const operations = [prng.pick(["sync", "sync", "syncDirectory"] as const)];
    const [afterSync, reached] = [prng.pick(AFTER_SYNC), prng.pick([0, 0.5])];
    faults.add({ operations, path, code: "EIO", afterSync, reached, nth });
    return true;
  } else if (kind === 7) {
    const logs = [...disk.image().keys()].filter((file) => file.endsWith(".log"));
    if (logs.length > 0) disk.failWriteback(prng.pick(logs), prng.pick(AFTER_SYNC));
    return logs.length > 0;
  } else if (kind === 8) {
    faults.add({ operations: ["open", "create", "list"], code: "EMFILE", times, nth });
  } else if (kind === 9) {
    disk.quotaBytes = Number.MAX_SAFE_INTEGER;
    disk.quotaBytes -= disk.freeBytes() - prng.below(100_000);
  } else if (kind === 10) {
    clock.jump(prng.pick([1, 100, 10_000]));
  } else {
    faults.add({ operations: prng.pick(OTHERS), path, code, times, nth });
  }
  return false;
}

/** What is read once comes back wrong: of the log too, of which nothing may be cut off for that. */
export function spoilReads({ disk }: SimulatedStorage, prng: Prng): void {
  const spoil = prng.pick(["bit", "zero-sector", "misdirected-sector"] as const);
  const path = prng.pick(["MANIFEST", "/checkpoint/", ".log", ".log"]);
  disk.faults.add({ operations: ["read"], path, spoil, nth: whole(prng, 1, 8) });
}

export function mendDisk({ disk }: SimulatedStorage): void {
  disk.faults.clear();
  disk.quotaBytes = Number.POSITIVE_INFINITY;
}
