/** Longest pause between two attempts at one path, in ms. */
const PAUSE_MS_MAX = 5_000;
const PAUSE_MS_FIRST = 60;

interface Waiting {
  state: "delayed" | "ready" | "running";
  timer: NodeJS.Timeout | undefined;
  /** Asked for again while running: the delay asked for. */
  again: number | undefined;
  attempts: number;
}

/** `again`: not finished, try once more after a pause that grows. */
export type Outcome = "done" | "again";

/**
 * Paths with work to do. Each path is worked on by one task at a time, a bounded number of paths at once;
 * asking for a path that waits already changes nothing. Its size is bounded by the number of paths.
 */
export class PathQueue {
  readonly #work: (path: string) => Promise<Outcome>;
  readonly #tasksMax: number;
  readonly #paths = new Map<string, Waiting>();
  #ready: string[] = [];
  #next = 0;
  #running = 0;
  #closed = false;
  #idleListeners: (() => void)[] = [];

  constructor(work: (path: string) => Promise<Outcome>, tasksMax: number) {
    this.#work = work;
    this.#tasksMax = tasksMax;
  }

  /** Paths that wait or run. */
  get size(): number {
    return this.#paths.size;
  }

  /** A delay that was asked for once is kept, whoever asks meanwhile: it lets a user finish saving. */
  add(path: string, delayMs = 0): void {
    if (this.#closed) return;
    const known = this.#paths.get(path);
    if (known === undefined) {
      const waiting: Waiting = { state: "delayed", timer: undefined, again: undefined, attempts: 0 };
      this.#paths.set(path, waiting);
      this.#delay(path, waiting, delayMs);
    } else if (known.state === "running") {
      known.again = Math.max(known.again ?? 0, delayMs);
    }
  }

  /** Resolves when no path waits or runs. */
  async idle(): Promise<void> {
    while (this.#paths.size > 0) await new Promise<void>((resolve) => this.#idleListeners.push(resolve));
  }

  /** Forgets what waits and resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [path, waiting] of [...this.#paths]) {
      clearTimeout(waiting.timer);
      if (waiting.state !== "running") this.#paths.delete(path);
    }
    this.#ready = [];
    this.#next = 0;
    this.#announceIdle();
    await this.idle();
  }

  #delay(path: string, waiting: Waiting, delayMs: number): void {
    if (delayMs === 0) {
      this.#makeReady(path, waiting);
      return;
    }
    waiting.state = "delayed";
    waiting.timer = setTimeout(() => this.#makeReady(path, waiting), delayMs);
  }

  #makeReady(path: string, waiting: Waiting): void {
    waiting.state = "ready";
    this.#ready.push(path);
    this.#start();
  }

  #start(): void {
    while (this.#running < this.#tasksMax && this.#next < this.#ready.length) {
      const path = this.#ready[this.#next++] as string;
      if (this.#next > 1024 && this.#next * 2 > this.#ready.length) {
        this.#ready = this.#ready.slice(this.#next);
        this.#next = 0;
      }
      const waiting = this.#paths.get(path) as Waiting;
      waiting.state = "running";
      waiting.again = undefined;
      this.#running++;
      void this.#run(path, waiting);
    }
  }

  async #run(path: string, waiting: Waiting): Promise<void> {
    const outcome = await this.#work(path);
    this.#running--;
    if (this.#closed || (outcome === "done" && waiting.again === undefined)) {
      this.#paths.delete(path);
      this.#announceIdle();
    } else if (outcome === "again") {
      const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2 ** Math.min(waiting.attempts++, 10));
      this.#delay(path, waiting, pauseMs);
    } else {
      waiting.attempts = 0;
      this.#delay(path, waiting, waiting.again ?? 0);
    }
    this.#start();
  }

  #announceIdle(): void {
    if (this.#paths.size > 0) return;
    const listeners = this.#idleListeners;
    this.#idleListeners = [];
    for (const listener of listeners) listener();
  }
}
