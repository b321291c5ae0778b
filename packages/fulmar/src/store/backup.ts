import { codeOf, FulmarError, FulmarTypeError } from "../base/errors.js";
import { checkOptions, isRevoked } from "../base/options.js";
import { progressTeller } from "../base/tell.js";
import { prepareTarget, writeBackup } from "../durability/backup-writer.js";
import type { BackupSource, BackupSummary, CareProgress, StopSignal } from "../durability/care-types.js";
import { type Committer, OWN_ORIGIN } from "../transaction/committer.js";
import type { CoreParts } from "./core.js";
import { pinToSave } from "./pin-to-save.js";

/** How a backup is written, or a store restored from one. */
export interface BackupOptions {
  /** Stops it with ABORTED, leaving no file of it: an `AbortSignal`. */
  readonly signal?: StopSignal | undefined;
  /**
   * Is told how far it is. What it throws or rejects with is reported on the diagnostics channel
   * `fulmar:progress-error`, and the work goes on.
   */
  readonly onProgress?: ((progress: CareProgress) => void) | undefined;
}

/** Checks the options that long work on files has in common. */
export function checkCareOptions(options: BackupOptions, known: readonly string[], where: string): void {
  checkOptions(options, ["signal", "onProgress", ...known], where);
  const { signal, onProgress } = options;
  if (signal !== undefined && !isSignal(signal)) {
    throw new FulmarTypeError("INVALID_ARGUMENT", `${where}: signal must be an AbortSignal`);
  }
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new FulmarTypeError("INVALID_ARGUMENT", `${where}: onProgress must be a function`);
  }
}

function isSignal(given: unknown): boolean {
  if (typeof given !== "object" || given === null || isRevoked(given)) return false;
  return typeof (given as Partial<StopSignal>).aborted === "boolean";
}

/** Checks the path of a file or directory. */
export function checkPath(path: unknown, where: string): void {
  if (typeof path === "string" && path !== "") return;
  throw new FulmarTypeError("INVALID_ARGUMENT", `${where}: a path must be a non-empty string`);
}

/** Runs long work that `signal` may stop: what it then fails with is ABORTED. */
export async function abortable<T>(
  signal: StopSignal | undefined,
  where: string,
  work: () => Promise<T>,
): Promise<T> {
  const isAborted = (): boolean => signal?.aborted === true;
  const aborted = (): FulmarError =>
    new FulmarError("ABORTED", `${where} was aborted; nothing of it is left`);
  if (isAborted()) throw aborted();
  try {
    return await work();
  } catch (error) {
    throw codeOf(error) === "CLOSED" && isAborted() ? aborted() : error;
  }
}

/** Writes the backups of one store, one at a time, beside everything else. */
export class Backups<V> {
  readonly #parts: CoreParts<V>;
  readonly #committer: Committer;
  readonly #sweep: () => Promise<void>;
  #running: Promise<BackupSummary> | undefined;
  #stopped = false;

  /** `sweep` removes what has expired. */
  constructor(parts: CoreParts<V>, committer: Committer, sweep: () => Promise<void>) {
    this.#parts = parts;
    this.#committer = committer;
    this.#sweep = sweep;
  }

  async run(target: string, options: BackupOptions): Promise<BackupSummary> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    this.#running = abortable(options.signal, "the backup", () => this.#write(target, options));
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** Gives up the backup that runs, takes no other, and resolves when nothing of it is left. */
  async stop(): Promise<void> {
    this.#stopped = true;
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
  }

  async #write(target: string, options: BackupOptions): Promise<BackupSummary> {
    const { runtime, settings, engine, origins, clock, storeId } = this.#parts;
    const { compressed } = settings;
    const stopped = (): boolean => this.#stopped || options.signal?.aborted === true;
    const progress = progressTeller(runtime.diagnostics, options.onProgress);
    if (this.#stopped) throw new FulmarError("CLOSED", "the store is closed");
    // Whoever makes a backup is told by the store's state, and saves all that there is in any case.
    await this.#parts.directory?.data.look();
    // A store that is restored elsewhere may begin with an earlier clock.
    await this.#sweep();
    // Read before the pin: every own commit up to here is in the state, and none may be claimed that is not.
    const { seq } = this.#committer;
    const { pin, coverage } = await pinToSave(this.#committer, "store");
    try {
      const incarnation = origins.id(OWN_ORIGIN);
      const numbers = { version: pin.version, seq, hlc: clock.last, storeId, incarnation };
      const source: BackupSource = { ...numbers, coverage, engine, read: () => pin.release() };
      const chosen = await prepareTarget(runtime, target, source);
      return await writeBackup({ runtime, origins, compressed, stopped, progress }, chosen, source);
    } finally {
      pin.release();
    }
  }
}
