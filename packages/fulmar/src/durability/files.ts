import { codeOf, FulmarError, fileError } from "../base/errors.js";
import type { FileHandle, FileSystem, FilesToRead, OpenMode, Runtime } from "../base/runtime/interface.js";

const CORRUPT_REMEDY =
  'nothing was changed; run "fulmar check", then restore a backup, copy from a peer, or use "fulmar repair"';
/** For what is read of the log beside the store: its bytes may be of no other use. */
export const HISTORY_REMEDY =
  'begin at a later version; "fulmar check" tells whether more than the history is damaged, and what helps then';

/** The error for stored bytes that cannot be right. `offset` is where in the file they are. */
export function corrupt(file: string, offset: number, what: string, remedy = CORRUPT_REMEDY): FulmarError {
  return new FulmarError("CORRUPT", `${file} is damaged at byte ${offset}: ${what}; ${remedy}`, {
    file,
    offset,
  });
}

/** The error for bytes with right checksums that are not what was sealed: somebody changed or moved them. */
export function notSealed(path: string, position: number, part: string, remedy?: string): FulmarError {
  return corrupt(path, position, `${part} has a right checksum, but is not what was encrypted there`, remedy);
}

export function formatNewer(file: string, version: number): FulmarError {
  const message = `a newer version of Fulmar wrote ${file}, in format ${version}: update Fulmar`;
  return new FulmarError("FORMAT_NEWER", message, { file, version });
}

const OLDER_REMEDY =
  "open it with this version of Fulmar, which brings it to the present format where it can read it; where not, dump" +
  " it with the version that wrote it, and load the dump";
/** For the open that cannot. */
export const UNREADABLE_REMEDY =
  "this version of Fulmar cannot read that; nothing was changed; dump it with the version that wrote it" +
  ' ("fulmar dump"), and load the dump into a new store with this one ("fulmar load")';

export function formatOlder(file: string, version: number, remedy = OLDER_REMEDY): FulmarError {
  return new FulmarError("FORMAT_OLDER", `${file} has format ${version}: ${remedy}`, { file, version });
}

/** The error for a sync that failed: nobody knows what is on disk. One that says more stays what it is. */
export function unknownOutcome(cause: unknown, path: string): FulmarError {
  if (cause instanceof FulmarError) return cause;
  const message = `a sync of ${path} failed: what is on disk is unknown; reopen the store to find out`;
  return new FulmarError("DURABILITY_UNKNOWN", message, { path, cause });
}

/** Awaits a file operation and turns its error into one of the catalogue. */
export async function attempt<T>(action: string, path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw fileError(cause, action, path);
  }
}

/** The names in a directory that the manifest says exists. */
export async function listOwn(fileSystem: FilesToRead, directory: string): Promise<string[]> {
  try {
    return await fileSystem.list(directory);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") throw corrupt(directory, 0, "the directory is missing");
    throw fileError(cause, "list", directory);
  }
}

export function openFile(fileSystem: FilesToRead, path: string, mode: OpenMode): Promise<FileHandle> {
  return attempt(mode === "create" ? "create" : "open", path, fileSystem.open(path, mode));
}

/** Opens a file for the time of `work`. */
export async function withFile<T>(
  fileSystem: FilesToRead,
  path: string,
  mode: OpenMode,
  work: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  const handle = await openFile(fileSystem, path, mode);
  try {
    return await work(handle);
  } finally {
    await attempt("close", path, handle.close());
  }
}

/** Writes all of `bytes`, going on after short writes. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const count = await attempt("write", handle.path, handle.write(bytes.subarray(done), position + done));
    if (count <= 0) throw fileError(undefined, "write", handle.path);
    done += count;
  }
}

/** Reads until `target` is full or the file ends; returns the bytes read. */
export async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const count = await attempt("read", handle.path, handle.read(target.subarray(done), position + done));
    if (count === 0) break;
    done += count;
  }
  return done;
}

export async function syncFile(handle: FileHandle): Promise<void> {
  await attempt("sync", handle.path, handle.syncData());
}

export async function syncDirectory(fileSystem: FileSystem, path: string): Promise<void> {
  await attempt("sync", path, fileSystem.syncDirectory(path));
}

/** Removes a file if it is there, or a symbolic link that has its name. */
export async function removeFile(fileSystem: FileSystem, path: string): Promise<void> {
  if (!(await attempt("look at", path, fileSystem.isNamed(path)))) return;
  await attempt("remove", path, fileSystem.remove(path));
}

/** Creates a file under a temporary name, fills and syncs it, and gives it its name durably. */
export async function createDurably(
  fileSystem: FileSystem,
  temporary: string,
  path: string,
  fill: (handle: FileHandle) => Promise<void>,
): Promise<FileHandle> {
  await removeFile(fileSystem, temporary);
  const replaces = (await attempt("look at", path, fileSystem.status(path))) !== undefined;
  const handle = await openFile(fileSystem, temporary, "create");
  let leftover = temporary;
  try {
    await fill(handle);
    await syncFile(handle);
    await attempt("rename", path, fileSystem.rename(temporary, path));
    // Under a new name it is of no use to anybody; in the place of another file it is all there is.
    leftover = replaces ? temporary : path;
    await syncDirectory(fileSystem, fileSystem.parent(path));
    return handle;
  } catch (error) {
    await handle.close().catch(() => undefined);
    await removeFile(fileSystem, leftover).catch(() => undefined);
    throw error;
  }
}

/** Lets I/O through during long work: at the latest after this much work or time. */
export const SLICE_BYTES = 1024 * 1024;
const SLICE_MS = 4;

/** Gives the event loop a turn often enough that no other work waits long. */
export class Pacer {
  readonly #runtime: Pick<Runtime, "clock" | "timers">;
  #bytes = 0;
  #sinceMs: number;

  constructor(runtime: Pick<Runtime, "clock" | "timers">) {
    this.#runtime = runtime;
    this.#sinceMs = runtime.clock.monotonicMs();
  }

  /** Counts work; true when it is time to await {@link rest}. */
  worked(bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes >= SLICE_BYTES) return true;
    // Reading the clock costs as much as a small entry, so not for each.
    if ((this.#bytes & 0x3fff) >= bytes) return false;
    return this.#runtime.clock.monotonicMs() - this.#sinceMs >= SLICE_MS;
  }

  async rest(): Promise<void> {
    await this.#runtime.timers.turn();
    this.rested();
  }

  /** Something else was waited for that let the event loop turn. */
  rested(): void {
    this.#bytes = 0;
    this.#sinceMs = this.#runtime.clock.monotonicMs();
  }
}
