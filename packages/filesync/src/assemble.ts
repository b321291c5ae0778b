import type { FileHandle } from "node:fs/promises";
import { open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { newHash } from "./content.js";
import type { MirrorContext } from "./context.js";
import { makeDurable } from "./disk.js";
import type { FileMeta } from "./model.js";
import { chunkKey } from "./model.js";

/** `incomplete`: chunks are missing. `damaged`: all are there, but they are not what the metadata says. */
export type Assembly = { readonly staged: string } | "incomplete" | "damaged";

/** A file whose time of change is now could be changed again without a trace; in ms. */
const MTIME_MARGIN_MS = 100;

/** Whether the store holds every chunk of a write. */
export function isComplete(context: MirrorContext, meta: FileMeta): boolean {
  for (let i = 0; i < meta.chunks; i++) {
    if (!context.store.has(chunkKey(meta.writeId, i))) return false;
  }
  return true;
}

/** Writes the content of `meta`, verified, with its mode and time, to a new staging file. */
export async function assemble(context: MirrorContext, meta: FileMeta): Promise<Assembly> {
  if (!isComplete(context, meta)) return "incomplete";
  const staged = context.root.stagingFile();
  const handle = await open(staged, "wx", 0o600);
  let result: Assembly | undefined;
  try {
    const failure = await writeChunks(context, meta, handle);
    if (failure === undefined) {
      await handle.chmod(meta.mode);
      const mtimeMs = Math.min(meta.mtimeMs, Date.now() - MTIME_MARGIN_MS);
      await handle.utimes(mtimeMs / 1000, mtimeMs / 1000);
      await makeDurable(handle);
      await makeDurable(dirname(staged));
    }
    result = failure ?? { staged };
    return result;
  } finally {
    await handle.close();
    if (typeof result !== "object") await rm(staged, { force: true });
  }
}

async function writeChunks(
  context: MirrorContext,
  meta: FileMeta,
  handle: FileHandle,
): Promise<"incomplete" | "damaged" | undefined> {
  const hash = newHash();
  let position = 0;
  for (let i = 0; i < meta.chunks; i++) {
    const piece = context.store.get(chunkKey(meta.writeId, i));
    if (piece === undefined) return "incomplete";
    if (piece.length !== Math.min(meta.chunkBytes, meta.size - position)) return "damaged";
    hash.update(piece);
    for (let written = 0; written < piece.length; ) {
      written += (await handle.write(piece, written, piece.length - written, position + written))
        .bytesWritten;
    }
    position += piece.length;
  }
  return position === meta.size && hash.digest("hex") === meta.sha256 ? undefined : "damaged";
}
