import { FulmarError } from "../base/errors.js";
import type { Runtime } from "../base/runtime/interface.js";
import { GradualMerge, type Hidden } from "./gradual-merge.js";
import { type MergeContext, type MergePlan, planMerge, planMergeInSteps, stillWinning } from "./merge.js";

/** Pages of up to so many bytes are planned and applied in one go: a few milliseconds. */
export const MERGE_AT_ONCE_BYTES = 256 * 1024;
/** A slice ends after so many steps, or so long, in ms. */
export const STEPS_PER_SLICE = 8;
const SLICE_MS = 4;

export interface MergeQueueParts {
  readonly runtime: Pick<Runtime, "clock" | "timers">;
  /** Pages of more bytes than this are not merged in one go. */
  readonly atOnceBytes: number;
  /** What the next plan is made on. */
  context(): MergeContext;
  /** Throws when the store cannot write any more. */
  assertWritable(): void;
  /** The number of a commit that is put in parts; undefined where all are applied in one step. */
  nextVersion(): number | undefined;
  /** A merge could be neither applied nor taken back; returns the error that says so. */
  broken(cause: unknown): Error;
}

/** Commits a plan, whose entries may be in memory already, hidden. */
export type CommitPlan<T> = (plan: MergePlan, hidden?: Hidden) => Promise<T>;

/**
 * Takes merges one after the other, large ones in slices, between which readers and local writers go on: first what
 * changes nothing, checking entries and finding winners, then putting them into memory where nobody sees them yet.
 * A local write that comes while that is done has the rest done first.
 */
export class MergeQueue {
  readonly #parts: MergeQueueParts;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #rollbacks = 0;
  #stopped = false;
  #gradual: Pick<GradualMerge<unknown>, "isOpen" | "end" | "giveUp" | "wasTakenBack"> | undefined;

  constructor(parts: MergeQueueParts) {
    this.#parts = parts;
  }

  /** Calls `commit` with the plan in one step with its last check, at once if the merge is small and alone. */
  run<T>(pages: readonly Uint8Array[], commit: CommitPlan<T>): Promise<T> {
    const bytes = pages.reduce((sum, page) => sum + page.length, 0);
    const { atOnceBytes } = this.#parts;
    if (this.#waiting === 0 && bytes <= atOnceBytes) return commit(planMerge(this.#parts.context(), pages));
    this.#waiting++;
    // The next one waits until this one is applied, not until it is durable.
    const applied = this.#tail.then(() => this.#planAndCommit(pages, commit));
    this.#tail = applied
      .catch(() => undefined)
      .then(() => {
        this.#waiting--;
      });
    return applied.then(({ done }) => done);
  }

  /** Has a merge that is being put into memory done, for whoever is about to change the store or look at all of it. */
  finish(): void {
    if (this.#gradual?.isOpen !== true) return;
    // A store that failed stays as it is.
    if (this.#goesOn()) this.#gradual.end();
    else this.#gradual.giveUp();
  }

  /** Commits were taken back: what lost against them may win now. */
  rolledBack(): void {
    this.#rollbacks++;
    this.#gradual?.wasTakenBack();
  }

  /** What is under way is not applied any more. */
  stop(): void {
    this.#stopped = true;
    this.#gradual?.giveUp();
  }

  /** The promise of `commit` is wrapped: it is not waited for. */
  async #planAndCommit<T>(
    pages: readonly Uint8Array[],
    commit: CommitPlan<T>,
  ): Promise<{ readonly done: Promise<T> }> {
    for (;;) {
      this.#assertGoesOn();
      const rollbacks = this.#rollbacks;
      const context = this.#parts.context();
      const { version } = context.engine;
      const plan = await this.#planInSlices(context, pages, () => this.#rollbacks !== rollbacks);
      // From here on nothing else changes the store.
      this.#assertGoesOn();
      if (plan === undefined || this.#rollbacks !== rollbacks) continue;
      const isOutdated = context.engine.version !== version;
      const wrapped = await this.#commitPlan(context, plan, isOutdated, commit);
      if (wrapped !== undefined) return wrapped;
    }
  }

  /** Undefined as soon as it `isOutdated`. */
  async #planInSlices(
    context: MergeContext,
    pages: readonly Uint8Array[],
    isOutdated: () => boolean,
  ): Promise<MergePlan | undefined> {
    const steps = planMergeInSteps(context, pages);
    let plan: MergePlan | undefined;
    const step = (): boolean => {
      const { done, value } = steps.next();
      if (done === true) plan = value;
      return done !== true;
    };
    while (this.#slice(step)) {
      await this.#parts.runtime.timers.turn();
      this.#assertGoesOn();
      if (isOutdated()) return undefined;
    }
    return plan;
  }

  /** Undefined if it was taken back before its end. */
  async #commitPlan<T>(
    context: MergeContext,
    plan: MergePlan,
    isOutdated: boolean,
    commit: CommitPlan<T>,
  ): Promise<{ readonly done: Promise<T> } | undefined> {
    const { atOnceBytes, nextVersion, broken } = this.#parts;
    const version = plan.winnersBytes <= atOnceBytes ? undefined : nextVersion();
    if (version === undefined) return { done: commit(isOutdated ? stillWinning(context, plan) : plan) };
    // So that a slice puts about as much at most as is merged in one go.
    const stepBytes = Math.ceil(atOnceBytes / STEPS_PER_SLICE);
    const merge = new GradualMerge({ context, plan, isOutdated, stepBytes, version, commit, broken });
    this.#gradual = merge;
    try {
      await this.#putInSlices(merge);
    } finally {
      this.#gradual = undefined;
    }
    const done = merge.outcome();
    return done === undefined ? undefined : { done };
  }

  /** Each slice, and what ends it, has a turn of its own. */
  async #putInSlices(merge: GradualMerge<unknown>): Promise<void> {
    for (let hasMore = true; ; ) {
      await this.#parts.runtime.timers.turn();
      if (!merge.isOpen) return;
      try {
        this.#assertGoesOn();
      } catch (error) {
        merge.giveUp();
        throw error;
      }
      if (hasMore) hasMore = this.#slice(() => merge.step());
      else merge.end();
      if (!merge.isOpen) return;
    }
  }

  /** Takes steps for a few milliseconds; false once one says that it was the last. */
  #slice(step: () => boolean): boolean {
    const { clock } = this.#parts.runtime;
    const untilMs = clock.monotonicMs() + SLICE_MS;
    for (let i = 0; i < STEPS_PER_SLICE && clock.monotonicMs() <= untilMs; i++) if (!step()) return false;
    return true;
  }

  #goesOn(): boolean {
    try {
      this.#assertGoesOn();
      return true;
    } catch {
      return false;
    }
  }

  #assertGoesOn(): void {
    if (this.#stopped) throw new FulmarError("CLOSED", "the store closed before a merge was complete");
    this.#parts.assertWritable();
  }
}
