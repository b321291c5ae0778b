import { FulmarError } from "../base/errors.js";
import type { Runtime } from "../base/runtime/interface.js";
import { type MergeContext, type MergePlan, planMerge, planMergeInSteps, stillWinning } from "./merge.js";

/** Pages of up to so many bytes are planned and applied in one go: a few milliseconds. */
export const MERGE_AT_ONCE_BYTES = 256 * 1024;
/** A slice of planning ends after so many steps, or so long, in ms. */
export const STEPS_PER_SLICE = 8;
const SLICE_MS = 4;

/**
 * Takes merges one after the other and plans large ones in slices, between which readers and local writers
 * go on: checking entries and finding winners is most of a merge's work and changes nothing. What
 * has been planned is then applied at once, so that nobody ever sees a part of it.
 */
export class MergeQueue {
  readonly #runtime: Runtime;
  readonly #context: () => MergeContext;
  readonly #assertWritable: () => void;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #rollbacks = 0;
  #stopped = false;

  /** `context` is what the next plan is made on; `assertWritable` throws when the store cannot write any more. */
  constructor(runtime: Runtime, context: () => MergeContext, assertWritable: () => void) {
    this.#runtime = runtime;
    this.#context = context;
    this.#assertWritable = assertWritable;
  }

  /** Calls `commit` with the plan in one step with its last check, at once if the merge is small and alone. */
  run<T>(pages: readonly Uint8Array[], commit: (plan: MergePlan) => Promise<T>): Promise<T> {
    const bytes = pages.reduce((sum, page) => sum + page.length, 0);
    if (this.#waiting === 0 && bytes <= MERGE_AT_ONCE_BYTES) return commit(planMerge(this.#context(), pages));
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

  /** Commits were taken back: what lost against them may win now. */
  rolledBack(): void {
    this.#rollbacks++;
  }

  /** What is being planned is not applied any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** The promise of `commit` is wrapped: it is not waited for. */
  async #planAndCommit<T>(
    pages: readonly Uint8Array[],
    commit: (plan: MergePlan) => Promise<T>,
  ): Promise<{ readonly done: Promise<T> }> {
    for (;;) {
      this.#assertGoesOn();
      const rollbacks = this.#rollbacks;
      const context = this.#context();
      const { version } = context.engine;
      const plan = await this.#planInSlices(context, pages, () => this.#rollbacks !== rollbacks);
      // From here to the commit nothing else runs.
      this.#assertGoesOn();
      if (plan === undefined || this.#rollbacks !== rollbacks) continue;
      const isUnchanged = context.engine.version === version;
      return { done: commit(isUnchanged ? plan : stillWinning(context, plan)) };
    }
  }

  /** Undefined as soon as it `isOutdated`. */
  async #planInSlices(
    context: MergeContext,
    pages: readonly Uint8Array[],
    isOutdated: () => boolean,
  ): Promise<MergePlan | undefined> {
    const { clock, timers } = this.#runtime;
    const steps = planMergeInSteps(context, pages);
    for (;;) {
      const untilMs = clock.monotonicMs() + SLICE_MS;
      for (let step = 0; step < STEPS_PER_SLICE && clock.monotonicMs() <= untilMs; step++) {
        const { done, value } = steps.next();
        if (done === true) return value;
      }
      await timers.turn();
      this.#assertGoesOn();
      if (isOutdated()) return undefined;
    }
  }

  #assertGoesOn(): void {
    if (this.#stopped) throw new FulmarError("CLOSED", "the store closed before a merge was complete");
    this.#assertWritable();
  }
}
