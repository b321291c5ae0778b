import { FulmarError } from "../../base/errors.js";
import type { FileSystem } from "../../base/runtime/interface.js";
import { checkChoices, checkNumbers, membersOf } from "../check.js";
import { type CrashOptions, crashImage, crashImages, fingerprint } from "./crash.js";
import {
  type AfterSync,
  type DiskFault,
  DiskFaults,
  type DiskOperation,
  type DiskOperationKind,
  mutates,
} from "./disk-faults.js";
import { DiskState } from "./disk-state.js";
import type { FileInode, Inode } from "./inode.js";
import { mustFind } from "./namespace.js";
import type { DiskProfile } from "./pending.js";
import { Prng } from "./prng.js";
import type { SimulatedProcess } from "./process.js";
import type { Scheduler } from "./scheduler.js";
import { SimulatedFileSystem } from "./simulated-file-system.js";
import { SystemError } from "./system-error.js";
import type { Trace } from "./trace.js";

/** Makes the asynchronous calls of a disk take virtual time, so that un-awaited ones overtake each other. */
export interface DiskLatency {
  readonly scheduler: Scheduler;
  readonly leastMs: number;
  readonly mostMs: number;
}

/** What a simulated disk is like. */
export interface DiskOptions {
  /** A number or text, or a stream forked for this disk. */
  readonly seed?: number | string | Prng;
  /** `posix-strict` unless given: a program must be right under it. */
  readonly profile?: DiskProfile;
  /** 512 or 4096 (unless given). */
  readonly sectorBytes?: 512 | 4096;
  /** True unless given. */
  readonly sectorAtomic?: boolean;
  /** False unless given. */
  readonly staleGarbage?: boolean;
  /** Most bytes of all files together: a write that meets it is short, the next one fails with ENOSPC. */
  readonly quotaBytes?: number;
  /** Most files open at once: one more fails with EMFILE. */
  readonly openFilesMax?: number;
  /** Without it calls have their effect at once and their promises resolve by themselves. */
  readonly latency?: DiskLatency | undefined;
  readonly trace?: Trace | undefined;
}

const BOOLEANS = [true, false];
const CHOICES = {
  profile: ["posix-strict", "ext4-like"],
  sectorBytes: [512, 4096],
  sectorAtomic: BOOLEANS,
  staleGarbage: BOOLEANS,
} as const satisfies Partial<Record<keyof DiskOptions, readonly unknown[]>>;
const NUMBERS = {
  quotaBytes: [0, Number.POSITIVE_INFINITY],
  openFilesMax: [0, Number.POSITIVE_INFINITY],
} as const satisfies Partial<Record<keyof DiskOptions, readonly [number, number]>>;
/** What a disk may be made with. */
export const DISK_OPTIONS: readonly string[] = [
  ...["seed", "latency", "trace"],
  ...Object.keys(CHOICES),
  ...Object.keys(NUMBERS),
];

function checkDiskOptions(options: DiskOptions): void {
  const members = membersOf(options, DISK_OPTIONS, "SimulatedDisk");
  checkChoices(members, CHOICES);
  checkNumbers(members, NUMBERS);
}

/** Calls that do something even when they fail. */
const FAIL_PARTWAY: ReadonlySet<DiskOperationKind> = new Set<DiskOperationKind>([
  "write",
  "sync",
  "syncDirectory",
  "close",
]);

/** Told of every call before its effect (`before`) and after it succeeded (`after`). May kill the caller. */
export type DiskHook = (operation: DiskOperation, phase: "before" | "after") => void;

/** Who took a lock, once. */
export interface LockHolder {
  readonly process: SimulatedProcess;
}

/** Calls made through one process. */
export interface DiskCall {
  readonly process: SimulatedProcess;
  readonly kind: DiskOperationKind;
  readonly path: string;
}

/**
 * A disk that loses, tears and reorders what was not synced. Programs use it through {@link fileSystem};
 * tests cut its power, copy it, look at it and break it. What it promises is written at {@link DiskProfile};
 * beyond that: an acknowledged sync is never lost, and a killed process loses nothing that it wrote.
 */
export class SimulatedDisk {
  readonly faults: DiskFaults;
  readonly options: DiskOptions;
  quotaBytes: number;
  onOperation: DiskHook | undefined;
  readonly prng: Prng;
  #state: DiskState;
  #operations = 0;
  #openFiles = 0;
  readonly #processes = new Set<SimulatedProcess>();
  readonly #locks = new Map<string, LockHolder>();

  constructor(options: DiskOptions = {}, state?: DiskState) {
    checkDiskOptions(options);
    this.options = options;
    const seed = options.seed ?? 1;
    this.prng = seed instanceof Prng ? seed : new Prng(seed).fork("disk");
    this.faults = new DiskFaults(this.prng.fork("faults"));
    this.quotaBytes = options.quotaBytes ?? Number.POSITIVE_INFINITY;
    this.#state =
      state ??
      new DiskState({ profile: options.profile ?? "posix-strict", sectorBytes: options.sectorBytes ?? 4096 });
  }

  /** The disk as one process sees it. The process's death closes its files and releases its locks. */
  fileSystem(process: SimulatedProcess): FileSystem {
    if (!this.#processes.has(process)) {
      this.#processes.add(process);
      process.onKill(() => this.#leave(process));
    }
    return new SimulatedFileSystem(this, process);
  }

  /** For the file system built on this disk; tests use {@link image}. */
  get state(): DiskState {
    return this.#state;
  }

  /** Calls made so far. */
  get operations(): number {
    return this.#operations;
  }

  /** Operations that a power cut may still lose. */
  get unsynced(): number {
    return this.#state.pending.size;
  }

  /** Kills every process that uses the disk and leaves a random legal image of it. */
  powerCut(prng: Prng = this.prng): void {
    for (const process of [...this.#processes]) process.kill({ silent: true });
    this.#state = crashImage(this.#state, this.#crash(), prng);
  }

  /** An independent copy with the same un-synced operations: no processes, locks, faults or hook. */
  fork(): SimulatedDisk {
    return this.#copy(this.#state.fork());
  }

  /**
   * Disks as a power cut may leave this one now, each different: every one of them when there are at most
   * `limit` combinations, otherwise a sample that holds nothing-persisted, everything-persisted, and
   * combinations in which single operations stand out.
   */
  *durableImages(limit = 4096, prng: Prng = this.prng): Generator<SimulatedDisk> {
    for (const state of crashImages(this.#state, limit, this.#crash(), prng)) yield this.#copy(state);
  }

  /** Every file with its bytes: as a program sees it, or as the least that a power cut leaves. */
  image(view: "volatile" | "durable" = "volatile"): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>();
    for (const [path, inode] of this.#state.walk(view)) {
      if (inode.kind === "file") files.set(path, inode[view].toBytes());
    }
    return files;
  }

  /** Equal for two disks with the same durable names and bytes. */
  fingerprint(): string {
    return fingerprint(this.#state);
  }

  /**
   * Bit rot: inverts bits of a file at rest; random ones unless `bits` (counted from its start) says
   * which.
   */
  rot(path: string, options: { readonly bits?: readonly number[]; readonly count?: number } = {}): void {
    const file = this.fileAt(path);
    const sizeBits = file.durable.sizeBytes * 8;
    const bits = options.bits ?? Array.from({ length: options.count ?? 1 }, () => this.prng.below(sizeBits));
    for (const bit of bits) {
      file.durable.flip(bit);
      if (bit < file.volatile.sizeBytes * 8) file.volatile.flip(bit);
    }
  }

  /**
   * The system's writeback of a file fails while nobody waits for it: the next sync, on any handle,
   * reports it once.
   */
  failWriteback(path: string, afterSync: AfterSync = "clean"): void {
    const file = this.fileAt(path);
    this.failSync(file, { afterSync });
    file.deferredError = true;
  }

  /** What a failed sync does to a file or directory; see {@link AfterSync}. */
  failSync(inode: Inode, fault: Pick<DiskFault, "afterSync" | "reached">): void {
    const { afterSync = "clean", reached = 0 } = fault;
    for (const seq of reached > 0 ? this.#state.pending.of(inode.number) : []) {
      if (this.prng.chance(reached)) this.#state.syncOne(seq);
    }
    if (afterSync === "dirty") return;
    this.#state.lose(inode.number);
    if (afterSync === "revert") this.#state.revert(inode);
  }

  fileAt(path: string): FileInode {
    const inode = mustFind(this.#state, path, "open");
    if (inode.kind !== "file") throw new SystemError("EISDIR", "open", path);
    return inode;
  }

  /** Runs one call: hook, fault, effect, hook. `effect` gets the faults that do more than throw. */
  perform<T>(call: DiskCall, effect: (fault: DiskFault | undefined) => T): T {
    call.process.assertAlive();
    const { kind, path } = call;
    const operation: DiskOperation = { number: ++this.#operations, kind, path, mutates: mutates(kind) };
    this.onOperation?.(operation, "before");
    call.process.assertAlive();
    this.options.trace?.note(`disk ${kind} ${path}`, operation.number);
    const fault = this.faults.match(operation);
    const partial = FAIL_PARTWAY.has(kind);
    if (fault?.code !== undefined && !partial) throw new SystemError(fault.code, kind, path);
    const result = effect(fault);
    this.onOperation?.(operation, "after");
    call.process.assertAlive();
    return result;
  }

  /** Bytes that files may still grow by. */
  freeBytes(): number {
    if (this.quotaBytes === Number.POSITIVE_INFINITY) return this.quotaBytes;
    const named = new Set<number>();
    for (const [, inode] of this.#state.walk("volatile")) named.add(inode.number);
    let used = 0;
    for (const inode of this.#state.inodes.values()) {
      // A removed file gives its space back at once, or when its last handle closes.
      if (inode.kind === "file" && (inode.handles > 0 || named.has(inode.number)))
        used += inode.volatile.sizeBytes;
    }
    return Math.max(0, this.quotaBytes - used);
  }

  /** Counts an open file; refuses it when there are too many. */
  countOpen(path: string): void {
    this.assertDescriptor("open", path);
    this.#openFiles++;
  }

  /** Refuses a call that needs a file descriptor of its own when there is none left. */
  assertDescriptor(call: string, path: string): void {
    if (this.#openFiles < (this.options.openFilesMax ?? Number.POSITIVE_INFINITY)) return;
    throw new SystemError("EMFILE", call, path);
  }

  /** Refuses a new name on a full disk. */
  assertSpace(call: string, path: string): void {
    if (this.freeBytes() === 0) throw new SystemError("ENOSPC", call, path);
  }

  countClose(): void {
    this.#openFiles--;
  }

  lock(path: string, process: SimulatedProcess): LockHolder {
    this.assertFree(path);
    const taken = { process };
    this.#locks.set(path, taken);
    return taken;
  }

  assertFree(path: string): void {
    const holder = this.#locks.get(path)?.process;
    // A call under way when its process died may still take the lock: the dead hold nothing.
    if (!holder?.alive) return;
    throw new FulmarError("LOCKED", `process ${holder.pid} holds ${path}`, { path, pid: holder.pid });
  }

  isLocked(path: string, holder: LockHolder): boolean {
    return this.#locks.get(path) === holder;
  }

  /** Lets a lock go, or removes one from outside, whosever it is. */
  unlock(path: string, holder = this.#locks.get(path)): void {
    if (this.#locks.get(path) === holder) this.#locks.delete(path);
  }

  #crash(): CrashOptions {
    return {
      sectorAtomic: this.options.sectorAtomic ?? true,
      staleGarbage: this.options.staleGarbage ?? false,
    };
  }

  #copy(state: DiskState): SimulatedDisk {
    const { latency: _latency, trace: _trace, ...options } = this.options;
    return new SimulatedDisk(
      { ...options, seed: this.prng.fork("copy"), quotaBytes: this.quotaBytes },
      state,
    );
  }

  #leave(process: SimulatedProcess): void {
    this.#processes.delete(process);
    for (const [path, holder] of this.#locks) if (holder.process === process) this.#locks.delete(path);
  }
}
