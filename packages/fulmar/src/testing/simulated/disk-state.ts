import { assert } from "../../base/assert.js";
import { DirectoryInode, FileInode, type Inode } from "./inode.js";
import type { DiskProfile, EntryChange, PendingOperation } from "./pending.js";
import { PendingLog, type Unnumbered } from "./pending-log.js";

/** Un-synced operations beyond this are written back, oldest file first, as a kernel would under memory pressure. */
const PENDING_MAX = 65_536;
/** The inode number of "/". */
export const ROOT = 1;

export interface DiskShape {
  readonly profile: DiskProfile;
  /** Writes persist in pieces that do not cross a multiple of this. */
  readonly sectorBytes: number;
}

/**
 * The state of a disk: inodes with a volatile and a durable side, and the operations between the two in
 * their order of issue. Pure model: faults, quotas, locks and time are built around it.
 */
export class DiskState {
  readonly shape: DiskShape;
  readonly inodes: Map<number, Inode>;
  readonly pending: PendingLog;
  #inode: number;

  constructor(shape: DiskShape, from?: DiskState) {
    this.shape = shape;
    this.inodes = new Map();
    this.pending = from?.pending.fork() ?? new PendingLog(shape.profile);
    this.#inode = from === undefined ? ROOT : from.#inode;
    for (const [number, inode] of from?.inodes ?? []) this.inodes.set(number, inode.fork());
    if (from === undefined) this.inodes.set(ROOT, new DirectoryInode(ROOT));
  }

  /** An independent copy that shares the bytes of all pages. */
  fork(): DiskState {
    return new DiskState(this.shape, this);
  }

  file(number: number): FileInode {
    const inode = this.inodes.get(number);
    assert(inode?.kind === "file", "an inode number of a handle names a file");
    return inode;
  }

  create(directory: DirectoryInode, name: string, kind: "file" | "directory"): Inode {
    const number = ++this.#inode;
    const inode = kind === "file" ? new FileInode(number) : new DirectoryInode(number);
    this.inodes.set(number, inode);
    this.#entries(directory.number, [{ directory: directory.number, name, target: number }]);
    return inode;
  }

  remove(directory: DirectoryInode, name: string): void {
    this.#entries(directory.number, [{ directory: directory.number, name, target: undefined }]);
    this.#collect();
  }

  /** Durable with the directory that `to` lies in. */
  rename(from: DirectoryInode, fromName: string, to: DirectoryInode, toName: string): void {
    const target = from.volatile.get(fromName);
    assert(target !== undefined, "a renamed name exists");
    const replaces = to.volatile.has(toName);
    const changes = [
      { directory: from.number, name: fromName, target: undefined },
      { directory: to.number, name: toName, target },
    ];
    this.#entries(to.number, changes, replaces ? target : undefined);
    this.#collect();
  }

  /** Writes in sectors, then grows the file if needed: each its own pending operation. Copies `bytes`. */
  write(file: FileInode, position: number, bytes: Uint8Array): void {
    const source = bytes.slice();
    file.volatile.write(position, source, 0, source.length);
    const sector = this.shape.sectorBytes;
    for (let from = 0; from < source.length; ) {
      const length = Math.min(source.length - from, sector - ((position + from) % sector));
      this.#add({ kind: "write", inode: file.number, position: position + from, source, from, length });
      from += length;
    }
    const end = position + source.length;
    if (end > file.volatile.sizeBytes && source.length > 0) this.resize(file, end);
  }

  resize(file: FileInode, sizeBytes: number): void {
    const previousBytes = file.volatile.sizeBytes;
    if (previousBytes === sizeBytes) return;
    // Growth must not clear what a write just put beyond the old end.
    if (sizeBytes < previousBytes) file.volatile.resize(sizeBytes);
    else file.volatile.sizeBytes = sizeBytes;
    this.#add({ kind: "size", inode: file.number, sizeBytes, previousBytes });
  }

  /** Makes durable what a sync of `inode` covers: operations issued up to `throughSeq`, and what those need. */
  sync(inode: number, throughSeq = Number.POSITIVE_INFINITY): void {
    const wanted = new Set<number>();
    for (const seq of this.pending.of(inode)) if (seq <= throughSeq) this.pending.close(seq, wanted);
    const entry = this.pending.entryOf(inode, throughSeq);
    if (entry !== undefined) this.pending.close(entry, wanted);
    this.apply([...wanted].sort((a, b) => a - b));
    this.#collect();
  }

  /** Makes one operation durable, and what it needs. */
  syncOne(seq: number): void {
    const wanted = new Set<number>();
    this.pending.close(seq, wanted);
    this.apply([...wanted].sort((a, b) => a - b));
  }

  /** Readers see the durable side of `inode` again. */
  revert(inode: Inode): void {
    if (inode.kind === "directory") {
      inode.volatile = new Map(inode.durable);
      this.#collect();
      return;
    }
    inode.durable.clearBeyond(inode.durable.sizeBytes);
    inode.volatile = inode.durable.fork();
  }

  /** Makes the given operations durable, in this order. */
  apply(order: readonly number[]): void {
    for (const seq of order) {
      const operation = this.pending.get(seq);
      if (operation === undefined) continue;
      this.persist(operation, operation.kind === "write" ? operation.length : 0);
      this.pending.delete(seq);
    }
  }

  /** Puts one operation on the durable side; `length` bytes of a write. */
  persist(operation: PendingOperation, length: number): void {
    if (operation.kind === "entry") {
      for (const { directory, name, target } of operation.changes) {
        this.#directory(directory)?.persist(operation.seq, name, target);
      }
      return;
    }
    const { durable } = this.file(operation.inode);
    if (operation.kind === "write")
      durable.write(operation.position, operation.source, operation.from, length);
    else {
      if (operation.sizeBytes < operation.previousBytes) durable.clearBeyond(operation.sizeBytes);
      durable.sizeBytes = operation.sizeBytes;
    }
  }

  /** Forgets the pending operations of a file without making them durable: a failed writeback. */
  lose(inode: number): void {
    this.pending.lose(inode);
  }

  /** The power is gone: what is durable is all there is. */
  settle(): void {
    this.pending.clear();
    for (const inode of this.inodes.values()) {
      if (inode.kind === "file") {
        inode.durable.clearBeyond(inode.durable.sizeBytes);
        inode.volatile = inode.durable.fork();
        inode.handles = 0;
        inode.deferredError = false;
      } else {
        inode.volatile = new Map(inode.durable);
      }
    }
    this.#collect();
  }

  /** Every path with its inode in one view, parents first, names sorted; "/" itself left out. */
  *walk(view: "volatile" | "durable", from = ROOT, prefix = ""): Generator<[string, Inode]> {
    const directory = this.inodes.get(from);
    if (directory?.kind !== "directory") return;
    for (const name of [...directory[view].keys()].sort()) {
      const inode = this.inodes.get(directory[view].get(name) as number);
      if (inode === undefined) continue;
      yield [`${prefix}/${name}`, inode];
      if (inode.kind === "directory") yield* this.walk(view, inode.number, `${prefix}/${name}`);
    }
  }

  #entries(inode: number, changes: readonly EntryChange[], replacesWith?: number): void {
    this.#add({ kind: "entry", inode, changes }, replacesWith);
    for (const { directory, name, target } of changes) {
      const names = this.#directory(directory)?.volatile;
      if (target === undefined) names?.delete(name);
      else names?.set(name, target);
    }
  }

  #directory(number: number): DirectoryInode | undefined {
    const inode = this.inodes.get(number);
    return inode?.kind === "directory" ? inode : undefined;
  }

  #add(operation: Unnumbered<PendingOperation>, replacesWith?: number): void {
    this.pending.add(operation, replacesWith);
    const oldest = this.pending.size > PENDING_MAX ? this.pending.oldest() : undefined;
    if (oldest !== undefined) this.sync(oldest.inode);
  }

  /** Drops inodes that no name, no handle and no pending operation leads to. */
  #collect(): void {
    const used = new Set<number>([ROOT]);
    for (const inode of this.inodes.values()) {
      if (inode.kind === "file") {
        if (inode.handles > 0) used.add(inode.number);
        continue;
      }
      for (const number of inode.volatile.values()) used.add(number);
      for (const number of inode.durable.values()) used.add(number);
    }
    for (const operation of this.pending.values()) {
      if (operation.kind !== "entry") continue;
      for (const change of operation.changes) if (change.target !== undefined) used.add(change.target);
    }
    for (const number of this.inodes.keys()) if (!used.has(number)) this.#drop(number);
  }

  #drop(number: number): void {
    this.inodes.delete(number);
    this.lose(number);
  }
}
