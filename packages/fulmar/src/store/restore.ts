import { runtimeOf } from "../base/runtime/check.js";
import type { Runtime } from "../base/runtime/interface.js";
import { nodeRuntime } from "../base/runtime/node/node-runtime.js";
import { progressTeller } from "../base/tell.js";
import type { RestoreSummary } from "../durability/care-types.js";
import { withKeyring } from "../durability/keyring.js";
import { restoreBackup } from "../durability/restore.js";
import { abortable, type BackupOptions, checkCareOptions, checkPath } from "./backup.js";
import { createKeyring, type Encryption } from "./encryption.js";

/** How a store is restored. */
export interface RestoreOptions extends BackupOptions {
  /** The keys of the backup, and the one that the store is encrypted under, which may be another. */
  readonly encryption?: Encryption | undefined;
  /** The surroundings; Node's unless set. */
  readonly runtime?: Runtime | undefined;
}

/**
 * Makes a new store from a backup, in a directory that is missing or empty. It gets an identity of its own, so
 * that it may meet the store that the backup is of, or another one restored from it. The whole backup is
 * checked, in memory, before anything is written. A restore that was killed is not a store; running it
 * again completes it.
 *
 * Rejects with CORRUPT (details: `file`, `offset`), FORMAT_NEWER, NOT_A_STORE when the file is no backup,
 * PATH_UNUSABLE when it is missing; ALREADY_EXISTS when the directory is not empty; ENCRYPTION_KEY_MISSING or
 * ENCRYPTION_KEY_WRONG; LOCKED; ABORTED; DISK_FULL,
 * ACCESS_DENIED, IO_ERROR.
 *
 * @example
 * ```ts
 * import { open, restore } from "fulmar";
 *
 * const db = await open("./data");
 * const { path } = await db.backup("./monday.backup");
 * await db.close();
 * await restore(path, "./restored");
 * ```
 */
export async function restore(
  backup: string,
  directory: string,
  options: RestoreOptions = {},
): Promise<RestoreSummary> {
  checkCareOptions(options, ["encryption", "runtime"], "restore");
  checkPath(backup, "restore");
  checkPath(directory, "restore");
  const { signal, onProgress } = options;
  const runtime = runtimeOf(options.runtime, nodeRuntime);
  const keyring = createKeyring(runtime, options.encryption);
  const context = {
    runtime: withKeyring(runtime, keyring),
    stopped: () => signal?.aborted === true,
    progress: progressTeller(runtime.diagnostics, onProgress),
  };
  const work = abortable(signal, "the restore", () => restoreBackup(context, backup, directory));
  return work.finally(() => keyring?.erase());
}
