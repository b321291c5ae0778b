import { assert } from "../../base/assert.js";
import type { Pin, PinOwner, Ref } from "../engine.js";
import type { KeyTree } from "../offheap/key-tree.js";
import type { TreeAudience } from "../offheap/key-tree-copies.js";
import type { Node } from "../offheap/node-pool.js";
import type { Records } from "../offheap/records.js";
import { type MemoryKind, SharedBuffers } from "./buffers.js";
import {
  ACTIVITY,
  CLOSED,
  CONTROL_WORDS,
  COUNT_MAX,
  countsBetween,
  DETACHED,
  EDITION,
  EPOCH,
  NONE_YET,
  nextCount,
  PIN,
  PUBLICATION,
  packRoot,
  publicationAt,
  READER_WORDS,
  REVOKED,
  ROOT,
  SECTION,
  storePair,
  TIME,
  TREE_NODES_MAX,
  VERSION,
} from "./control.js";
import { Limbo } from "./limbo.js";

/** Memory waits for readers until so much went out of reach that looking at them is worth it. */
const STEP_BYTES = 64 << 10;
/** So much waits for readers in the middle of a read, at most; then the read is taken back. */
const LIMBO_BYTES_MAX = 32 << 20;
/** A reader that does nothing between two publications so far apart is let go of: counts begin again. */
const SILENCE = 2 ** 29;

/** Bounds that tests shrink. */
export interface SharingBounds {
  readonly stepBytes?: number;
  readonly limboBytesMax?: number;
  readonly silence?: number;
  readonly firstPublication?: number;
}

/** What sharing needs of the engine whose memory it is. */
export interface SharedEngine {
  readonly settled: number;
  readonly indexes: { readonly keys: KeyTree; readonly records: Records };
  /** For a `reader` it keeps the state of a version readable, but not its records where they are. */
  pin(version: number, owner: PinOwner): Pin;
}

/** What a reader must know to find its way in shared memory. */
export interface SharedLayout {
  readonly slabShift: number;
  readonly chunkShift: number;
  readonly nodeWords: number;
  readonly leafMax: number;
  readonly innerMax: number;
  readonly headerBytes: number;
  readonly olderWord: number;
}

/** What the owner knows of a reader on another thread. */
export interface Attached {
  readonly block: Uint32Array;
  /** The publication that {@link pin} keeps; NONE_YET without. */
  publication: number;
  pin: Pin | undefined;
  /** ACTIVITY as the owner last saw it, and at the last mark of SILENCE. */
  activity: number;
  markedActivity: number;
}

/**
 * The owner's side of memory that other threads read: it publishes settled states, has whatever readers may
 * still look at wait, and takes reads back that hold up too much. Without readers it does nothing.
 *
 * Memory is used again only when no reader can be in the middle of a read that began before the memory went
 * out of reach. A reader announces each read, and ends it by exchanging its announcement for "none": when
 * that succeeds, the owner saw the announcement all the while, or sees the end of the read before it uses
 * anything again. When it fails, the owner had exchanged it for REVOKED first, and the reader throws away
 * whatever it read. `docs/decisions` tells why nothing weaker will do.
 */
export class Sharing implements TreeAudience {
  readonly buffers = new SharedBuffers();
  readonly control = new Uint32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
  /** The time that deadlines of a published state are judged by at least, in wall ms. */
  nowMs: () => number = () => 0;
  /** Called before a state is published. */
  publishing: () => void = () => undefined;
  /** Told of each reader that was let go of. */
  detached: (reader: Attached) => void = () => undefined;
  readonly #bounds: Required<SharingBounds>;
  readonly #readers = new Set<Attached>();
  #engine: SharedEngine | undefined;
  #limbo: Limbo | undefined;
  #epoch = 1;
  #publication: number;

  constructor(bounds: SharingBounds = {}) {
    this.#bounds = {
      stepBytes: STEP_BYTES,
      limboBytesMax: LIMBO_BYTES_MAX,
      silence: SILENCE,
      firstPublication: 1,
      ...bounds,
    };
    this.#publication = this.#bounds.firstPublication;
    Atomics.store(this.control, EPOCH, this.#epoch);
    Atomics.store(this.control, PUBLICATION, this.#publication);
    this.buffers.retired = (reuse) => this.#retireNumber(reuse);
  }

  /** Readers that are attached. */
  get readers(): ReadonlySet<Attached> {
    return this.#readers;
  }

  /**
   * Whether what is the newest of its key since a version is in the state that readers may begin with, and one of them
   * stays at that: then it is pinned before what replaces it is settled.
   */
  willPin(version: number): boolean {
    if (version > this.#shared().settled) return false;
    for (const { block } of this.#readers) if (Atomics.load(block, PIN) === this.#publication) return true;
    return false;
  }

  /** Memory that waits for readers: bytes, cells of the arena, nodes of the key tree. */
  get waiting(): { readonly bytes: number; readonly cells: number; readonly nodes: number } {
    const limbo = this.#limbo;
    return { bytes: limbo?.bytes ?? 0, cells: limbo?.cells ?? 0, nodes: limbo?.nodes ?? 0 };
  }

  /** Bytes of the nodes that wait. */
  get waitingNodeBytes(): number {
    return this.#limbo?.nodeBytes ?? 0;
  }

  get layout(): SharedLayout {
    const { keys, records } = this.#shared().indexes;
    const { pool, leafMax, innerMax } = keys.nodes;
    const { headerBytes, olderWord } = records;
    const { chunkShift, nodeWords } = pool;
    const { slabShift } = records.arena.slabs;
    return { slabShift, chunkShift, nodeWords, leafMax, innerMax, headerBytes, olderWord };
  }

  /** Called once by the engine. */
  bind(engine: SharedEngine): void {
    assert(this.#engine === undefined, "shared memory is of one engine");
    this.#engine = engine;
    const { keys, records } = engine.indexes;
    const targets = {
      releaseCell: (ref: Ref) => records.arena.release(ref),
      releaseNode: (node: Node) => keys.nodes.pool.give(node),
    };
    this.#limbo = new Limbo(targets, keys.nodes.pool.nodeWords * 4);
  }

  /** Lets a reader in. From now on nothing that it can reach changes under its eyes. */
  attach(): Attached {
    const engine = this.#shared();
    // First: there may be no memory for it, and without a reader nothing is to wait for readers.
    const block = new Uint32Array(new SharedArrayBuffer(READER_WORDS * 4));
    if (this.#readers.size === 0) {
      engine.indexes.keys.watch(this);
      engine.indexes.records.arena.defer = (ref, bytes) => this.#limbo?.addCell(ref, bytes);
      this.#announce(engine.settled);
    }
    const reader = { block, publication: NONE_YET, pin: undefined, activity: -1, markedActivity: -1 };
    this.#readers.add(reader);
    return reader;
  }

  /** Lets go of a reader for good, whatever it is doing. Idempotent. */
  detach(reader: Attached): void {
    if (!this.#readers.delete(reader)) return;
    // In this order: a read that does not see the stores is seen, and taken back, by the step after them; and
    // whoever overwrites the second one looks at the first.
    Atomics.store(reader.block, DETACHED, 1);
    Atomics.store(reader.block, PIN, REVOKED);
    this.#revokeSection(reader);
    reader.pin?.release();
    reader.pin = undefined;
    this.#letGoWithoutReaders();
    this.detached(reader);
  }

  #letGoWithoutReaders(): void {
    if (this.#readers.size > 0) return;
    const { keys, records } = this.#shared().indexes;
    keys.watch(undefined);
    records.arena.defer = undefined;
    this.#limbo?.releaseAll();
  }

  /** Lets go of all readers: the store closes. */
  close(): void {
    Atomics.store(this.control, CLOSED, 1);
    this.detachAll();
  }

  /** Lets go of all readers; others may come. */
  detachAll(): void {
    for (const reader of [...this.#readers]) this.detach(reader);
  }

  /**
   * Before the engine settles commits up to `version`: whoever reads the state before goes on seeing it,
   * whoever begins sees this one.
   */
  publish(version: number): void {
    if (this.#readers.size === 0) return;
    const engine = this.#shared();
    const before = this.#publication;
    this.publishing();
    this.#announce(version);
    for (const reader of [...this.#readers]) this.#follow(reader, before, engine);
  }

  /** Gives memory back as far as no reader looks at it. To be called where no change is half done. */
  reclaim(): void {
    const limbo = this.#limbo;
    if (limbo === undefined || limbo.openBytes < this.#bounds.stepBytes) return;
    this.endEpoch();
    limbo.release(this.#epoch, this.#oldestAge());
    if (limbo.bytes <= this.#bounds.limboBytesMax) return;
    for (const reader of this.#readers) this.#revokeSection(reader);
    limbo.release(this.#epoch, 0);
  }

  /** Whether so much waits, and is still looked at, that reads would be taken back before long. */
  isCrowded(): boolean {
    const limbo = this.#limbo;
    const most = this.#bounds.limboBytesMax / 2;
    if (limbo === undefined || limbo.bytes <= most) return false;
    limbo.release(this.#epoch, this.#oldestAge());
    return limbo.bytes > most;
  }

  /** Has what went out of reach up to now wait for no reads but those that go on; returns the epoch that has ended. */
  endEpoch(): number {
    const ended = this.#epoch;
    this.#epoch = nextCount(ended);
    Atomics.store(this.control, EPOCH, this.#epoch);
    this.#limbo?.seal(ended);
    return ended;
  }

  /**
   * Gives memory back as far as no reader looks at it; whether that is all that went out of reach in `epoch` or before.
   * To be called where no change is half done.
   */
  reclaimThrough(epoch: number): boolean {
    const limbo = this.#limbo;
    limbo?.release(this.#epoch, this.#oldestAge());
    const oldest = limbo?.oldest;
    return oldest === undefined || countsBetween(oldest, this.#epoch) < countsBetween(epoch, this.#epoch);
  }

  /**
   * Takes the pinned version of a reader away, if that keeps anything and the reader did nothing since the
   * last call. Returns whether it did so.
   */
  revokeIdle(reader: Attached): boolean {
    const activity = Atomics.load(reader.block, ACTIVITY);
    const isIdle = activity === reader.activity;
    reader.activity = activity;
    if (!isIdle || reader.pin === undefined) return false;
    const taken = Atomics.compareExchange(reader.block, PIN, reader.publication, REVOKED);
    if (taken !== reader.publication) return false;
    this.#revokeSection(reader);
    this.#unpin(reader);
    return true;
  }

  publishRoot(root: Node, height: number): void {
    assert(root < TREE_NODES_MAX && height < 64, "a root and its height fit one word");
    Atomics.store(this.control, ROOT, packRoot(root, height));
  }

  retire(node: Node): void {
    this.#limbo?.addNode(node);
  }

  /** Makes a version the newest that readers may begin with. */
  #announce(version: number): void {
    const next = nextCount(this.#publication);
    if (next % this.#bounds.silence === 0) this.#dropSilent();
    storePair(this.control, publicationAt(next, VERSION), version);
    storePair(this.control, publicationAt(next, TIME), Math.floor(this.nowMs()));
    this.#publication = next;
    Atomics.store(this.control, PUBLICATION, next);
  }

  /** Pins what a reader stays at, before anything of it can be let go of. */
  #follow(reader: Attached, before: number, engine: SharedEngine): void {
    const announced = Atomics.load(reader.block, PIN);
    if (announced === reader.publication && reader.pin !== undefined) return;
    this.#unpin(reader);
    // Anything else is of a reader that will find it outdated when it looks again, and announce anew.
    if (announced !== before) return;
    reader.pin = engine.pin(engine.settled, "reader");
    reader.publication = before;
  }

  #unpin(reader: Attached): void {
    reader.publication = NONE_YET;
    const { pin } = reader;
    reader.pin = undefined;
    pin?.release();
  }

  /** A reader so slow that counts come round again would take a new publication for an old one. */
  #dropSilent(): void {
    for (const reader of [...this.#readers]) {
      const activity = Atomics.load(reader.block, ACTIVITY);
      if (activity === reader.markedActivity) this.detach(reader);
      reader.markedActivity = activity;
    }
  }

  /** How many epochs ago the oldest read began that still goes on. */
  #oldestAge(): number {
    let oldest = 0;
    for (const reader of this.#readers) {
      const section = Atomics.load(reader.block, SECTION);
      if (section === NONE_YET || section === REVOKED) continue;
      const age = countsBetween(section, this.#epoch);
      // Announced before counts came round, by a reader that stood still since.
      if (age > COUNT_MAX / 2) this.#revokeSection(reader);
      else oldest = Math.max(oldest, age);
    }
    return oldest;
  }

  /** Takes back the read that goes on, if any. One that begins meanwhile begins with what is published now. */
  #revokeSection({ block }: Attached): void {
    const section = Atomics.load(block, SECTION);
    if (section !== NONE_YET) Atomics.compareExchange(block, SECTION, section, REVOKED);
  }

  #retireNumber(reuse: () => void): void {
    if (this.#readers.size === 0 || this.#limbo === undefined) {
      reuse();
      return;
    }
    Atomics.add(this.control, EDITION, 1);
    this.#limbo.addNumber(reuse);
  }

  #shared(): SharedEngine {
    assert(this.#engine !== undefined, "memory is shared by an engine");
    return this.#engine;
  }
}

/** The buffers of a kind that are in use, as a reader is told of them. */
export type MappedBuffer = readonly [kind: MemoryKind, number: number, buffer: SharedArrayBuffer];

export function mappedBuffers(buffers: SharedBuffers): MappedBuffer[] {
  return (["slab", "chunk"] as const).flatMap((kind) =>
    [...buffers.buffers(kind)].map(([number, buffer]): MappedBuffer => [kind, number, buffer]),
  );
}
