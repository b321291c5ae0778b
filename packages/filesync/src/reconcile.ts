import type { Applied } from "./apply.js";
import { applyDeletion, applyMeta, makeImplied } from "./apply.js";
import { ChangedWhileRead, hashOf, readStable } from "./content.js";
import type { MirrorContext } from "./context.js";
import { chunkDeletions, readMeta, refuse, remember } from "./context.js";
import type { DiskState } from "./disk.js";
import { look } from "./disk.js";
import { KeyedLock } from "./limits.js";
import type { IndexRecord, PendingStep } from "./local-index.js";
import { isUnchanged, NOTHING_KNOWN } from "./local-index.js";
import type { FileMeta } from "./model.js";
import { fileKey } from "./model.js";
import type { Outcome } from "./path-queue.js";
import { parentPath, pathFault } from "./paths.js";
import type { Way } from "./root.js";
import { takeIn } from "./upload.js";

/**
 * Brings one path on the disk and in the store together. Both sides are compared with the index, which
 * holds what they last had in common: what differs on the disk is a change by the user and is taken in
 * first; what differs in the store only is a change from elsewhere and is put on the disk.
 */
export class Reconciler {
  readonly #context: MirrorContext;
  readonly #locks = new KeyedLock();
  /** Paths that something else on the disk keeps from having the store's state. */
  readonly blocked = new Set<string>();
  /** Called when a path went away: its directory may now be removable. */
  onGone: (path: string) => void = () => {};

  constructor(context: MirrorContext) {
    this.#context = context;
  }

  /** Works on a path until both sides agree, or says that it must be tried again. */
  reconcile(path: string): Promise<Outcome> {
    return this.#locks.run(path, () => this.#reconcile(path));
  }

  /** Runs `task` while nothing else works on the path. */
  exclusively<T>(path: string, task: () => Promise<T>): Promise<T> {
    return this.#locks.run(path, task);
  }

  async #reconcile(path: string): Promise<Outcome> {
    const { index, root, waiting } = this.#context;
    // Whether it waits for content is found out anew each time.
    waiting.delete(path);
    if (pathFault(path) !== undefined) {
      refuse(this.#context, path, "name");
      return "done";
    }
    const way = await root.wayTo(path);
    const disk: DiskState = way === "clear" ? await look(root.absolute(path)) : { kind: "absent" };
    let known = await this.#resolvePending(path, disk, index.get(path));
    if (disk.kind !== "absent" && disk.kind !== "other" && !isUnchanged(disk, known)) {
      await this.#takeParentIn(path);
      const taken = await takeIn(this.#context, path, disk, known);
      this.blocked.delete(path);
      if (taken === "busy") return "again";
      if (taken !== "unchanged") return "done";
      known = index.get(path);
    }
    return this.#followStore(path, way, disk, known);
  }

  /** The disk shows nothing new: what is new in the store counts. */
  async #followStore(
    path: string,
    way: Way,
    disk: DiskState,
    known: IndexRecord | undefined,
  ): Promise<Outcome> {
    const meta = readMeta(this.#context.store, path);
    if (meta === "invalid") {
      refuse(this.#context, path, "metadata");
      return "done";
    }
    const isGone = disk.kind === "absent" || disk.kind === "other";
    if (isGone && known !== undefined && known.kind !== "none") return this.#goneFromDisk(path, known, meta);
    const leaves = meta === undefined && known?.leaving === true;
    if (!leaves && (meta?.writeId ?? "") === (known?.writeId ?? "")) return "done";
    return this.#applyStore(path, way, disk, known, meta);
  }

  /** What was known is not there any more: deleted in the store too, unless somebody wrote it since. */
  async #goneFromDisk(path: string, known: IndexRecord, meta: FileMeta | undefined): Promise<Outcome> {
    const { root, store, counters, onAction } = this.#context;
    await root.assertPresent();
    const current = readMeta(store, path);
    if (meta !== undefined && (typeof current !== "object" || current.writeId !== meta.writeId))
      return "again";
    if (meta === undefined || meta.writeId === known.writeId) {
      if (meta !== undefined) {
        await store.batch([{ type: "delete", key: fileKey(path) }, ...chunkDeletions(store, meta)]);
        counters.uploaded++;
        onAction("deleted-in-store", path);
      }
      await remember(this.#context, path, known, undefined);
    } else {
      counters.conflicts++;
      await remember(this.#context, path, known, undefined);
      return "again";
    }
    this.onGone(path);
    return "done";
  }

  async #applyStore(
    path: string,
    way: Way,
    disk: DiskState,
    known: IndexRecord | undefined,
    meta: FileMeta | undefined,
  ): Promise<Outcome> {
    if (meta === undefined) {
      if (known === undefined || disk.kind === "absent" || disk.kind === "other") return "done";
      return this.#finish(path, await applyDeletion(this.#context, path, disk, known));
    }
    if (way === "link" || disk.kind === "other") {
      refuse(this.#context, path, way === "link" ? "link" : await this.#obstacle(path));
      return "done";
    }
    if (way === "file") return this.#finish(path, "blocked");
    if (way === "missing") {
      await this.#makeParents(path);
      if ((await this.#context.root.wayTo(path)) !== "clear") return "again";
    }
    return this.#finish(path, await applyMeta(this.#context, path, meta, disk, known));
  }

  async #obstacle(path: string): Promise<"link" | "special"> {
    return (await this.#context.root.isLink(path)) ? "link" : "special";
  }

  #finish(path: string, applied: Applied): Outcome {
    if (applied === "blocked") this.blocked.add(path);
    else this.blocked.delete(path);
    if (applied === "applied") this.onGone(path);
    return applied === "moved" ? "again" : "done";
  }

  /** So that others get a directory with its mode before what is in it. */
  async #takeParentIn(path: string): Promise<void> {
    const parent = parentPath(path);
    if (parent !== "" && this.#context.index.get(parent) === undefined) await this.reconcile(parent);
  }

  /** From the store where it has them, otherwise with the usual mode. Locks are only ever taken upwards. */
  async #makeParents(path: string): Promise<void> {
    const parent = parentPath(path);
    if (parent === "") return;
    await this.reconcile(parent);
    await this.exclusively(parent, async () => {
      if ((await this.#context.root.wayTo(path)) !== "missing") return;
      await this.#makeParents(parent);
      if ((await this.#context.root.wayTo(parent)) === "clear") await makeImplied(this.#context, parent);
    });
  }

  /** A step that a crash interrupted: settles whether the disk shows our own work or the user's. */
  async #resolvePending(
    path: string,
    disk: DiskState,
    known: IndexRecord | undefined,
  ): Promise<IndexRecord | undefined> {
    if (known?.pending === undefined) return known;
    const { pending, ...settled } = known;
    if (this.#wasDone(path, pending)) {
      const done = await this.#recordOfStep(path, disk, pending);
      if (done !== undefined) {
        await remember(this.#context, path, settled, done);
        return done;
      }
    }
    const next = settled.kind === "none" ? undefined : settled;
    await remember(this.#context, path, next, next);
    return next;
  }

  /** A download, if its staging file took its place; an upload, if the present state of the store names it. */
  #wasDone(path: string, { direction, writeId, staged }: PendingStep): boolean {
    if (direction === "download") return staged !== undefined && !this.#context.root.leftovers.has(staged);
    const meta = readMeta(this.#context.store, path);
    if (typeof meta !== "object") return false;
    return meta.writeId === writeId || meta.replaces.includes(writeId);
  }

  /** What a finished step made known; undefined if the disk shows something newer than it. */
  async #recordOfStep(path: string, disk: DiskState, pending: PendingStep): Promise<IndexRecord | undefined> {
    const { kind, writeId, sha256 } = pending;
    // It was there when the step was done, so it was deleted since.
    if (disk.kind === "absent") return { ...NOTHING_KNOWN, kind, writeId, sha256 };
    return disk.kind === "file" && kind === "file" ? this.#recordIfHolds(path, pending) : undefined;
  }

  async #recordIfHolds(path: string, pending: PendingStep): Promise<IndexRecord | undefined> {
    const { root, sizes, counters } = this.#context;
    try {
      counters.filesRead++;
      return await readStable(root.absolute(path), async (file) => {
        if ((await hashOf(file, sizes.chunkBytes)) !== pending.sha256) return undefined;
        const { print, checkedAtMs } = file;
        return { kind: "file", print, checkedAtMs, sha256: pending.sha256, writeId: pending.writeId };
      });
    } catch (error) {
      if (error instanceof ChangedWhileRead) return undefined;
      throw error;
    }
  }
}
