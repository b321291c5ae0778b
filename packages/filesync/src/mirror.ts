import { checkMirrorOptions } from "./check.js";
import type { MirrorAction, MirrorContext, Sizes } from "./context.js";
import { newCounters } from "./counters.js";
import { isMissing } from "./disk.js";
import type { FileStore } from "./file-store.js";
import { ByteBudget } from "./limits.js";
import { LocalIndex } from "./local-index.js";
import type { MirrorStatus } from "./mirror-status.js";
import { mirrorStatus } from "./mirror-status.js";
import { CHUNK_BYTES, CHUNKS, FILES, pathOfKey, writeOfKey } from "./model.js";
import { OrphanScan } from "./orphans.js";
import type { Outcome } from "./path-queue.js";
import { PathQueue } from "./path-queue.js";
import { parentPath } from "./paths.js";
import { Reconciler } from "./reconcile.js";
import { Rescan } from "./rescan.js";
import { Root } from "./root.js";
import type { TreeWatcher } from "./watcher.js";
import { watchTree } from "./watcher.js";

const MIB = 1024 * 1024;

export interface MirrorOptions {
  /** The tree to mirror; created if it does not exist. */
  readonly directory: string;
  /** Holds the tree, with the `bytes` codec; what replicates it is the caller's business. */
  readonly store: FileStore;
  /** Holds what is known of this disk, with the `bytes` codec; never replicated, one for each directory. */
  readonly index: FileStore;
  /** Whether the system is asked to report changes; true unless set. Without it only rescans find them. */
  readonly watch?: boolean;
  /** Pause between two full scans, in ms; 30,000 unless set. */
  readonly rescanIntervalMs?: number;
  /** Pause between two searches for orphaned chunks, in ms; 180,000 unless set. */
  readonly orphanIntervalMs?: number;
  /** Rest after a reported change before the file is read, in ms; 50 unless set. */
  readonly debounceMs?: number;
  /** Paths worked on at once; 16 unless set. */
  readonly tasksMax?: number;
  /** Memory for content on its way to the store, in bytes; 64 MiB unless set. */
  readonly bufferBytesMax?: number;
  readonly sizes?: Partial<Sizes>;
  /** Told of everything that is done to disk or store. */
  readonly onAction?: (action: MirrorAction, path: string) => void;
}

/**
 * Starts to mirror a directory. Resolves when the first scan is done and its work is queued. Rejects with
 * INVALID_ARGUMENT or UNKNOWN_OPTION before anything is begun, otherwise as the system and the stores do.
 */
export async function startMirror(options: MirrorOptions): Promise<Mirror> {
  checkMirrorOptions(options);
  const root = await Root.open(options.directory);
  const { storeId } = options.store.status();
  const index = await LocalIndex.open(options.index, { rootIdentity: root.identity, storeId });
  const context: MirrorContext = {
    root,
    store: options.store,
    index,
    counters: newCounters(),
    budget: new ByteBudget(options.bufferBytesMax ?? 64 * MIB),
    sizes: { chunkBytes: CHUNK_BYTES, atomicBytesMax: 32 * MIB, batchBytes: 8 * MIB, ...options.sizes },
    uploads: new Set(),
    waiting: new Map(),
    onAction: options.onAction ?? (() => {}),
  };
  const mirror = new Mirror(context, options);
  await mirror.start();
  return mirror;
}

/** A directory that is being mirrored. */
export class Mirror {
  readonly #context: MirrorContext;
  readonly #options: MirrorOptions;
  readonly #queue: PathQueue;
  readonly #reconciler: Reconciler;
  readonly #rescan: Rescan;
  readonly #orphans: OrphanScan;
  readonly #subscriptions: { close(): void }[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #watcher: TreeWatcher | undefined;
  #scan: Promise<void> | undefined;
  #cleanup: Promise<void> = Promise.resolve();
  #search: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** Use {@link startMirror}. */
  constructor(context: MirrorContext, options: MirrorOptions) {
    this.#context = context;
    this.#options = options;
    this.#reconciler = new Reconciler(context);
    this.#queue = new PathQueue((path) => this.#work(path), options.tasksMax ?? 16);
    this.#rescan = new Rescan(context, this.#reconciler, this.#queue);
    this.#orphans = new OrphanScan(context);
    this.#reconciler.onGone = (path) => this.#retryBlockedBy(path);
  }

  /** Part of {@link startMirror}. */
  async start(): Promise<void> {
    const { store, root, index } = this.#context;
    const {
      watch = true,
      debounceMs = 50,
      rescanIntervalMs = 30_000,
      orphanIntervalMs = 180_000,
    } = this.#options;
    this.#subscriptions.push(
      store.watch({ prefix: FILES }, ({ changes }) => {
        for (const { key } of changes) this.#queueKey(pathOfKey(key));
      }),
      store.watch({ prefix: CHUNKS }, ({ changes }) => {
        if (this.#context.waiting.size === 0) return;
        this.#retryWaiting(new Set(changes.map(({ key }) => writeOfKey(key))));
      }),
    );
    if (watch) {
      const report = (error: unknown): void => this.#noteError(error);
      const isKnown = (path: string): boolean => index.get(path) !== undefined;
      this.#watcher = await watchTree(root, isKnown, (path) => this.#queue.add(path, debounceMs), report);
    }
    await this.#scanOnce();
    this.#cleanup = this.#removeLeftovers().catch((error: unknown) => this.#noteError(error));
    this.#every(rescanIntervalMs, () => void this.#scanOnce());
    this.#every(orphanIntervalMs, () => this.#searchOrphans());
    this.#searchOrphans();
  }

  status(): MirrorStatus {
    return mirrorStatus(this.#context, this.#rescan.skipped, {
      pending: this.#queue.size,
      blocked: this.#reconciler.blocked.size,
      scanning: this.#scan !== undefined,
    });
  }

  /** Compares disk, index and store now; resolves when everything found is done. */
  async rescan(): Promise<void> {
    await this.#scan;
    await this.#scanOnce();
    await this.settled();
  }

  /** Resolves when no work is left. Files whose content is not complete in the store yet do not count. */
  async settled(): Promise<void> {
    do {
      await this.#scan;
      await this.#queue.idle();
    } while (this.#scan !== undefined || this.#queue.size > 0);
    await this.#cleanup;
  }

  /** Stops in order: what is being written is finished. Store and index stay open, they are the caller's. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const subscription of this.#subscriptions) subscription.close();
    this.#rescan.stop();
    await this.#watcher?.close();
    await this.#scan;
    await this.#queue.close();
    await this.#cleanup;
    await this.#search;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Once everything that a crash interrupted has been looked at. */
  async #removeLeftovers(): Promise<void> {
    await this.#queue.idle();
    await this.#context.root.removeLeftovers(await this.#context.index.stagedFiles());
  }

  #every(intervalMs: number, task: () => void): void {
    const timer = setInterval(task, intervalMs);
    timer.unref();
    this.#timers.push(timer);
  }

  #queueKey(path: string | undefined): void {
    if (path !== undefined) this.#queue.add(path);
  }

  #retryWaiting(writes: ReadonlySet<string | undefined>): void {
    for (const [path, writeId] of this.#context.waiting) {
      if (writes.has(writeId)) this.#queue.add(path);
    }
  }

  /** The directory of what went away may be removable now, and what was to lie below it has room. */
  #retryBlockedBy(path: string): void {
    const { blocked } = this.#reconciler;
    if (blocked.size === 0) return;
    const parent = parentPath(path);
    if (blocked.has(parent)) this.#queue.add(parent);
    for (const other of blocked) {
      if (other.startsWith(`${path}/`)) this.#queue.add(other);
    }
  }

  async #work(path: string): Promise<Outcome> {
    try {
      return await this.#reconciler.reconcile(path).catch((error: unknown) => this.#afterMissing(error));
    } catch (error) {
      this.#noteError(error, path);
      return "done";
    }
  }

  /** A directory went away between two steps, the mirror's own perhaps: look again, unless all of the tree is gone. */
  async #afterMissing(error: unknown): Promise<Outcome> {
    if (!isMissing(error)) throw error;
    await this.#context.root.assertPresent();
    await this.#context.root.mendStaging();
    return "again";
  }

  #scanOnce(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#scan ??= this.#rescan
      .run()
      .catch((error: unknown) => this.#noteError(error))
      .finally(() => {
        this.#scan = undefined;
      });
    return this.#scan;
  }

  #searchOrphans(): void {
    this.#search = this.#search
      .then(() => (this.#closed ? 0 : this.#orphans.scan(Date.now())))
      .catch((error: unknown) => this.#noteError(error));
  }

  #noteError(error: unknown, path?: string): void {
    const { counters } = this.#context;
    counters.errors++;
    const message = error instanceof Error ? error.message : String(error);
    counters.lastError = path === undefined ? message : `${path}: ${message}`;
  }
}
