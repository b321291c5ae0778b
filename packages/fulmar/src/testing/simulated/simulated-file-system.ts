import type {
  DirectoryLock,
  FileHandle,
  FileStatus,
  FileSystem,
  OpenMode,
} from "../../base/runtime/interface.js";
import type { SimulatedDisk } from "./disk.js";
import { DiskCalls } from "./disk-calls.js";
import type { Inode } from "./inode.js";
import { find, mustFind, mustFindDirectory, namesOf, normalPath, place } from "./namespace.js";
import type { SimulatedProcess } from "./process.js";
import { SimulatedFileHandle, statusOf } from "./simulated-file-handle.js";
import { SystemError } from "./system-error.js";

/** A {@link SimulatedDisk} as one process sees it. Paths are POSIX; there are no symbolic links. */
export class SimulatedFileSystem implements FileSystem {
  readonly #disk: SimulatedDisk;
  readonly #process: SimulatedProcess;
  readonly #calls: DiskCalls;

  constructor(disk: SimulatedDisk, process: SimulatedProcess) {
    this.#disk = disk;
    this.#process = process;
    this.#calls = new DiskCalls(disk, process);
  }

  open(path: string, mode: OpenMode): Promise<FileHandle> {
    return this.#calls.run(mode === "create" ? "create" : "open", path, () => {
      const inode = mode === "create" ? this.#create(path) : mustFind(this.#disk.state, path, "open");
      if (inode.kind !== "file") throw new SystemError("EISDIR", "open", path);
      if (mode !== "create") this.#disk.countOpen(path);
      return new SimulatedFileHandle(this.#disk, this.#process, this.#calls, inode, path, mode !== "read");
    });
  }

  status(path: string): Promise<FileStatus | undefined> {
    return this.#calls.run("status", path, () => {
      const inode = find(this.#disk.state, path, "stat");
      if (inode === undefined) return undefined;
      return statusOf(inode);
    });
  }

  isNamed(path: string): Promise<boolean> {
    return this.#calls.run("status", path, () => find(this.#disk.state, path, "lstat") !== undefined);
  }

  list(path: string): Promise<string[]> {
    return this.#calls.run("list", path, () => {
      this.#disk.assertDescriptor("scandir", path);
      return [...mustFindDirectory(this.#disk.state, path, "scandir").volatile.keys()].sort();
    });
  }

  makeDirectory(path: string): Promise<void> {
    return this.#calls.run("makeDirectory", path, () => {
      let at = "";
      for (const name of namesOf(path)) {
        const { directory } = place(this.#disk.state, `${at}/${name}`, "mkdir");
        at += `/${name}`;
        const present = find(this.#disk.state, at, "mkdir");
        if (present === undefined) {
          this.#disk.assertSpace("mkdir", path);
          this.#disk.state.create(directory, name, "directory");
        } else if (present.kind !== "directory") {
          throw new SystemError(at === normalPath(path) ? "EEXIST" : "ENOTDIR", "mkdir", path);
        }
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#calls.run("rename", to, () => {
      const { state } = this.#disk;
      const moved = mustFind(state, from, "rename");
      const source = place(state, from, "rename");
      const target = place(state, to, "rename");
      const replaced = find(state, to, "rename");
      if (replaced === moved) return;
      if (`${normalPath(to)}/`.startsWith(`${normalPath(from)}/`))
        throw new SystemError("EINVAL", "rename", to);
      if (replaced !== undefined) this.#checkReplace(moved, replaced, to);
      else this.#disk.assertSpace("rename", to);
      state.rename(source.directory, source.name, target.directory, target.name);
    });
  }

  remove(path: string): Promise<void> {
    return this.#calls.run("remove", path, () => {
      const { directory, name } = place(this.#disk.state, path, "unlink");
      if (mustFind(this.#disk.state, path, "unlink").kind !== "file") {
        throw new SystemError("EISDIR", "unlink", path);
      }
      this.#disk.state.remove(directory, name);
    });
  }

  removeDirectory(path: string): Promise<void> {
    return this.#calls.run("removeDirectory", path, () => {
      const { directory, name } = place(this.#disk.state, path, "rmdir");
      if (mustFindDirectory(this.#disk.state, path, "rmdir").volatile.size > 0) {
        throw new SystemError("ENOTEMPTY", "rmdir", path);
      }
      this.#disk.state.remove(directory, name);
    });
  }

  /** All files belong to the one user that there is. */
  copyRights(from: string, to: string): Promise<void> {
    return this.#calls.run("status", to, () => {
      for (const path of [from, to]) mustFind(this.#disk.state, path, "chmod");
    });
  }

  syncDirectory(path: string): Promise<void> {
    const { latest } = this.#disk.state.pending;
    return this.#calls.run("syncDirectory", path, (fault) => {
      this.#disk.assertDescriptor("open", path);
      const directory = mustFindDirectory(this.#disk.state, path, "fsync");
      if (fault?.code !== undefined) {
        this.#disk.failSync(directory, fault);
        throw new SystemError(fault.code, "fsync", path);
      }
      this.#disk.state.sync(directory.number, latest);
    });
  }

  realPath(path: string): Promise<string> {
    return this.#calls.run("realPath", path, () => {
      mustFind(this.#disk.state, path, "realpath");
      return normalPath(path);
    });
  }

  join(directory: string, name: string): string {
    const joined = normalPath(`${directory}/${name}`);
    return directory.startsWith("/") ? joined : joined.slice(1);
  }

  parent(path: string): string {
    return normalPath(`/${namesOf(path).slice(0, -1).join("/")}`);
  }

  lock(directory: string): Promise<DirectoryLock> {
    return this.#calls.run("lock", directory, () => {
      const locked = mustFindDirectory(this.#disk.state, directory, "lock");
      const path = normalPath(directory);
      const holder = this.#disk.lock(path, this.#process);
      const stands = (): Promise<boolean> =>
        this.#calls.run("status", path, () => {
          const isThere = find(this.#disk.state, path, "stat") === locked;
          return isThere && this.#disk.isLocked(path, holder);
        });
      const release = (): Promise<void> =>
        this.#calls.run("unlock", path, () => this.#disk.unlock(path, holder));
      return { stands, release };
    });
  }

  lookForHolder(directory: string): Promise<boolean> {
    return this.#calls.run("list", directory, () => {
      mustFindDirectory(this.#disk.state, directory, "scandir");
      this.#disk.assertFree(normalPath(directory));
      return true;
    });
  }

  #create(path: string): Inode {
    const { state } = this.#disk;
    const { directory, name } = place(state, path, "open");
    if (find(state, path, "open") !== undefined) throw new SystemError("EEXIST", "open", path);
    this.#disk.assertSpace("open", path);
    this.#disk.countOpen(path);
    return state.create(directory, name, "file");
  }

  #checkReplace(moved: Inode, replaced: Inode, to: string): void {
    if (replaced.kind === "directory") {
      if (moved.kind === "file") throw new SystemError("EISDIR", "rename", to);
      if (replaced.volatile.size > 0) throw new SystemError("ENOTEMPTY", "rename", to);
    } else if (moved.kind === "directory") {
      throw new SystemError("ENOTDIR", "rename", to);
    }
  }
}
