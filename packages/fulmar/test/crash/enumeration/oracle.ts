import type { Durability } from "../../../src/index.js";

/** One change of a commit; `value` is undefined for a deletion. */
export interface Change {
  readonly key: string;
  readonly value: string | undefined;
  /** Wall ms; infinite unless it expires. */
  readonly expiresAt: number;
}

/** What became of a write, as its caller knows it. */
export interface Commit {
  readonly changes: readonly Change[];
  readonly level: Durability;
  readonly versionBefore: number;
  /** Unknown while the call that makes it has not returned. */
  version: number | undefined;
  /** Memory was rolled back to before it. */
  rolledBack: boolean;
  /** Its caller was told that it is gone. */
  refused: boolean;
  /** The newest entry of another writer in it. */
  readonly foreign?: { readonly origin: string; readonly seq: number };
}

export type State = ReadonlyMap<string, Change>;

/** What must hold of whatever a crash at one moment leaves. */
export interface Expectation {
  /** What the first store of this log of commits found. */
  readonly base: State;
  readonly commits: readonly Commit[];
  /** The least version that a killed process leaves. */
  readonly keptByKill: number;
  /** The least version that a power cut leaves. */
  readonly keptByPower: number;
  /**
   * Versions and sequence numbers at or below these have been given out. Times may come again, for commits
   * that were lost and in another stamp, which its sequence number makes new; not those of `full` commits.
   */
  readonly given: { readonly version: number; readonly seq: number; readonly hlc: number };
  readonly wallMs: number;
  /** Every commit of earlier lives that was still there in the next, if commits are recorded as they are applied. */
  readonly past: readonly Commit[] | undefined;
}

/** Applies commits in order. */
export function applied(base: State, commits: readonly Commit[]): Map<string, Change> {
  const state = new Map(base);
  for (const { changes } of commits) {
    for (const change of changes) {
      if (change.value === undefined) state.delete(change.key);
      else state.set(change.key, change);
    }
  }
  return state;
}

/** What readers see of a state at a moment, in the order of keys. */
export function readable(state: State, nowMs: number): string {
  const live = [...state.values()].filter((change) => change.expiresAt > nowMs);
  const pairs = live.map(({ key, value }) => [key, value] as [string, string]);
  return JSON.stringify(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The states that a store may show that recovered through version `found`: all commits up to there, less
 * what was refused. What the log refused may return until its writer is told, but then nothing came after.
 */
export function candidates(expectation: Expectation, found: number): Map<string, Change>[] {
  const within = expectation.commits.filter(({ version, versionBefore, refused }) => {
    return !refused && (version ?? (found > versionBefore ? found : Number.POSITIVE_INFINITY)) <= found;
  });
  const standing = within.filter((commit) => !commit.rolledBack);
  const newest = standing.at(-1)?.version ?? 0;
  const back = within.filter((commit) => !commit.rolledBack || (commit.version ?? 0) > newest);
  return [standing, back].map((commits) => applied(expectation.base, commits));
}
