import { booleanOption } from "../base/options.js";
import { runtimeOf } from "../base/runtime/check.js";
import type { Runtime } from "../base/runtime/interface.js";
import { nodeRuntime } from "../base/runtime/node/node-runtime.js";
import { progressTeller } from "../base/tell.js";
import type { RepairReport } from "../durability/care-types.js";
import { withKeyring } from "../durability/keyring.js";
import { repairDirectory } from "../durability/repair.js";
import { abortable, type BackupOptions, checkCareOptions, checkPath } from "./backup.js";
import { createKeyring, type Encryption } from "./encryption.js";

/** How a directory is repaired. */
export interface RepairOptions extends BackupOptions {
  /**
   * Only report what a repair would save and what is lost. That needs no right to write: where the lock may not be
   * taken, as on a read-only mount, the report has a `note`. LOCKED still, while a process is seen to hold it.
   */
  readonly dryRun?: boolean | undefined;
  /** The keys of the files; what is saved is encrypted under the present one. */
  readonly encryption?: Encryption | undefined;
  /** The surroundings; Node's unless set. */
  readonly runtime?: Runtime | undefined;
}

/**
 * Saves what can be saved of a damaged directory: every block of the checkpoint and every commit of the log whose
 * checksum is right, also behind damage. The files that were there are kept, in a directory `damaged-1` and so on
 * within it, with the report. What is lost is lost here only: the store gets a new identity and claims to hold
 * nothing of anybody's history, so that peers give it all that they have. A directory that opens as it is
 * is not changed. Restoring a backup is better where there is one.
 *
 * What a lost block of the checkpoint held is looked for in the log, also in the segments that are kept for watches
 * (`historyBytes`), as far back as they continue each other: a deletion that came after a value stands there too, so
 * nothing deleted comes back. Only where a commit of them is damaged as well, which the report says with its version,
 * may a key of that block have an earlier value, or one although it was deleted.
 *
 * A repair that was killed is completed by the next one; the directory does not open before. Rejects with
 * NOT_A_STORE when there is nothing to save, LOCKED, FORMAT_NEWER, ENCRYPTION_KEY_MISSING or
 * ENCRYPTION_KEY_WRONG, ABORTED, PATH_UNUSABLE, DISK_FULL, ACCESS_DENIED,
 * IO_ERROR.
 *
 * @example
 * ```ts
 * import { open, repair } from "fulmar";
 *
 * await (await open("./data")).close();
 * const { damaged, files } = await repair("./data", { dryRun: true });
 * if (damaged) console.error(files);
 * ```
 */
export async function repair(directory: string, options: RepairOptions = {}): Promise<RepairReport> {
  checkCareOptions(options, ["dryRun", "encryption", "runtime"], "repair");
  checkPath(directory, "repair");
  const { signal, onProgress } = options;
  const dryRun = booleanOption(options.dryRun, "repair: dryRun", false);
  const runtime = runtimeOf(options.runtime, nodeRuntime);
  const keyring = createKeyring(runtime, options.encryption);
  const context = {
    runtime: withKeyring(runtime, keyring),
    dryRun,
    stopped: () => signal?.aborted === true,
    progress: progressTeller(runtime.diagnostics, onProgress),
  };
  const work = abortable(signal, "the repair", () => repairDirectory(context, directory));
  return work.finally(() => keyring?.erase());
}
