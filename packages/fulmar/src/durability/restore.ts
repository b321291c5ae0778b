import { FulmarError } from "../base/errors.js";
import { NUMBERS_SKIPPED } from "../base/limits.js";
import { Coverage } from "../record/coverage.js";
import { type OriginId, OriginTable } from "../record/origins.js";
import { OLDER_BACKUPS, type OlderBackup, openBackup, type ReadableBackup } from "./backup-reader.js";
import type { CareProgress, RestoreSummary } from "./care-types.js";
import { attempt, createDurably, removeFile, syncDirectory } from "./files.js";
import { finishLoad } from "./finish-load.js";
import { makeRoot, newIdentity, syncAncestors } from "./first-open.js";
import type { DiskRuntime } from "./keyring.js";
import {
  checkpointNumber,
  isRootName,
  isTemporary,
  type Layout,
  layoutOf,
  segmentNumber,
  TEMPORARY,
} from "./layout.js";
import { MadeDirectories } from "./made-directories.js";
import { commitNewStore, newEngine, prepareNewStore, type WholeState } from "./new-store.js";
import { removeAll } from "./orphans.js";
import type { FoundNumbers } from "./replay.js";

export interface RestoreContext {
  readonly runtime: DiskRuntime;
  readonly stopped: () => boolean;
  readonly progress: (progress: CareProgress) => void;
  /** Readers of backups of older formats; those that there are unless given. */
  readonly olderBackups?: ReadonlyMap<number, OlderBackup>;
}

/**
 * Makes a store from a backup, in a directory that is missing or empty. The whole backup is read and checked
 * before anything is written. A restore that was interrupted is not opened as a store, and is begun again by
 * the next one.
 */
export async function restoreBackup(
  context: RestoreContext,
  backup: string,
  directory: string,
): Promise<RestoreSummary> {
  const { runtime } = context;
  const { fileSystem } = runtime;
  const status = await attempt("look at", directory, fileSystem.status(directory));
  if (status !== undefined && status.kind !== "directory") {
    const message = `${directory} is not a directory: choose another path for the store`;
    throw new FulmarError("PATH_UNUSABLE", message, { path: directory });
  }
  // Looked at twice: reading a large backup for nothing takes long, and somebody else may write meanwhile.
  if (status !== undefined) await leftovers(runtime, layoutOf(fileSystem, directory));
  const state = await load(context, backup);
  checkStopped(context);
  const made = new MadeDirectories(fileSystem);
  try {
    return await restoreInto(context, layoutOf(fileSystem, await makeRoot(runtime, directory, made)), state);
  } catch (error) {
    await made.unmake();
    throw error;
  }
}

async function restoreInto(
  context: RestoreContext,
  layout: Layout,
  state: WholeState,
): Promise<RestoreSummary> {
  const { runtime } = context;
  const { fileSystem } = runtime;
  const lock = await fileSystem.lock(layout.root);
  try {
    const old = await leftovers(runtime, layout);
    await syncAncestors(runtime, layout.root);
    await mark(runtime, layout);
    await removeAll(runtime, old);
    const entries = await write(context, layout, state);
    await removeFile(fileSystem, layout.restoring);
    await syncDirectory(fileSystem, layout.root);
    const { storeId, incarnation, version } = state;
    return { directory: layout.root, storeId, incarnation, version, entries };
  } finally {
    await lock.release();
  }
}

async function write(context: RestoreContext, layout: Layout, state: WholeState): Promise<number> {
  const { runtime, stopped } = context;
  const bytesTotal = state.engine.usage().recordBytes;
  const progress = (entries: number, bytes: number): void =>
    context.progress({ phase: "write", entries, bytes, bytesTotal: Math.max(bytes, bytesTotal) });
  const { written } = await prepareNewStore({ runtime, layout, number: 1, stopped, progress }, state).catch(
    async (error: unknown) => {
      await unmark(runtime, layout).catch(() => undefined);
      throw error;
    },
  );
  await commitNewStore(runtime, layout, 1);
  return written.entries;
}

function checkStopped({ stopped }: RestoreContext): void {
  if (stopped()) throw new FulmarError("CLOSED", "the restore was stopped");
}

/**
 * From here on the directory is neither empty nor a store, until its manifest stands. A mark that is there is replaced
 * in one step: without any, what is left of an attempt before would be somebody else's.
 */
async function mark(runtime: DiskRuntime, layout: Layout): Promise<void> {
  const path = layout.restoring;
  const handle = await createDurably(runtime.fileSystem, path + TEMPORARY, path, async () => {});
  await attempt("close", path, handle.close());
}

/** Of a restore that was given up nothing is left. Files without the mark would be somebody else's, so it goes last. */
async function unmark(runtime: DiskRuntime, layout: Layout): Promise<void> {
  const { fileSystem } = runtime;
  for (const directory of [layout.log, layout.checkpoints]) {
    if ((await attempt("look at", directory, fileSystem.status(directory))) === undefined) continue;
    const names = await attempt("list", directory, fileSystem.list(directory));
    if (names.length > 0) return;
    await syncDirectory(fileSystem, directory);
  }
  await syncDirectory(fileSystem, layout.root);
  await removeFile(fileSystem, layout.restoring);
}

/** The files of an interrupted restore. Refuses a directory that holds anything else. */
async function leftovers(runtime: DiskRuntime, layout: Layout): Promise<string[]> {
  const { fileSystem } = runtime;
  const names = await attempt("list", layout.root, fileSystem.list(layout.root));
  const marked =
    (await attempt("look at", layout.restoring, fileSystem.status(layout.restoring))) !== undefined;
  const stranger = names.find((name) => name === "MANIFEST" || !isRootName(name));
  if (stranger !== undefined) throw notEmpty(layout.root, stranger);
  const files = names
    .filter((name) => name.endsWith(TEMPORARY))
    .map((name) => fileSystem.join(layout.root, name));
  for (const directory of [layout.log, layout.checkpoints]) {
    if ((await attempt("look at", directory, fileSystem.status(directory))) === undefined) continue;
    for (const name of await attempt("list", directory, fileSystem.list(directory))) {
      const numbered = segmentNumber(name) ?? checkpointNumber(name);
      const known = isTemporary(name) || numbered !== undefined;
      if (!marked || !known) throw notEmpty(layout.root, name);
      files.push(fileSystem.join(directory, name));
    }
  }
  return files;
}

function notEmpty(root: string, name: string): FulmarError {
  const message = `${root} holds ${name}: restore into a directory that is missing or empty`;
  return new FulmarError("ALREADY_EXISTS", message, { path: root });
}

async function load(context: RestoreContext, backup: string): Promise<WholeState> {
  const { runtime, progress, olderBackups = OLDER_BACKUPS } = context;
  const opened = await openBackup(runtime, backup, olderBackups);
  const { facts } = opened;
  const read = new OriginTable();
  const engine = newEngine(runtime, read);
  engine.keepTombstones = facts.hadPeers;
  const found: FoundNumbers = { seq: 0, hlc: 0, coverage: new Coverage() };
  const loader = engine.load();
  await opened.read({
    loader,
    origins: read,
    found,
    progress: (entries, bytes, bytesTotal) => {
      checkStopped(context);
      progress({ phase: "read", entries, bytes, bytesTotal });
    },
  });
  await finishLoad(runtime, loader, facts.version);
  found.coverage.advance(facts.incarnation, facts.seq);
  return { engine, ...identify(runtime, facts, read, found) };
}

/**
 * The identity of what is restored is new in any case: the store that the backup is of may have gone on, and
 * nobody knows which numbers it gave out. If it had peers, its commits stay its own, as a foreign origin's. If
 * it never had any, it kept no tombstones, and what it deleted since could not be told apart from what the
 * restored store must give back to it, should the two ever meet: then all commits become the new store's own.
 */
function identify(
  runtime: DiskRuntime,
  facts: ReadableBackup["facts"],
  read: OriginTable,
  found: FoundNumbers,
): Omit<WholeState, "engine"> {
  const incarnation = newIdentity(runtime);
  const { storeId, version, compressed } = facts;
  const adopted = !facts.hadPeers && read.size <= 1;
  const renamed = (id: OriginId): OriginId => (adopted && id === facts.incarnation ? incarnation : id);
  const origins = new OriginTable();
  for (let number = 1; number <= read.size; number++) origins.intern(renamed(read.id(number)));
  const coverage = new Coverage();
  for (const [id, covered] of found.coverage.origins()) coverage.set(renamed(id), covered);
  const seq = adopted ? facts.seq : 0;
  const hadPeers = !adopted;
  const usedVersion = version + NUMBERS_SKIPPED;
  const numbers = { version, usedVersion, seq, hlc: found.hlc };
  return { origins, coverage, hadPeers, compressed, storeId, incarnation, ...numbers };
}
