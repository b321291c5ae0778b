/**
 * Operations that a program has done and that no sync has made durable yet. They are immutable, so that
 * copies of a disk share them; whether one is still pending is for the disk to know.
 */

interface PendingBase {
  /** Order of issue over the whole disk. */
  readonly seq: number;
  /** The inode whose sync makes this durable. */
  readonly inode: number;
  /** Operations (by `seq`) that are durable whenever this one is: empty under `posix-strict`. */
  readonly needs: readonly number[];
}

/** Bytes within one sector: `source[from, from + length)` at `position`. */
export interface PendingWrite extends PendingBase {
  readonly kind: "write";
  readonly position: number;
  readonly source: Uint8Array;
  readonly from: number;
  readonly length: number;
}

/** A file's size changed, by growth through a write or by truncation. */
export interface PendingSize extends PendingBase {
  readonly kind: "size";
  readonly sizeBytes: number;
  readonly previousBytes: number;
}

/** One name of one directory now means another inode, or nothing. */
export interface EntryChange {
  readonly directory: number;
  readonly name: string;
  readonly target: number | undefined;
}

/** A creation, removal or rename: its changes persist together or not at all. */
export interface PendingEntry extends PendingBase {
  readonly kind: "entry";
  readonly changes: readonly EntryChange[];
}

export type PendingOperation = PendingWrite | PendingSize | PendingEntry;

/**
 * What a disk promises about the order of un-synced operations.
 *
 * `posix-strict`: nothing. Each operation persists or not, whatever happens to the others.
 *
 * `ext4-like` (ordered journal): size changes and directory operations persist in the order of issue; growth
 * only after the data that it covers; a rename over an existing file only after the data of the new one; a
 * write into space that a truncation freed only after that truncation; a sync of a new file carries its entry.
 */
export type DiskProfile = "posix-strict" | "ext4-like";
