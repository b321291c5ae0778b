import type { FileHandle, FileStatus } from "../../base/runtime/interface.js";
import type { SimulatedDisk } from "./disk.js";
import type { DiskCalls } from "./disk-calls.js";
import type { DiskFault } from "./disk-faults.js";
import type { FileInode, Inode } from "./inode.js";
import type { SimulatedProcess } from "./process.js";
import { type SystemCode, SystemError } from "./system-error.js";

/** What `stat` says of a file or directory. */
export function statusOf(inode: Inode): FileStatus {
  const sizeBytes = inode.kind === "file" ? inode.volatile.sizeBytes : 4096;
  return { kind: inode.kind, sizeBytes, identity: `simulated:${inode.number}`, device: "simulated" };
}

/** An open file of one process on a simulated disk. */
export class SimulatedFileHandle implements FileHandle {
  readonly path: string;
  readonly #disk: SimulatedDisk;
  readonly #calls: DiskCalls;
  readonly #file: FileInode;
  readonly #writable: boolean;
  readonly #forgetKill: () => void;
  #open = true;

  constructor(
    disk: SimulatedDisk,
    process: SimulatedProcess,
    calls: DiskCalls,
    file: FileInode,
    path: string,
    writable: boolean,
  ) {
    this.#disk = disk;
    this.#calls = calls;
    this.#file = file;
    this.path = path;
    this.#writable = writable;
    file.handles++;
    this.#forgetKill = process.onKill(() => this.#release());
  }

  writeNow(bytes: Uint8Array, position: number): number {
    return this.#calls.runNow("write", this.path, (fault) => this.#write(bytes, position, fault));
  }

  write(bytes: Uint8Array, position: number): Promise<number> {
    return this.#calls.run("write", this.path, (fault) => this.#write(bytes, position, fault));
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#calls.run("read", this.path, (fault) => {
      this.#check("read", false);
      const count = this.#file.volatile.read(target, position);
      if (fault?.spoil !== undefined && count > 0)
        this.#spoil(target.subarray(0, count), position, fault.spoil);
      return count;
    });
  }

  size(): Promise<number> {
    return this.#calls.run("size", this.path, () => {
      this.#check("fstat", false);
      return this.#file.volatile.sizeBytes;
    });
  }

  status(): Promise<FileStatus> {
    return this.#calls.run("status", this.path, () => {
      this.#check("fstat", false);
      return statusOf(this.#file);
    });
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#calls.run("truncate", this.path, () => {
      this.#check("ftruncate", true);
      if (sizeBytes - this.#file.volatile.sizeBytes > this.#disk.freeBytes())
        this.#fail("ENOSPC", "ftruncate");
      this.#disk.state.resize(this.#file, sizeBytes);
    });
  }

  syncData(): Promise<void> {
    // It need not cover what is written while it is under way.
    const { latest } = this.#disk.state.pending;
    return this.#calls.run("sync", this.path, (fault) => this.#sync(fault, latest));
  }

  syncDataNow(): void {
    this.#calls.runNow("sync", this.path, (fault) => this.#sync(fault));
  }

  /** Does not sync. A second close does nothing. */
  close(): Promise<void> {
    return this.#calls.run("close", this.path, (fault) => {
      this.#forgetKill();
      this.#release();
      // The system has let the file go whatever it says.
      if (fault?.code !== undefined) this.#fail(fault.code, "close");
    });
  }

  #write(bytes: Uint8Array, position: number, fault: DiskFault | undefined): number {
    this.#check("write", true);
    const lacking = Math.max(0, this.#growth(position, bytes.length) - this.#disk.freeBytes());
    let length = Math.max(0, bytes.length - lacking);
    if (fault !== undefined) {
      const reached =
        fault.bytes ?? (fault.code === undefined ? 1 + this.#disk.prng.below(bytes.length + 1) : 0);
      length = Math.min(length, reached);
    }
    if (length > 0) this.#disk.state.write(this.#file, position, bytes.subarray(0, length));
    if (fault?.code !== undefined) this.#fail(fault.code, "write");
    if (length === 0 && lacking > 0) this.#fail("ENOSPC", "write");
    return length;
  }

  #growth(position: number, length: number): number {
    return Math.max(0, position + length - this.#file.volatile.sizeBytes);
  }

  #sync(fault: DiskFault | undefined, throughSeq?: number): void {
    this.#check("fdatasync", false);
    if (this.#file.deferredError) {
      this.#file.deferredError = false;
      this.#fail("EIO", "fdatasync");
    }
    if (fault?.code !== undefined) {
      this.#disk.failSync(this.#file, fault);
      this.#fail(fault.code, "fdatasync");
    }
    this.#disk.state.sync(this.#file.number, throughSeq);
  }

  #spoil(target: Uint8Array, position: number, how: "bit" | "zero-sector" | "misdirected-sector"): void {
    const { prng, state } = this.#disk;
    if (how === "bit") {
      target[prng.below(target.length)] ^= 1 << prng.below(8);
      return;
    }
    const sector = state.shape.sectorBytes;
    const at = position + prng.below(target.length);
    const from = Math.max(0, at - (at % sector) - position);
    const to = Math.min(target.length, at - (at % sector) + sector - position);
    const part = target.subarray(from, to);
    part.fill(0);
    if (how === "misdirected-sector") {
      this.#file.volatile.read(part, position + from + sector * (position + from >= sector ? -1 : 1));
    }
  }

  #check(call: string, writes: boolean): void {
    if (!this.#open || (writes && !this.#writable)) this.#fail("EBADF", call);
  }

  #fail(code: SystemCode, call: string): never {
    throw new SystemError(code, call, this.path);
  }

  #release(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#file.handles--;
    this.#disk.countClose();
  }
}
