import { toHex } from "../base/bytes.js";
import { codeOf, FulmarError } from "../base/errors.js";
import type { FileHandle, FileSystem, Runtime } from "../base/runtime/interface.js";
import { ORIGIN_ID_BYTES } from "../record/origins.js";
import { ChunkReader } from "./chunk-reader.js";
import { SEAL_BYTES } from "./file-seal.js";
import { attempt, createDurably, removeFile, syncDirectory, withFile, writeFully } from "./files.js";
import { KEY_SECTION_BYTES } from "./key-section.js";
import type { DiskRuntime } from "./keyring.js";
import { isRootName, isTemporary, type Layout, segmentName, segmentNumber, TEMPORARY } from "./layout.js";
import { FIRST_RECORD_AT } from "./log-scan.js";
import { MadeDirectories } from "./made-directories.js";
import { encodeSlot, MANIFEST_BYTES, type Manifest, NO_CHECKPOINT, SLOT_BYTES } from "./manifest.js";
import { readSegmentHeader, SEALED, SEGMENT_HEADER_BYTES } from "./segment-format.js";
import { SegmentPool } from "./segment-pool.js";

/** Makes sure that the directory exists and returns its path without symbolic links. */
export async function makeRoot(runtime: Runtime, path: string, made: MadeDirectories): Promise<string> {
  const { fileSystem } = runtime;
  const missing: string[] = [];
  for (let at = path; ; at = fileSystem.parent(at)) {
    const status = await attempt("look at", at, fileSystem.status(at));
    if (status?.kind === "directory") break;
    if (status !== undefined) {
      const message = `${at} is not a directory: choose another path for the store`;
      throw new FulmarError("PATH_UNUSABLE", message, { path: at });
    }
    if (await attempt("look at", at, fileSystem.isNamed(at))) {
      const message = `${at} is a symbolic link that leads nowhere: make the directory that it names, or remove it`;
      throw new FulmarError("PATH_UNUSABLE", message, { path: at });
    }
    missing.unshift(at);
    if (fileSystem.parent(at) === at) break;
  }
  if (missing.length > 0) await made.makeAll(path, missing);
  return attempt("resolve", path, fileSystem.realPath(path));
}

/**
 * Makes the way to a new store durable: whoever made those directories, a process killed since perhaps, may
 * not have synced them. What may not be opened was made by somebody else, long ago.
 */
export async function syncAncestors(runtime: Runtime, root: string): Promise<void> {
  const { fileSystem } = runtime;
  for (let at = root; fileSystem.parent(at) !== at; ) {
    at = fileSystem.parent(at);
    await syncDirectory(fileSystem, at).catch((error: unknown) => {
      if (codeOf(error) !== "ACCESS_DENIED") throw error;
    });
  }
}

/** Whether a directory holds a store; refuses one that holds something else. */
export async function holdsStore(runtime: Runtime, layout: Layout): Promise<boolean> {
  const { fileSystem } = runtime;
  const names = await attempt("list", layout.root, fileSystem.list(layout.root));
  if ((await attempt("look at", layout.repairing, fileSystem.status(layout.repairing))) !== undefined) {
    throw unfinishedRepair(layout);
  }
  if (names.includes("MANIFEST")) return true;
  if ((await attempt("look at", layout.restoring, fileSystem.status(layout.restoring))) !== undefined) {
    const message = `${layout.root} holds an unfinished restore: run it again, or remove the directory`;
    throw new FulmarError("NOT_A_STORE", message, { directory: layout.root });
  }
  const stranger = names.find((name) => !isRootName(name));
  if (stranger !== undefined) throw notAStore(layout.root, `it holds ${stranger} and no MANIFEST`);
  for (const directory of [layout.log, layout.checkpoints]) {
    if (!names.includes(directory === layout.log ? "log" : "checkpoint")) continue;
    await refuseContents(runtime, layout, directory);
  }
  return false;
}

/** The error for a directory whose files a repair has begun to exchange. */
export function unfinishedRepair(layout: Layout): FulmarError {
  const message = `a repair of ${layout.root} was interrupted: run "fulmar repair" again to complete it`;
  return new FulmarError("CORRUPT", message, { file: layout.repairing });
}

/** What an interrupted first open leaves is at most one segment without a commit. */
async function refuseContents(runtime: Runtime, layout: Layout, directory: string): Promise<void> {
  const { fileSystem } = runtime;
  const status = await attempt("look at", directory, fileSystem.status(directory));
  if (status?.kind !== "directory") throw notAStore(layout.root, `${directory} is not a directory`);
  for (const name of await attempt("list", directory, fileSystem.list(directory))) {
    const path = fileSystem.join(directory, name);
    if (isTemporary(name)) continue;
    const unused = directory === layout.log && segmentNumber(name) === 1 && (await isUnused(runtime, path));
    if (!unused) throw notAStore(layout.root, `it holds ${path} and no MANIFEST`);
  }
}

async function isUnused(runtime: Runtime, path: string): Promise<boolean> {
  return withFile(runtime.fileSystem, path, "read", async (handle) => {
    const reader = new ChunkReader(handle, await attempt("look at", path, handle.size()));
    const { sizeBytes } = reader;
    if (sizeBytes <= FIRST_RECORD_AT) return true;
    const at = await reader.load(0, SEGMENT_HEADER_BYTES);
    const header = readSegmentHeader(runtime.checksum, reader.bytes.subarray(at, at + SEGMENT_HEADER_BYTES));
    const sealed = typeof header === "object" && (header.flags & SEALED) !== 0;
    return sealed && sizeBytes <= FIRST_RECORD_AT + KEY_SECTION_BYTES + SEAL_BYTES;
  });
}

function notAStore(root: string, what: string): FulmarError {
  const message = `${root} is no data directory of Fulmar: ${what}; choose an empty one, or restore the manifest`;
  return new FulmarError("NOT_A_STORE", message, { directory: root });
}

export function newIdentity(runtime: Runtime): string {
  const id = new Uint8Array(ORIGIN_ID_BYTES);
  runtime.random.fill(id);
  return toHex(id);
}

/** The fingerprint of a manifest's file identity. */
export function identityOf(runtime: Runtime, identity: string): string {
  return toHex(runtime.cryptography.sha256(new TextEncoder().encode(identity)));
}

/**
 * Makes an empty store: the first segment is durable before the manifest that names it appears, so that
 * a crash at any step leaves an empty store or one that this function makes again.
 */
export async function createStore(runtime: DiskRuntime, layout: Layout): Promise<void> {
  const { fileSystem } = runtime;
  const made = new MadeDirectories(fileSystem);
  try {
    await fillStore(runtime, layout, made);
  } catch (error) {
    // One that could not be taken back is a store's, which needs the rest.
    const isThere = await fileSystem.isNamed(layout.manifest).catch(() => true);
    if (isThere) throw error;
    await removeFile(fileSystem, firstSegment(fileSystem, layout)).catch(() => undefined);
    await made.unmake();
    throw error;
  }
}

function firstSegment(fileSystem: FileSystem, layout: Layout): string {
  return fileSystem.join(layout.log, segmentName(1));
}

async function fillStore(runtime: DiskRuntime, layout: Layout, made: MadeDirectories): Promise<void> {
  const { fileSystem } = runtime;
  for (const directory of [layout.log, layout.checkpoints]) await made.make(directory);
  await removeFile(fileSystem, firstSegment(fileSystem, layout));
  await syncDirectory(fileSystem, layout.log);
  const storeId = newIdentity(runtime);
  const incarnation = newIdentity(runtime);
  const pool = new SegmentPool(runtime, layout, { storeId, incarnation }, FIRST_RECORD_AT, 1);
  const opening = { base: 0, syncedThrough: 0, predecessorCrc: 0, previousSegment: 0, previousEnd: 0 };
  const segment = await pool.createOpened(opening);
  await attempt("close", segment.path, segment.handle.close());
  await syncDirectory(fileSystem, layout.root);
  const synced = { segment: segment.number, position: segment.end, crc: segment.crc, version: 0 };
  const manifest: Omit<Manifest, "identity"> = {
    clean: true,
    hadPeers: false,
    storeId,
    incarnation,
    firstSegment: segment.number,
    checkpoint: NO_CHECKPOINT,
    synced,
    version: 0,
    seq: 0,
    hlc: 0,
  };
  await writeFirstManifest(runtime, layout, manifest);
}

async function writeFirstManifest(
  runtime: DiskRuntime,
  layout: Layout,
  manifest: Omit<Manifest, "identity">,
): Promise<void> {
  const temporary = layout.manifest + TEMPORARY;
  const handle = await createDurably(runtime.fileSystem, temporary, layout.manifest, async (file) => {
    await fillManifest(runtime, file, manifest);
  });
  await attempt("close", layout.manifest, handle.close());
}

/**
 * Writes both slots of a new manifest, which names the very file that it is in. `generation` is that of the manifest
 * whose place it takes.
 */
export async function fillManifest(
  runtime: DiskRuntime,
  file: FileHandle,
  manifest: Omit<Manifest, "identity">,
  generation = 0,
): Promise<Manifest> {
  const { fileSystem, checksum } = runtime;
  const status = await attempt("look at", file.path, fileSystem.status(file.path));
  const named = { ...manifest, identity: identityOf(runtime, status?.identity ?? "") };
  const bytes = new Uint8Array(MANIFEST_BYTES);
  for (const slot of [0, 1]) bytes.set(encodeSlot(checksum, named, generation + slot + 1), slot * SLOT_BYTES);
  await writeFully(file, bytes, 0);
  return named;
}
