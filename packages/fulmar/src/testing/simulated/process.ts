/** What a call made by a killed process throws. Its `code` is "SIMULATED_KILL". */
export class SimulatedKill extends Error {
  override readonly name = "SimulatedKill";
  readonly code = "SIMULATED_KILL";
}

/**
 * One run of a program on a simulated machine. Timers, open files, locks and connections belong to it and
 * vanish with it. Its JavaScript cannot be stopped, so after {@link kill} every door to the outside is shut:
 * calls reject with {@link SimulatedKill} and have no effect.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly pid: number;
  #state: "alive" | "dying" | "dead" = "alive";
  #silent = false;
  #frozenUntilMs = Number.NEGATIVE_INFINITY;
  readonly #hooks = new Set<() => void>();

  constructor(name: string, pid: number) {
    this.name = name;
    this.pid = pid;
  }

  get alive(): boolean {
    return this.#state !== "dead";
  }

  /** Whether the machine died with the process, so that nobody closed its connections. */
  get silent(): boolean {
    return this.#silent;
  }

  /** Events of this process wait until then: a stopped virtual machine. */
  get frozenUntilMs(): number {
    return this.#frozenUntilMs;
  }

  freeze(untilMs: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, untilMs);
  }

  /** Runs `hook` when the process dies; returns the way to forget it. */
  onKill(hook: () => void): () => void {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  /** kill -9; `silent` when the whole machine goes and no system is left to close connections. */
  kill(options: { readonly silent?: boolean } = {}): void {
    if (this.#state !== "alive") return;
    this.#state = "dying";
    this.#silent = options.silent ?? false;
    for (const hook of this.#hooks) hook();
    this.#hooks.clear();
    this.#state = "dead";
  }

  assertAlive(): void {
    if (this.#state === "dead") throw new SimulatedKill(`process ${this.pid} (${this.name}) was killed`);
  }
}
