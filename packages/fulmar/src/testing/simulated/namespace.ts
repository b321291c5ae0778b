import { type DiskState, ROOT } from "./disk-state.js";
import type { DirectoryInode, Inode } from "./inode.js";
import { SystemError } from "./system-error.js";

/** The names of an absolute path, with "." and ".." resolved; a relative path starts at "/". */
export function namesOf(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === "..") names.pop();
    else names.push(name);
  }
  return names;
}

export function normalPath(path: string): string {
  return `/${namesOf(path).join("/")}`;
}

/** What `path` means now; undefined when nothing is there. */
export function find(state: DiskState, path: string, call: string): Inode | undefined {
  let inode = state.inodes.get(ROOT);
  for (const name of namesOf(path)) {
    if (inode === undefined) return undefined;
    if (inode.kind !== "directory") throw new SystemError("ENOTDIR", call, path);
    const number = inode.volatile.get(name);
    inode = number === undefined ? undefined : state.inodes.get(number);
  }
  return inode;
}

/** What `path` means now; ENOENT when nothing is there. */
export function mustFind(state: DiskState, path: string, call: string): Inode {
  const inode = find(state, path, call);
  if (inode === undefined) throw new SystemError("ENOENT", call, path);
  return inode;
}

export function mustFindDirectory(state: DiskState, path: string, call: string): DirectoryInode {
  const inode = mustFind(state, path, call);
  if (inode.kind !== "directory") throw new SystemError("ENOTDIR", call, path);
  return inode;
}

/** The directory that holds, or would hold, `path`, and its name there. */
export function place(
  state: DiskState,
  path: string,
  call: string,
): { directory: DirectoryInode; name: string } {
  const names = namesOf(path);
  const name = names.pop();
  if (name === undefined) throw new SystemError("EISDIR", call, path);
  return { directory: mustFindDirectory(state, `/${names.join("/")}`, call), name };
}
