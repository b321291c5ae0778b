import { FulmarError } from "../base/errors.js";
import { COMMIT_ENTRIES_MAX } from "../base/limits.js";
import { LATEST, type MemoryEngine, NONE, type Ref } from "../memory/engine.js";
import type { Spared, Victims } from "../memory/eviction/victims.js";
import { isTombstone } from "../record/entry.js";

/** Below the limit so many times smaller than it, evictions end: the next writes find room then. */
const ROOM_PART = 64;
const ROOM_BYTES_MAX = 1024 * 1024;
/** Keys that one commit evicts at most which does nothing else. */
const VICTIMS_MAX = 10_000;
/** Keys that one commit evicts at most for what it writes: as many as it could write. */
const VICTIMS_FOR_COMMIT_MAX = COMMIT_ENTRIES_MAX;
/** Keys that one write evicts at most beyond what itself needs. */
const EXTRA_MAX = 64;
/** What the tombstone of an evicted key takes in indexes and queues until it is settled, in bytes, about. */
const TOMBSTONE_INDEX_BYTES = 40;
/** Records that are vacuumed at a time when memory is short. */
const VACUUMED_AT_ONCE = 256;
/** Keys in a row that are offered and stay, beyond those that the commit writes, before the search is given up. */
const PASSED_MAX = 1000;
/** Bytes over the limit that commits on their way to the disk may hold, and the same as a part of the limit. */
const LEAVING_BYTES_MAX = 16 * 1024 * 1024;
const LEAVING_PART = 4;
const PINNED =
  "what listings, snapshots or transactions under way show, or a checkpoint, a backup, peers or other threads beyond " +
  "what is allowed for these, cannot be freed: end them, or wait for them";
const NO_REFS: ReadonlySet<Ref> = new Set();

/** One change of a commit that wants room. */
export interface WantedChange {
  readonly key: Uint8Array;
  /** Length of its encoded entry. */
  readonly entryBytes: number;
  /** Whether it is a deletion: its tombstone goes when it is settled, unless peers have to hear of it. */
  readonly isDeletion: boolean;
}

/** What to evict: until so many bytes are free, or so many keys are gone. */
export interface EvictionGoal {
  /** Undefined: until there is some room below the limit. Infinity: whatever that frees. */
  readonly bytes: number | undefined;
  readonly entries: number;
}

/**
 * Keeps memory in use at or below a limit: decides before a commit is written whether it fits, and what
 * has to go for it. Counted are the bytes that the engine and the policy use, less those that commits
 * under way have replaced or deleted, since these are on their way out. What was replaced or deleted and only the
 * store's own work or readers on other threads still show does not count either, up to as much as the limit: else
 * a full store would refuse writes beside each of its checkpoints.
 *
 * What a commit needs is reckoned before it exists: cells to the byte, indexes by an estimate, which a
 * batch of many new keys can exceed a little.
 */
export class MemoryLimit {
  readonly limitBytes: number;
  readonly #engine: MemoryEngine;
  readonly #victims: Victims | undefined;

  /** Without victims nothing is evicted, and what does not fit is refused. */
  constructor(engine: MemoryEngine, limitBytes: number, victims: Victims | undefined) {
    this.limitBytes = limitBytes;
    this.#engine = engine;
    this.#victims = victims;
  }

  /** Bytes in use, the policy's tables included. */
  get usedBytes(): number {
    return this.#engine.usedBytes + (this.#victims?.tableBytes ?? 0);
  }

  /** Bytes that only the store's own work and readers on other threads keep, and that count nevertheless. */
  get #keptBeyond(): number {
    return Math.max(0, this.#engine.keptBytes - this.limitBytes);
  }

  /** Whether more is in use than the limit allows. */
  get isExceeded(): boolean {
    return !this.#fits(0);
  }

  /** Whether evictions should go on in the background. */
  get isTight(): boolean {
    return this.#victims !== undefined && this.#staying() > this.limitBytes - this.#room();
  }

  /**
   * The keys that must be evicted for a commit with these changes, and with it, by their records; mostly none,
   * and never one that the commit writes itself. Throws MEMORY_FULL, with everything as it was, when it cannot
   * fit.
   */
  admit(changes: readonly WantedChange[]): readonly Ref[] {
    const needBytes = this.#grossBytes(changes);
    // Deletions of what is there make room, and always work.
    if (needBytes === 0) return [];
    this.#vacuumFor(needBytes);
    this.#assertNotCrowded(needBytes);
    if (this.#fits(needBytes)) return [];
    // Only now it is worth looking up what is replaced.
    const stored = changes.map(({ key }) => this.#engine.find(key, LATEST));
    const replaced = new Set(stored.filter((ref) => ref !== NONE));
    const spared = this.#spared(needBytes);
    const netBytes = this.#netBytes(changes, stored, replaced, spared);
    if (netBytes <= 0 || this.#fits(netBytes)) return [];
    return this.#makeRoom(netBytes, replaced, spared);
  }

  /** The keys that go for a commit that adds so much, with a little room for the next ones. */
  #makeRoom(netBytes: number, replaced: ReadonlySet<Ref>, spared: Spared): readonly Ref[] {
    const victims = this.#victims;
    const goal = this.#staying() + netBytes - this.limitBytes;
    if (victims === undefined || goal > victims.offeredBytes) throw this.#full(netBytes);
    victims.begin(spared);
    const { refs, bytes } = this.#choose(victims, goal, VICTIMS_FOR_COMMIT_MAX, replaced);
    if (bytes < goal) {
      victims.giveBack(refs);
      throw this.#full(netBytes);
    }
    const extra = this.#choose(victims, goal + this.#room() - bytes, EXTRA_MAX, replaced);
    for (const ref of extra.refs) refs.push(ref);
    return refs;
  }

  /** Keys to evict in the background or by hand. */
  choose({ bytes: goalBytes, entries }: EvictionGoal): Ref[] {
    const victims = this.#victims;
    if (victims === undefined) return [];
    if (goalBytes === undefined) this.#vacuumFor(this.#room());
    const bytes = goalBytes ?? this.#staying() - (this.limitBytes - this.#room());
    // Whoever wants keys gone, and not memory free, has them gone.
    victims.begin(bytes === Number.POSITIVE_INFINITY ? "nothing" : this.#spared(bytes));
    return this.#choose(victims, bytes, Math.min(entries, VICTIMS_MAX)).refs;
  }

  /** The evictions that were chosen were not done. */
  giveBack(refs: readonly Ref[]): void {
    this.#victims?.giveBack(refs);
  }

  /** Bytes that stay when everything under way is settled. */
  #staying(): number {
    const { leavingBytes, keptBytes } = this.#engine;
    return this.usedBytes - leavingBytes - keptBytes + this.#keptBeyond;
  }

  /** Whose keys are of no use to whoever wants so many bytes. */
  #spared(bytes: number): Spared {
    return this.#engine.keptBytes + bytes <= this.limitBytes ? "users" : "pinned";
  }

  /** What nobody needs any more goes before anything is evicted or refused; moving records makes no room. */
  #vacuumFor(needBytes: number): void {
    while (!this.#fits(needBytes) && this.#engine.vacuum(VACUUMED_AT_ONCE, false));
  }

  #room(): number {
    return Math.min(ROOM_BYTES_MAX, Math.floor(this.limitBytes / ROOM_PART));
  }

  #fits(needBytes: number): boolean {
    return this.#staying() + needBytes <= this.limitBytes;
  }

  #growthBytes(keys: number): number {
    return this.#engine.indexGrowthBytes(keys) + (this.#victims?.growthBytes(keys) ?? 0);
  }

  /** What a commit adds when it replaces nothing; 0 when it only deletes what is there. */
  #grossBytes(changes: readonly WantedChange[]): number {
    const engine = this.#engine;
    let bytes = 0;
    let keys = 0;
    for (const { key, entryBytes, isDeletion } of changes) {
      if (isDeletion && !(engine.keepTombstones && engine.find(key, LATEST) === NONE)) continue;
      bytes += engine.bytesFor(entryBytes);
      keys++;
    }
    return keys === 0 ? 0 : bytes + this.#growthBytes(keys);
  }

  /**
   * What a commit adds once it is settled: keys that are there already, which `stored` says for each change,
   * take no new place in the indexes.
   */
  #netBytes(
    changes: readonly WantedChange[],
    stored: readonly Ref[],
    replaced: Iterable<Ref>,
    spared: Spared,
  ): number {
    const engine = this.#engine;
    const { keepTombstones } = engine;
    const byUser = spared === "users";
    let bytes = 0;
    let keys = 0;
    for (const [i, { entryBytes, isDeletion }] of changes.entries()) {
      if (isDeletion && !keepTombstones) continue;
      bytes += engine.bytesFor(entryBytes);
      if (stored[i] === NONE) keys++;
    }
    for (const ref of replaced) {
      const isStaying = keepTombstones || !isTombstone(engine.slab(ref), engine.offset(ref));
      if (isStaying && !engine.isPinned(ref, byUser)) bytes -= engine.bytesOf(ref);
    }
    return keys === 0 ? bytes : bytes + this.#growthBytes(keys);
  }

  /** What is on its way out goes when the disk has it; until then it takes memory all the same. */
  #assertNotCrowded(needBytes: number): void {
    const { limitBytes } = this;
    const most = limitBytes + LEAVING_BYTES_MAX + Math.floor(limitBytes / LEAVING_PART);
    const keptFreely = this.#engine.keptBytes - this.#keptBeyond;
    if (this.usedBytes - keptFreely + needBytes <= most) return;
    const message = "too many writes are on their way to the disk: wait for the promises of some of them";
    throw new FulmarError("MEMORY_FULL", message, this.#details(needBytes));
  }

  #choose(
    victims: Victims,
    goalBytes: number,
    count: number,
    staying: ReadonlySet<Ref> = NO_REFS,
  ): { refs: Ref[]; bytes: number } {
    const refs: Ref[] = [];
    // Those that stay may all be next, and a policy that chooses at random may offer one again.
    const passedMax = PASSED_MAX + 2 * staying.size;
    let bytes = 0;
    for (let passed = 0; bytes < goalBytes && refs.length < count && passed < passedMax; ) {
      const ref = victims.next();
      if (ref === NONE) break;
      if (staying.has(ref)) {
        victims.pass(ref);
        passed++;
        continue;
      }
      refs.push(ref);
      bytes += Math.max(1, this.#engine.bytesOf(ref) - TOMBSTONE_INDEX_BYTES);
      passed = 0;
    }
    return { refs, bytes };
  }

  #full(needBytes: number): FulmarError {
    const { limitBytes } = this;
    const stated = `${needBytes} more bytes do not fit into maxMemory of ${limitBytes}`;
    let advice = "delete something, or open the store with more";
    if (needBytes > limitBytes) advice = "split the write, or open the store with more";
    else if (this.#engine.hasPins("user") || this.#keptBeyond > 0) advice = PINNED;
    else if (this.#victims !== undefined) advice = "nothing that may be evicted would free enough";
    return new FulmarError("MEMORY_FULL", `${stated}: ${advice}`, this.#details(needBytes));
  }

  #details(needBytes: number): { limitBytes: number; usedBytes: number; needBytes: number } {
    return { limitBytes: this.limitBytes, usedBytes: this.usedBytes, needBytes };
  }
}
