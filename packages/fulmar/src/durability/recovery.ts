import { FulmarError } from "../base/errors.js";
import { NUMBERS_MAX, NUMBERS_SKIPPED } from "../base/limits.js";
import type { FileHandle } from "../base/runtime/interface.js";
import type { MemoryEngine } from "../memory/engine.js";
import { Coverage } from "../record/coverage.js";
import type { OriginTable } from "../record/origins.js";
import { readCheckpoint } from "./checkpoint-reader.js";
import type { DirectoryOptions, Recovered } from "./directory-types.js";
import { attempt, corrupt, openFile, syncDirectory } from "./files.js";
import { finishLoad } from "./finish-load.js";
import { identityOf, newIdentity } from "./first-open.js";
import { findHistory, type PastSegment } from "./history.js";
import type { DiskRuntime, ReadRuntime } from "./keyring.js";
import { checkpointName, type Layout } from "./layout.js";
import { type LiveSegment, type LogScan, scanLog } from "./log-scan.js";
import { secureLog } from "./log-securing.js";
import type { LogSegment } from "./log-segments.js";
import { type LogEnd, type Manifest, ManifestFile, type ManifestReading, readManifest } from "./manifest.js";
import { renewManifest } from "./manifest-renewal.js";
import { listOrphans, listUnnamed, removeAll } from "./orphans.js";
import { type FoundNumbers, Replay } from "./replay.js";
import { firstCommitAt } from "./segment-format.js";
import { type PreparedSegment, SegmentPool } from "./segment-pool.js";

/** An opened directory: what a log can be started on. */
export interface Opened {
  readonly manifest: ManifestFile;
  readonly recovered: Recovered;
  readonly segments: LogSegment[];
  readonly pool: SegmentPool;
  readonly end: LogEnd;
  /** Bytes of log behind the checkpoint. */
  readonly replayedBytes: number;
  /** The key of the checkpoint; undefined when there is none, or a plain one. */
  readonly checkpointKey: string | undefined;
  /** Segments before the live ones that are kept for readers of the history. */
  readonly history: readonly PastSegment[];
}

export interface RecoveryParts {
  readonly runtime: DiskRuntime;
  readonly layout: Layout;
  readonly engine: MemoryEngine;
  readonly origins: OriginTable;
  readonly options: DirectoryOptions;
  readonly created: boolean;
}

/**
 * Loads a store and makes its directory ready to be written. Every step can be interrupted and done
 * again: up to the change of the manifest at the end nothing is lost that the next attempt needs.
 */
export async function recover(parts: RecoveryParts): Promise<Opened> {
  const { runtime, layout, options } = parts;
  const handle = await openFile(runtime.fileSystem, layout.manifest, "update");
  let log: LogSegment[] = [];
  let file: ManifestFile | undefined;
  try {
    const reading = await readManifest(runtime.checksum, handle);
    if (options.evicts === true && reading.manifest.hadPeers) {
      const message = "this store has had peers: an eviction would delete for all of them; open it without";
      throw new FulmarError("EVICTION_WITH_PEERS", message, { path: layout.root });
    }
    const status = await attempt("look at", layout.manifest, runtime.fileSystem.status(layout.manifest));
    const identity = identityOf(runtime, status?.identity ?? "");
    const copied = identity !== reading.manifest.identity;
    const incarnation = copied ? newIdentity(runtime) : reading.manifest.incarnation;
    parts.origins.intern(incarnation);
    const load = await loadStore(parts, reading.manifest, incarnation);
    const { scan } = load;
    runtime.keyring?.goOnAs(scan.live.at(-1)?.file.seal?.keyId);
    // A process killed before it synced a name that it gave leaves one that a power cut can still take; nothing is made
    // beside a manifest that may go.
    await Promise.all([layout.log, layout.root].map((path) => syncDirectory(runtime.fileSystem, path)));
    // First: a checkpoint that was interrupted may have left no room for the rest.
    await removeAll(runtime, await listUnnamed(runtime, layout, reading.manifest.checkpoint.number));
    await secureLog(runtime, layout, scan, reading.manifest.synced);
    const pool = newPool(parts, reading.manifest, incarnation, scan);
    const { segments, end } = await continueLog(runtime, pool, scan, copied);
    log = segments;
    const numbers = numbersAfter(reading.manifest, load.found, scan, copied);
    // A copy's deletions have to reach the original, should they ever meet.
    const hadPeers = reading.manifest.hadPeers || (copied && options.evicts !== true);
    const changes = { ...numbers, clean: false, hadPeers, incarnation, identity, synced: end };
    file = await changeManifest(parts, handle, reading, { ...reading.manifest, ...changes });
    const history = await keptHistory(parts, reading.manifest, scan);
    const isKept = (number: number): boolean => history.some((segment) => segment.number === number);
    await removeAll(runtime, await listOrphans(runtime, layout, file.manifest, isKept));
    const recovered: Recovered = {
      ...numbers,
      coverage: load.found.coverage,
      clean: reading.manifest.clean,
      created: parts.created,
      storeId: reading.manifest.storeId,
      incarnation,
      hadPeers,
      entries: load.entries,
      commits: load.replay.commits,
      cutBytes: scan.cutBytes,
    };
    options.onProgress?.({ phase: "log", entries: load.entries, bytes: 1, bytesTotal: 1 });
    const { checkpointKey, replay } = load;
    const opened = { manifest: file, recovered, segments, pool, end, history };
    return { ...opened, checkpointKey, replayedBytes: replay.bytes };
  } catch (error) {
    for (const open of [file ?? handle, ...log.map((segment) => segment.handle)]) {
      await open?.close().catch(() => undefined);
    }
    throw error;
  }
}

/** A manifest that was made by this very open is in no copy yet. */
async function changeManifest(
  parts: RecoveryParts,
  handle: FileHandle,
  reading: ManifestReading,
  changed: Manifest,
): Promise<ManifestFile> {
  const { runtime, layout, created } = parts;
  if (!created) return renewManifest(runtime, layout, handle, reading, changed);
  const file = new ManifestFile(runtime.checksum, handle, reading);
  await file.update(() => changed);
  return file;
}

function keptHistory(parts: RecoveryParts, manifest: Manifest, scan: LogScan): Promise<PastSegment[]> {
  const { runtime, layout, options } = parts;
  return findHistory(runtime, layout, manifest.storeId, scan.live[0].file, options.historyBytes ?? 0);
}

function newPool(parts: RecoveryParts, manifest: Manifest, incarnation: string, scan: LogScan): SegmentPool {
  const { runtime, layout, options } = parts;
  const identity = { storeId: manifest.storeId, incarnation };
  return new SegmentPool(runtime, layout, identity, options.segmentBytes, scan.lastNumber + 1);
}

interface Loaded {
  readonly found: FoundNumbers;
  readonly replay: Replay;
  readonly scan: LogScan;
  readonly entries: number;
  readonly checkpointKey: string | undefined;
}

/** Reads checkpoint and log into the engine. Changes nothing on disk. */
export async function loadStore(
  parts: Pick<RecoveryParts, "layout" | "origins"> & {
    readonly runtime: ReadRuntime;
    readonly engine: MemoryEngine | undefined;
    readonly options: Pick<DirectoryOptions, "onProgress">;
  },
  manifest: Manifest,
  incarnation: string,
): Promise<Loaded> {
  const { runtime, layout, engine, origins, options } = parts;
  const found: FoundNumbers = { seq: 0, hlc: manifest.hlc, coverage: new Coverage() };
  const { checkpoint } = manifest;
  if (engine !== undefined) engine.keepTombstones = manifest.hadPeers;
  const loader = engine?.load();
  let entries = 0;
  let checkpointKey: string | undefined;
  if (checkpoint.number > 0) {
    const path = runtime.fileSystem.join(layout.checkpoints, checkpointName(checkpoint.number));
    const progress = (count: number, bytes: number, bytesTotal: number): void =>
      options.onProgress?.({ phase: "checkpoint", entries: count, bytes, bytesTotal });
    const target = { loader, origins, found, progress };
    const read = await readCheckpoint(runtime, path, checkpoint, manifest.storeId, target);
    entries = read.entries;
    checkpointKey = read.keyId;
    if (read.header.incarnation === incarnation) found.seq = read.header.seq;
    found.coverage.advance(read.header.incarnation, read.header.seq);
    if (!manifest.hadPeers && read.tombstones > 0) {
      throw corrupt(path, 0, `of its ${entries} entries ${read.tombstones} delete what no peer has`);
    }
  }
  const replay = new Replay(loader, origins, found, incarnation, checkpoint.version);
  const scan = await scanLog(runtime, layout, manifest, replay, (bytes, bytesTotal) =>
    options.onProgress?.({ phase: "log", entries: entries + replay.entries, bytes, bytesTotal }),
  );
  replay.finish();
  if (loader !== undefined) await finishLoad(runtime, loader, Math.max(checkpoint.version, scan.end.version));
  checkNumbers(layout, manifest, found, scan);
  return { found, replay, scan, entries: entries + replay.entries, checkpointKey };
}

/** Only bytes that no store wrote lead so far that numbers could not go on from there. */
function checkNumbers(layout: Layout, manifest: Manifest, found: FoundNumbers, scan: LogScan): void {
  const { checkpoint, version, seq } = manifest;
  const highest = Math.max(scan.end.version, checkpoint.version, version, seq, found.seq, found.hlc);
  if (highest > NUMBERS_MAX)
    throw corrupt(layout.root, 0, `it holds the number ${highest}, which no store reaches`);
}

/**
 * Numbers that may have been given out; after an unclean stop those that may be lost are skipped. So are, in a copied
 * directory, those that the store gave out since that it is a copy of: whoever watched that one must not take the
 * commits of this one for those.
 */
function numbersAfter(
  manifest: Manifest,
  found: FoundNumbers,
  scan: LogScan,
  copied: boolean,
): { version: number; seq: number; hlc: number } {
  const skipped = manifest.clean && !copied ? 0 : NUMBERS_SKIPPED;
  const seq = copied ? 0 : Math.max(found.seq, manifest.seq) + skipped;
  return {
    version: Math.max(scan.end.version, manifest.checkpoint.version, manifest.version) + skipped,
    seq,
    hlc: Math.max(found.hlc, manifest.hlc),
  };
}

/**
 * Goes on behind the last record, in a new segment if anything was cut off there, or if the writer or the key is
 * another.
 */
async function continueLog(
  runtime: DiskRuntime,
  pool: SegmentPool,
  scan: LogScan,
  copied: boolean,
): Promise<{ segments: LogSegment[]; end: LogEnd }> {
  const segments = scan.live.map(oldSegment);
  const last = segments[segments.length - 1];
  if (!scan.torn && !copied && last.seal?.keyId === runtime.keyring?.currentId) {
    last.handle = await openFile(runtime.fileSystem, last.path, "update");
    return { segments, end: scan.end };
  }
  const prepared = await pool.createOpened({
    base: scan.end.version,
    syncedThrough: scan.end.version,
    predecessorCrc: scan.end.crc,
    previousSegment: scan.end.segment,
    previousEnd: scan.end.position,
  });
  segments.push(begun(prepared, scan.end.version));
  const { number, end, crc } = prepared;
  return { segments, end: { segment: number, position: end, crc, version: scan.end.version } };
}

function oldSegment(segment: LiveSegment): LogSegment {
  const { number, path, sizeBytes, seal } = segment.file;
  const { end, base, header } = segment;
  const position = end;
  return {
    number,
    path,
    salt: header.salt,
    seal,
    handle: undefined,
    base,
    position,
    syncedPosition: end,
    capacity: sizeBytes,
  };
}

function begun(prepared: PreparedSegment, base: number): LogSegment {
  const { number, path, salt, seal, handle, capacity } = prepared;
  const position = firstCommitAt(seal);
  return { number, path, salt, seal, handle, base, position, syncedPosition: position, capacity };
}
