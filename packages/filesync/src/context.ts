import { randomBytes } from "node:crypto";
import type { Key } from "fulmar";
import type { MirrorCounters, Refusal } from "./counters.js";
import { REFUSED_MAX } from "./counters.js";
import type { FileStore } from "./file-store.js";
import type { ByteBudget } from "./limits.js";
import type { IndexRecord, LocalIndex } from "./local-index.js";
import type { FileMeta } from "./model.js";
import { chunkKey, decodeMeta, fileKey } from "./model.js";
import type { Root } from "./root.js";

/** Sizes in bytes at which a file is treated differently. */
export interface Sizes {
  readonly chunkBytes: number;
  /** Files up to this size are one commit. */
  readonly atomicBytesMax: number;
  /** Larger ones are sent in commits of about this size. */
  readonly batchBytes: number;
}

/** What one path was found to need. */
export type MirrorAction = "uploaded" | "deleted-in-store" | "written" | "deleted-on-disk";

/** Everything that work on a path needs; one for each mirror. */
export interface MirrorContext {
  readonly root: Root;
  readonly store: FileStore;
  readonly index: LocalIndex;
  readonly counters: MirrorCounters;
  readonly budget: ByteBudget;
  readonly sizes: Sizes;
  /** Writes whose chunks are being stored and whose metadata is still to come. */
  readonly uploads: Set<string>;
  /** Paths whose content is not complete in the store yet, by write. */
  readonly waiting: Map<string, string>;
  readonly onAction: (action: MirrorAction, path: string) => void;
}

/** The store's metadata of a path; `invalid` if something is there that cannot be metadata. */
export function readMeta(store: FileStore, path: string): FileMeta | "invalid" | undefined {
  const bytes = store.get(fileKey(path));
  return bytes === undefined ? undefined : (decodeMeta(bytes) ?? "invalid");
}

export function newWriteId(context: MirrorContext): string {
  return `${context.index.nodeId}-${randomBytes(12).toString("hex")}`;
}

export function isOwnWrite(context: MirrorContext, writeId: string): boolean {
  return writeId.startsWith(`${context.index.nodeId}-`);
}

export function refuse(context: MirrorContext, path: string, reason: Refusal): void {
  const { refused } = context.counters;
  if (refused.has(path) || refused.size < REFUSED_MAX) refused.set(path, reason);
}

/** Deletions of the chunks that one write has in the store. */
export function chunkDeletions(store: FileStore, meta: FileMeta | "invalid" | undefined): ChunkDeletion[] {
  if (meta === undefined || meta === "invalid") return [];
  const deletions: ChunkDeletion[] = [];
  for (let i = 0; i < meta.chunks; i++) {
    const key = chunkKey(meta.writeId, i);
    // What is beyond the first gap, if anything, is left to the orphan scan.
    if (!store.has(key)) break;
    deletions.push({ type: "delete", key });
  }
  return deletions;
}

interface ChunkDeletion {
  readonly type: "delete";
  readonly key: Key;
}

/**
 * Makes `next` what is known of a path. If that supersedes a write of this node, its chunks are deleted:
 * writes are never named again, so whoever won does not need them.
 */
export async function remember(
  context: MirrorContext,
  path: string,
  known: IndexRecord | undefined,
  next: IndexRecord | undefined,
): Promise<void> {
  if (next === undefined) await context.index.delete(path);
  else await context.index.set(path, next);
  context.counters.refused.delete(path);
  const before = known?.writeId ?? "";
  if (before !== "" && before !== next?.writeId && isOwnWrite(context, before)) {
    await dropChunks(context.store, before);
  }
}

/** Deletes all chunks of a write that nothing refers to any more. */
export async function dropChunks(store: FileStore, writeId: string): Promise<void> {
  const keys = [...store.keys({ prefix: ["chunk", writeId] })];
  if (keys.length > 0) await store.batch(keys.map((key) => ({ type: "delete" as const, key })));
}
