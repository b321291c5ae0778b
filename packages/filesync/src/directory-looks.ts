import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { childPath, pathFault, RESERVED_NAME } from "./paths.js";
import type { Root } from "./root.js";

/** Pause between a report and the look, in ms; many reports on one directory make one look. */
const LOOK_AFTER_MS = 200;
/** After a look that took long the next ones wait so many times as long. */
const PAUSE_FACTOR = 20;

/**
 * Finds what appeared in a directory before the system was asked to watch it: a tree that is unpacked or
 * copied grows faster than watches can be set up. Looks only for names that are not known.
 */
export class DirectoryLooks {
  readonly #root: Root;
  readonly #isKnown: (path: string) => boolean;
  readonly #onNew: (path: string) => void;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #pauseMs = LOOK_AFTER_MS;
  #closed = false;

  constructor(root: Root, isKnown: (path: string) => boolean, onNew: (path: string) => void) {
    this.#root = root;
    this.#isKnown = isKnown;
    this.#onNew = onNew;
  }

  /** Asks for a look at a directory, soon. */
  mark(directory: string): void {
    if (this.#closed || this.#timers.has(directory)) return;
    this.#timers.set(
      directory,
      setTimeout(() => void this.#look(directory), this.#pauseMs),
    );
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  async #look(directory: string): Promise<void> {
    const startMs = performance.now();
    const entries = await this.#entries(directory);
    // The index may be closed by now.
    if (this.#closed) return;
    for (const entry of entries) {
      if (directory === "" && entry.name === RESERVED_NAME) continue;
      if (!entry.isFile() && !entry.isDirectory()) continue;
      const path = childPath(directory, entry.name);
      if (pathFault(path) !== undefined || this.#isKnown(path)) continue;
      this.#onNew(path);
      if (entry.isDirectory()) this.mark(path);
    }
    this.#timers.delete(directory);
    this.#pauseMs = Math.max(LOOK_AFTER_MS, (performance.now() - startMs) * PAUSE_FACTOR);
  }

  /** Nothing if it is gone or unreadable: the next rescan counts that. */
  async #entries(directory: string): Promise<Dirent[]> {
    try {
      if (this.#closed || !(await this.#root.isDirectory(directory))) return [];
      return await readdir(this.#root.absolute(directory), { withFileTypes: true });
    } catch {
      return [];
    }
  }
}
