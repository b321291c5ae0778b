import type { Runtime } from "../base/runtime/interface.js";
import type { MemoryEngine } from "../memory/engine.js";
import type { Coverage } from "../record/coverage.js";
import type { OriginId, OriginTable } from "../record/origins.js";
import { CheckpointWriter, type WrittenCheckpoint } from "./checkpoint-writer.js";
import { attempt, createDurably, syncDirectory } from "./files.js";
import { writeFirstManifest } from "./first-open.js";
import { checkpointName, type Layout, TEMPORARY } from "./layout.js";
import { FIRST_RECORD_AT } from "./log-scan.js";
import { newSalt, SegmentPool } from "./segment-pool.js";

/** The contents of a store that is written in one go. */
export interface WholeState {
  readonly engine: MemoryEngine;
  readonly origins: OriginTable;
  readonly coverage: Coverage;
  readonly hadPeers: boolean;
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
  readonly runtime: Runtime;
  readonly layout: Layout;
  /** Number of the checkpoint, and of the segment behind it. No file may have them. */
  readonly number: number;
  readonly stopped: () => boolean;
  readonly progress: (entries: number, bytes: number) => void;
}

/**
 * Writes checkpoint, first segment and, last of all, the manifest of a store. Each is durable before the next
 * begins, and only with the manifest is there a store.
 */
export async function writeNewStore(context: NewStoreContext, state: WholeState): Promise<WrittenCheckpoint> {
  const { runtime, layout, number } = context;
  const { storeId, incarnation, version, usedVersion, seq, hlc, hadPeers } = state;
  for (const directory of [layout.log, layout.checkpoints]) {
    await attempt("create", directory, runtime.fileSystem.makeDirectory(directory));
  }
  const written = await writeCheckpointFile(context, state);
  const pool = new SegmentPool(runtime, layout, { storeId, incarnation }, FIRST_RECORD_AT, number);
  const opening = {
    base: version,
    syncedThrough: version,
    predecessorCrc: 0,
    previousSegment: 0,
    previousEnd: 0,
  };
  const segment = await pool.createOpened(opening);
  await attempt("close", segment.path, segment.handle.close());
  await syncDirectory(runtime.fileSystem, layout.root);
  const { bytes, crc } = written;
  await writeFirstManifest(runtime, layout, {
    clean: true,
    hadPeers,
    storeId,
    incarnation,
    firstSegment: segment.number,
    checkpoint: { number, version, bytes, crc },
    synced: { segment: segment.number, position: segment.end, crc: segment.crc, version },
    version: usedVersion,
    seq,
    hlc,
  });
  return written;
}

async function writeCheckpointFile(context: NewStoreContext, state: WholeState): Promise<WrittenCheckpoint> {
  const { runtime, layout, number, stopped, progress } = context;
  const { engine, origins, coverage, storeId, incarnation, hadPeers, version, seq, hlc } = state;
  const path = runtime.fileSystem.join(layout.checkpoints, checkpointName(number));
  const salt = newSalt(runtime);
  const head = { number, hadPeers, isBackup: false, salt, storeId, incarnation, version, seq, hlc };
  const source = { version, seq, hlc, coverage, engine, synced: () => Promise.resolve() };
  const written: WrittenCheckpoint[] = [];
  const handle = await createDurably(runtime.fileSystem, path + TEMPORARY, path, async (file) => {
    written.push(await new CheckpointWriter(runtime, file, stopped, progress).write(source, head, origins));
  });
  await attempt("close", path, handle.close());
  return written[0];
}
