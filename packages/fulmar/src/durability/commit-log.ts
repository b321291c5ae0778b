/**
 * What the committer needs of a log. The log groups commits, hands groups to the operating system in
 * order, syncs, and reports how far each is; it never looks into a commit.
 */

/** Where the committer encodes the commit: exactly `length` bytes at `at`. */
export interface CommitSpace {
  readonly bytes: Uint8Array;
  readonly at: number;
}

export interface LogObserver {
  /**
   * Every commit up to `version` is wholly handed to the operating system. Versions rise. Writers who wait only for
   * that may be told up to `tellable`: as much as may be lost when the power goes.
   */
  logged(version: number, tellable: number): void;
  /** Every commit up to `version` is on stable storage. Versions rise and never pass `logged`. */
  synced(version: number, tellable: number): void;
  /**
   * The log could not take the commits after `version` and has made sure that no trace of them can
   * return. Called synchronously when it happens, which may be inside `end` or `want`, so that memory is rolled back
   * at once...
   */
  refused(version: number, error: Error): void;
  /** ... and this when it is certain on disk; only then may the writers be told. */
  refusalDurable(): void;
  /**
   * A sync failed, or a refusal could not be made certain: the outcome of everything above `synced` is
   * unknown, and the log takes nothing more.
   */
  failed(error: Error): void;
}

/** How much may be told of that is not synced, and could be lost; whichever is less. */
export interface FlushPolicy {
  readonly intervalMs: number;
  readonly commits: number;
  readonly bytes: number;
}

export interface CommitLog {
  readonly logged: number;
  readonly synced: number;
  /**
   * Reserves space for the encoded commit of the next version. The caller fills it and calls
   * {@link end} before anything else happens. Throws, with nothing changed, where there is no memory for it.
   */
  begin(version: number, lengthBytes: number): CommitSpace;
  end(): void;
  /** In place of {@link end}: the commit that was begun is none, and nothing of it is left. */
  abandon(): void;
  /** Somebody waits for everything appended so far to be logged, or synced. */
  want(level: "logged" | "synced"): void;
  /** Hands over what is pending and syncs, in order, then stops taking commits. */
  close(): Promise<void>;
}
