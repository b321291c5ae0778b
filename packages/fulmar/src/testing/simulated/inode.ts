import { PagedBytes } from "./paged-bytes.js";

/** A file: what a reader sees now, and what a power cut is sure to leave. */
export class FileInode {
  readonly kind = "file";
  readonly number: number;
  volatile: PagedBytes;
  durable: PagedBytes;
  /** Open handles: a file without name and handles is gone. */
  handles = 0;
  /** Writeback failed behind the program's back; the next sync, on whichever handle, says so once. */
  deferredError = false;

  constructor(number: number, volatile = new PagedBytes(), durable = new PagedBytes()) {
    this.number = number;
    this.volatile = volatile;
    this.durable = durable;
  }

  fork(): FileInode {
    const copy = new FileInode(this.number, this.volatile.fork(), this.durable.fork());
    copy.deferredError = this.deferredError;
    return copy;
  }
}

/** A directory: names to inode numbers, now and after a power cut. */
export class DirectoryInode {
  readonly kind = "directory";
  readonly number: number;
  volatile: Map<string, number>;
  durable: Map<string, number>;
  /** Which operation changed a durable name last: an earlier one that persists after it changes it no more. */
  readonly #changedBy: Map<string, number>;

  constructor(
    number: number,
    volatile = new Map<string, number>(),
    durable = new Map<string, number>(),
    changedBy = new Map<string, number>(),
  ) {
    this.number = number;
    this.volatile = volatile;
    this.durable = durable;
    this.#changedBy = changedBy;
  }

  /** Operation number `seq` makes a name mean another inode, or nothing, for good. */
  persist(seq: number, name: string, target: number | undefined): void {
    if (seq < (this.#changedBy.get(name) ?? 0)) return;
    this.#changedBy.set(name, seq);
    if (target === undefined) this.durable.delete(name);
    else this.durable.set(name, target);
  }

  fork(): DirectoryInode {
    const { number, volatile, durable } = this;
    return new DirectoryInode(number, new Map(volatile), new Map(durable), new Map(this.#changedBy));
  }
}

export type Inode = FileInode | DirectoryInode;
