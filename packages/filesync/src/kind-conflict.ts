import { lstat, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { assemble } from "./assemble.js";
import type { MirrorContext } from "./context.js";
import { chunkDeletions, readMeta } from "./context.js";
import { isMissing, look, makeDurable } from "./disk.js";
import { fileKey } from "./model.js";
import { parentPath, pathFault } from "./paths.js";
import type { Reconciler } from "./reconcile.js";

/** So many names are tried for the copy of a file that has to make room. */
const NAMES_MAX = 20;

/**
 * One node made a file of a name, another put things into a directory of that name: both cannot be. The
 * directory stays and the file moves aside to "name (conflict 1a2b3c4d)". Returns the paths to look at again.
 */
export async function resolveKindConflict(
  context: MirrorContext,
  reconciler: Reconciler,
  blocked: string,
): Promise<string[]> {
  const file = await fileAbove(context, blocked);
  if (file !== undefined) return reconciler.exclusively(file, () => moveAside(context, file));
  return reconciler.exclusively(blocked, () => placeAside(context, blocked));
}

/** The nearest file on the disk where `path` needs a directory. */
async function fileAbove(context: MirrorContext, path: string): Promise<string | undefined> {
  for (let above = parentPath(path); above !== ""; above = parentPath(above)) {
    if ((await context.root.wayTo(above)) !== "clear") continue;
    const state = await look(context.root.absolute(above));
    return state.kind === "file" ? above : undefined;
  }
  return undefined;
}

/** The file is on this disk: it gets the other name, and both names are then changes like any other. */
async function moveAside(context: MirrorContext, file: string): Promise<string[]> {
  const meta = readMeta(context.store, file);
  if (typeof meta !== "object" || meta.kind !== "file" || !hasChildren(context, file)) return [file];
  const aside = await freeName(context, file, meta.sha256);
  if (aside === undefined) return [];
  await rename(context.root.absolute(file), context.root.absolute(aside));
  context.counters.conflicts++;
  return [aside, file];
}

/** The directory is on this disk and the file only in the store: it is written under the other name. */
async function placeAside(context: MirrorContext, path: string): Promise<string[]> {
  const { root, store, index, counters } = context;
  const meta = readMeta(store, path);
  const disk = await look(root.absolute(path));
  if (typeof meta !== "object" || meta.kind !== "file") return [path];
  if (disk.kind !== "directory" || !hasChildren(context, path)) return [path];
  const aside = await freeName(context, path, meta.sha256);
  const assembly = await assemble(context, meta);
  if (aside === undefined || typeof assembly !== "object") return [];
  await rename(assembly.staged, root.absolute(aside));
  await makeDurable(dirname(root.absolute(aside)));
  const current = readMeta(store, path);
  if (typeof current === "object" && current.writeId === meta.writeId) {
    counters.conflicts++;
    await store.batch([{ type: "delete", key: fileKey(path) }, ...chunkDeletions(store, meta)]);
    await index.delete(path);
  }
  return [aside, path];
}

function hasChildren(context: MirrorContext, path: string): boolean {
  const range = { gte: fileKey(`${path}/`), lt: fileKey(`${path}0`), limit: 1 };
  return [...context.store.keys(range)].length > 0;
}

async function freeName(context: MirrorContext, path: string, sha256: string): Promise<string | undefined> {
  for (let i = 1; i <= NAMES_MAX; i++) {
    const name = `${path} (conflict ${sha256.slice(0, 8)}${i === 1 ? "" : ` ${i}`})`;
    if (pathFault(name) !== undefined) return undefined;
    try {
      await lstat(context.root.absolute(name));
    } catch (error) {
      if (isMissing(error)) return name;
      throw error;
    }
  }
  return undefined;
}
