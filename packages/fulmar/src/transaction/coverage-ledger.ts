import type { Coverage, OriginCoverage } from "../record/coverage.js";
import type { OriginId } from "../record/origins.js";

interface Step {
  readonly version: number;
  readonly origin: OriginId;
  readonly coverage: OriginCoverage;
}

/**
 * What is covered as memory shows it, and what of that is synced. Peers are only ever told the latter:
 * nobody may know of a commit that a power cut can still take.
 */
export class CoverageLedger {
  #applied: Coverage;
  readonly #synced: Coverage;
  #steps: Step[] = [];

  constructor(recovered: Coverage) {
    this.#synced = recovered.copy();
    this.#applied = recovered.copy();
  }

  get applied(): Coverage {
    return this.#applied;
  }

  get synced(): Coverage {
    return this.#synced;
  }

  /** Notes that commit `version` brings one origin to `coverage`. */
  record(version: number, origin: OriginId, coverage: OriginCoverage): void {
    this.#applied.set(origin, coverage);
    this.#steps.push({ version, origin, coverage });
  }

  /** Returns whether the synced coverage changed. */
  advance(version: number): boolean {
    let count = 0;
    for (const step of this.#steps) {
      if (step.version > version) break;
      this.#synced.set(step.origin, step.coverage);
      count++;
    }
    if (count > 0) this.#steps = this.#steps.slice(count);
    return count > 0;
  }

  rollback(version: number): void {
    this.#steps = this.#steps.filter((step) => step.version <= version);
    this.#applied = this.#synced.copy();
    for (const step of this.#steps) this.#applied.set(step.origin, step.coverage);
  }
}
