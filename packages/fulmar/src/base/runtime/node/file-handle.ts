import * as fs from "node:fs";
import type { FileHandle, FileStatus, OpenMode } from "../interface.js";

/** Most bytes of one system call: Node takes lengths below 2^31 only. */
const CALL_BYTES_MAX = 2 ** 30;
const FILE_MODE = 0o600;

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: fs.constants.O_RDONLY,
  update: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

type Callback<T> = (error: NodeJS.ErrnoException | null, result: T) => void;

/**
 * An open file on a bare descriptor: the synchronous and the asynchronous calls need the same one.
 * The system reuses the number of a closed descriptor at once, so that a late call would hit some
 * other file; hence no call gets through after `close`, and `close` waits for those under way.
 */
class NodeFileHandle implements FileHandle {
  readonly path: string;
  readonly #descriptor: number;
  #callsUnderWay = 0;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  writeNow(bytes: Uint8Array, position: number): number {
    return fs.writeSync(this.#open(), bytes, 0, Math.min(bytes.length, CALL_BYTES_MAX), position);
  }

  write(bytes: Uint8Array, position: number): Promise<number> {
    const length = Math.min(bytes.length, CALL_BYTES_MAX);
    return this.#call<number>((fd, done) => fs.write(fd, bytes, 0, length, position, done));
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const at = filled;
      const length = Math.min(target.length - at, CALL_BYTES_MAX);
      const read = await this.#call<number>((fd, done) => {
        fs.read(fd, target, at, length, position + at, done);
      });
      if (read === 0) break;
      filled += read;
    }
    return filled;
  }

  async size(): Promise<number> {
    const stats = await this.#call<fs.Stats>((fd, done) => fs.fstat(fd, done));
    return stats.size;
  }

  async status(): Promise<FileStatus> {
    return statusOf(await this.#call<fs.BigIntStats>((fd, done) => fs.fstat(fd, { bigint: true }, done)));
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#call<void>((fd, done) => fs.ftruncate(fd, sizeBytes, done as fs.NoParamCallback));
  }

  syncData(): Promise<void> {
    return this.#call<void>((fd, done) => fs.fdatasync(fd, done as fs.NoParamCallback));
  }

  syncDataNow(): void {
    fs.fdatasyncSync(this.#open());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#callsUnderWay > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await new Promise<void>((resolve, reject) => {
      fs.close(this.#descriptor, (error) => (error ? reject(error) : resolve()));
    });
  }

  #open(): number {
    if (this.#closing === undefined) return this.#descriptor;
    throw Object.assign(new Error(`EBADF: the file is closed: ${this.path}`), { code: "EBADF" });
  }

  #call<T>(start: (descriptor: number, done: Callback<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      start(this.#open(), (error, result) => {
        this.#callsUnderWay--;
        if (this.#callsUnderWay === 0) this.#idle?.();
        if (error) reject(error);
        else resolve(result);
      });
      // After `start`, which throws when it is given impossible arguments; never before it calls back.
      this.#callsUnderWay++;
    });
  }
}

/** Numbers of the system may be larger than a double holds: they stay integers until they are text. */
export function statusOf(stats: fs.BigIntStats): FileStatus {
  const kind = stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other";
  // An inode number alone is reused after a removal; with its time of birth it names one file.
  const identity = `${stats.ino}:${stats.birthtimeNs}`;
  return { kind, sizeBytes: Number(stats.size), identity, device: String(stats.dev) };
}

/** Opens a file; rejects with the system's error. */
export function openFile(path: string, mode: OpenMode): Promise<FileHandle> {
  return new Promise((resolve, reject) => {
    fs.open(path, FLAGS[mode], FILE_MODE, (error, descriptor) => {
      if (error) reject(error);
      else resolve(new NodeFileHandle(path, descriptor));
    });
  });
}
