import { FulmarError } from "../base/errors.js";
import { OriginTable } from "../record/origins.js";
import type { DirectoryProgress, Finding, VerifyReport } from "./directory-types.js";
import { refuseDirectories } from "./file-places.js";
import { attempt, listOwn, withFile } from "./files.js";
import { identityOf, unfinishedRepair } from "./first-open.js";
import { findHistory, inspectIfSound } from "./history.js";
import type { DiskRuntime } from "./keyring.js";
import {
  checkpointNumber,
  isRootName,
  isTemporary,
  type Layout,
  layoutOf,
  segmentName,
  segmentNumber,
  TEMPORARY,
} from "./layout.js";
import { lockForReading } from "./lock-for-reading.js";
import { type Manifest, type ManifestReading, readManifest } from "./manifest.js";
import { listOrphans } from "./orphans.js";
import { loadStore } from "./recovery.js";
import type { SegmentFile } from "./segment-reader.js";
import { checkHistory } from "./verify-history.js";

/** Errors that tell of stored bytes. */
const ABOUT_BYTES = ["CORRUPT", "FORMAT_NEWER", "FORMAT_OLDER"] as const;

type Contents = Pick<VerifyReport, "version" | "segments" | "commits" | "entries">;

/**
 * Checks every checksum and every relation between the files of a directory, without changing anything, and under
 * its lock unless that cannot be written. Rejects only when the directory cannot be read at all: LOCKED, NOT_A_STORE,
 * errors of the disk; what is wrong with its contents is in the report.
 */
export async function verifyDirectory(
  runtime: DiskRuntime,
  path: string,
  onProgress?: (progress: DirectoryProgress) => void,
): Promise<VerifyReport> {
  const { fileSystem } = runtime;
  const root = await attempt("open", path, fileSystem.realPath(path));
  const layout = layoutOf(fileSystem, root);
  if (!(await isThere(runtime, layout.manifest)) && !(await isThere(runtime, layout.repairing))) {
    const message = `${root} holds no MANIFEST: it is no data directory of Fulmar, or "fulmar repair" may help`;
    throw new FulmarError("NOT_A_STORE", message, { directory: root });
  }
  const { lock, note } = await lockForReading(runtime, root);
  try {
    const report = (await verifyHeld(runtime, layout, onProgress)) ?? unreadable([]);
    if (note === undefined) return report;
    return { ...report, findings: [{ severity: "note", file: root, message: note }, ...report.findings] };
  } finally {
    await lock?.release();
  }
}

/** The same under a lock that the caller holds; undefined when there is no manifest. */
export async function verifyHeld(
  runtime: DiskRuntime,
  layout: Layout,
  onProgress?: (progress: DirectoryProgress) => void,
): Promise<VerifyReport | undefined> {
  if (await isThere(runtime, layout.repairing)) {
    const { message } = unfinishedRepair(layout);
    return unreadable([{ severity: "problem", code: "CORRUPT", file: layout.repairing, message }]);
  }
  await refuseDirectories(runtime, layout);
  return (await isThere(runtime, layout.manifest)) ? verify(runtime, layout, onProgress) : undefined;
}

async function isThere(runtime: DiskRuntime, path: string): Promise<boolean> {
  return (await attempt("look at", path, runtime.fileSystem.status(path))) !== undefined;
}

async function verify(
  runtime: DiskRuntime,
  layout: Layout,
  onProgress: ((progress: DirectoryProgress) => void) | undefined,
): Promise<VerifyReport> {
  const findings: Finding[] = [];
  const reading = await collect(findings, () =>
    withFile(runtime.fileSystem, layout.manifest, "read", (handle) => readManifest(runtime.checksum, handle)),
  );
  if (reading === undefined) return unreadable(findings);
  const { manifest } = reading;
  await checkManifest(runtime, layout, reading, findings);
  const progress = onProgress === undefined ? {} : { onProgress };
  const origins = new OriginTable();
  origins.intern(manifest.incarnation);
  const load = await collect(findings, () =>
    loadStore(
      { runtime, layout, engine: undefined, origins, options: progress },
      manifest,
      manifest.incarnation,
    ),
  );
  const found: Contents = {
    version: Math.max(load?.scan.end.version ?? 0, manifest.checkpoint.version),
    segments: load?.scan.live.length ?? 0,
    commits: load?.replay.commits ?? 0,
    entries: load?.entries ?? 0,
  };
  if (load !== undefined && load.scan.cutBytes > 0) {
    const { segment, position } = load.scan.end;
    const message = `a torn tail of ${load.scan.cutBytes} bytes, never synced, will be cut off at the next open`;
    const file = runtime.fileSystem.join(layout.log, segmentName(segment));
    findings.push({ severity: "note", file, offset: position, message });
  }
  await lookBehind(runtime, layout, manifest, load?.scan.live[0].file, findings);
  const { checkpoint, storeId, incarnation, clean } = manifest;
  const { number, version, bytes } = checkpoint;
  const entries = (load?.entries ?? 0) - (load?.replay.entries ?? 0);
  return {
    kind: "directory",
    ok: findings.every((finding) => finding.severity !== "problem"),
    ...{ clean, storeId, incarnation, ...found, findings },
    ...(number > 0 ? { checkpoint: { number, version, entries, bytes } } : {}),
  };
}

function unreadable(findings: readonly Finding[]): VerifyReport {
  return {
    kind: "directory",
    ok: false,
    clean: false,
    storeId: "",
    incarnation: "",
    version: 0,
    segments: 0,
    commits: 0,
    entries: 0,
    findings,
  };
}

async function checkManifest(
  runtime: DiskRuntime,
  layout: Layout,
  reading: ManifestReading,
  findings: Finding[],
): Promise<void> {
  const { damagedSlot } = reading;
  if (damagedSlot !== undefined) {
    const message = `slot ${damagedSlot} is damaged or was never finished; the other one is whole`;
    findings.push({ severity: "note", file: layout.manifest, offset: damagedSlot * 4096, message });
  }
  const status = await attempt("look at", layout.manifest, runtime.fileSystem.status(layout.manifest));
  if (identityOf(runtime, status?.identity ?? "") !== reading.manifest.identity) {
    const message = "the directory is a copy: the next open gives it an identity of its own";
    findings.push({ severity: "note", file: layout.manifest, message });
  }
}

/** What no open needs: what is kept for watches, and what is left over. `loaded`: the first segment, if it was. */
async function lookBehind(
  runtime: DiskRuntime,
  layout: Layout,
  manifest: Manifest,
  loaded: SegmentFile | undefined,
  findings: Finding[],
): Promise<void> {
  const { firstSegment, storeId } = manifest;
  const opens = findings.every(({ severity }) => severity !== "problem");
  const first = loaded ?? (await firstOf(runtime, layout, manifest));
  const kept = await findHistory(runtime, layout, storeId, first, Number.POSITIVE_INFINITY);
  findings.push(...(await checkHistory(runtime, storeId, kept, first, opens)));
  // Without the opening of the first segment nobody can tell which ones before it are kept for watches.
  const isKept = (number: number): boolean =>
    first?.opening === undefined ? number < firstSegment : kept.some((segment) => segment.number === number);
  await collect(findings, () => listUnneeded(runtime, layout, manifest, isKept, opens, findings));
}

/** The first live segment of a log that could not be loaded. */
async function firstOf(
  runtime: DiskRuntime,
  layout: Layout,
  { firstSegment, storeId }: Manifest,
): Promise<SegmentFile | undefined> {
  const path = runtime.fileSystem.join(layout.log, segmentName(firstSegment));
  return (await isThere(runtime, path)) ? inspectIfSound(runtime, path, firstSegment, storeId) : undefined;
}

async function listUnneeded(
  runtime: DiskRuntime,
  layout: Layout,
  manifest: Manifest,
  isKept: (segment: number) => boolean,
  opens: boolean,
  findings: Finding[],
): Promise<void> {
  const { fileSystem } = runtime;
  for (const file of await listOrphans(runtime, layout, manifest, isKept)) {
    findings.push({ severity: "note", file, message: leftOver(file, layout, opens) });
  }
  const known = new Map<string, (name: string) => boolean>([
    [layout.root, isRootName],
    [layout.log, (name) => segmentNumber(name) !== undefined || isTemporary(name)],
    [layout.checkpoints, (name) => checkpointNumber(name) !== undefined || isTemporary(name)],
  ]);
  for (const [directory, isKnown] of known) {
    for (const name of await listOwn(fileSystem, directory)) {
      if (isKnown(name)) continue;
      const message = "not a file of Fulmar; ignored";
      findings.push({ severity: "note", file: fileSystem.join(directory, name), message });
    }
  }
}

/** What is said of a file that is neither live nor kept, as far as an open would know. */
function leftOver(file: string, { restoring }: Layout, opens: boolean): string {
  if (opens) return "left over; removed at the next open";
  // A repair goes on where the opening of a segment is damaged, and may do with an older checkpoint.
  const isUnfinished = file.endsWith(TEMPORARY) || file === restoring;
  return isUnfinished ? "left over; nothing needs it" : "no open needs it, but a repair may take from it";
}

/** Turns what is wrong with stored bytes into a finding; other errors pass. */
export async function collect<T>(findings: Finding[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FulmarError)) throw error;
    const code = ABOUT_BYTES.find((known) => known === error.code);
    if (code === undefined) throw error;
    const { file, offset } = error.details;
    findings.push({
      severity: "problem",
      code,
      file: String(file),
      ...(typeof offset === "number" ? { offset } : {}),
      message: error.message,
    });
    return undefined;
  }
}
