export interface StepSource {
  /** The next thing to do off the event loop; undefined when there is none. */
  readonly next: () => (() => Promise<void>) | undefined;
  /** Called after each step, once whoever it told has had its turn. */
  readonly between: () => void;
  /** What a step, or `between`, threw: nothing of it is ever lost, nor does it reject what others wait for. */
  readonly broken: (cause: unknown) => void;
}

/** Runs what has to be done off the event loop, one step at a time, until nothing is left to do. */
export class LogSteps {
  readonly #source: StepSource;
  #working: Promise<void> | undefined;
  #step: Promise<void> | undefined;

  constructor(source: StepSource) {
    this.#source = source;
  }

  /** Resolves when nothing is left to do; undefined while no step is under way. */
  get working(): Promise<void> | undefined {
    return this.#working;
  }

  /** Resolves when the step under way, or the last one, has ended. */
  get step(): Promise<void> | undefined {
    return this.#step;
  }

  /** Begins unless something is under way, which goes on with what has come up. */
  start(): void {
    if (this.#working !== undefined || this.#source.next() === undefined) return;
    this.#working = this.#run().finally(() => this.#ended());
  }

  async #run(): Promise<void> {
    for (let next = this.#source.next(); next !== undefined; next = this.#source.next()) {
      this.#step = this.#guarded(next);
      await this.#step;
    }
  }

  async #guarded(step: () => Promise<void>): Promise<void> {
    try {
      await step();
      this.#source.between();
    } catch (cause) {
      this.#source.broken(cause);
    }
  }

  #ended(): void {
    this.#working = undefined;
    // Work may have come up between the last look and now.
    this.start();
  }
}
