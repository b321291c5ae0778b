import {
  chmod,
  chown,
  lstat,
  mkdir,
  open as openHandle,
  readdir,
  realpath,
  rename,
  rmdir,
  stat,
  unlink,
} from "node:fs/promises";
import * as nodePath from "node:path";
import { codeOf } from "../../errors.js";
import type { FileStatus, FileSystem } from "../interface.js";
import { askForHolder, lockDirectory } from "./directory-lock.js";
import { openFile, statusOf } from "./file-handle.js";

const DIRECTORY_MODE = 0o700;
/** What Windows answers to a request to sync a directory, which it neither has nor needs. */
const NO_DIRECTORY_SYNC = new Set(["EISDIR", "EPERM", "EINVAL", "EACCES"]);

async function status(path: string): Promise<FileStatus | undefined> {
  try {
    return statusOf(await stat(path, { bigint: true }));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function isNamed(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

async function list(path: string): Promise<string[]> {
  // The default order of `sort` is by code unit, the same on every machine.
  return (await readdir(path)).sort();
}

/**
 * Not with `recursive`, with which Node 20 asks for ever where a directory is there but takes no other: in `/proc`, and
 * in a working directory that was removed.
 */
async function makeDirectory(path: string): Promise<void> {
  try {
    await makeOne(path);
  } catch (error) {
    const above = nodePath.dirname(path);
    // A drive that is not there has nothing above it.
    if (codeOf(error) !== "ENOENT" || above === path) throw error;
    if (!(await isDirectory(above))) await makeDirectory(above);
    // Once: what is above is there by now, whoever made it.
    await makeOne(path);
  }
}

async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path, DIRECTORY_MODE);
  } catch (error) {
    if (!(await isDirectory(path))) throw error;
  }
}

function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

async function syncDirectory(path: string): Promise<void> {
  try {
    const handle = await openHandle(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (process.platform === "win32" && NO_DIRECTORY_SYNC.has(codeOf(error) ?? "")) return;
    throw error;
  }
}

async function copyRights(from: string, to: string): Promise<void> {
  const [wanted, present] = await Promise.all([stat(from), stat(to)]);
  if (wanted.uid !== present.uid || wanted.gid !== present.gid) {
    try {
      await chown(to, wanted.uid, wanted.gid);
    } catch (error) {
      // Only root may give a file away.
      if (codeOf(error) !== "EPERM") throw error;
    }
  }
  await chmod(to, wanted.mode & 0o777);
}

/** The file system of the machine. Apart from those of the lock, errors are those of the system, with their `code`. */
export const nodeFileSystem: FileSystem = Object.freeze({
  open: openFile,
  status,
  isNamed,
  list,
  makeDirectory,
  rename: (from: string, to: string) => rename(from, to),
  remove: (path: string) => unlink(path),
  removeDirectory: (path: string) => rmdir(path),
  copyRights,
  syncDirectory,
  realPath: (path: string) => realpath(path),
  join: (directory: string, name: string) => nodePath.join(directory, name),
  parent: (path: string) => nodePath.dirname(nodePath.resolve(path)),
  lock: (directory: string) => lockDirectory(directory),
  lookForHolder: (directory: string) => askForHolder(directory),
});
