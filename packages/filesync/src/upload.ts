import { dirname } from "node:path";
import type { BatchOperation } from "fulmar";
import type { Opened } from "./content.js";
import { assertStable, ChangedWhileRead, hashOf, newHash, piecesOf, readStable } from "./content.js";
import type { MirrorContext } from "./context.js";
import { chunkDeletions, dropChunks, newWriteId, readMeta, remember } from "./context.js";
import type { Fingerprint, PresentState } from "./disk.js";
import { makeDurable } from "./disk.js";
import type { IndexRecord } from "./local-index.js";
import { NOTHING_KNOWN } from "./local-index.js";
import type { FileMeta, Kind } from "./model.js";
import { chunkCount, chunkKey, encodeMeta, fileKey, REPLACES_MAX, sameContent } from "./model.js";

/**
 * What became of a change on the disk. `unchanged`: only times differ from what is known. `taken`: the
 * store has it now. `adopted`: the store had it already. `busy`: it is still changing.
 */
export type Intake = "unchanged" | "taken" | "adopted" | "busy";

interface Local {
  readonly kind: Kind;
  readonly print: Fingerprint;
  readonly mtimeMs: number;
  readonly checkedAtMs: number;
  readonly sha256: string;
}

/** Takes what is on the disk into the store, unless store or index have it already. */
export async function takeIn(
  context: MirrorContext,
  path: string,
  disk: PresentState,
  known: IndexRecord | undefined,
): Promise<Intake> {
  try {
    if (disk.kind === "directory") return await takeDirectory(context, path, disk, known);
    return await takeFile(context, path, known);
  } catch (error) {
    if (error instanceof ChangedWhileRead) return "busy";
    throw error;
  }
}

async function takeDirectory(
  context: MirrorContext,
  path: string,
  disk: PresentState,
  known: IndexRecord | undefined,
): Promise<Intake> {
  const local: Local = { ...disk, kind: "directory", checkedAtMs: Date.now(), sha256: "" };
  const settled = await compare(context, path, local, known);
  if (settled !== undefined) return settled;
  await makeDurable(dirname(context.root.absolute(path)));
  return commit(context, path, local, known, newWriteId(context), []);
}

async function takeFile(
  context: MirrorContext,
  path: string,
  known: IndexRecord | undefined,
): Promise<Intake> {
  const absolute = context.root.absolute(path);
  context.counters.filesRead++;
  return readStable(absolute, async (file) => {
    if (file.print.size > context.sizes.atomicBytesMax)
      return takeLarge(context, path, absolute, file, known);
    return context.budget.hold(file.print.size, () => takeSmall(context, path, absolute, file, known));
  });
}

/** The content in memory, then metadata, all chunks and the end of the replaced write in one commit. */
async function takeSmall(
  context: MirrorContext,
  path: string,
  absolute: string,
  file: Opened,
  known: IndexRecord | undefined,
): Promise<Intake> {
  const hash = newHash();
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(file, context.sizes.chunkBytes)) {
    hash.update(piece);
    pieces.push(piece);
  }
  await assertStable(absolute, file.print);
  const local: Local = { ...file, kind: "file", sha256: hash.digest("hex") };
  const settled = await compare(context, path, local, known);
  if (settled !== undefined) return settled;
  await makeDurable(file.handle);
  const writeId = newWriteId(context);
  return commit(context, path, local, known, writeId, chunkSets(writeId, 0, pieces));
}

/** Chunks first, in commits of bounded size; metadata last, which makes them visible. */
async function takeLarge(
  context: MirrorContext,
  path: string,
  absolute: string,
  file: Opened,
  known: IndexRecord | undefined,
): Promise<Intake> {
  const meta = readMeta(context.store, path);
  const perhapsKnown = [known?.print.size, typeof meta === "object" ? meta.size : undefined];
  if (perhapsKnown.includes(file.print.size)) {
    const sha256 = await hashOf(file, context.sizes.chunkBytes);
    await assertStable(absolute, file.print);
    const settled = await compare(context, path, { ...file, kind: "file", sha256 }, known);
    if (settled !== undefined) return settled;
  }
  const writeId = newWriteId(context);
  context.uploads.add(writeId);
  try {
    const sha256 = await sendChunks(context, writeId, file);
    await assertStable(absolute, file.print);
    await makeDurable(file.handle);
    return await commit(context, path, { ...file, kind: "file", sha256 }, known, writeId, []);
  } catch (error) {
    const meta = readMeta(context.store, path);
    if (typeof meta !== "object" || meta.writeId !== writeId) await dropChunks(context.store, writeId);
    throw error;
  } finally {
    context.uploads.delete(writeId);
  }
}

async function sendChunks(context: MirrorContext, writeId: string, file: Opened): Promise<string> {
  const { chunkBytes, batchBytes } = context.sizes;
  const hash = newHash();
  const pieces = piecesOf(file, chunkBytes);
  for (let index = 0, ended = false; !ended; ) {
    await context.budget.hold(batchBytes, async () => {
      const batch: Uint8Array[] = [];
      for (let bytes = 0; bytes < batchBytes; bytes += chunkBytes) {
        const next = await pieces.next();
        ended = next.done === true;
        if (next.done === true) break;
        hash.update(next.value);
        batch.push(next.value);
      }
      if (batch.length > 0) await context.store.batch(chunkSets(writeId, index, batch));
      index += batch.length;
    });
  }
  return hash.digest("hex");
}

function chunkSets(
  writeId: string,
  from: number,
  pieces: readonly Uint8Array[],
): BatchOperation<Uint8Array>[] {
  return pieces.map((value, i) => ({ type: "set", key: chunkKey(writeId, from + i), value }));
}

/** Ends the work early if store or index have this content: the index then only learns the new times. */
async function compare(
  context: MirrorContext,
  path: string,
  local: Local,
  known: IndexRecord | undefined,
): Promise<Intake | undefined> {
  const meta = readMeta(context.store, path);
  const content = { kind: local.kind, mode: local.print.mode, sha256: local.sha256 };
  if (typeof meta === "object" && sameContent(meta, content)) {
    await remember(context, path, known, recordOf(local, meta.writeId));
    return "adopted";
  }
  if (known === undefined || known.kind === "none") return undefined;
  if (!sameContent({ kind: known.kind, mode: known.print.mode, sha256: known.sha256 }, content))
    return undefined;
  await remember(context, path, known, recordOf(local, known.writeId));
  return "unchanged";
}

async function commit(
  context: MirrorContext,
  path: string,
  local: Local,
  known: IndexRecord | undefined,
  writeId: string,
  chunks: readonly BatchOperation<Uint8Array>[],
): Promise<Intake> {
  const { index, store, counters } = context;
  const { kind, sha256 } = local;
  // After a crash this tells a write of ours that peers have seen from one that never got out.
  const begun = known ?? NOTHING_KNOWN;
  await index.set(path, { ...begun, pending: { direction: "upload", kind, writeId, sha256 } });
  // From here to the batch nothing else runs, so what is replaced is what is deleted.
  const replaced = readMeta(store, path);
  const meta = metaOf(context, local, writeId, typeof replaced === "object" ? replaced : undefined);
  if ((meta.replaces[0] ?? "") !== begun.writeId) counters.conflicts++;
  await store.batch([
    ...chunks,
    { type: "set", key: fileKey(path), value: encodeMeta(meta) },
    ...chunkDeletions(store, replaced),
  ]);
  await remember(context, path, known, recordOf(local, writeId));
  counters.uploaded++;
  context.onAction("uploaded", path);
  return "taken";
}

function metaOf(
  context: MirrorContext,
  local: Local,
  writeId: string,
  replaced: FileMeta | undefined,
): FileMeta {
  const { kind, print, mtimeMs, sha256 } = local;
  const { chunkBytes } = context.sizes;
  const replaces =
    replaced === undefined ? [] : [replaced.writeId, ...replaced.replaces].slice(0, REPLACES_MAX);
  const chunks = kind === "file" ? chunkCount(print.size, chunkBytes) : 0;
  return { kind, size: print.size, mode: print.mode, mtimeMs, writeId, replaces, chunks, chunkBytes, sha256 };
}

function recordOf(local: Local, writeId: string): IndexRecord {
  const { kind, print, checkedAtMs, sha256 } = local;
  return { kind, print, checkedAtMs, sha256, writeId };
}
