import type { FileSystem } from "../base/runtime/interface.js";
import { attempt } from "./files.js";

/**
 * The directories that an attempt to make a store makes. When it fails they go again. That is more than order: a
 * system may forget that a sync failed, so that the next one, which does not fail, writes nothing of what the first
 * was about. Directories that the next attempt finds would be lost with all in them when the power fails; those that
 * it makes anew are written anew.
 */
export class MadeDirectories {
  readonly #fileSystem: FileSystem;
  /** Those above before those below them. */
  readonly #paths: string[] = [];

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  /** Makes a directory unless it is there. */
  async make(path: string): Promise<void> {
    if ((await attempt("look at", path, this.#fileSystem.status(path))) === undefined) {
      await this.makeAll(path, [path]);
    }
  }

  /** Makes a directory of which these parts are missing, those above first. */
  async makeAll(path: string, missing: readonly string[]): Promise<void> {
    // Before they are: some may be made although the call fails.
    this.#paths.push(...missing);
    await attempt("create", path, this.#fileSystem.makeDirectory(path));
  }

  /** Removes those that are empty. Does not reject: others may use them by now, or the disk may be failing. */
  async unmake(): Promise<void> {
    for (const path of this.#paths.splice(0).reverse()) {
      await this.#fileSystem.removeDirectory(path).catch(() => undefined);
    }
  }
}
