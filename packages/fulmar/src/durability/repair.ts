import { FulmarError } from "../base/errors.js";
import { NUMBERS_SKIPPED } from "../base/limits.js";
import { Coverage } from "../record/coverage.js";
import type { CareProgress, RepairReport } from "./care-types.js";
import { checkPrepared } from "./check-prepared.js";
import type { VerifyReport } from "./directory-types.js";
import { attempt, createDurably, removeFile, syncDirectory, writeFully } from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import { checkpointNumber, keptName, type Layout, layoutOf, segmentNumber, TEMPORARY } from "./layout.js";
import { lockForReading } from "./lock-for-reading.js";
import { MadeDirectories } from "./made-directories.js";
import { commitNewStore, prepareNewStore, type WholeState } from "./new-store.js";
import { type Mark, notAReport, REPORT, readMark, readReport } from "./repair-mark.js";
import { listIfThere, type Salvaged, salvage } from "./salvage.js";
import { nextNumber } from "./upgrade.js";
import { verifyHeld } from "./verify.js";

export interface RepairContext {
  readonly runtime: DiskRuntime;
  /** Only tells what a repair would save. */
  readonly dryRun: boolean;
  readonly stopped: () => boolean;
  readonly progress: (progress: CareProgress) => void;
}

/**
 * Saves what can be saved of a damaged directory. Until everything new is durable beside the old files, these are
 * not touched; then they are moved aside, which a crash may interrupt and the next repair completes.
 */
export async function repairDirectory(context: RepairContext, path: string): Promise<RepairReport> {
  const { runtime } = context;
  const { fileSystem } = runtime;
  if ((await attempt("look at", path, fileSystem.status(path)))?.kind !== "directory") {
    throw new FulmarError("PATH_UNUSABLE", `${path} is no directory: check the path`, { path });
  }
  const layout = layoutOf(fileSystem, await attempt("open", path, fileSystem.realPath(path)));
  await refuseStranger(runtime, layout);
  if (context.dryRun) return tell(context, layout);
  const lock = await fileSystem.lock(layout.root);
  try {
    return await repairHeld(context, layout);
  } finally {
    await lock.release();
  }
}

/** What a repair would do. Writes nothing but the lock, and not that where it may not. */
async function tell(context: RepairContext, layout: Layout): Promise<RepairReport> {
  const { lock, note } = await lockForReading(context.runtime, layout.root);
  try {
    const report = await repairHeld(context, layout);
    return note === undefined ? report : { ...report, note };
  } finally {
    await lock?.release();
  }
}

async function repairHeld(context: RepairContext, layout: Layout): Promise<RepairReport> {
  const { runtime, dryRun } = context;
  const begun = await readMark(runtime, layout);
  if (begun !== undefined) {
    if (!dryRun) {
      // Whoever wrote the mark may have been killed before it was durable, and without it old files are not moved.
      await syncDirectory(runtime.fileSystem, layout.root);
      await complete(runtime, layout, begun);
    }
    return begunReport(context, layout, begun);
  }
  const sound = await verifyHeld(runtime, layout);
  if (sound?.ok === true) return unchanged(layout, sound);
  const state = await salvage({ ...context, layout, check: () => checkStopped(context) });
  if (dryRun) return { ...reportOf(layout, state), repaired: false };
  const mark = await replace(context, layout, state);
  await complete(runtime, layout, mark);
  return begunReport(context, layout, mark);
}

function checkStopped({ stopped }: RepairContext): void {
  if (stopped()) throw new FulmarError("CLOSED", "the repair was stopped");
}

/** A directory with nothing in it that was ever a store's is left alone. */
async function refuseStranger(runtime: DiskRuntime, layout: Layout): Promise<void> {
  const { fileSystem } = runtime;
  for (const path of [layout.manifest, layout.repairing]) {
    if ((await attempt("look at", path, fileSystem.status(path))) !== undefined) return;
  }
  const restoring = await attempt("look at", layout.restoring, fileSystem.status(layout.restoring));
  if (restoring === undefined && (await nextNumber(runtime, layout)) > 1) return;
  const message = `${layout.root} holds no files of a store: there is nothing to repair`;
  throw new FulmarError("NOT_A_STORE", message, { directory: layout.root });
}

function unchanged(layout: Layout, { incarnation, version, entries }: VerifyReport): RepairReport {
  const directory = layout.root;
  return { repaired: false, damaged: false, directory, incarnation, version, entries, files: [] };
}

function reportOf(layout: Layout, { sink, files }: Salvaged): RepairReport {
  const { entries } = sink.engine.usage();
  const { incarnation, version } = sink;
  return { repaired: true, damaged: true, directory: layout.root, incarnation, version, entries, files };
}

/** Writes everything new, and the mark that leads to it. */
async function replace(context: RepairContext, layout: Layout, state: Salvaged): Promise<Mark> {
  const { runtime, stopped } = context;
  const number = await nextNumber(runtime, layout);
  runtime.keyring?.goOnAs(state.keyId);
  const bytesTotal = state.sink.engine.usage().recordBytes;
  const progress = (entries: number, bytes: number): void =>
    context.progress({ phase: "write", entries, bytes, bytesTotal: Math.max(bytes, bytesTotal) });
  await prepareNewStore({ runtime, layout, number, stopped, progress }, wholeState(state));
  await checkPrepared(runtime, layout, number);
  const keptIn = await nextKept(runtime, layout);
  const mark: Mark = { keptIn, number };
  await prepareKept(runtime, layout, mark, reportOf(layout, state));
  return mark;
}

/** Makes the directory for the old files, with the report, and then the mark. */
async function prepareKept(
  runtime: DiskRuntime,
  layout: Layout,
  mark: Mark,
  report: RepairReport,
): Promise<void> {
  const { fileSystem } = runtime;
  const made = new MadeDirectories(fileSystem);
  const kept = fileSystem.join(layout.root, mark.keptIn);
  const reported = fileSystem.join(kept, REPORT);
  try {
    for (const path of [kept, ...["log", "checkpoint"].map((name) => fileSystem.join(kept, name))]) {
      await made.make(path);
    }
    await syncDirectory(fileSystem, kept);
    await writeText(runtime, reported, JSON.stringify({ ...report, keptIn: kept }));
    await syncDirectory(fileSystem, layout.root);
    await writeText(runtime, layout.repairing, JSON.stringify(mark));
  } catch (error) {
    // Where a mark could not be taken back the next repair goes on with what it leads to.
    const isMarked = await fileSystem.isNamed(layout.repairing).catch(() => true);
    if (isMarked) throw error;
    await removeFile(fileSystem, reported).catch(() => undefined);
    await made.unmake();
    throw error;
  }
}

/** What the repair with this mark reported: written before the mark was, perhaps where the directory was then. */
async function begunReport(context: RepairContext, layout: Layout, mark: Mark): Promise<RepairReport> {
  const { runtime, dryRun } = context;
  const keptIn = runtime.fileSystem.join(layout.root, mark.keptIn);
  const report = await readReport(runtime, layout, mark.keptIn);
  if (report === undefined) throw notAReport(runtime, layout, mark);
  return { ...report, repaired: !dryRun, directory: layout.root, keptIn };
}

function wholeState({ sink, storeId, hadPeers, compressed, usedVersion }: Salvaged): WholeState {
  const { engine, origins, incarnation, seq, hlc } = sink;
  const version = Math.max(1, sink.version);
  engine.settle(version);
  const coverage = new Coverage();
  if (seq > 0) coverage.set(incarnation, { upTo: seq, holes: [] });
  const used = Math.max(version, usedVersion) + NUMBERS_SKIPPED;
  const numbers = { version, usedVersion: used, seq, hlc };
  return { engine, origins, coverage, hadPeers, compressed, storeId, incarnation, ...numbers };
}

/** The name of the directory for the old files. */
async function nextKept(runtime: DiskRuntime, layout: Layout): Promise<string> {
  const { fileSystem } = runtime;
  for (let count = 1; ; count++) {
    const keptIn = keptName(count);
    const path = fileSystem.join(layout.root, keptIn);
    // One without files is left of a repair that was interrupted before it moved anything.
    if (await hasFiles(runtime, path)) continue;
    await removeFile(fileSystem, fileSystem.join(path, REPORT));
    return keptIn;
  }
}

async function hasFiles(runtime: DiskRuntime, kept: string): Promise<boolean> {
  const { fileSystem } = runtime;
  const manifest = fileSystem.join(kept, "MANIFEST");
  if ((await attempt("look at", manifest, fileSystem.status(manifest))) !== undefined) return true;
  for (const name of ["log", "checkpoint"]) {
    if ((await listIfThere(runtime, fileSystem.join(kept, name))).length > 0) return true;
  }
  return false;
}

/** Moves the old files aside and gives the new ones their names. Can be done again after an interruption. */
async function complete(runtime: DiskRuntime, layout: Layout, { keptIn: name, number }: Mark): Promise<void> {
  const { fileSystem } = runtime;
  const keptIn = fileSystem.join(layout.root, name);
  const isOld = (found: number | undefined): boolean => found !== undefined && found < number;
  const moves: [string, string, (name: string) => boolean][] = [
    [layout.log, "log", (name) => isOld(segmentNumber(name))],
    [layout.checkpoints, "checkpoint", (name) => isOld(checkpointNumber(name))],
  ];
  for (const [from, to, selects] of moves) await moveAll(runtime, from, fileSystem.join(keptIn, to), selects);
  // While the new manifest has not got its name, one that stands there is the old one.
  const pending = await attempt("look at", layout.manifest, fileSystem.status(layout.manifest + TEMPORARY));
  if (pending !== undefined) await moveAll(runtime, layout.root, keptIn, (name) => name === "MANIFEST");
  await commitNewStore(runtime, layout, number);
  await unmark(runtime, layout, { keptIn: name, number });
}

async function unmark(runtime: DiskRuntime, layout: Layout, mark: Mark): Promise<void> {
  const { fileSystem } = runtime;
  await removeFile(fileSystem, layout.repairing);
  try {
    await syncDirectory(fileSystem, layout.root);
  } catch (error) {
    // The system may forget the removal, so that the mark is back one day: the next attempt has to remove it again.
    await writeText(runtime, layout.repairing, JSON.stringify(mark)).catch(() => undefined);
    throw error;
  }
}

async function moveAll(
  runtime: DiskRuntime,
  from: string,
  to: string,
  selects: (name: string) => boolean,
): Promise<void> {
  const { fileSystem } = runtime;
  const moved: [from: string, to: string][] = [];
  try {
    for (const name of await listIfThere(runtime, from)) {
      if (!selects(name)) continue;
      const [path, target] = [fileSystem.join(from, name), fileSystem.join(to, name)];
      await attempt("rename", path, fileSystem.rename(path, target));
      moved.push([path, target]);
    }
    await syncDirectory(fileSystem, to);
    await syncDirectory(fileSystem, from);
  } catch (error) {
    // The system may forget the names that a failed sync was for: the next attempt has to give them again.
    for (const [path, target] of moved) await fileSystem.rename(target, path).catch(() => undefined);
    throw error;
  }
}

async function writeText(runtime: DiskRuntime, path: string, text: string): Promise<void> {
  const handle = await createDurably(runtime.fileSystem, path + TEMPORARY, path, (file) =>
    writeFully(file, new TextEncoder().encode(text), 0),
  );
  await attempt("close", path, handle.close());
}
