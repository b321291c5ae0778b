import type { MirrorContext } from "./context.js";
import type { Skipped } from "./counters.js";
import { noneSkipped } from "./counters.js";
import { resolveKindConflict } from "./kind-conflict.js";
import { isUnchanged } from "./local-index.js";
import { decodeMeta, FILES, fileKey, pathOfKey } from "./model.js";
import type { PathQueue } from "./path-queue.js";
import type { Reconciler } from "./reconcile.js";
import { scanTree } from "./scanner.js";

/** Compares disk, index and store as a whole: at the start, and now and then for what was not reported. */
export class Rescan {
  readonly #context: MirrorContext;
  readonly #reconciler: Reconciler;
  readonly #queue: PathQueue;
  /** Directories that were only implied, and paths that were blocked, at the last rescan already. */
  #impliedBefore = new Set<string>();
  #blockedBefore = new Set<string>();
  #stopped = false;
  /** What the last complete scan did not mirror. */
  skipped: Skipped = noneSkipped();

  constructor(context: MirrorContext, reconciler: Reconciler, queue: PathQueue) {
    this.#context = context;
    this.#reconciler = reconciler;
    this.#queue = queue;
  }

  /** Ends a run that is under way at its next step. */
  stop(): void {
    this.#stopped = true;
  }

  /** Queues every path on which disk, index and store disagree. */
  async run(): Promise<void> {
    await this.#settleLeftovers();
    const seen = await this.#compareDisk();
    await this.#compareIndex(seen);
    await this.#compareStore();
  }

  async #compareDisk(): Promise<Set<string>> {
    const { root, index } = this.#context;
    const skipped = noneSkipped();
    const seen = new Set<string>();
    const implied = new Set<string>();
    for await (const { path, state } of scanTree(root.directory, skipped)) {
      if (this.#stopped) break;
      seen.add(path);
      const record = index.get(path);
      if (!isUnchanged(state, record)) this.#queue.add(path);
      else if (record?.kind === "directory" && record.writeId === "") {
        implied.add(path);
        if (record.leaving === true) this.#queue.add(path);
      }
    }
    this.#impliedBefore = implied;
    this.skipped = skipped;
    return seen;
  }

  /** What is known, and is not on the disk, or not in the store, or was interrupted. */
  async #compareIndex(seen: ReadonlySet<string>): Promise<void> {
    const { index, store } = this.#context;
    for await (const [path, record] of index.records()) {
      if (this.#stopped) return;
      const isDeleted = record.writeId !== "" && !store.has(fileKey(path));
      if (!seen.has(path) || isDeleted || record.pending !== undefined) this.#queue.add(path);
    }
  }

  async #compareStore(): Promise<void> {
    const { store, index, counters } = this.#context;
    counters.refused.clear();
    for await (const { key, value } of store.list({ prefix: FILES })) {
      if (this.#stopped) return;
      const path = pathOfKey(key);
      if (path === undefined) continue;
      const meta = decodeMeta(value);
      if (meta === undefined || index.get(path)?.writeId !== meta.writeId) this.#queue.add(path);
    }
  }

  /** What should have solved itself since the last rescan and did not. */
  async #settleLeftovers(): Promise<void> {
    for (const path of this.#impliedBefore) await this.#putBack(path);
    for (const path of this.#blockedBefore) {
      if (!this.#reconciler.blocked.has(path)) continue;
      for (const next of await resolveKindConflict(this.#context, this.#reconciler, path))
        this.#queue.add(next);
    }
    this.#blockedBefore = new Set(this.#reconciler.blocked);
  }

  /** A directory that nobody's store has but that could not go: forgotten, so that it counts as new. */
  async #putBack(path: string): Promise<void> {
    const { index } = this.#context;
    await this.#reconciler.exclusively(path, async () => {
      if (index.get(path)?.writeId === "") await index.delete(path);
    });
  }
}
