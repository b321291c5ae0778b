import { flagsOf } from "../../record/entry.js";
import { LATEST, type Ref } from "../engine.js";
import type { OffHeapIndexes } from "./indexes.js";
import type { TreeDigests } from "./key-tree-digest.js";
import type { PinSet } from "./pins.js";
import { DISCARDED, HELD, LINKED, QUEUED } from "./record-marks.js";

/** Copying larger entries once more would cost about what it saves. */
const ENTRY_BYTES_MAX = 1024;

/**
 * Decides when a new version takes the memory of the one that it replaces, which moves elsewhere until the commit
 * is settled: then hash index and order of keys have nothing to change, and most overwrites need no way through the
 * tree. What moves is named by nobody else, as in a compaction: settled, seen by no pin, without older versions.
 */
export class Overwriting {
  readonly #indexes: OffHeapIndexes;
  readonly #pins: PinSet;
  readonly #digests: TreeDigests;

  constructor(indexes: OffHeapIndexes, pins: PinSet, digests: TreeDigests) {
    this.#indexes = indexes;
    this.#pins = pins;
    this.#digests = digests;
  }

  /** Whether the newest record of its key makes way for the entry of `length` bytes at `at`. */
  makesWay(newest: Ref, bytes: Uint8Array, at: number, length: number): boolean {
    const { records, origins } = this.#indexes;
    if (length > ENTRY_BYTES_MAX || records.olderWord !== 0) return false;
    // Replication asks for both: nodes that remember digests are on the way through the tree.
    if (this.#digests.isUsed || origins.state !== "absent") return false;
    // Tombstones and deadlines are counted and ordered by their records.
    if (flagsOf(bytes, at) !== 0 || flagsOf(records.slab(newest), records.offset(newest)) !== 0) return false;
    if (records.has(newest, QUEUED | HELD | DISCARDED | LINKED) || !records.fits(newest, length))
      return false;
    return this.#pins.isEmpty || this.#pins.highest(records.versionOf(newest), LATEST) === undefined;
  }
}
