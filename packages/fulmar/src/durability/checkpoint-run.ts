import { FulmarError } from "../base/errors.js";
import { Coverage } from "../record/coverage.js";
import { OriginTable } from "../record/origins.js";
import { readCheckpoint } from "./checkpoint-reader.js";
import { CheckpointWriter, type WrittenCheckpoint } from "./checkpoint-writer.js";
import type { CheckpointSource } from "./directory-types.js";
import { attempt, createDurably, removeFile } from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import { checkpointName, checkpointNumber, type Layout, TEMPORARY } from "./layout.js";
import type { CheckpointName, Manifest } from "./manifest.js";
import { newSalt } from "./segment-pool.js";

export interface CheckpointContext {
  readonly runtime: DiskRuntime;
  readonly layout: Layout;
  readonly origins: OriginTable;
  readonly compressed: boolean;
  /** Whether to give up. */
  readonly stopped: () => boolean;
}

/**
 * Writes a checkpoint file and checks it by reading it back. When this resolves the file is durable and
 * everything in it is synced in the log, but nothing names it yet; when it rejects nothing of it is left.
 */
export async function writeCheckpoint(
  context: CheckpointContext,
  manifest: Manifest,
  source: CheckpointSource,
): Promise<CheckpointName & { entries: number }> {
  const { runtime, layout, origins, compressed, stopped } = context;
  const { fileSystem } = runtime;
  const number = await nextNumber(runtime, layout, manifest);
  const path = fileSystem.join(layout.checkpoints, checkpointName(number));
  const { storeId, incarnation } = manifest;
  const { version, seq, hlc, engine } = source;
  const hadPeers = engine.keepTombstones;
  const salt = newSalt(runtime);
  const shape = { number, hadPeers, isBackup: false, compressed };
  const state = { ...shape, salt, storeId, incarnation, version, seq, hlc };
  let written: WrittenCheckpoint | undefined;
  try {
    const handle = await createDurably(fileSystem, path + TEMPORARY, path, async (file) => {
      written = await new CheckpointWriter(runtime, file, stopped).write(source, state, origins);
    });
    await attempt("close", path, handle.close());
    if (written === undefined)
      throw new FulmarError("INVARIANT", "a checkpoint is written before it gets its name");
    const { bytes, crc, entries } = written;
    await readBack(runtime, path, { number, version, bytes, crc }, storeId);
    await source.synced();
    if (stopped()) throw new FulmarError("CLOSED", "the store closed before the checkpoint was complete");
    return { number, version, bytes, crc, entries };
  } catch (error) {
    await removeFile(fileSystem, path).catch(() => undefined);
    throw error;
  }
}

/** A number that no file has: one that a half-failed change of the manifest may name must not be overwritten. */
async function nextNumber(runtime: DiskRuntime, layout: Layout, manifest: Manifest): Promise<number> {
  const names = await attempt("list", layout.checkpoints, runtime.fileSystem.list(layout.checkpoints));
  return Math.max(manifest.checkpoint.number, ...names.map((name) => checkpointNumber(name) ?? 0)) + 1;
}

async function readBack(
  runtime: DiskRuntime,
  path: string,
  name: CheckpointName,
  storeId: string,
): Promise<void> {
  const found = { seq: 0, hlc: 0, coverage: new Coverage() };
  const target = { loader: undefined, origins: new OriginTable(), found, progress: () => undefined };
  await readCheckpoint(runtime, path, name, storeId, target);
}
