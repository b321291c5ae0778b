import { assert } from "../base/assert.js";
import { FulmarError, FulmarRangeError } from "../base/errors.js";
import { RECORD_BYTES_MAX } from "../base/limits.js";
import type { CommitLog, LogObserver } from "../durability/commit-log.js";
import { type CoverageChange, coverageBytes } from "../record/commit.js";
import type { Coverage } from "../record/coverage.js";
import { stampOf } from "../record/stamp.js";
import { Acknowledgements, type Level } from "./acknowledgements.js";
import { type ApplyParts, applyCommit } from "./apply.js";
import { bodyOf, type CommitBody, type CommitExtras, inFront, NO_EXTRAS, NOBODY } from "./commit-body.js";
import type {
  Changed,
  Committed,
  CommitterListener,
  CommitterParts,
  Evicted,
  Merged,
  OutcomeOf,
} from "./committer-types.js";
import { CoverageLedger } from "./coverage-ledger.js";
import { readOnly, takeBack } from "./failing.js";
import type { Hidden } from "./gradual-merge.js";
import { checkedSize, type LocalWrite, OWN_ORIGIN, StampedWrites, wantedRoom } from "./local-write.js";
import type { EvictionGoal } from "./memory-limit.js";
import { type MergePlan, planCoverage, roomForWinners, winnersOf } from "./merge.js";
import { MERGE_AT_ONCE_BYTES, MergeQueue } from "./merge-queue.js";
import { Trail } from "./optimistic/trail.js";
import { type PinOwner, Pins, type StatePin } from "./pins.js";
import { NEEDS_LOGGED, NEEDS_SYNCED, Publication } from "./publication.js";
import { evictionCommit, expiryCommit } from "./tombstones.js";

export type * from "./committer-types.js";
export { type LocalWrite, OWN_ORIGIN } from "./local-write.js";

/**
 * The one door: everything that changes the store goes through here, whether a local write, a merge
 * from a peer or an expiry. Each commit is validated, stamped, numbered, encoded once into the log's
 * buffer, copied from there into memory, and acknowledged and published when it is durable enough.
 *
 * Invariants: versions and sequence numbers rise and are never given out twice, not even after a
 * refusal; memory never shows less than what was acknowledged; `settled <= published <= logged`.
 */
export class Committer implements LogObserver {
  readonly #parts: CommitterParts;
  readonly #listener: CommitterListener;
  readonly #ledger: CoverageLedger;
  readonly #publication: Publication;
  readonly #acknowledgements = new Acknowledgements();
  readonly trail = new Trail();
  /** Whether any watcher wants to hear of these changes. */
  interest: ((changed: Changed) => boolean) | undefined;
  readonly pins: Pins;
  readonly #merges: MergeQueue;
  #log: CommitLog | undefined;
  #applying: ApplyParts | undefined;
  #version: number;
  #seq: number;
  #synced: number;
  /** The newest commit that was not refused; memory's version is behind it when it holds no entries. */
  #newest: number;
  #failure: Error | undefined;
  #retainers = 0;
  #replicating = false;
  #publishing = false;
  #evictedEntries = 0;
  #evictedBytes = 0;

  constructor(parts: CommitterParts, listener: CommitterListener) {
    this.#parts = parts;
    this.#listener = listener;
    const base = { ...parts, checksum: parts.runtime.checksum, ownOrigin: OWN_ORIGIN };
    this.#merges = new MergeQueue({
      runtime: parts.runtime,
      // What no local commit may be at once, no merge is either.
      atOnceBytes: Math.min(MERGE_AT_ONCE_BYTES, parts.limits.commitBytesMax),
      context: () => ({ ...base, ownSeq: this.#seq }),
      assertWritable: () => this.#assertWritable(),
      // What has to be evicted for a merge goes in one step with it.
      nextVersion: () => (parts.memoryLimit === undefined ? ++this.#version : undefined),
      broken: (cause) => this.#broken("a merge could not be applied", cause),
    });
    this.pins = new Pins(parts, () => this.#listener.letGo());
    this.#version = parts.version;
    this.#seq = parts.seq;
    this.#synced = parts.engine.version;
    this.#newest = parts.engine.version;
    this.#ledger = new CoverageLedger(parts.coverage);
    this.#publication = new Publication(parts.engine.version);
  }

  /** The log reports to the committer, so it comes after it; to be called once, before any commit. */
  attach(log: CommitLog): void {
    assert(this.#log === undefined, "one log for one committer");
    this.#log = log;
    const broken = (cause: unknown): Error => this.#broken("a commit could not be applied", cause);
    this.#applying = { engine: this.#parts.engine, log, broken };
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get seq(): number {
    return this.#seq;
  }

  /** The newest version ever given out, refused ones included. */
  get lastVersion(): number {
    return this.#version;
  }

  /** The newest that was not refused. */
  get newestVersion(): number {
    return this.#newest;
  }

  get syncedVersion(): number {
    return this.#synced;
  }

  get loggedVersion(): number {
    return this.#log?.logged ?? 0;
  }

  get publishedVersion(): number {
    return this.#publication.published;
  }

  /** What memory shows as covered, foreign origins only. */
  get appliedCoverage(): Coverage {
    return this.#ledger.applied;
  }

  /** What is covered and synced, own commits included once replication began. */
  get syncedCoverage(): Coverage {
    return this.#ledger.synced;
  }

  /** Everything that was evicted since the store opened; what the log took back, too. */
  get evicted(): Evicted {
    return { entries: this.#evictedEntries, bytes: this.#evictedBytes };
  }

  /**
   * Stamps and applies local writes as one commit. Throws, with nothing changed, when the store cannot write.
   * {@link finishMerge} comes before it. The promise is of the commit, or of what `outcomeOf` makes of it at once.
   */
  commit(writes: readonly LocalWrite[], level: Level): Promise<Committed>;
  commit<T>(writes: readonly LocalWrite[], level: Level, outcomeOf: OutcomeOf<T> | undefined): Promise<T>;
  commit<T>(writes: readonly LocalWrite[], level: Level, outcomeOf?: OutcomeOf<T>): Promise<T | Committed> {
    const { engine, origins, clock, runtime, limits, memoryLimit } = this.#parts;
    this.#assertWritable();
    assert(!engine.isHiding, "whoever decides on the newest state has a merge finished before");
    const entriesBytes = checkedSize(writes, limits);
    const victims = memoryLimit?.admit(wantedRoom(writes)) ?? NOBODY;
    const stamp = stampOf(clock.next(), origins.id(OWN_ORIGIN), ++this.#seq);
    const version = ++this.#version;
    const body = new StampedWrites(writes, entriesBytes, stamp, runtime.checksum);
    const committed = body.committedAt(version);
    const outcome = outcomeOf === undefined ? committed : outcomeOf(committed);
    if (victims.length === 0 && !this.#replicating) return this.#write(version, outcome, level, body);
    const covered = this.#replicating ? [[stamp.origin, { upTo: stamp.seq, holes: [] }] as const] : NOBODY;
    return this.#write(version, outcome, level, body, { ...NO_EXTRAS, victims, covered });
  }

  /** Merges foreign entries and coverage as one commit; resolves when it is synced. */
  merge(pages: readonly Uint8Array[], adds: Coverage): Promise<Merged> {
    this.#assertWritable();
    return this.#merges.run(pages, (plan, hidden) => this.#commitMerge(plan, adds, hidden));
  }

  /** Has a merge that is half in memory done now: before anything is decided that a commit follows. */
  finishMerge(): void {
    this.#merges.finish();
  }

  /** Gives up merges that are not applied yet. */
  stopMerging(): void {
    this.#merges.stop();
  }

  /**
   * Turns entries whose deadline has passed, at most `limit`, into tombstones that keep their stamp:
   * expiry is no new write, so replicas that sweep at different moments still agree. Returns how many.
   */
  sweep(limit: number): number {
    this.#merges.finish();
    if (this.#failure !== undefined) return 0;
    const expired = expiryCommit(this.#parts.engine, this.#parts.clock.nowMs(), limit);
    if (expired.length === 0) return 0;
    // Nobody waits for it: what the log refuses is there again, and expired all the same.
    this.#write(++this.#version, undefined, "relaxed", bodyOf(expired)).catch(() => undefined);
    return expired.length;
  }

  /** Evicts keys in one commit, for a goal or a part of it. `done` resolves when it survives the process. */
  evict(goal: EvictionGoal): Evicted & { readonly done: Promise<unknown> } {
    this.#merges.finish();
    this.#assertWritable();
    const victims = this.#parts.memoryLimit?.choose(goal) ?? NOBODY;
    if (victims.length === 0) return { entries: 0, bytes: 0, done: Promise.resolve() };
    const before = this.#evictedBytes;
    const extras = { ...NO_EXTRAS, victims };
    const done = this.#write(++this.#version, undefined, "relaxed", bodyOf(NOBODY), extras);
    return { entries: victims.length, bytes: this.#evictedBytes - before, done };
  }

  /** Resolves when every commit so far is synced. */
  flush(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#newest <= this.#synced) return Promise.resolve();
    const done = this.#acknowledgements.promise(this.#newest, undefined, "full");
    this.#log?.want("synced");
    return done;
  }

  /** From now on un-synced commits are kept apart and own commits are covered: what replication needs. */
  async beginReplication(): Promise<void> {
    if (!this.#replicating) this.#retainers++;
    this.#replicating = true;
    // Also at a second attempt: a refusal took the first one's coverage back.
    this.#ledger.record(this.#newest, this.#parts.origins.id(OWN_ORIGIN), { upTo: this.#seq, holes: [] });
    await this.flush();
    this.#ledger.advance(this.#synced);
  }

  /** Pins the newest synced state, with what it covers. Resolves once what is applied now is in it. */
  async pinSynced(owner: PinOwner): Promise<{ readonly pin: StatePin; readonly coverage: Coverage }> {
    this.#retainers++;
    try {
      await this.flush();
      return { pin: this.pin(this.#synced, owner), coverage: this.#ledger.synced.copy() };
    } finally {
      this.#retainers--;
    }
  }

  /** Pins a version that is still kept: between the settled and the newest one. See {@link Pins.pin}. */
  pin(version: number, owner: PinOwner = "user", holder?: object): StatePin {
    return this.pins.pin(Math.min(version, this.#parts.engine.version), owner, holder);
  }

  logged(_version: number, tellable: number): void {
    this.#acknowledgements.logged(tellable);
    this.#publish();
  }

  synced(version: number, tellable: number): void {
    this.#synced = version;
    this.#ledger.advance(version);
    this.#acknowledgements.synced(version, tellable);
    this.#publish();
    this.#listener.synced();
  }

  refused(version: number, error: Error): void {
    this.pins.killAbove(version);
    this.#parts.engine.rollback(version);
    this.trail.rollback(version);
    this.#newest = Math.min(this.#newest, version);
    this.#ledger.rollback(version);
    this.#publication.rollback(version);
    this.#merges.rolledBack();
    this.#acknowledgements.refuse(version, this.#version, error);
    this.#listener.letGo();
    this.#listener.refused(error);
  }

  refusalDurable(): void {
    this.#acknowledgements.rejectRefused();
  }

  failed(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#acknowledgements.rejectAll(error);
    this.#listener.failed(error);
  }

  #commitMerge(plan: MergePlan, adds: Coverage, hidden?: Hidden): Promise<Merged> {
    const { engine, origins, clock, memoryLimit } = this.#parts;
    const coverage = planCoverage(this.#ledger.applied, adds, plan.refused, origins.id(OWN_ORIGIN));
    const result = { applied: plan.winners.length, stale: plan.stale, refused: plan.refused };
    if (plan.winners.length === 0 && coverage.size === 0) {
      const version = engine.version;
      return this.flush().then(() => ({ version, ...result }));
    }
    const changes = [...coverage].map(([id, covered]) => ({ origin: origins.intern(id), coverage: covered }));
    if (plan.winnersBytes + coverageBytes(changes) > RECORD_BYTES_MAX - 65536) {
      throw new FulmarRangeError("COMMIT_TOO_LARGE", "a merge is larger than one log record can be");
    }
    const victims = memoryLimit?.admit(roomForWinners(plan)) ?? NOBODY;
    clock.observe(plan.hlc);
    const version = hidden?.version ?? ++this.#version;
    const extras = { victims, changes, covered: coverage, remote: true };
    const body = winnersOf(plan, hidden?.runs);
    return this.#write(version, { version, ...result }, "full", body, extras);
  }

  #assertWritable(): void {
    if (this.#failure !== undefined) throw readOnly(this.#failure);
  }

  /**
   * Applies a commit, with the tombstones of what has to go for it in front of its own entries, and hands it
   * to the log. As one commit, nobody ever finds a key gone for the sake of a write that is not there, and a
   * transaction that read the key is not behind its eviction.
   */
  #write<T>(version: number, outcome: T, level: Level, own: CommitBody, extras = NO_EXTRAS): Promise<T> {
    const { changes, covered, remote } = extras;
    const isEvicting = extras.victims.length > 0;
    const before = this.#parts.engine.version;
    const body = isEvicting ? this.#evictFor(version, extras, own) : own;
    if (!isEvicting) this.#apply(version, changes, body);
    const done = level === "memory" ? undefined : this.#acknowledgements.promise(version, outcome, level);
    try {
      if (covered !== NOBODY)
        for (const [id, coverage] of covered) this.#ledger.record(version, id, coverage);
      // What was evicted takes memory until the log has it.
      this.#seal(version, isEvicting && level === "memory" ? "relaxed" : level, remote, body.changed);
      if (isEvicting) this.#listener.evicted();
    } catch (cause) {
      done?.catch(() => undefined);
      if (this.publishedVersion < version) {
        takeBack(this.#parts.engine, before);
        this.#ledger.rollback(before);
      }
      throw this.#broken("a commit could not be handed to the log", cause);
    }
    return done ?? this.#acknowledgements.applied(version, outcome);
  }

  /** Applies a commit with tombstones in front of its own entries; returns both together. */
  #evictFor(version: number, { victims, changes }: CommitExtras, own: CommitBody): CommitBody {
    const { engine, clock, memoryLimit } = this.#parts;
    const evictedBytes = victims.reduce((sum, ref) => sum + engine.bytesOf(ref), 0);
    try {
      const body = inFront(evictionCommit(engine, victims, clock.nowMs()), own);
      this.#apply(version, changes, body);
      this.#evictedEntries += victims.length;
      this.#evictedBytes += evictedBytes;
      return body;
    } catch (error) {
      memoryLimit?.giveBack(victims);
      throw error;
    }
  }

  #apply(version: number, changes: readonly CoverageChange[], body: CommitBody): void {
    assert(this.#applying !== undefined, "a committer has its log before its first commit");
    applyCommit(this.#applying, version, changes, body);
  }

  #broken(message: string, cause: unknown): Error {
    const error = new FulmarError("STORE_FAILED", message, { cause });
    this.failed(error);
    return error;
  }

  /** Closes the record, after everybody who waits for it is in line. */
  #seal(version: number, level: Level, remote: boolean, changed: Changed): void {
    assert(this.#log !== undefined, "a committer has its log before its first commit");
    this.#newest = version;
    // Even a commit of level `memory` is shown to others only once it survives this process.
    this.#publication.add(version, level === "full" ? NEEDS_SYNCED : NEEDS_LOGGED);
    if (this.trail.followed) this.trail.add(version, changed);
    if (this.interest?.(changed) === true) {
      this.#publication.notify({ version, remote, keys: changed.map((change) => change.key) });
    }
    this.#log.end();
    if (level === "full" || this.#replicating) this.#log.want("synced");
    else if (level === "relaxed") this.#log.want("logged");
  }

  #publish(): void {
    // A watcher may write, which brings us back here: the outer call goes on with what that added.
    if (this.#publishing) return;
    this.#publishing = true;
    try {
      for (;;) {
        const before = this.#publication.published;
        const notices = this.#publication.advance(this.loggedVersion, this.#synced);
        if (before === this.#publication.published) break;
        this.#listener.published(notices);
      }
    } finally {
      this.#publishing = false;
    }
    this.#settle();
  }

  #settle(): void {
    const { engine } = this.#parts;
    const kept = this.#retainers > 0 ? this.#synced : this.loggedVersion;
    const version = Math.min(this.#publication.published, kept);
    if (version <= engine.settled) return;
    engine.settle(version);
    this.#listener.letGo();
  }
}
