import { expect } from "vitest";
import type { Durability, Store, Written } from "../../src/index.js";

export interface Change {
  readonly key: string;
  /** Undefined for a deletion. */
  readonly value: string | undefined;
  readonly ttl?: number;
}

export interface ModelCommit {
  readonly changes: readonly Change[];
  readonly durability: Durability;
  readonly wallMs: number;
  readonly versionBefore: number;
  /** Known once the call that made it returned, or a later one looked. */
  version: number | undefined;
  /** Memory was rolled back to before it. */
  rolledBack: boolean;
  /** Which of the rollbacks of its store that was. */
  rollback: number;
  /** Its writer was told that it is gone. */
  refused: boolean;
}

interface Value {
  readonly value: string;
  readonly expiresAt: number;
}

type State = Map<string, Value>;

/** What a store must hold at each moment, and what the next one on its directory may hold. */
export class RandomModel {
  readonly #wallMs: () => number;
  #base: State = new Map();
  #commits: ModelCommit[] = [];
  #state: State = new Map();
  /** What a killed process, and a power cut, may not lose. */
  #rollbacks: number[] = [];
  #seen = 0;
  #keptByKill = 0;
  #keptByPower = 0;
  #orderly = false;
  #greatest = { version: 0, seq: 0, hlc: 0 };

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** Before a write is called. */
  begin(db: Store<string>, changes: readonly Change[], durability: Durability): ModelCommit {
    this.#look(db);
    const wallMs = this.#wallMs();
    const open = { version: undefined, rolledBack: false, rollback: 0, refused: false };
    const commit = { changes, durability, wallMs, versionBefore: db.version, ...open };
    if (db.status().state !== "failed") this.#commits.push(commit);
    else commit.rolledBack = true;
    return commit;
  }

  /** After it returned. */
  applied(db: Store<string>, _commit: ModelCommit): void {
    this.#look(db);
  }

  /** A sweep takes a version but changes nothing that can be read. */
  swept(db: Store<string>, sweep: () => void): void {
    this.#look(db);
    sweep();
    this.#look(db);
  }

  acknowledged(db: Store<string>, commit: ModelCommit, { version, stamp }: Written<string>): void {
    this.#look(db);
    expect(commit.refused).toBe(false);
    if (commit.durability !== "memory") expect([commit.rolledBack, commit.version]).toEqual([false, version]);
    const { greatest } = { greatest: this.#greatest };
    greatest.seq = Math.max(greatest.seq, stamp.seq);
    greatest.hlc = Math.max(greatest.hlc, stamp.hlc);
    greatest.version = Math.max(greatest.version, version);
    if (commit.durability === "full") this.synced(version);
    if (commit.durability === "relaxed") this.#keptByKill = Math.max(this.#keptByKill, version);
  }

  rejected(db: Store<string>, commit: ModelCommit, code: string): void {
    this.#look(db);
    if (code === "DURABILITY_UNKNOWN") return;
    expect(commit.rolledBack, code).toBe(true);
    commit.refused = true;
  }

  synced(version: number): void {
    this.#keptByPower = Math.max(this.#keptByPower, version);
    this.#keptByKill = Math.max(this.#keptByKill, version);
  }

  /** Watchers see whole commits, none that was refused, and only what survives the process. */
  published(version: number, changes: readonly [string, string | undefined][]): void {
    this.#keptByKill = Math.max(this.#keptByKill, version);
    const commit = this.#commits.find((other) => other.version === version);
    if (commit === undefined) return;
    expect(commit.rolledBack).toBe(false);
    const last = new Map(commit.changes.map(({ key, value }) => [key, value]));
    expect(new Map(changes)).toEqual(last);
    expect(changes.length).toBe(last.size);
  }

  /** A moment to ask {@link isLostSince} about. */
  get moment(): number {
    return this.#rollbacks.length;
  }

  /** Whether memory was rolled back to before `version` since a moment. */
  isLostSince(moment: number, version: number): boolean {
    return this.#rollbacks.slice(moment).some((to) => to < version);
  }

  /** Everything readable now, in order. */
  entries(): [string, string][] {
    return readable(this.#state, this.#wallMs());
  }

  /** Compares all reads. */
  observe(db: Store<string>): void {
    this.#look(db);
    const expected = this.entries();
    expect([...db.list()].map(({ key, value }) => [key, value])).toEqual(expected);
    expect(db.count()).toBe(expected.length);
    for (const [key, value] of expected.slice(0, 3)) expect(db.get(key)).toBe(value);
    this.#greatest.seq = Math.max(this.#greatest.seq, db.status().nextSeq - 1);
  }

  /** The store was closed in order: nothing may be missing. */
  closed(db: Store<string>): void {
    this.#look(db);
    this.#orderly = true;
  }

  /** A new store is open after the end of the last one. */
  recovered(db: Store<string>, end: "kill" | "power"): void {
    const { version } = db;
    const kept = end === "kill" ? this.#keptByKill : this.#keptByPower;
    expect(version).toBeGreaterThanOrEqual(kept);
    // The process died within the call that wrote: in the log wholly, or not at all.
    for (const commit of this.#commits) commit.version ??= commit.versionBefore + 1;
    const present = this.#commits.filter((commit) => !commit.refused && this.#isWithin(commit, version));
    const found = JSON.stringify([...db.list()].map(({ key, value }) => [key, value]));
    // What the log refused may return until the writer is told, but then nothing came after it.
    const standing = present.filter((commit) => !commit.rolledBack);
    const newest = standing.at(-1)?.version ?? 0;
    const last = present.at(-1)?.rollback;
    const back = present.filter((commit) => commit.rollback === last && (commit.version ?? 0) > newest);
    const candidates = [standing, [...standing, ...back.filter((commit) => commit.rolledBack)]];
    if (this.#orderly) candidates.pop();
    const states = candidates.map((commits) => apply(this.#base, commits));
    const now = this.#wallMs();
    const state = states.find((candidate) => JSON.stringify(readable(candidate, now)) === found);
    expect(state, `found ${found}`).toBeDefined();
    expect(db.status().nextSeq).toBeGreaterThan(this.#greatest.seq);
    expect(
      this.#orderly ? this.#commits.filter((commit) => !commit.rolledBack && !present.includes(commit)) : [],
    ).toEqual([]);
    this.#base = state ?? new Map();
    this.#state = new Map(this.#base);
    this.#commits = [];
    this.#rollbacks = [];
    this.#seen = version;
    this.#keptByKill = version;
    this.#keptByPower = version;
    this.#orderly = false;
  }

  #takeBack(commit: ModelCommit): void {
    commit.rolledBack = true;
    commit.rollback = this.#rollbacks.length;
  }

  #isWithin({ version }: ModelCommit, last: number): boolean {
    return version !== undefined && version <= last;
  }

  /** Finds out what the log refused since the last look, by the version that memory shows. */
  #look(db: Store<string>): void {
    const { version } = db;
    let changed = false;
    if (version < this.#seen) this.#rollbacks.push(version);
    this.#seen = version;
    for (const commit of this.#commits) {
      if (commit.rolledBack) continue;
      if (commit.version === undefined) {
        changed = true;
        if (version > commit.versionBefore) {
          expect(version).toBeGreaterThan(this.#greatest.version);
          this.#greatest.version = version;
          commit.version = version;
        } else this.#takeBack(commit);
      } else if (commit.version > version) {
        this.#takeBack(commit);
        changed = true;
      }
    }
    if (changed)
      this.#state = apply(
        this.#base,
        this.#commits.filter((commit) => !commit.rolledBack),
      );
  }
}

function apply(base: State, commits: readonly ModelCommit[]): State {
  const state: State = new Map(base);
  for (const { changes, wallMs } of commits) {
    for (const { key, value, ttl } of changes) {
      if (value === undefined) state.delete(key);
      else state.set(key, { value, expiresAt: ttl === undefined ? Number.POSITIVE_INFINITY : wallMs + ttl });
    }
  }
  return state;
}

function readable(state: State, nowMs: number): [string, string][] {
  const live = [...state].filter(([, { expiresAt }]) => expiresAt > nowMs);
  return live.map(([key, { value }]): [string, string] => [key, value]).sort(([a], [b]) => (a < b ? -1 : 1));
}
