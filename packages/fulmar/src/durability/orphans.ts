import type { Runtime } from "../base/runtime/interface.js";
import { attempt, listOwn, removeFile } from "./files.js";
import { checkpointNumber, isTemporary, type Layout, segmentNumber, TEMPORARY } from "./layout.js";
import type { Manifest } from "./manifest.js";

/**
 * Files that nothing needs: unfinished ones, old checkpoints, and old segments that are not kept.
 * Strangers are none.
 */
export async function listOrphans(
  runtime: Runtime,
  layout: Layout,
  manifest: Manifest,
  isKept: (segment: number) => boolean,
): Promise<string[]> {
  const { fileSystem } = runtime;
  const orphans = await listOrphanCheckpoints(runtime, layout, manifest.checkpoint.number);
  for (const name of await listOwn(fileSystem, layout.log)) {
    const number = segmentNumber(name) ?? manifest.firstSegment;
    const isOld = number < manifest.firstSegment && !isKept(number);
    if (isOld || isTemporary(name)) orphans.push(fileSystem.join(layout.log, name));
  }
  const present = await attempt("list", layout.root, fileSystem.list(layout.root));
  const unfinished = [
    layout.manifest + TEMPORARY,
    layout.restoring,
    layout.restoring + TEMPORARY,
    layout.repairing + TEMPORARY,
  ];
  for (const path of unfinished) {
    if (present.some((name) => fileSystem.join(layout.root, name) === path)) orphans.push(path);
  }
  return orphans;
}

/**
 * What no manifest ever names, whichever of its slots is read: unfinished files of the log, and checkpoints, finished
 * or not, that are newer than the live one. The disk may be full of these.
 */
export async function listUnnamed(runtime: Runtime, layout: Layout, live: number): Promise<string[]> {
  const { fileSystem } = runtime;
  const unnamed = (await listOwn(fileSystem, layout.log))
    .filter(isTemporary)
    .map((name) => fileSystem.join(layout.log, name));
  for (const name of await listOwn(fileSystem, layout.checkpoints)) {
    const isNewer = (checkpointNumber(name) ?? live) > live;
    if (isNewer || isTemporary(name)) unnamed.push(fileSystem.join(layout.checkpoints, name));
  }
  return unnamed;
}

/** Checkpoints other than the live one, finished or not. */
export async function listOrphanCheckpoints(
  runtime: Runtime,
  layout: Layout,
  live: number,
): Promise<string[]> {
  const { fileSystem } = runtime;
  const orphans: string[] = [];
  for (const name of await listOwn(fileSystem, layout.checkpoints)) {
    const other = (checkpointNumber(name) ?? live) !== live;
    if (other || isTemporary(name)) orphans.push(fileSystem.join(layout.checkpoints, name));
  }
  return orphans;
}

export async function removeAll(runtime: Runtime, paths: readonly string[]): Promise<void> {
  for (const path of paths) await removeFile(runtime.fileSystem, path);
}
