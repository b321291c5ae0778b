import type { FileHandle, FileSystem, Runtime } from "../base/runtime/interface.js";
import type { MemoryEngine } from "../memory/engine.js";
import { createEntryHash } from "../memory/entry-hash.js";
import { createEngine } from "../memory/offheap/engine.js";
import type { Coverage } from "../record/coverage.js";
import type { OriginId, OriginTable } from "../record/origins.js";
import { CheckpointWriter, type WrittenCheckpoint } from "./checkpoint-writer.js";
import { attempt, removeFile, syncDirectory, syncFile, withFile, writeFully } from "./files.js";
import { fillManifest } from "./first-open.js";
import type { DiskRuntime } from "./keyring.js";
import { checkpointName, type Layout, segmentName, TEMPORARY } from "./layout.js";
import { MadeDirectories } from "./made-directories.js";
import { newSalt, openedSegment } from "./segment-pool.js";

/** The contents of a store that is written in one go. */
export interface WholeState {
  readonly engine: MemoryEngine;
  readonly origins: OriginTable;
  readonly coverage: Coverage;
  readonly hadPeers: boolean;
  /** Whether its checkpoint is compressed; not unless set. */
  readonly compressed?: boolean;
  readonly storeId: string;
  readonly incarnation: OriginId;
  /** The version of the state, at least 1. */
  readonly version: number;
  /** Numbers up to these count as used; `usedVersion` is at least `version`. */
  readonly usedVersion: number;
  readonly seq: number;
  readonly hlc: number;
}

export interface NewStoreContext {
  readonly runtime: DiskRuntime;
  readonly layout: Layout;
  /** Number of the checkpoint, and of the segment behind it. No file may have them. */
  readonly number: number;
  readonly stopped: () => boolean;
  readonly progress: (entries: number, bytes: number) => void;
}

/** A store that is written under temporary names, durably, and needs only to be given its names. */
export interface PreparedStore {
  readonly written: WrittenCheckpoint;
  readonly number: number;
}

/**
 * Writes checkpoint, first segment and manifest of a store under temporary names. When it rejects none of them is
 * left, as far as the disk allows.
 */
export async function prepareNewStore(context: NewStoreContext, state: WholeState): Promise<PreparedStore> {
  const { runtime, layout, number } = context;
  const made = new MadeDirectories(runtime.fileSystem);
  try {
    return await writeNewStore(context, state, made);
  } catch (error) {
    for (const path of [...pathsOf(runtime.fileSystem, layout, number), layout.manifest]) {
      await removeFile(runtime.fileSystem, path + TEMPORARY).catch(() => undefined);
    }
    await made.unmake();
    throw error;
  }
}

async function writeNewStore(
  context: NewStoreContext,
  state: WholeState,
  made: MadeDirectories,
): Promise<PreparedStore> {
  const { runtime, layout, number } = context;
  const { fileSystem } = runtime;
  for (const directory of [layout.log, layout.checkpoints]) await made.make(directory);
  const { storeId, incarnation, version, usedVersion, seq, hlc, hadPeers } = state;
  const written = await writeCheckpointFile(context, state);
  const { end, crc } = await writeSegmentFile(context, state);
  const checkpoint = { number, version, bytes: written.bytes, crc: written.crc };
  const synced = { segment: number, position: end, crc, version };
  const identity = { storeId, incarnation, hadPeers, clean: true, firstSegment: number };
  const manifest = { ...identity, checkpoint, synced, version: usedVersion, seq, hlc };
  await writeTemporary(runtime, layout.manifest, async (file) => {
    await fillManifest(runtime, file, manifest);
  });
  for (const directory of [layout.log, layout.checkpoints, layout.root]) {
    await syncDirectory(fileSystem, directory);
  }
  return { written, number };
}

/** Gives a prepared store its names, the manifest last. Can be done again after an interruption. */
export async function commitNewStore(runtime: DiskRuntime, layout: Layout, number: number): Promise<void> {
  const { fileSystem } = runtime;
  const [checkpoint, segment] = pathsOf(runtime.fileSystem, layout, number);
  for (const path of [checkpoint, segment, layout.manifest]) {
    const isPending = (await attempt("look at", path, fileSystem.status(path + TEMPORARY))) !== undefined;
    if (isPending) await giveName(fileSystem, path);
    // An attempt that ended after the rename may not have come to this.
    else await syncDirectory(fileSystem, fileSystem.parent(path));
  }
}

async function giveName(fileSystem: FileSystem, path: string): Promise<void> {
  const replaces = await attempt("look at", path, fileSystem.isNamed(path));
  await attempt("rename", path, fileSystem.rename(path + TEMPORARY, path));
  try {
    await syncDirectory(fileSystem, fileSystem.parent(path));
  } catch (error) {
    // The system may forget the name that this sync was for; the next attempt has to give it again. In the place of
    // an old manifest the new one is all there is: the next open writes it anew.
    if (!replaces) await fileSystem.rename(path, path + TEMPORARY).catch(() => undefined);
    throw error;
  }
}

/** Where checkpoint and segment of a store with this number will be. */
function pathsOf(fileSystem: FileSystem, layout: Layout, number: number): [string, string] {
  const checkpoint = fileSystem.join(layout.checkpoints, checkpointName(number));
  return [checkpoint, fileSystem.join(layout.log, segmentName(number))];
}

async function writeTemporary(
  runtime: DiskRuntime,
  path: string,
  fill: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = path + TEMPORARY;
  await removeFile(runtime.fileSystem, temporary);
  await withFile(runtime.fileSystem, temporary, "create", async (file) => {
    await fill(file);
    await syncFile(file);
  });
}

async function writeSegmentFile(
  context: NewStoreContext,
  state: WholeState,
): Promise<{ end: number; crc: number }> {
  const { runtime, layout, number } = context;
  const { storeId, incarnation, version } = state;
  const opening = {
    base: version,
    syncedThrough: version,
    predecessorCrc: 0,
    previousSegment: 0,
    previousEnd: 0,
  };
  const segment = await openedSegment(runtime, { storeId, incarnation }, number, opening);
  const [, path] = pathsOf(runtime.fileSystem, layout, number);
  await writeTemporary(runtime, path, (file) => writeFully(file, segment.bytes, 0));
  return { end: segment.bytes.length, crc: segment.crc };
}

async function writeCheckpointFile(context: NewStoreContext, state: WholeState): Promise<WrittenCheckpoint> {
  const { runtime, layout, number, stopped, progress } = context;
  const { engine, origins, coverage, storeId, incarnation, hadPeers, version, seq, hlc } = state;
  const salt = newSalt(runtime);
  const shape = { number, hadPeers, isBackup: false, compressed: state.compressed ?? false };
  const head = { ...shape, salt, storeId, incarnation, version, seq, hlc };
  const source = {
    version,
    seq,
    hlc,
    coverage,
    engine,
    read: () => undefined,
    synced: () => Promise.resolve(),
  };
  const written: WrittenCheckpoint[] = [];
  const [path] = pathsOf(runtime.fileSystem, layout, number);
  await writeTemporary(runtime, path, async (file) => {
    written.push(await new CheckpointWriter(runtime, file, stopped, progress).write(source, head, origins));
  });
  return written[0];
}

const TWO_32 = 2 ** 32;

/** An empty engine to put a state together in. */
export function newEngine(runtime: Runtime, origins: OriginTable): MemoryEngine {
  const secret = [runtime.random.below(TWO_32), runtime.random.below(TWO_32)] as const;
  return createEngine({ hash: createEntryHash(runtime.cryptography, origins), secret });
}
