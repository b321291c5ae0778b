import { FulmarError } from "../base/errors.js";
import type { DirectoryLock } from "../base/runtime/interface.js";
import { attempt } from "./files.js";
import type { DiskRuntime } from "./keyring.js";

/** Errors of a lock that was not written, whoever holds the directory. */
const NOT_WRITTEN: ReadonlySet<string> = new Set(["ACCESS_DENIED", "DISK_FULL"]);

/**
 * The lock of a directory that is only read, or what it means that it cannot be written. Rejects with LOCKED while a
 * holder is seen.
 */
export async function lockForReading(
  { fileSystem }: DiskRuntime,
  root: string,
): Promise<{ readonly lock?: DirectoryLock; readonly note?: string }> {
  try {
    return { lock: await attempt("lock", root, fileSystem.lock(root)) };
  } catch (error) {
    if (!(error instanceof FulmarError) || !NOT_WRITTEN.has(error.code)) throw error;
    const isCertain = await attempt("look at", root, fileSystem.lookForHolder(root));
    const isReadOnly = error.details.system === "EROFS";
    const isFull = error.code === "DISK_FULL";
    const denied = isReadOnly ? "as nothing can be written here" : "which this user may not take";
    const reason = isFull ? "for which the disk has no room" : denied;
    const why = isCertain ? reason : "and who holds it may not be asked";
    const where = isReadOnly ? "through another mount" : "there";
    return {
      note: `it was read without its lock, ${why}: what is found may come of a process that writes ${where}`,
    };
  }
}
