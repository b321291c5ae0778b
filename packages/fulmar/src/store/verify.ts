import { FulmarError, FulmarTypeError } from "../base/errors.js";
import { checkOptions } from "../base/options.js";
import { runtimeOf } from "../base/runtime/check.js";
import type { Runtime } from "../base/runtime/interface.js";
import { nodeRuntime } from "../base/runtime/node/node-runtime.js";
import { progressTeller } from "../base/tell.js";
import type { VerifyReport } from "../durability/directory-types.js";
import { attempt } from "../durability/files.js";
import { withKeyring } from "../durability/keyring.js";
import { verifyDirectory } from "../durability/verify.js";
import { verifyBackup } from "../durability/verify-backup.js";
import { createKeyring, type Encryption } from "./encryption.js";
import type { ProgressListener } from "./types.js";

/** How a directory is verified. */
export interface VerifyOptions {
  /** What it throws or rejects with is reported as `fulmar:progress-error`; the work goes on. */
  readonly onProgress?: ProgressListener | undefined;
  /** The keys of the files. */
  readonly encryption?: Encryption | undefined;
  /** The surroundings; Node's unless set. */
  readonly runtime?: Runtime | undefined;
}

/**
 * Reads every byte of a data directory that an open or a watch would read, or of a backup, and checks every checksum
 * and every number, without changing anything. A directory that this process may not write, or one of a read-only file
 * system, is read without its lock, and a note among the findings says so: another process could be writing unseen,
 * through another mount if not here. What it finds is in the report; it rejects only when it cannot look:
 * LOCKED while a process holds the directory, ACCESS_DENIED, IO_ERROR, PATH_UNUSABLE, NOT_A_STORE,
 * ENCRYPTION_KEY_MISSING, ENCRYPTION_KEY_WRONG.
 *
 * @example
 * ```ts
 * import { open, verify } from "fulmar";
 *
 * await (await open("./data")).close();
 * const { ok, findings } = await verify("./data");
 * if (!ok) console.error(findings);
 * ```
 */
export async function verify(directory: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  checkOptions(options, ["onProgress", "encryption", "runtime"], "verify");
  if (typeof directory !== "string" || directory === "") {
    throw new FulmarTypeError("INVALID_ARGUMENT", "verify: the directory must be a non-empty string");
  }
  const runtime = runtimeOf(options.runtime, nodeRuntime);
  const status = await attempt("look at", directory, runtime.fileSystem.status(directory));
  if (status === undefined) {
    const message = `there is nothing at ${directory}: check the path of the directory or backup`;
    throw new FulmarError("PATH_UNUSABLE", message, { path: directory });
  }
  const work = status.kind === "file" ? verifyBackup : verifyDirectory;
  const keyring = createKeyring(runtime, options.encryption);
  const progress = progressTeller(runtime.diagnostics, options.onProgress);
  return work(withKeyring(runtime, keyring), directory, progress).finally(() => keyring?.erase());
}
