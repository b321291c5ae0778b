import { assert } from "../base/assert.js";
import { hlcOf } from "../record/entry.js";
import { EntryRuns } from "./entry-runs.js";
import { isUndone, takeBack } from "./failing.js";
import { ENTRIES_PER_STEP, type MergeContext, type MergePlan, stillWins, type Winner } from "./merge.js";

/** Entries that are in memory, hidden. */
export interface Hidden {
  readonly version: number;
  readonly runs: EntryRuns;
}

/** What is to become of a plan. */
export interface GradualMergeParts<T> {
  readonly context: MergeContext;
  readonly plan: MergePlan;
  /** Whether local writes may have overtaken some of it since it was begun. */
  readonly isOutdated: boolean;
  /** A step ends after so many bytes, too. */
  readonly stepBytes: number;
  /** The version of its commit. */
  readonly version: number;
  /** Commits a plan whose entries, if there are any, are in memory, hidden, and shows them. */
  readonly commit: (plan: MergePlan, hidden?: Hidden) => Promise<T>;
  /** The store cannot go on; returns the error that says so. */
  readonly broken: (cause: unknown) => Error;
}

/**
 * A merge that goes into memory some entries at a time, hidden, and is then committed in one step, in which it is
 * shown and copied into the log: a tenth of the work. Nothing else changes the store meanwhile. Whoever wants to ends
 * it first, which takes as long as what is left of it.
 */
export class GradualMerge<T> {
  readonly #parts: GradualMergeParts<T>;
  readonly #put: Winner[] = [];
  readonly #runs = new EntryRuns();
  #putBytes = 0;
  #hlc = 0;
  #next = 0;
  #isOpen = true;
  #done: Promise<T> | undefined;
  #error: unknown;

  constructor(parts: GradualMergeParts<T>) {
    this.#parts = parts;
    parts.context.engine.hide();
  }

  /** False once it is committed, has failed, or was taken back. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The promise of the commit; undefined if there was none, as all was taken back. Throws what it failed with. */
  outcome(): Promise<T> | undefined {
    assert(!this.#isOpen, "a merge has its outcome at its end");
    if (this.#error !== undefined) throw this.#error;
    return this.#done;
  }

  /** Puts some entries; false when none is left, or this failed. */
  step(): boolean {
    assert(this.#isOpen, "a merge goes on until it ends");
    const { engine } = this.#parts.context;
    try {
      this.#putSome();
    } catch (cause) {
      this.#isOpen = false;
      this.#error = isUndone(engine, engine.version, cause) ? cause : this.#parts.broken(cause);
    }
    return this.#isOpen && this.#next < this.#parts.plan.winners.length;
  }

  /** Puts what is left, commits all of it and shows it. */
  end(): void {
    while (this.#isOpen && this.step());
    if (!this.#isOpen) return;
    // Those who are told of the commit may write, and want it ended before.
    this.#isOpen = false;
    const { context, commit, version } = this.#parts;
    // Where nothing is left to commit there is nothing to show.
    const hidden = this.#put.length === 0 ? undefined : { version, runs: this.#runs };
    if (hidden === undefined) context.engine.show();
    try {
      this.#done = commit(this.#whatWasPut(), hidden);
    } catch (cause) {
      this.#error = this.#isTakenBack() ? cause : this.#parts.broken(cause);
      return;
    }
    // Whoever began it comes for the promise a turn later.
    this.#done.catch(() => undefined);
  }

  /** The engine went back to before it: nothing of it is left. */
  wasTakenBack(): void {
    this.#isOpen = false;
  }

  /** Takes back what was put. */
  giveUp(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (!this.#isTakenBack()) this.#error = this.#parts.broken(undefined);
  }

  /** The commit takes back itself what it had begun. */
  #isTakenBack(): boolean {
    const { engine } = this.#parts.context;
    return !engine.isHiding || takeBack(engine, engine.version);
  }

  #whatWasPut(): MergePlan {
    const { winners, stale, refused } = this.#parts.plan;
    const overtaken = winners.length - this.#put.length;
    const sums = { winnersBytes: this.#putBytes, stale: stale + overtaken, hlc: this.#hlc };
    return { winners: this.#put, refused, ...sums };
  }

  #count(winner: Winner): void {
    const { bytes, at, length } = winner;
    this.#put.push(winner);
    this.#runs.add(bytes, at, length);
    this.#putBytes += length;
    this.#hlc = Math.max(this.#hlc, hlcOf(bytes, at));
  }

  #putSome(): void {
    const { context, plan, isOutdated, stepBytes, version } = this.#parts;
    const end = Math.min(plan.winners.length, this.#next + ENTRIES_PER_STEP);
    for (let bytes = 0; this.#next < end && bytes < stepBytes; this.#next++) {
      const winner = plan.winners[this.#next];
      if (isOutdated && !stillWins(context, winner)) continue;
      context.engine.put(version, winner.bytes, winner.at, winner.length);
      this.#count(winner);
      bytes += winner.length;
    }
  }
}
