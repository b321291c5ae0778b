import type { KeyRange } from "../keys/range.js";

/**
 * The memory engine: every version of every key that somebody can still see, as encoded entries.
 * Two engines implement this interface and are tested against each other. Nothing here knows disks,
 * peers, codecs or wall time; a deadline is only an order to the engine, the caller judges it.
 */

/** A record inside the engine. Valid until the engine changes, or while a pin keeps its version. */
export type Ref = number;
/** No record. */
export const NONE: Ref = 0;
/** Read at the newest version. */
export const LATEST = Number.MAX_SAFE_INTEGER;

export interface Cursor {
  /** The next record, or NONE at the end. */
  next(): Ref;
}

/**
 * For whom a version is pinned: for code of the application; for work of the store's own, which ends by itself; for
 * a reader on another thread, which holds no references of this engine. In this order an old version that several
 * see counts as held.
 */
export const PIN_OWNERS = ["user", "store", "reader"] as const;
export type PinOwner = (typeof PIN_OWNERS)[number];

/** Keeps the state of one version readable. Release is idempotent, and takes no longer for a pin that kept much. */
export interface Pin {
  readonly version: number;
  release(): void;
}

/** What is known of a scan before it begins, to make it faster. */
export interface ScanOptions {
  /** The entries will be read, and not only counted or looked at. */
  readonly whole?: boolean;
  /** Tombstones are of no interest: any of them may be left out. */
  readonly living?: boolean;
}
/** To scan for values that can be read: see {@link ScanOptions}. */
export const LIVING: ScanOptions = Object.freeze({ living: true });

/** Count and 128-bit sum (mod 2^128, least significant word first) of the hashes of the entries in a range. */
export interface Digest {
  readonly count: number;
  readonly sum: Uint32Array;
}

/**
 * Writes the 128-bit hash of the entry at `at` into `into` (four words). Equal for replicas, whatever
 * their origin numbers.
 */
export type EntryHash = (bytes: Uint8Array, at: number, into: Uint32Array) => void;

export interface EngineOptions {
  readonly hash: EntryHash;
  /** Keeps a {@link MemoryEngine.slot} for each key, which costs four bytes a key; false when absent. */
  readonly tracked?: boolean;
}

/**
 * Is told which keys can be read, by their newest records, while it happens: it may read the engine and
 * set slots, and changes nothing else.
 */
export interface KeyTracker {
  /** Allocates now what one more key takes: there may be no memory for it. */
  makeRoom(): void;
  /** A key has a value now: it is new or was deleted before, or its deletion was rolled back (`isBack`). */
  entered(ref: Ref, isBack: boolean): void;
  /** A value took the place of another one of the key, whose slot it has. */
  replaced(before: Ref, ref: Ref): void;
  /** The record of a key that has a value lies elsewhere in memory now, and has its slot. */
  moved(ref: Ref): void;
  /** A key has no value any more; this was its record. */
  left(ref: Ref): void;
}

export interface MemoryUsage {
  /** Keys whose newest version is not a tombstone; expired ones count until they are swept. */
  readonly entries: number;
  readonly tombstones: number;
  /** Versions kept only for pins, because they are not settled yet, or because their vacuum was put off. */
  readonly oldVersions: number;
  /** Encoded bytes of all versions. */
  readonly recordBytes: number;
  /** Bytes of everything else: indexes, links, free space. An estimate in the plain engine. */
  readonly overheadBytes: number;
}

/**
 * Fills an empty engine, which must not be read or changed before {@link finish}: with entries in ascending key
 * order, one version a key, and then with commits. Only the newest version of each key stays, and of tombstones
 * only those that the engine keeps.
 */
export interface BulkLoader {
  /** Tells, before the first entry, about how many come in order: room for them is made once. May be left out. */
  announce(entries: number): void;
  /**
   * Adds `count` entries in ascending order of their keys, above all before them, that stand back to back from
   * `at` on as in a checkpoint: a u64 version before each. The caller has checked them. Returns where they end.
   */
  addAll(bytes: Uint8Array, at: number, count: number): number;
  /** Tells, between the first few commits, about how many of their entries come. May be left out, or far too many. */
  expect(entries: number): void;
  /** Applies one entry of commit `version`. Versions never decrease; the later entry of a key stays. */
  put(version: number, bytes: Uint8Array, at: number, length: number): void;
  /**
   * After the last entry: does a part, about a millisecond long, of the work that {@link finish} would
   * have to do. True when nothing is left of it.
   */
  step(): boolean;
  /** Builds the indexes. `version` becomes the engine's version, settled. */
  finish(version: number): void;
}

export interface MemoryEngine {
  /** Version of the newest commit that is shown. */
  readonly version: number;
  /** Commits up to here can no longer be rolled back. */
  readonly settled: number;
  /**
   * Bytes in use, to the cell: the cell of each record and of each separator, whatever its entry leaves of
   * it; the nodes and pages in use of trees, links and queues; the hash tables. Free cells, free nodes and
   * the rest of slabs are not in it. An estimate, but one that a recount gives too, in the plain engine.
   */
  readonly usedBytes: number;
  /**
   * The part of {@link usedBytes} that commits which are not settled have replaced or deleted, with the
   * tombstones for it unless these are kept: it goes when they are settled, unless a pin sees it.
   */
  readonly leavingBytes: number;
  /**
   * The part of {@link usedBytes} that was replaced or deleted and that only pins keep which are not of a user, with
   * the tombstones for it. What goes already counts as {@link leavingBytes} is not in it. A user's pin that comes
   * later on a deletion is not waited for.
   */
  readonly keptBytes: number;
  /**
   * Whether a tombstone stays after everybody who could see what it deleted is gone. A store without
   * peers needs none; it is set before the first peer is met and never unset, and before a load of
   * what such a store held begins.
   */
  keepTombstones: boolean;

  /**
   * The record of `key` that is visible at version `at`: a tombstone too, NONE if there is none. With a
   * `length` the key is `key[0, length)`.
   */
  find(key: Uint8Array, at: number, length?: number): Ref;
  /**
   * Records visible at `at` in key order, tombstones included. With a pinned `at` the cursor goes on
   * through any later changes; otherwise it must be used up before the next change.
   */
  scan(range: KeyRange, at: number, reverse: boolean, options?: ScanOptions): Cursor;
  /**
   * Whether {@link byOrigin} can be read. A store without peers needs no such order, and its keys do not pay for
   * it.
   */
  readonly isOrderedByOrigin: boolean;
  /**
   * Begins the order by origin, or goes on with it for about a millisecond; true when it is complete. What was
   * begun is kept up through any change in between. Keeps the state that is settled at the start pinned for so
   * long, and some 24 bytes a record, of which 8 or 9 stay.
   */
  orderByOrigin(): boolean;
  /** Lets go of a complete order by origin, with all cursors over it. */
  forgetOrder(): void;
  /**
   * Records visible at `at` that `origin` wrote with `afterSeq < seq <= throughSeq`, in order of seq;
   * tombstones included. Pins as in {@link scan}. Only while {@link isOrderedByOrigin}.
   */
  byOrigin(origin: number, afterSeq: number, throughSeq: number, at: number): Cursor;
  /**
   * Newest records with a deadline from `fromMs` to `throughMs`, earliest first, without tombstones. To be
   * used up before the next change.
   */
  byDeadline(throughMs: number, fromMs?: number): Cursor;
  /** The earliest deadline among newest records that are not tombstones; Infinity without one. */
  nextDeadline(): number;
  /** Digest of the records visible at `at` in a range, tombstones included. */
  digest(range: KeyRange, at: number): Digest;
  /**
   * Computes a part of what {@link digest} of the newest state needs and remembers: of so many small groups of
   * neighbours, from the key `from` on. Returns the key to go on from; undefined once nothing is left below `to`.
   */
  prepareDigest(from: Uint8Array, to: Uint8Array | undefined, groups: number): Uint8Array | undefined;

  /**
   * The array that holds a record's encoded entry, starting at {@link offset}. A view into memory that
   * will be reused: copy what leaves the library.
   */
  slab(ref: Ref): Uint8Array;
  /**
   * The same memory in words whose first byte is the lowest one, in which an entry begins with a word; undefined
   * from an engine or a machine that has no such words.
   */
  words(ref: Ref): Uint32Array | undefined;
  offset(ref: Ref): number;
  /** The commit that wrote a record. */
  versionOf(ref: Ref): number;
  /** Bytes in use by a record: its cell. */
  bytesOf(ref: Ref): number;
  /** What {@link bytesOf} would be for an entry of so many encoded bytes. */
  bytesFor(entryBytes: number): number;
  /** Bytes that the indexes may grow by when so many keys are added: about, and rather too many. */
  indexGrowthBytes(keys: number): number;
  /** Whether anything is pinned, or anything by an owner. */
  hasPins(owner?: PinOwner): boolean;
  /**
   * Whether a pin, of a user only with `byUser`, sees a record that is the newest of its key, so that it stays when
   * it is replaced. The pin of a reader on another thread counts from the moment when it stays at a state.
   */
  isPinned(ref: Ref, byUser?: boolean): boolean;

  /**
   * What {@link setSlot} noted for the key of a record, below 2^32: an index into the bookkeeping of
   * whoever tracks keys. 0 for a key that is new. A version takes over what its predecessor had, and so
   * does one that is the newest again after a rollback. Always 0 without the option `tracked`.
   */
  slot(ref: Ref): number;
  /** Notes a number below 2^32 for the key whose newest version a record is. Only with the option `tracked`. */
  setSlot(ref: Ref, slot: number): void;

  /**
   * Applies one entry of commit `version`, copying its bytes. Versions never decrease; entries of one
   * commit come one after the other without a reader between, unless they are hidden; of two for the same key the
   * later stays.
   */
  put(version: number, bytes: Uint8Array, at: number, length: number): void;
  /**
   * From now on what is put is not shown: {@link version} stays what it is, unless commits without entries from before
   * are settled, and reads of the newest state are of that one, until {@link show}, or a rollback, which ends this and
   * takes back what was hidden. So the entries of one commit can be put a few at a time, with readers between.
   * {@link usage}, deadlines and all counts of bytes are of what is there, hidden or not. Not with a tracker of keys.
   */
  hide(): void;
  /** Shows what was put since {@link hide}, all at once. */
  show(): void;
  readonly isHiding: boolean;
  /**
   * Declares commits up to `version` final, which lets go of what they replaced as far as no pin needs
   * it. A version above the newest, of a commit without entries, becomes the newest.
   *
   * Letting go of much takes long, so an engine may put off what goes beyond a bound of its own, here and
   * when a pin is released; until {@link vacuum} did it, versions and tombstones stay that nobody needs.
   */
  settle(version: number): void;
  /**
   * Does at most `records` records' worth of the work that was put off, and moves records to give memory
   * back; true if there is more. Changes nothing that a reader of a pinned version sees, and of the newest
   * only tombstones, but is a change of the engine: a {@link Ref} that no pin keeps is not valid
   * afterwards. Writes do a share of what was put off too, so that it is bounded by what was once let go
   * of at a time.
   *
   * With `isMoving` false it moves nothing: what that gives back to the system is not in {@link usedBytes}.
   */
  vacuum(records: number, isMoving?: boolean): boolean;
  /** Takes back every commit above `version`, which must be at least {@link settled}. Pins above it are dead. */
  rollback(version: number): void;
  /** Pins a version between {@link settled} and {@link version}, both included; for a user unless said otherwise. */
  pin(version: number, owner?: PinOwner): Pin;

  load(): BulkLoader;
  /** Tells `tracker` of every change from now on. What is there already it has to ask for. */
  track(tracker: KeyTracker): void;
  usage(): MemoryUsage;
  /** Walks everything and throws INVARIANT if any structure contradicts another or the accounting. For tests. */
  verify(): void;
}
