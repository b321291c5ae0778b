import { assert } from "../base/assert.js";
import { FulmarError } from "../base/errors.js";
import type { FileHandle } from "../base/runtime/interface.js";
import { Coverage } from "../record/coverage.js";
import { OriginTable } from "../record/origins.js";
import { inspectBackup, readBackup } from "./backup-reader.js";
import type { BackupSource, BackupSummary, CareProgress } from "./care-types.js";
import { CheckpointWriter, type WrittenCheckpoint } from "./checkpoint-writer.js";
import { attempt, createDurably, removeFile, syncFile } from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import { isFileName, isRootName, layoutOf, TEMPORARY } from "./layout.js";
import { newSalt } from "./segment-pool.js";

export interface BackupContext {
  readonly runtime: DiskRuntime;
  readonly origins: OriginTable;
  readonly compressed: boolean;
  /** Whether to give up. */
  readonly stopped: () => boolean;
  readonly progress: (progress: CareProgress) => void;
}

/** Where a backup goes. */
export interface BackupTarget {
  readonly path: string;
  /** The unfinished file: its name tells whose it is, so that its owner can remove it after a crash. */
  readonly temporary: string;
}

/**
 * Chooses the file: `path` itself, or a name of its own within it when it is a directory. Removes what an
 * earlier attempt of this store left in the same directory. Rejects with ALREADY_EXISTS, PATH_UNUSABLE or an
 * error of the disk.
 */
export async function prepareTarget(
  runtime: DiskRuntime,
  path: string,
  source: Pick<BackupSource, "incarnation" | "version">,
): Promise<BackupTarget> {
  const { fileSystem } = runtime;
  const { incarnation, version } = source;
  const status = await attempt("look at", path, fileSystem.status(path));
  const own = `fulmar-${incarnation.slice(0, 8)}-${String(version).padStart(12, "0")}.backup`;
  const file = status?.kind === "directory" ? fileSystem.join(path, own) : path;
  await refuseExisting(runtime, file);
  const parent = fileSystem.parent(file);
  if ((await attempt("look at", parent, fileSystem.status(parent)))?.kind !== "directory") {
    throw new FulmarError("PATH_UNUSABLE", `there is no directory ${parent}: make it first`, {
      path: parent,
    });
  }
  await refuseStoreName(runtime, parent, file);
  const suffix = `.${incarnation}${TEMPORARY}`;
  for (const name of await attempt("list", parent, fileSystem.list(parent))) {
    if (name.endsWith(suffix)) await removeFile(fileSystem, fileSystem.join(parent, name));
  }
  return { path: file, temporary: file + suffix };
}

/** Refuses what a store would take for a file of its own: it would remove it, or be led astray by it. */
async function refuseStoreName({ fileSystem }: DiskRuntime, parent: string, path: string): Promise<void> {
  const directory = await attempt("look at", parent, fileSystem.realPath(parent));
  const name = /[^/\\]*$/.exec(path)?.[0] ?? "";
  for (const root of [directory, fileSystem.parent(directory)]) {
    const { manifest, log, checkpoints } = layoutOf(fileSystem, root);
    const isFile = directory === log || directory === checkpoints;
    if (!(directory === root ? isRootName(name) : isFile && isFileName(name))) continue;
    if ((await attempt("look at", manifest, fileSystem.status(manifest))) === undefined) continue;
    const message = `${path} is a name that the store in ${root} uses itself: choose another`;
    throw new FulmarError("PATH_UNUSABLE", message, { path });
  }
}

async function refuseExisting(runtime: DiskRuntime, path: string): Promise<void> {
  // Not where a symbolic link leads: the link is what would be overwritten.
  if (!(await attempt("look at", path, runtime.fileSystem.isNamed(path)))) return;
  const message = `${path} exists already: choose another name, or remove it first`;
  throw new FulmarError("ALREADY_EXISTS", message, { path });
}

/**
 * Writes a state into one file, reads it back, and gives it its name once every checksum is right and all of
 * it is on stable storage. When this rejects nothing of it is left.
 */
export async function writeBackup(
  context: BackupContext,
  target: BackupTarget,
  source: BackupSource,
): Promise<BackupSummary> {
  const { fileSystem } = context.runtime;
  let written: WrittenCheckpoint | undefined;
  const handle = await createDurably(fileSystem, target.temporary, target.path, async (file) => {
    written = await fill(context, file, source);
    await syncFile(file);
    await readBack(context, target.temporary, source.version);
    await refuseExisting(context.runtime, target.path);
  });
  await attempt("close", target.path, handle.close());
  assert(written !== undefined, "a backup is written before it gets its name");
  const { entries, bytes } = written;
  return { path: target.path, version: source.version, entries, bytes };
}

async function fill(
  context: BackupContext,
  file: FileHandle,
  source: BackupSource,
): Promise<WrittenCheckpoint> {
  const { runtime, origins, compressed, stopped, progress } = context;
  const { storeId, incarnation, version, seq, hlc, engine } = source;
  const hadPeers = engine.keepTombstones;
  const salt = newSalt(runtime);
  const shape = { number: 0, hadPeers, isBackup: true, compressed };
  const state = { ...shape, salt, storeId, incarnation, version, seq, hlc };
  const bytesTotal = engine.usage().recordBytes;
  const writer = new CheckpointWriter(runtime, file, stopped, (entries, bytes) =>
    progress({ phase: "write", entries, bytes, bytesTotal: Math.max(bytes, bytesTotal) }),
  );
  return writer.write({ ...source, synced: () => Promise.resolve() }, state, origins);
}

async function readBack(context: BackupContext, path: string, version: number): Promise<void> {
  const { runtime, stopped, progress } = context;
  const head = await inspectBackup(runtime, path);
  assert(head.header.version === version, "a backup holds the version that it was made of");
  await readBackup(runtime, path, head, {
    loader: undefined,
    origins: new OriginTable(),
    found: { seq: 0, hlc: 0, coverage: new Coverage() },
    progress: (entries, bytes, bytesTotal) => {
      if (stopped()) throw new FulmarError("CLOSED", "the store closed before the backup was complete");
      progress({ phase: "read", entries, bytes, bytesTotal });
    },
  });
}
