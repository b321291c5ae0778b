import { chmod, mkdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { assemble } from "./assemble.js";
import type { MirrorContext } from "./context.js";
import { isOwnWrite, refuse, remember } from "./context.js";
import type { DiskState } from "./disk.js";
import { isMissing, look, makeDurable, samePrint, systemCode } from "./disk.js";
import type { IndexRecord } from "./local-index.js";
import { NO_PRINT, NOTHING_KNOWN } from "./local-index.js";
import type { FileMeta } from "./model.js";

/**
 * What became of a change in the store. `waiting`: chunks are missing. `blocked`: a directory that is not
 * empty, or a file where a directory is needed, is in the way. `moved`: the disk changed meanwhile.
 */
export type Applied = "applied" | "waiting" | "refused" | "blocked" | "moved";

/** Puts the store's state of a path on the disk, if the disk still is as `disk` says. */
export async function applyMeta(
  context: MirrorContext,
  path: string,
  meta: FileMeta,
  disk: DiskState,
  known: IndexRecord | undefined,
): Promise<Applied> {
  if (!(await context.root.confines(path))) {
    refuse(context, path, "link");
    return "refused";
  }
  if (await context.root.collides(path)) {
    refuse(context, path, "case");
    return "refused";
  }
  const applied =
    meta.kind === "directory"
      ? await applyDirectory(context, path, meta, disk, known)
      : await applyFile(context, path, meta, disk, known);
  if (applied === "applied") {
    const concurrent = known !== undefined && isOwnWrite(context, known.writeId);
    if (concurrent && !meta.replaces.includes(known.writeId) && known.sha256 !== meta.sha256) {
      context.counters.conflicts++;
    }
    context.counters.downloaded++;
    context.onAction("written", path);
  }
  return applied;
}

async function applyFile(
  context: MirrorContext,
  path: string,
  meta: FileMeta,
  disk: DiskState,
  known: IndexRecord | undefined,
): Promise<Applied> {
  const absolute = context.root.absolute(path);
  context.waiting.set(path, meta.writeId);
  const assembly = await assemble(context, meta);
  if (assembly === "damaged") refuse(context, path, "content");
  if (typeof assembly !== "object") return "waiting";
  context.waiting.delete(path);
  try {
    if (disk.kind === "directory" && !(await removeDirectory(absolute))) return "blocked";
    const expected: DiskState = disk.kind === "directory" ? { kind: "absent" } : disk;
    if (!(await place(context, path, meta, assembly.staged, expected, known))) return "moved";
  } finally {
    await rm(assembly.staged, { force: true });
  }
  const checkedAtMs = Date.now();
  const placed = await look(absolute);
  if (placed.kind !== "file") return "moved";
  const { sha256, writeId } = meta;
  // The mode is what was asked for: should somebody have changed it since, it shows as a change.
  const print = { ...placed.print, mode: meta.mode };
  await remember(context, path, known, { kind: "file", print, checkedAtMs, sha256, writeId });
  return "applied";
}

/** Moves a staged file to its place. Until it is there, and noted, the index says what was begun. */
async function place(
  context: MirrorContext,
  path: string,
  meta: FileMeta,
  staged: string,
  expected: DiskState,
  known: IndexRecord | undefined,
): Promise<boolean> {
  const absolute = context.root.absolute(path);
  const { writeId, sha256 } = meta;
  const pending = { direction: "download", kind: "file", writeId, sha256, staged: basename(staged) } as const;
  await context.index.set(path, { ...(known ?? NOTHING_KNOWN), pending });
  let placed = false;
  try {
    if (!sameState(await look(absolute), expected)) return false;
    await rename(staged, absolute);
    placed = true;
    await makeDurable(dirname(absolute));
    return true;
  } finally {
    if (!placed) await remember(context, path, known, known);
  }
}

async function applyDirectory(
  context: MirrorContext,
  path: string,
  meta: FileMeta,
  disk: DiskState,
  known: IndexRecord | undefined,
): Promise<Applied> {
  const absolute = context.root.absolute(path);
  await context.root.assertPresent();
  if (!sameState(await look(absolute), disk)) return "moved";
  if (disk.kind === "file") await unlink(absolute);
  if (disk.kind !== "directory" && !(await makeDirectory(absolute, 0o700))) return "moved";
  await chmod(absolute, meta.mode);
  await makeDurable(absolute);
  await makeDurable(dirname(absolute));
  const print = { ...NO_PRINT, mode: meta.mode };
  const { writeId } = meta;
  await remember(context, path, known, {
    kind: "directory",
    print,
    checkedAtMs: Date.now(),
    sha256: "",
    writeId,
  });
  return "applied";
}

/** Deletes from the disk what was deleted in the store, if the disk still is as `disk` says. */
export async function applyDeletion(
  context: MirrorContext,
  path: string,
  disk: DiskState,
  known: IndexRecord,
): Promise<Applied> {
  const absolute = context.root.absolute(path);
  if (disk.kind === "directory") {
    if (!(await removeDirectory(absolute))) {
      // It stays for what is in it; if that stays too, the rescan puts the directory back into the store.
      await remember(context, path, known, { ...known, writeId: "", leaving: true });
      return "blocked";
    }
  } else {
    if (!sameState(await look(absolute), disk)) return "moved";
    await unlink(absolute);
  }
  await makeDurable(dirname(absolute));
  await remember(context, path, known, undefined);
  context.counters.downloaded++;
  context.onAction("deleted-on-disk", path);
  return "applied";
}

/** Makes a directory that is only known from what lies in it. */
export async function makeImplied(context: MirrorContext, path: string): Promise<void> {
  const absolute = context.root.absolute(path);
  await context.root.assertPresent();
  if (!(await makeDirectory(absolute))) return;
  await makeDurable(dirname(absolute));
  const made = await look(absolute);
  if (made.kind !== "directory") return;
  const { print } = made;
  const record: IndexRecord = { kind: "directory", print, checkedAtMs: Date.now(), sha256: "", writeId: "" };
  await remember(context, path, context.index.get(path), record);
}

/** False if somebody was quicker to make something there. */
async function makeDirectory(absolute: string, mode?: number): Promise<boolean> {
  try {
    await mkdir(absolute, { mode });
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** False if something is in it. */
async function removeDirectory(absolute: string): Promise<boolean> {
  try {
    await rmdir(absolute);
    return true;
  } catch (error) {
    if (isMissing(error)) return true;
    const code = systemCode(error);
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}

function sameState(now: DiskState, before: DiskState): boolean {
  if (now.kind === "absent" || now.kind === "other" || before.kind === "absent" || before.kind === "other") {
    return now.kind === before.kind;
  }
  if (now.kind === "directory") return before.kind === "directory";
  return before.kind === "file" && samePrint(now.print, before.print);
}
